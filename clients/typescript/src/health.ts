/** The standard health check of gRPC, as generated. */
export * from "./gen/grpc/health/v1/health_pb.js";
