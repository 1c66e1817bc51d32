import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { SubscribeRequest } from "./gen/tradebook/v1/event_pb.js";
import type { Dial } from "./pipe.js";

/** Makes one call. The signal ends it early. */
export type CallMethod = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  message: MessageInitShape<I>,
  timeoutMs: number,
  signal?: AbortSignal,
) => Promise<MessageShape<O>>;

/** What a stream needs. */
export interface SubscriberContext {
  readonly request: SubscribeRequest;
  /** To the events address; undefined: there is none. */
  readonly dialEvents: Dial | undefined;
  /** Ends the stream, with its reason. */
  readonly signal: AbortSignal;
  /** Time of one call. */
  readonly timeoutMs: number;
  readonly call: CallMethod;
}

/** Whether a stream goes on after a call has ended so: the server cannot answer now. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ConnectError &&
    [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted].includes(error.code)
  );
}
