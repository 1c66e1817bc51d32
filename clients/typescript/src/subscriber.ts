import { isFieldSet } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Backoff } from "./backoff.js";
import { CursorKeeper } from "./cursor-keeper.js";
import { Doorbell, isHeartbeat } from "./doorbell.js";
import {
  EventService,
  SubscribeRequestSchema,
  type Event,
  type ListEventsResponse,
} from "./gen/tradebook/v1/event_pb.js";
import { findPlace } from "./subscriber-place.js";
import { isPassing, type SubscriberContext } from "./subscriber-context.js";

const pageEvents = 500;
const pauseMsMin = 50;
const pauseMsMax = 1000;
/** How long ListEvents waits while the doorbell is dead: at most this, and this part of a call's time. */
const waitMsMax = 5000;
const waitTimeoutPart = 4;
/** Time for moving the cursor at the end of the stream. */
const finishMsMax = 2000;

const { listEvents, commitCursor } = EventService.method;

/** The events from a place on. Two sources bring them: the doorbell, which may lose, and pages of ListEvents, which do
 * not. An event is handed out when it follows the position, whichever source it is from; one at or before the position
 * was handed out already. One that is ahead shows a gap and waits until pages have filled it. */
export class Subscriber implements AsyncIterableIterator<Event> {
  readonly #context: SubscriberContext;
  readonly #symbol: string | undefined;
  readonly #doorbell: Doorbell | undefined;
  readonly #stop = new AbortController();
  readonly #signal = this.#stop.signal;
  readonly #backoff = new Backoff(pauseMsMin, pauseMsMax);
  #keeper: CursorKeeper | undefined;
  /** Everything up to here was handed out, or is of another symbol. */
  #position = 0n;
  /** Everything up to here was handled, as the caller has asked for more. */
  #handled = 0n;
  /** Events may be missing that the doorbell will not bring. */
  #isBehind = true;
  #page: { readonly after: bigint; readonly response: ListEventsResponse; next: number } | undefined;
  #isListing = false;
  #listNotBeforeMs = 0;
  /** From the doorbell, not the next one; isAheadListed: a page was asked for after it had come. */
  #ahead: Event | undefined;
  #isAheadListed = false;
  /** Why the stream has ended. */
  #failure: ConnectError | undefined;
  #wake: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  private constructor(context: SubscriberContext) {
    this.#context = context;
    this.#symbol = isFieldSet(context.request, SubscribeRequestSchema.field.symbol)
      ? context.request.symbol
      : undefined;
    const onAbort = () => {
      this.#stop.abort(context.signal.reason);
    };
    context.signal.addEventListener("abort", onAbort);
    if (context.signal.aborted) {
      onAbort();
    }
    this.#signal.addEventListener("abort", () => {
      this.#ring();
    });
    if (context.dialEvents !== undefined) {
      this.#doorbell = new Doorbell(context.dialEvents, this.#symbol, () => {
        this.#ring();
      });
    }
  }

  /** Opens a stream at its place. Waits for a server that is away. */
  static async open(context: SubscriberContext): Promise<Subscriber> {
    const subscriber = new Subscriber(context);
    try {
      await subscriber.#start();
    } catch (error) {
      await subscriber.close();
      throw error;
    }
    return subscriber;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Event, undefined>> {
    for (;;) {
      if (this.#closed !== undefined) {
        return { done: true, value: undefined };
      }
      this.#signal.throwIfAborted();
      this.#handled = this.#position;
      const event = this.#nextOfPage() ?? this.#nextOfDoorbell();
      if (this.#failure !== undefined) {
        throw this.#failure;
      }
      if (event !== undefined) {
        this.#keeper?.advance(this.#handled, false);
        this.#position = event.sequence;
        return { done: false, value: event };
      }
      this.#handled = this.#position;
      const advanceMs = this.#keeper?.advance(this.#handled, true) ?? Infinity;
      this.#listIfNeeded();
      await this.#change(Math.min(this.#wakeMs(), advanceMs));
    }
  }

  async return(): Promise<IteratorResult<Event, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends the stream and moves the cursor to what was handled. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    this.#doorbell?.close();
    await this.#keeper?.finish(this.#handled);
  }

  // The cursor

  async #start(): Promise<void> {
    this.#position = this.#handled = await findPlace(this.#context, this.#signal);
    const { request } = this.#context;
    if (isFieldSet(request, SubscribeRequestSchema.field.cursor)) {
      this.#keeper = new CursorKeeper(
        this.#position,
        (sequence) => this.#commit(request.cursor, sequence),
        () => {
          this.#ring();
        },
      );
    }
  }

  /** Answers whether the cursor was moved. A refusal ends the stream. */
  async #commit(name: string, sequence: bigint): Promise<boolean> {
    const isLast = this.#closed !== undefined || this.#signal.aborted;
    const timeoutMs = isLast ? Math.min(finishMsMax, this.#context.timeoutMs) : this.#context.timeoutMs;
    try {
      await this.#context.call(commitCursor, { name, sequence }, timeoutMs, isLast ? undefined : this.#signal);
      return true;
    } catch (error) {
      if (!this.#signal.aborted && !isPassing(error)) {
        this.#failure ??= ConnectError.from(error);
      }
      return false;
    }
  }

  // Order

  #isStale(event: Event): boolean {
    return event.sequence <= this.#position;
  }

  /** Whether nothing is between the position and this event. */
  #follows(event: Event): boolean {
    return this.#symbol === undefined
      ? event.sequence === this.#position + 1n
      : event.previousSequence <= this.#position;
  }

  #nextOfPage(): Event | undefined {
    const page = this.#page;
    if (page === undefined) {
      return undefined;
    }
    while (page.next < page.response.events.length) {
      const event = page.response.events[page.next++];
      if (event === undefined || this.#isStale(event)) {
        continue;
      }
      if (!this.#follows(event)) {
        this.#failure = missing(this.#position, event.sequence);
        return undefined;
      }
      return event;
    }
    this.#finishPage(page.after, page.response);
    return undefined;
  }

  /** All of the page was handed out. */
  #finishPage(after: bigint, page: ListEventsResponse): void {
    if (this.#symbol !== undefined && page.nextAfterSequence > this.#position) {
      this.#position = page.nextAfterSequence;
    }
    // A page that leads nowhere is not asked for again at once.
    if (page.nextAfterSequence > after && page.newestSequence > this.#position) {
      this.#isBehind = true;
    }
    this.#page = undefined;
  }

  #nextOfDoorbell(): Event | undefined {
    if (this.#doorbell?.takeLoss() === true) {
      this.#isBehind = true;
    }
    while (this.#takeAhead()) {
      const event = this.#ahead;
      if (event !== undefined && !this.#isStale(event)) {
        if (this.#follows(event)) {
          this.#ahead = undefined;
          return event;
        }
        if (this.#waitsForPage()) {
          return undefined;
        }
      }
      this.#ahead = undefined;
    }
    return undefined;
  }

  /** Takes the next event from the doorbell; answers whether there is one. */
  #takeAhead(): boolean {
    while (this.#ahead === undefined) {
      const heard = this.#doorbell?.take();
      if (heard === undefined) {
        return false;
      }
      if (!isHeartbeat(heard)) {
        this.#ahead = heard;
        this.#isAheadListed = false;
      } else if (heard.newestSequence !== this.#position) {
        // Larger: an event was lost. Smaller: this heartbeat is late, or the database an older one; the page tells.
        this.#isBehind = true;
      }
    }
    return true;
  }

  /** Answers whether to keep an event that is ahead until pages have filled the gap; asks for one. An event that
   * ListEvents does not know is of another server, or was heard before the database was restored. */
  #waitsForPage(): boolean {
    if (!this.#isListing && !this.#isBehind && !this.#isAheadListed) {
      this.#isAheadListed = true;
      this.#isBehind = true;
    }
    return this.#isListing || this.#isBehind;
  }

  // Pages

  /** Asks for a page when one is needed: at once when events may be missing, and with waiting while the doorbell is
   * dead. */
  #listIfNeeded(): void {
    const nowMs = performance.now();
    const isAlive = nowMs < this.#aliveUntilMs();
    if (this.#isListing || nowMs < this.#listNotBeforeMs || (isAlive && !this.#isBehind)) {
      return;
    }
    const waitMs = this.#isBehind ? 0 : Math.floor(Math.min(waitMsMax, this.#context.timeoutMs / waitTimeoutPart));
    this.#isBehind = false;
    this.#isListing = true;
    void this.#list(this.#position, waitMs).finally(() => {
      this.#isListing = false;
      this.#ring();
    });
  }

  async #list(after: bigint, waitMs: number): Promise<void> {
    const startedMs = performance.now();
    try {
      const response = await this.#context.call(
        listEvents,
        { afterSequence: after, symbol: this.#symbol, pageSize: pageEvents, waitMs: BigInt(waitMs) },
        this.#context.timeoutMs,
        this.#signal,
      );
      if (response.newestSequence < after) {
        this.#failure ??= restored(this.#position, response.newestSequence);
      }
      this.#page = { after, response, next: 0 };
      this.#backoff.reset();
      if (response.events.length === 0 && waitMs > 0) {
        // A server that is about to stop answers at once.
        this.#listNotBeforeMs = startedMs + pauseMsMin;
      }
    } catch (error) {
      this.#isBehind = true;
      this.#listNotBeforeMs = performance.now() + this.#backoff.next();
      if (!this.#signal.aborted && !isPassing(error)) {
        this.#failure ??= ConnectError.from(error);
      }
    }
  }

  // Waiting

  #aliveUntilMs(): number {
    return this.#doorbell?.aliveUntilMs ?? 0;
  }

  /** When to look again although nothing was heard. */
  #wakeMs(): number {
    if (this.#isListing) {
      return Infinity;
    }
    return this.#isBehind ? this.#listNotBeforeMs : Math.max(this.#aliveUntilMs(), this.#listNotBeforeMs);
  }

  #ring(): void {
    this.#wake?.();
  }

  /** Returns when something has changed, or at the time. */
  #change(untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer =
        untilMs === Infinity
          ? undefined
          : setTimeout(
              () => {
                this.#ring();
              },
              Math.max(0, untilMs - performance.now()),
            );
      this.#wake = () => {
        this.#wake = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function restored(position: bigint, newest: bigint): ConnectError {
  return new ConnectError(
    `the newest event of the server is ${String(newest)}, before ${String(position)} where this stream is: its database ` +
      "was restored to an older state or is another one; check the server, then subscribe at the place where to go on",
    Code.DataLoss,
  );
}

function missing(position: bigint, sequence: bigint): ConnectError {
  return new ConnectError(
    `after event ${String(position)} the server answered event ${String(sequence)}: one between is missing from its database`,
    Code.DataLoss,
  );
}
