import {
  isFieldSet,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Backoff } from "./backoff.js";
import { sleep } from "./deadline.js";
import { EventService, ListEventsResponseSchema, SubscribeRequestSchema } from "./gen/tradebook/v1/event_pb.js";
import { isPassing, type SubscriberContext } from "./subscriber-context.js";

const pauseMsMin = 50;
const pauseMsMax = 1000;
const farthest = 2n ** 63n - 1n;

const { listEvents, getCursor, commitCursor } = EventService.method;
const { cursor, afterSequence } = SubscribeRequestSchema.field;

/** The sequence after which a stream starts. Waits for a server that is away. A cursor that does not exist is stored at
 * once, so that a restart before the first event misses nothing. */
export async function findPlace(context: SubscriberContext, signal: AbortSignal): Promise<bigint> {
  const { request } = context;
  if (request.fromOldest && isFieldSet(request, afterSequence)) {
    throw new ConnectError("after_sequence and from_oldest exclude each other; give one of them", Code.InvalidArgument);
  }
  if (!isFieldSet(request, cursor)) {
    return findStart(context, signal);
  }
  const stored = await findCursor(context, signal);
  if (stored !== undefined) {
    return stored;
  }
  const sequence = await findStart(context, signal);
  await persist(context, signal, commitCursor, { name: request.cursor, sequence });
  return sequence;
}

async function findStart(context: SubscriberContext, signal: AbortSignal): Promise<bigint> {
  const { request } = context;
  if (isFieldSet(request, afterSequence)) {
    return request.afterSequence;
  }
  const end = await persist(context, signal, listEvents, { afterSequence: farthest, pageSize: 1 });
  const hasOldest = isFieldSet(end, ListEventsResponseSchema.field.oldestSequence);
  return request.fromOldest && hasOldest ? end.oldestSequence - 1n : end.newestSequence;
}

/** undefined: there is no such cursor. */
async function findCursor(context: SubscriberContext, signal: AbortSignal): Promise<bigint | undefined> {
  try {
    return (await persist(context, signal, getCursor, { name: context.request.cursor })).sequence;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) {
      return undefined;
    }
    throw error;
  }
}

/** Makes a call until it ends with something else than that the server cannot answer now. */
async function persist<I extends DescMessage, O extends DescMessage>(
  { call, timeoutMs }: SubscriberContext,
  signal: AbortSignal,
  method: DescMethodUnary<I, O>,
  message: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  const backoff = new Backoff(pauseMsMin, pauseMsMax);
  for (;;) {
    try {
      return await call(method, message, timeoutMs, signal);
    } catch (error) {
      if (signal.aborted || !isPassing(error)) {
        throw error;
      }
      await sleep(backoff.next(), signal);
    }
  }
}
