import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, encodeBinaryHeader } from "@connectrpc/connect";
import { BadRequestSchema, createTradebookTransport, type TradebookTransport } from "@tradebook/client";
import { Code as CodeName, EventSchema, EventService, SubscribeRequestSchema, type Event } from "@tradebook/client/v1";
import type { Server } from "../support/server.js";
import type {
  CallExpectation,
  CallStep,
  Case,
  ParallelStep,
  ServerStep,
  Step,
  StreamExpectation,
  SubscribeStep,
} from "./cases.js";
import { at, compare, type Json } from "./compare.js";
import { registry, unaryMethod } from "./protocol.js";

const pollMsMax = 20_000;
const pollPauseMs = 20;
const eventsMsMax = 60_000;

export interface Variant {
  address: string;
  eventsAddress: string;
}

interface Outcome {
  response?: Json;
  error?: ConnectError;
}

/** Does the steps of one case against a server of its own. */
export class Runner {
  readonly #server: Server;
  readonly #variant: Variant;
  readonly #transports = new Map<string, TradebookTransport>();
  readonly #variables = new Map<string, Json>();

  constructor(server: Server, variant: Variant) {
    this.#server = server;
    this.#variant = variant;
  }

  async run({ steps }: Case): Promise<void> {
    try {
      await this.#all(steps);
    } finally {
      this.#transports.forEach((transport) => {
        transport.close();
      });
    }
  }

  async #all(steps: readonly Step[] = []): Promise<void> {
    for (const step of steps) {
      await this.#step(step);
    }
  }

  async #step(step: Step): Promise<void> {
    if ("call" in step) {
      await (step.poll === true ? this.#poll(step) : this.#callOnce(step));
    } else if ("parallel" in step) {
      await this.#parallel(step);
    } else if ("subscribe" in step) {
      await this.#subscribe(step);
    } else {
      await this.#command(step);
    }
  }

  /** One channel for each client id and kind of stream. */
  #transport(clientId?: string, hasEvents = true): TradebookTransport {
    const key = JSON.stringify([clientId, hasEvents]);
    let transport = this.#transports.get(key);
    if (transport === undefined) {
      const { address, eventsAddress } = this.#variant;
      transport = createTradebookTransport({ address, clientId, ...(hasEvents && { eventsAddress }) });
      this.#transports.set(key, transport);
    }
    return transport;
  }

  // Calls

  async #callOnce(step: CallStep): Promise<void> {
    const cancelling = new AbortController();
    const call = this.#call(step, cancelling.signal);
    if (step.cancel === true) {
      cancelling.abort();
    }
    await this.#all(step.meanwhile);
    this.#check(step, await call);
  }

  async #poll(step: CallStep): Promise<void> {
    const endMs = performance.now() + pollMsMax;
    for (;;) {
      const outcome = await this.#call(step);
      try {
        this.#check(step, outcome);
        return;
      } catch (error) {
        if (performance.now() > endMs) {
          throw error;
        }
        await pause(pollPauseMs);
      }
    }
  }

  async #parallel(step: ParallelStep): Promise<void> {
    const calls = Array.from({ length: step.times ?? 1 }, () => step.parallel).flat();
    const outcomes = await Promise.all(calls.map((call) => this.#call(call)));
    if (step.codes === undefined) {
      calls.forEach((call, i) => {
        this.#check(call, outcomes[i] ?? {});
      });
      return;
    }
    const codes: Record<string, number> = {};
    for (const name of outcomes.map(codeOf)) {
      codes[name] = (codes[name] ?? 0) + 1;
    }
    assert.deepEqual(codes, step.codes);
  }

  async #call(step: CallStep, signal?: AbortSignal): Promise<Outcome> {
    const method = unaryMethod(step.call);
    const header = new Headers(step.metadata);
    if (step.request_id !== undefined) {
      header.set("x-request-id-bin", encodeBinaryHeader(Buffer.from(step.request_id, "hex")));
    }
    const request = fromJson(method.input, this.#substitute(step.request ?? {}), { registry });
    try {
      const transport = this.#transport(step.client_id);
      const { message } = await transport.unary(method, signal, step.timeout_ms, header, request);
      return { response: toJson(method.output, message, { registry }) };
    } catch (error) {
      assert.ok(error instanceof ConnectError, `no ConnectError: ${String(error)}`);
      return { error };
    }
  }

  #check(step: CallStep, outcome: Outcome): void {
    const expected = this.#substitute((step.expect ?? {}) as Json) as CallExpectation;
    assert.equal(codeOf(outcome), expected.code ?? "OK", `${step.call}: ${String(outcome.error)}`);
    if (outcome.error !== undefined) {
      checkError(outcome.error, expected);
    }
    if (expected.response !== undefined) {
      compare(expected.response, outcome.response);
    }
    for (const path of expected.present ?? []) {
      assert.notEqual(at(outcome.response, path), undefined, `${path} is absent`);
    }
    for (const path of expected.absent ?? []) {
      assert.equal(at(outcome.response, path), undefined, `${path} is present`);
    }
    for (const [name, path] of Object.entries(step.save ?? {})) {
      const value = at(outcome.response, path);
      assert.ok(value !== undefined, `${path} is absent and cannot be saved`);
      this.#variables.set(name, value);
    }
  }

  // Streams

  async #subscribe(step: SubscribeStep): Promise<void> {
    const client = createClient(EventService, this.#transport(undefined, step.events_address ?? true));
    const request = fromJson(SubscribeRequestSchema, this.#substitute(step.subscribe));
    const cancelling = new AbortController();
    const stream = new Reading(
      client.subscribe(request, { signal: cancelling.signal, timeoutMs: step.timeout_ms }),
      step.count ?? 0,
    );
    await this.#all(step.meanwhile);
    if (step.expect?.code === undefined) {
      const endsBefore = stream.end.then((error) => {
        throw error;
      });
      await withinLimit(Promise.race([stream.hasCount, endsBefore]));
      await this.#all(step.after);
      cancelling.abort();
      assert.equal((await stream.end).code, Code.Canceled);
    } else {
      const end = await withinLimit(stream.end);
      assert.equal(codeOf({ error: end }), step.expect.code, end.message);
      checkError(end, step.expect);
    }
    checkEvents(stream.events, step.count ?? 0, step.expect ?? {});
  }

  // The server

  async #command({ server, rows }: ServerStep): Promise<void> {
    const answer = await this.#server.command(this.#substitute(server));
    if (rows !== undefined) {
      compare(this.#substitute(rows), answer.rows as Json);
    }
  }

  // Variables

  #substitute<T extends Json>(value: T): T;
  #substitute(value: Json): Json {
    if (typeof value === "string") {
      return this.#substituteText(value);
    }
    if (Array.isArray(value)) {
      return value.map((each) => this.#substitute(each));
    }
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, this.#substitute(each)]));
    }
    return value;
  }

  #substituteText(text: string): Json {
    const whole = /^\$\{(\w+)\}$/.exec(text)?.[1];
    if (whole !== undefined) {
      return this.#variable(whole);
    }
    return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const value = this.#variable(name);
      assert.ok(typeof value === "string", `${name} is no text`);
      return value;
    });
  }

  #variable(name: string): Json {
    const value = this.#variables.get(name);
    assert.ok(value !== undefined, `nothing was saved as ${name}`);
    return value;
  }
}

/** A stream that is read in the background, without pause. */
class Reading {
  readonly events: Event[] = [];
  /** Why it ended. */
  readonly end: Promise<ConnectError>;
  /** Ends when there are count events. */
  readonly hasCount: Promise<void>;
  #reached!: () => void;

  constructor(stream: AsyncIterable<Event>, count: number) {
    this.hasCount = new Promise((resolve) => {
      this.#reached = resolve;
    });
    this.end = this.#read(stream, count);
  }

  async #read(stream: AsyncIterable<Event>, count: number): Promise<ConnectError> {
    if (count === 0) {
      this.#reached();
    }
    try {
      for await (const event of stream) {
        this.events.push(event);
        if (this.events.length === count) {
          this.#reached();
        }
      }
    } catch (error) {
      assert.ok(error instanceof ConnectError, `no ConnectError: ${String(error)}`);
      return error;
    }
    return new ConnectError("the stream ended without error", Code.Unknown);
  }
}

async function withinLimit<T>(promise: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const late = pause(eventsMsMax, undefined, { signal: limit.signal }).then(() => {
    throw new Error("the stream took too long");
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    limit.abort();
    late.catch(() => undefined);
  }
}

function codeOf({ error }: Outcome): string {
  return CodeName[error?.code ?? 0] ?? "?";
}

function checkError(error: ConnectError, expected: CallExpectation | StreamExpectation): void {
  const { message_contains: text } = expected;
  assert.ok(text === undefined || error.rawMessage.includes(text), `"${error.rawMessage}" lacks "${text ?? ""}"`);
  if ("violations" in expected) {
    const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    assert.deepEqual(violations.map(({ field }) => field).sort(), expected.violations?.toSorted());
  }
  if ("details" in expected && expected.details !== undefined) {
    compare(expected.details, detailsOf(error));
  }
}

/** The details other than BadRequest as JSON of google.protobuf.Any. */
function detailsOf(error: ConnectError): Json[] {
  return error.details.flatMap((detail) => {
    assert.ok("type" in detail);
    const schema = registry.getMessage(detail.type);
    assert.ok(schema !== undefined, `unknown detail ${detail.type}`);
    if (schema.typeName === BadRequestSchema.typeName) {
      return [];
    }
    const fields = toJson(schema, fromBinary(schema, detail.value), { registry });
    assert.ok(typeof fields === "object" && !Array.isArray(fields));
    return [{ "@type": `type.googleapis.com/${detail.type}`, ...fields }];
  });
}

function checkEvents(events: readonly Event[], count: number, expected: StreamExpectation): void {
  const sequences = events.map(({ sequence }) => Number(sequence));
  assert.equal(events.length, count, `the events ${sequences.join(", ")}`);
  const { first } = expected;
  if (first !== undefined) {
    assert.deepEqual(
      sequences,
      sequences.map((_, i) => first + i),
    );
  }
  if (expected.sequences !== undefined) {
    assert.deepEqual(sequences, expected.sequences);
  }
  if (expected.events !== undefined) {
    compare(
      expected.events,
      events.map((event) => toJson(EventSchema, event)),
    );
  }
}
