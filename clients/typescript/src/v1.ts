/** The messages, enumerations and services of tradebook.v1, as generated. */
export * from "./gen/tradebook/v1/admin_pb.js";
export * from "./gen/tradebook/v1/analytics_pb.js";
export * from "./gen/tradebook/v1/annotations_pb.js";
export * from "./gen/tradebook/v1/batch_pb.js";
export * from "./gen/tradebook/v1/event_pb.js";
export * from "./gen/tradebook/v1/model_pb.js";
export * from "./gen/tradebook/v1/pattern_pb.js";
export * from "./gen/tradebook/v1/risk_pb.js";
export * from "./gen/tradebook/v1/rpc_pb.js";
export * from "./gen/tradebook/v1/signal_pb.js";
export * from "./gen/tradebook/v1/theory_pb.js";
export * from "./gen/tradebook/v1/trade_pb.js";
export * from "./gen/tradebook/v1/types_pb.js";
