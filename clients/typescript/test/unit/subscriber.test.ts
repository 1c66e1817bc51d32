import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  EventSchema,
  EventService,
  HeartbeatSchema,
  ListEventsRequestSchema,
  ListEventsResponseSchema,
  SubscribeRequestSchema,
  type ListEventsRequest,
} from "../../src/gen/tradebook/v1/event_pb.js";
import type { Dial, PipeListener } from "../../src/pipe.js";
import type { CallMethod } from "../../src/subscriber-context.js";
import { Subscriber } from "../../src/subscriber.js";

type Page = MessageInitShape<typeof ListEventsResponseSchema>;

/** An event of a symbol; previous is that of the event before with the same symbol. */
function event(sequence: number, symbol = "BTC-USD", previous = sequence - 1) {
  return {
    sequence: BigInt(sequence),
    previousSequence: previous > 0 ? BigInt(previous) : undefined,
    topic: `trade.closed/${encodeURIComponent(symbol)}/`,
  };
}

/** A server without sockets: it keeps events and a cursor, and publishes what the test says. */
class Book {
  readonly events: ReturnType<typeof event>[] = [];
  readonly lists: ListEventsRequest[] = [];
  readonly commits: bigint[] = [];
  cursor: bigint | undefined;
  /** Calls wait for this. */
  busy = Promise.resolve();
  /** Answers a ListEvents in another way. */
  onList: ((request: ListEventsRequest) => Page | undefined) | undefined;
  #listener: PipeListener | undefined;

  readonly dial: Dial = (_, listener) => {
    this.#listener = listener;
    queueMicrotask(() => {
      listener.onOpen();
    });
    return { send: () => undefined, hold: () => undefined, close: () => undefined };
  };

  readonly call: CallMethod = async (method, message, _, signal) => {
    await this.busy;
    signal?.throwIfAborted();
    return create(method.output, this.#answer(method.name, message) as MessageInitShape<typeof method.output>);
  };

  #answer(name: string, message: unknown): unknown {
    switch (name) {
      case EventService.method.listEvents.name: {
        const request = create(ListEventsRequestSchema, message as object);
        this.lists.push(request);
        return this.onList?.(request) ?? this.list(request);
      }
      case EventService.method.getCursor.name:
        if (this.cursor === undefined) {
          throw new ConnectError("none", Code.NotFound);
        }
        return { sequence: this.cursor };
      default:
        this.cursor = (message as { sequence: bigint }).sequence;
        this.commits.push(this.cursor);
        return {};
    }
  }

  list({ afterSequence, pageSize, symbol }: ListEventsRequest): Page {
    const topic = symbol === "" ? "" : event(0, symbol).topic;
    const after = this.events.filter((each) => each.sequence > afterSequence && each.topic.startsWith(topic));
    const events = after.slice(0, pageSize);
    const newest = this.events.at(-1)?.sequence ?? 0n;
    const isLast = events.length === after.length;
    return {
      events,
      newestSequence: newest,
      oldestSequence: this.events[0]?.sequence,
      nextAfterSequence: isLast && newest > afterSequence ? newest : (events.at(-1)?.sequence ?? afterSequence),
    };
  }

  /** Whether all pages were asked for because events were missing, none because nothing was heard for long. */
  get hasListedAtOnce(): boolean {
    return this.lists.every(({ waitMs }) => waitMs === 0n);
  }

  /** Records events; publishes none. */
  record(...events: ReturnType<typeof event>[]): void {
    this.events.push(...events);
  }

  publish(...events: ReturnType<typeof event>[]): void {
    for (const each of events) {
      this.#hear(each.topic, toBinary(EventSchema, create(EventSchema, each)));
    }
  }

  beat(newest: number): void {
    const heartbeat = create(HeartbeatSchema, { newestSequence: BigInt(newest), intervalMs: 1000n });
    this.#hear("heartbeat/", toBinary(HeartbeatSchema, heartbeat));
  }

  #hear(topic: string, message: Uint8Array): void {
    this.#listener?.onMessage(Buffer.concat([Buffer.from(`${topic}\0`), message]));
  }
}

async function open(
  t: TestContext,
  book: Book,
  request: MessageInitShape<typeof SubscribeRequestSchema>,
  hasDoorbell = true,
): Promise<Subscriber> {
  const subscriber = await Subscriber.open({
    request: create(SubscribeRequestSchema, request),
    dialEvents: hasDoorbell ? book.dial : undefined,
    signal: new AbortController().signal,
    timeoutMs: 10_000,
    call: book.call,
  });
  t.after(() => subscriber.close());
  return subscriber;
}

async function take(subscriber: Subscriber, count: number): Promise<number[]> {
  const sequences: number[] = [];
  while (sequences.length < count) {
    const { value } = await subscriber.next();
    assert.ok(value !== undefined, "the stream has ended");
    sequences.push(Number(value.sequence));
  }
  return sequences;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

describe("order", () => {
  test("events that follow are handed out as they are published, and no page is read", async (t) => {
    const book = new Book();
    book.record(event(1), event(2));
    const subscriber = await open(t, book, { afterSequence: 0n });
    assert.deepEqual(await take(subscriber, 2), [1, 2]);
    const next = take(subscriber, 3);
    await settle();
    const { length } = book.lists;
    book.publish(event(3), event(4), event(5));
    assert.deepEqual(await next, [3, 4, 5]);
    assert.equal(book.lists.length, length);
  });

  test("what was lost, doubled or reordered by the publisher is put right", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    const all = take(subscriber, 9);
    await settle();
    book.record(...range(1, 9).map((i) => event(i)));
    book.publish(event(2), event(1), event(1), event(2), event(5), event(9), event(3));
    assert.deepEqual(await all, range(1, 9));
  });

  test("a page that comes after its events were published adds only what is new", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    let answer = () => {
      // Set at once.
    };
    book.busy = new Promise((resolve) => (answer = resolve));
    const all = take(subscriber, 3);
    await settle();
    book.record(event(1), event(2), event(3));
    book.publish(event(1), event(2));
    await settle();
    answer();
    assert.deepEqual(await all, [1, 2, 3]);
  });

  test("a heartbeat tells of a lost last event", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    const first = take(subscriber, 1);
    await settle();
    book.record(event(1));
    book.beat(1);
    assert.deepEqual(await first, [1]);
    assert.ok(book.hasListedAtOnce);
  });

  test("an event that the server does not know is not handed out", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    const first = take(subscriber, 1);
    await settle();
    book.publish(event(7));
    await settle();
    book.record(event(1));
    book.publish(event(1));
    assert.deepEqual(await first, [1]);
  });

  test("frames that cannot be read are ignored", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    const first = take(subscriber, 1);
    await settle();
    book.publish({ ...event(1), topic: "other/" });
    book.record(event(1));
    book.publish(event(1));
    assert.deepEqual(await first, [1]);
  });

  test("a reader that is slow for more events than are kept loses none", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n });
    const first = take(subscriber, 1);
    await settle();
    const events = range(1, 10_000).map((i) => event(i));
    book.record(...events);
    book.publish(...events);
    assert.deepEqual([...(await first), ...(await take(subscriber, 9_999))], range(1, 10_000));
    assert.ok(book.hasListedAtOnce);
  });

  test("one symbol's events follow by their previous ones", async (t) => {
    const book = new Book();
    const subscriber = await open(t, book, { afterSequence: 0n, symbol: "ETH/USD" });
    const all = take(subscriber, 3);
    await settle();
    const events = [event(1), event(2, "ETH/USD", 0), event(3), event(4, "ETH/USD", 2), event(5, "ETH/USD", 4)];
    book.record(...events);
    book.publish(...events.filter(({ sequence }) => sequence !== 4n));
    assert.deepEqual(await all, [2, 4, 5]);
  });
});

test("a stream of one symbol passes over the events of others", async (t) => {
  const book = new Book();
  book.record(event(1), event(2), event(3));
  const subscriber = await open(t, book, { afterSequence: 0n, symbol: "ETH-USD" });
  const first = take(subscriber, 1);
  await settle();
  const { length } = book.lists;
  book.beat(3);
  await settle();
  assert.equal(book.lists.length, length);
  book.publish(event(4, "ETH-USD", 0));
  assert.deepEqual(await first, [4]);
});

describe("the end", () => {
  test("an older database is DATA_LOSS", async (t) => {
    const book = new Book();
    book.record(event(1));
    const subscriber = await open(t, book, { afterSequence: 5n });
    await assert.rejects(subscriber.next(), isError(Code.DataLoss, "restored"));
    await assert.rejects(subscriber.next(), isError(Code.DataLoss, "restored"));
  });

  test("a hole in the database is DATA_LOSS", async (t) => {
    const book = new Book();
    book.record(event(1), event(3));
    const subscriber = await open(t, book, { afterSequence: 0n });
    assert.deepEqual(await take(subscriber, 1), [1]);
    await assert.rejects(subscriber.next(), isError(Code.DataLoss, "missing"));
  });

  test("a server that cannot answer now does not end it, one that refuses does", async (t) => {
    const book = new Book();
    const codes = [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted];
    book.record(event(1));
    book.onList = () => {
      const code = codes.shift();
      if (code !== undefined) {
        throw new ConnectError("not now", code);
      }
      return undefined;
    };
    const subscriber = await open(t, book, { afterSequence: 0n }, false);
    assert.deepEqual(await take(subscriber, 1), [1]);
    book.onList = () => {
      throw new ConnectError("no", Code.PermissionDenied);
    };
    await assert.rejects(subscriber.next(), isError(Code.PermissionDenied));
  });

  test("two places at once are refused", async (t) => {
    const both = open(t, new Book(), { afterSequence: 1n, fromOldest: true });
    await assert.rejects(both, isError(Code.InvalidArgument));
  });

  test("nothing comes after closing", async (t) => {
    const book = new Book();
    book.record(event(1));
    const subscriber = await open(t, book, { afterSequence: 0n });
    await subscriber.close();
    assert.deepEqual(await subscriber.next(), { done: true, value: undefined });
  });
});

describe("cursor", () => {
  test("a new one is stored at the stream's place", async (t) => {
    const book = new Book();
    book.record(event(1), event(2));
    await open(t, book, { cursor: "c" });
    assert.deepEqual(book.commits, [2n]);
  });

  test("an event counts as handled when the next is asked for", async (t) => {
    const book = new Book();
    book.record(...range(1, 5).map((i) => event(i)));
    book.cursor = 1n;
    const subscriber = await open(t, book, { cursor: "c", fromOldest: true });
    assert.deepEqual(await take(subscriber, 3), [2, 3, 4]);
    await subscriber.close();
    assert.equal(book.cursor, 3n);
  });

  test("it moves when no event is waiting, not for each", async (t) => {
    const book = new Book();
    book.record(...range(1, 400).map((i) => event(i)));
    const subscriber = await open(t, book, { cursor: "c", fromOldest: true });
    await take(subscriber, 400);
    void subscriber.next();
    await settle();
    assert.deepEqual(book.commits, [0n, 400n]);
  });

  test("it moves within the second while events keep coming", async (t) => {
    const book = new Book();
    book.record(...range(1, 400).map((i) => event(i)));
    const subscriber = await open(t, book, { cursor: "c", fromOldest: true });
    const endMs = performance.now() + 1000;
    while (performance.now() <= endMs) {
      await take(subscriber, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await take(subscriber, 1);
    assert.equal(book.commits.length, 2);
  });
});

function isError(code: Code, text = ""): (error: unknown) => boolean {
  return (error) => error instanceof ConnectError && error.code === code && error.message.includes(text);
}

/** Lets everything that is not waiting for the outside happen. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
