import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type MessageShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createContextValues,
  encodeBinaryHeader,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { v7 as uuidv7 } from "uuid";
import { Caller } from "./caller.js";
import { Deadline } from "./deadline.js";
import { contentOf, requestIdHeader } from "./envelope.js";
import { EventService, SubscribeRequestSchema, type SubscribeRequest } from "./gen/tradebook/v1/event_pb.js";
import type { Dial } from "./pipe.js";
import { Requester } from "./requester.js";
import { Subscriber } from "./subscriber.js";

const timeoutMsDefault = 10_000;

/** Settings of a transport. */
export interface TransportOptions {
  /** Where the server listens, such as tcp://127.0.0.1:7601. */
  address: string;
  /** Where the same server publishes events. Without it Subscribe asks for them with ListEvents, which waits. */
  eventsAddress?: string;
  /** Time of a call that gives none, retries included, in milliseconds; 0: no end. Default: 10,000. Streams have
   * no end unless the call gives one. */
  defaultTimeoutMs?: number;
  /** Scopes request ids: the same id of two clients is two requests. Sent as the metadata entry client-id. */
  clientId?: string;
  /** Sent with every call as the metadata entry authorization, "Bearer TOKEN". */
  token?: string;
  /** Interceptors, as for every transport of Connect. */
  interceptors?: Interceptor[];
}

/** A transport for the clients of `@connectrpc/connect`. */
export interface TradebookTransport extends Transport {
  /** Ends the connections and, as CANCELLED, the calls and streams under way. Not needed for a program to end: a
   * connection without calls does not keep it. */
  close(): void;
}

/** Makes connections to an address. Throws INVALID_ARGUMENT for one that cannot be used. */
export type DialerOf = (address: string) => Dial;

export function createTransport(options: TransportOptions, dialerOf: DialerOf): TradebookTransport {
  const requester = new Requester(dialerOf(options.address));
  const dialEvents = options.eventsAddress === undefined ? undefined : dialerOf(options.eventsAddress);
  const caller = new Caller(requester, options.address);
  const closing = new AbortController();
  const defaultTimeoutMs = options.defaultTimeoutMs ?? timeoutMsDefault;

  /** A timeout of 0 or less is none, as in Connect's own transports. */
  function deadlineOf(
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    reason: (timeoutMs: number) => ConnectError,
  ): Deadline {
    const ends = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
    return new Deadline(timeoutMs !== undefined && timeoutMs > 0 ? timeoutMs : undefined, ends, reason);
  }

  function callDeadline(method: DescMethod, timeoutMs: number, signal: AbortSignal | undefined): Deadline {
    return deadlineOf(timeoutMs, signal, (ms) => caller.timeoutError(nameOf(method), ms));
  }

  function headerOf(header: HeadersInit | undefined): Headers {
    const result = new Headers(header);
    if (options.clientId !== undefined && !result.has("client-id")) {
      result.set("client-id", options.clientId);
    }
    if (options.token !== undefined && !result.has("authorization")) {
      result.set("authorization", `Bearer ${options.token}`);
    }
    return result;
  }

  async function exchange<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    header: Headers,
    message: MessageShape<I>,
    deadline: Deadline,
  ): Promise<MessageShape<O>> {
    const content = contentOf(nameOf(method), encode(method.input, message), header);
    return decode(method.output, await caller.call(content, deadline));
  }

  function openStream(request: SubscribeRequest, header: Headers, deadline: Deadline): Promise<Subscriber> {
    const timeoutMs = defaultTimeoutMs > 0 ? defaultTimeoutMs : timeoutMsDefault;
    return Subscriber.open({
      request,
      dialEvents,
      signal: deadline.signal,
      timeoutMs,
      async call(method, message, ms, signal) {
        const ofCall = callDeadline(method, ms, signal);
        try {
          return await exchange(
            method,
            withRequestId(method, new Headers(header)),
            create(method.input, message),
            ofCall,
          );
        } finally {
          ofCall.stop();
        }
      },
    });
  }

  return {
    async unary(method, signal, timeoutMs, header, message, contextValues) {
      const deadline = callDeadline(method, timeoutMs ?? defaultTimeoutMs, signal);
      try {
        return await runUnaryCall({
          interceptors: options.interceptors,
          signal: deadline.signal,
          req: {
            stream: false,
            service: method.parent,
            method,
            requestMethod: "POST",
            url: options.address + nameOf(method),
            // Set before the interceptors run, so that one that calls again repeats the same request.
            header: withRequestId(method, headerOf(header)),
            contextValues: contextValues ?? createContextValues(),
            message,
          },
          next: async (req) => ({
            stream: false,
            service: req.service,
            method: req.method,
            header: new Headers(),
            trailer: new Headers(),
            message: await exchange(req.method, req.header, req.message, deadline),
          }),
        });
      } finally {
        deadline.stop();
      }
    },

    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const deadline = deadlineOf(
        timeoutMs,
        signal,
        (ms) =>
          new ConnectError(`${nameOf(method)}: the ${String(ms)} ms of the stream are over`, Code.DeadlineExceeded),
      );
      let subscriber: Subscriber | undefined;
      const end = async () => {
        deadline.stop();
        await subscriber?.close();
      };
      try {
        const response = await runStreamingCall({
          interceptors: options.interceptors,
          signal: deadline.signal,
          req: {
            stream: true,
            service: method.parent,
            method,
            requestMethod: "POST",
            url: options.address + nameOf(method),
            header: headerOf(header),
            contextValues: contextValues ?? createContextValues(),
            message: input,
          },
          next: async (req) => {
            subscriber = await openStream(await subscribeRequestOf(req), req.header, deadline);
            return {
              stream: true,
              service: req.service,
              method: req.method,
              header: new Headers(),
              trailer: new Headers(),
              message: subscriber as AsyncIterable<MessageShape<DescMessage>> as AsyncIterable<
                MessageShape<typeof method.output>
              >,
            };
          },
        });
        return { ...response, message: endingWith(response.message, end) };
      } catch (error) {
        await end();
        throw error;
      }
    },

    close() {
      closing.abort(new ConnectError("the transport was closed", Code.Canceled));
      requester.close();
    },
  };
}

function nameOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** With a request id, if the method may have an effect. */
function withRequestId(method: DescMethod, header: Headers): Headers {
  if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && !header.has(requestIdHeader)) {
    header.set(requestIdHeader, encodeBinaryHeader(uuidv7({}, new Uint8Array(16))));
  }
  return header;
}

function encode<T extends DescMessage>(schema: T, message: MessageShape<T>): Uint8Array {
  try {
    return toBinary(schema, message);
  } catch (error) {
    throw ConnectError.from(error, Code.InvalidArgument);
  }
}

function decode<T extends DescMessage>(schema: T, bytes: Uint8Array): MessageShape<T> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw ConnectError.from(error, Code.Internal);
  }
}

/** The one request of EventService/Subscribe, the only stream there is. */
async function subscribeRequestOf(req: StreamRequest): Promise<SubscribeRequest> {
  const { subscribe } = EventService.method;
  if (nameOf(req.method) !== nameOf(subscribe)) {
    throw new ConnectError(
      `${nameOf(req.method)}: of all streams there is only ${nameOf(subscribe)}`,
      Code.Unimplemented,
    );
  }
  for await (const message of req.message) {
    return create(SubscribeRequestSchema, message as SubscribeRequest);
  }
  throw new ConnectError(`${nameOf(subscribe)}: the request is missing`, Code.InvalidArgument);
}

/** The same messages; end is waited for when they have ended or the caller leaves. */
function endingWith<T>(messages: StreamResponse["message"], end: () => Promise<void>): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* messages as AsyncIterable<T>;
      } finally {
        await end();
      }
    },
  };
}
