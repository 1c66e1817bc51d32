import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, encodeBinaryHeader, type Interceptor } from "@connectrpc/connect";
import { createTradebookTransport, type TradebookTransportOptions } from "@tradebook/client";
import {
  AdminService,
  CommitCursorRequestSchema,
  CursorSchema,
  EventService,
  ListEventsResponseSchema,
  SignalSchema,
  SignalService,
  type Request,
} from "@tradebook/client/v1";
import { Code as ReplyCode, ReplySchema } from "../../src/gen/tradebook/v1/rpc_pb.js";
import { FakeServer, type Behaviour } from "../support/fake-server.js";

const payload = toBinary(SignalSchema, create(SignalSchema, { id: 7n }));
const ok = () => ({ payload });
const unavailable = { code: ReplyCode.UNAVAILABLE, message: "not now" };

async function setUp(t: TestContext, behaviour: Behaviour, options: Partial<TradebookTransportOptions> = {}) {
  const server = await FakeServer.start(behaviour);
  const transport = createTradebookTransport({ address: server.address, ...options });
  t.after(() => {
    transport.close();
    server.stop();
  });
  const signals = createClient(SignalService, transport);
  return { server, transport, signals, admin: createClient(AdminService, transport) };
}

function isError(code: number, text = ""): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ConnectError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(text), error.message);
    return true;
  };
}

function metadataOf(request: Request | undefined): Record<string, string> {
  const entries = request?.metadata.map(({ key, value }) => [key, Buffer.from(value).toString()]);
  return Object.fromEntries(entries ?? []) as Record<string, string>;
}

describe("retries", () => {
  const failures: [string, ReturnType<Behaviour>][] = [
    ["after UNAVAILABLE", unavailable],
    ["after a lost connection", "lose"],
  ];
  for (const [name, failure] of failures) {
    test(`${name} the same request is sent again, with less time`, async (t) => {
      const { server, signals } = await setUp(t, (_, number) => (number < 4 ? failure : { payload }));
      assert.equal((await signals.createSignal({}, { timeoutMs: 20_000 })).id, 7n);
      assert.equal(server.requests.length, 4);
      const [first, , , last] = server.requests;
      assert.equal(first?.requestId.length, 16);
      assert.deepEqual(last?.requestId, first.requestId);
      assert.deepEqual(last.payload, first.payload);
      assert.ok(last.timeoutMs < first.timeoutMs && first.timeoutMs <= 20_000n && first.timeoutMs > 10_000n);
    });
  }

  test("nothing else is sent again", async (t) => {
    const others = Array.from({ length: 16 }, (_, i) => i + 1).filter((code) => code !== unavailable.code.valueOf());
    const { server, signals } = await setUp(t, (_, number) => fromJson(ReplySchema, { code: others[number - 1] ?? 0 }));
    for (const code of others) {
      await assert.rejects(signals.createSignal({}), isError(code));
    }
    assert.equal(server.requests.length, others.length);
  });

  test("a server that stays UNAVAILABLE is told at the end, with its words", async (t) => {
    const { signals } = await setUp(t, () => unavailable);
    await assert.rejects(signals.createSignal({}, { timeoutMs: 2000 }), isError(Code.Unavailable, "not now"));
  });

  test("a call that loses its connection each time does not disturb others", async (t) => {
    const lose: Behaviour = (request) => (request.method.endsWith("GetSignal") ? "lose" : { payload });
    const { signals } = await setUp(t, lose);
    const cancelling = new AbortController();
    let isDone = false;
    const doomed = assert.rejects(signals.getSignal({}, { signal: cancelling.signal }), isError(Code.Canceled));
    void doomed.then(() => (isDone = true));
    for (let i = 0; i < 20; i++) {
      await signals.createSignal({});
    }
    assert.ok(!isDone);
    cancelling.abort();
    await doomed;
  });
});

describe("request ids", () => {
  test("grow, one for each call, and only where there is an effect", async (t) => {
    const { server, signals } = await setUp(t, ok);
    for (let i = 0; i < 100; i++) {
      await signals.createSignal({});
    }
    const ids = server.requests.map((request) => Buffer.from(request.requestId).toString("hex"));
    assert.deepEqual(ids, [...new Set(ids)].sort());
    await signals.getSignal({ id: 1n });
    assert.equal(server.requests.at(-1)?.requestId.length, 0);
  });

  test("can be the caller's own, and are no metadata then", async (t) => {
    const { server, signals } = await setUp(t, ok);
    const id = Buffer.alloc(16, 0xfe);
    await signals.createSignal({}, { headers: { "x-request-id-bin": encodeBinaryHeader(id) } });
    assert.deepEqual(Buffer.from(server.requests[0]?.requestId ?? []), id);
    assert.deepEqual(server.requests[0]?.metadata, []);
  });

  test("are refused when they are not base64", async (t) => {
    const { server, signals } = await setUp(t, ok);
    const call = signals.createSignal({}, { headers: { "x-request-id-bin": "!" } });
    await assert.rejects(call, isError(Code.InvalidArgument, "x-request-id-bin"));
    assert.equal(server.requests.length, 0);
  });
});

describe("interceptors", () => {
  test("see and add metadata, and one that calls again repeats the same request", async (t) => {
    const twice: Interceptor = (next) => async (req) => {
      req.header.set("trace-id", "t1");
      await next(req);
      return next(req);
    };
    const { server, signals } = await setUp(t, ok, { interceptors: [twice] });
    await signals.createSignal({}, { headers: { "Caller-Key": "k" } });
    const [first, second] = server.requests;
    assert.deepEqual(metadataOf(first), { "trace-id": "t1", "caller-key": "k" });
    assert.deepEqual(second?.requestId, first?.requestId);
  });

  test("see errors as ConnectError", async (t) => {
    const seen: unknown[] = [];
    const watch: Interceptor = (next) => async (req) => {
      try {
        return await next(req);
      } catch (error) {
        seen.push(error);
        throw error;
      }
    };
    const { signals } = await setUp(t, () => ({ code: ReplyCode.NOT_FOUND, message: "none" }), {
      interceptors: [watch],
    });
    await assert.rejects(signals.getSignal({}), isError(Code.NotFound));
    assert.ok(isError(Code.NotFound)(seen[0]));
  });
});

test("options: client id and token are metadata of every call", async (t) => {
  const { server, signals } = await setUp(t, ok, { clientId: "bot-a", token: "secret" });
  await signals.getSignal({});
  assert.deepEqual(metadataOf(server.requests[0]), { "client-id": "bot-a", authorization: "Bearer secret" });
});

test("leaving the loop over a stream returns when the cursor has moved", async (t) => {
  const page = { events: [{ sequence: 1n }, { sequence: 2n }], nextAfterSequence: 2n, newestSequence: 2n };
  const responses: Record<string, Uint8Array> = {
    GetCursor: toBinary(CursorSchema, create(CursorSchema)),
    ListEvents: toBinary(ListEventsResponseSchema, create(ListEventsResponseSchema, page)),
  };
  const { server, transport } = await setUp(t, ({ method }) => ({ payload: responses[method.split("/")[2] ?? ""] }));
  for await (const { sequence } of createClient(EventService, transport).subscribe({ cursor: "c" })) {
    if (sequence === 2n) {
      break;
    }
  }
  const last = server.requests.at(-1);
  assert.equal(last?.method, "/tradebook.v1.EventService/CommitCursor");
  assert.equal(fromBinary(CommitCursorRequestSchema, last.payload).sequence, 1n);
});

test("binary metadata is sent as its bytes", async (t) => {
  const { server, signals } = await setUp(t, ok);
  await signals.getSignal({}, { headers: { "trace-bin": encodeBinaryHeader(Buffer.from([0, 255])) } });
  assert.deepEqual([...(server.requests[0]?.metadata[0]?.value ?? [])], [0, 255]);
});

describe("time", () => {
  test("the default is 10 s, an option sets it, 0 leaves it to the server", async (t) => {
    const { server, signals } = await setUp(t, ok);
    await signals.getSignal({});
    await signals.getSignal({}, { timeoutMs: 0 });
    assert.ok((server.requests[0]?.timeoutMs ?? 0n) > 9_000n && (server.requests[0]?.timeoutMs ?? 0n) <= 10_000n);
    assert.equal(server.requests[1] && "timeoutMs" in server.requests[1] && server.requests[1].timeoutMs, 0n);
    const other = await setUp(t, () => undefined, { defaultTimeoutMs: 50 });
    await assert.rejects(other.signals.getSignal({}), isError(Code.DeadlineExceeded, "within 50 ms"));
  });

  test("a time beyond what timers can is no short one", async (t) => {
    const { server, signals } = await setUp(t, (_, number) => (number < 3 ? unavailable : { payload }));
    await signals.getSignal({}, { timeoutMs: 2 ** 40 });
    assert.equal(server.requests.length, 3);
  });

  test("a connection that was silent for the whole of a call is given up", async (t) => {
    const { server, signals } = await setUp(t, (_, number) => (number === 1 ? undefined : { payload }));
    await assert.rejects(signals.getSignal({}, { timeoutMs: 1100 }), isError(Code.DeadlineExceeded));
    await signals.getSignal({});
    assert.equal(server.connections, 2);
    assert.equal(server.requests.length, 2);
  });

  test("a call that is cancelled after a long silence says nothing about its connection", async (t) => {
    const { server, signals } = await setUp(t, (_, number) => (number === 1 ? undefined : { payload }));
    await assert.rejects(signals.getSignal({}, { signal: AbortSignal.timeout(1100) }), isError(Code.Canceled));
    await signals.getSignal({});
    assert.equal(server.connections, 1);
  });

  test("a short call that was not answered leaves the connection to others", async (t) => {
    const { server, signals } = await setUp(t, (_, number) => (number === 1 ? undefined : { payload }));
    await assert.rejects(signals.getSignal({}, { timeoutMs: 50 }), isError(Code.DeadlineExceeded));
    await signals.getSignal({});
    assert.equal(server.connections, 1);
  });
});

describe("the end", () => {
  test("a cancelled call is CANCELLED at once and its late reply dropped", async (t) => {
    const cancelling = new AbortController();
    const { server, signals } = await setUp(t, () => {
      cancelling.abort();
      return { payload };
    });
    await assert.rejects(signals.createSignal({}, { signal: cancelling.signal }), isError(Code.Canceled));
    assert.equal((await signals.getSignal({})).id, 7n);
    assert.equal(server.requests.length, 2);
  });

  test("closing the transport ends calls under way and later ones as CANCELLED", async (t) => {
    const { transport, signals } = await setUp(t, () => undefined);
    const call = signals.getSignal({});
    transport.close();
    await assert.rejects(call, isError(Code.Canceled, "closed"));
    await assert.rejects(signals.getSignal({}), isError(Code.Canceled, "closed"));
  });
});

describe("peers", () => {
  test("one that speaks something else is UNAVAILABLE and named", async (t) => {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const address = `tcp://127.0.0.1:${String((http.address() as AddressInfo).port)}`;
    const transport = createTradebookTransport({ address });
    t.after(() => {
      transport.close();
      http.close();
    });
    const call = createClient(AdminService, transport).echo({}, { timeoutMs: 500 });
    await assert.rejects(call, isError(Code.Unavailable, "does not greet as an SP socket"));
  });

  test("an answer that cannot be read is INTERNAL", async (t) => {
    const { signals } = await setUp(t, () => ({ payload: Buffer.from([0xff]) }));
    await assert.rejects(signals.getSignal({}), isError(Code.Internal));
  });

  test("a request that cannot be written is INVALID_ARGUMENT", async (t) => {
    const { server, signals } = await setUp(t, ok);
    await assert.rejects(signals.getSignal({ id: 2n ** 64n }), isError(Code.InvalidArgument));
    assert.equal(server.requests.length, 0);
  });

  test("tls+tcp checks the server's certificate", async (t) => {
    const { key, cert } = makeCertificate(t);
    const server = await FakeServer.start(ok, { key, cert });
    const trusting = createTradebookTransport({ address: server.address, tls: { ca: cert } });
    const doubting = createTradebookTransport({ address: server.address });
    t.after(() => {
      trusting.close();
      doubting.close();
      server.stop();
    });
    assert.equal((await createClient(SignalService, trusting).getSignal({})).id, 7n);
    const call = createClient(SignalService, doubting).getSignal({}, { timeoutMs: 500 });
    await assert.rejects(call, isError(Code.Unavailable, "self-signed certificate"));
  });
});

function makeCertificate(t: TestContext): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "tradebook-tls-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=tradebook", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, ...subject], {
    stdio: "ignore",
  });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
