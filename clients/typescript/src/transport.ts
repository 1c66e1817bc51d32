import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createContextValues,
  encodeBinaryHeader,
  type ContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { v7 as uuidv7 } from "uuid";
import { Caller } from "./caller.js";
import { Deadline } from "./deadline.js";
import { contentOf, requestIdHeader } from "./envelope.js";
import { EventService, SubscribeRequestSchema, type SubscribeRequest } from "./gen/tradebook/v1/event_pb.js";
import type { Dial } from "./pipe.js";
import { Requester } from "./requester.js";
import type { CallMethod } from "./subscriber-context.js";
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

/** What the entry points return. */
export class ConnectTransport implements TradebookTransport {
  readonly #options: TransportOptions;
  readonly #defaultTimeoutMs: number;
  readonly #requester: Requester;
  readonly #caller: Caller;
  readonly #dialEvents: Dial | undefined;
  /** Of the calls and streams under way. */
  readonly #deadlines = new Set<Deadline>();
  #isClosed = false;

  constructor(options: TransportOptions, dialerOf: DialerOf) {
    this.#options = options;
    this.#defaultTimeoutMs = options.defaultTimeoutMs ?? timeoutMsDefault;
    this.#requester = new Requester(dialerOf(options.address));
    this.#caller = new Caller(this.#requester, options.address);
    this.#dialEvents = options.eventsAddress === undefined ? undefined : dialerOf(options.eventsAddress);
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    message: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const deadline = this.#callDeadline(method, timeoutMs ?? this.#defaultTimeoutMs, signal);
    try {
      return await runUnaryCall<I, O>({
        interceptors: this.#options.interceptors,
        signal: deadline.signal,
        // The request id is set before the interceptors run, so that one that calls again repeats the same request.
        req: {
          stream: false,
          message,
          ...this.#requestOf(method, withRequestId(method, this.#headerOf(header)), contextValues),
        },
        next: async (req) => ({
          stream: false,
          message: await this.#exchange(req.method, req.header, req.message, deadline),
          ...responseOf(req),
        }),
      });
    } finally {
      this.#stop(deadline);
    }
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const deadline = this.#deadline(
      timeoutMs ?? 0,
      signal,
      (ms) => new ConnectError(`${nameOf(method)}: the ${String(ms)} ms of the stream are over`, Code.DeadlineExceeded),
    );
    let subscriber: Subscriber | undefined;
    const end = async () => {
      this.#stop(deadline);
      await subscriber?.close();
    };
    try {
      const response = await runStreamingCall<I, O>({
        interceptors: this.#options.interceptors,
        signal: deadline.signal,
        req: { stream: true, message: input, ...this.#requestOf(method, this.#headerOf(header), contextValues) },
        next: async (req) => {
          subscriber = await this.#subscribe(await subscribeRequestOf(req), req.header, deadline);
          // That it is of the output's type is what subscribeRequestOf has checked.
          const message = subscriber as AsyncIterable<unknown> as AsyncIterable<MessageShape<O>>;
          return { stream: true, message, ...responseOf(req) };
        },
      });
      return { ...response, message: endingWith(response.message, end) };
    } catch (error) {
      await end();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const deadline of this.#deadlines) {
      deadline.abort(closedError());
    }
    this.#requester.close();
  }

  /** A timeout of 0 or less is none, as in Connect's own transports. */
  #deadline(timeoutMs: number, signal: AbortSignal | undefined, reason: (timeoutMs: number) => ConnectError): Deadline {
    const deadline = new Deadline(timeoutMs > 0 ? timeoutMs : undefined, signal, reason);
    this.#deadlines.add(deadline);
    if (this.#isClosed) {
      deadline.abort(closedError());
    }
    return deadline;
  }

  #callDeadline(method: DescMethod, timeoutMs: number, signal: AbortSignal | undefined): Deadline {
    return this.#deadline(timeoutMs, signal, (ms) => this.#caller.timeoutError(nameOf(method), ms));
  }

  #stop(deadline: Deadline): void {
    deadline.stop();
    this.#deadlines.delete(deadline);
  }

  #headerOf(header: HeadersInit | undefined): Headers {
    const result = new Headers(header);
    const { clientId, token } = this.#options;
    if (clientId !== undefined && !result.has("client-id")) {
      result.set("client-id", clientId);
    }
    if (token !== undefined && !result.has("authorization")) {
      result.set("authorization", `Bearer ${token}`);
    }
    return result;
  }

  /** What requests of both kinds have. */
  #requestOf<M extends DescMethod>(method: M, header: Headers, contextValues: ContextValues | undefined) {
    return {
      service: method.parent,
      method,
      requestMethod: "POST",
      url: this.#options.address + nameOf(method),
      header,
      contextValues: contextValues ?? createContextValues(),
    };
  }

  async #exchange<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    header: Headers,
    message: MessageShape<I>,
    deadline: Deadline,
  ): Promise<MessageShape<O>> {
    const content = contentOf(nameOf(method), encode(method.input, message), header);
    return decode(method.output, await this.#caller.call(content, deadline));
  }

  #subscribe(request: SubscribeRequest, header: Headers, deadline: Deadline): Promise<Subscriber> {
    const call: CallMethod = async (method, message, timeoutMs, signal) => {
      const callDeadline = this.#callDeadline(method, timeoutMs, signal);
      try {
        const ownHeader = withRequestId(method, new Headers(header));
        return await this.#exchange(method, ownHeader, create(method.input, message), callDeadline);
      } finally {
        this.#stop(callDeadline);
      }
    };
    const timeoutMs = this.#defaultTimeoutMs > 0 ? this.#defaultTimeoutMs : timeoutMsDefault;
    return Subscriber.open({ request, dialEvents: this.#dialEvents, signal: deadline.signal, timeoutMs, call });
  }
}

function closedError(): ConnectError {
  return new ConnectError("the transport was closed", Code.Canceled);
}

/** What responses of both kinds have: nothing but the message comes back. */
function responseOf<S, M>(request: { service: S; method: M }) {
  return { service: request.service, method: request.method, header: new Headers(), trailer: new Headers() };
}

function nameOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** With a request id, if the method may have an effect. */
function withRequestId(method: DescMethod, header: Headers): Headers {
  if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && !header.has(requestIdHeader)) {
    header.set(requestIdHeader, encodeBinaryHeader(uuidv7(undefined, new Uint8Array(16))));
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
function endingWith<T>(messages: AsyncIterable<T>, end: () => Promise<void>): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* messages;
      } finally {
        await end();
      }
    },
  };
}
