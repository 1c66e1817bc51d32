import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createTradebookTransport } from "@tradebook/client";
import { parseAddress } from "../../src/address.js";

const kinds = ["tcp", "tls", "ipc", "ws"] as const;

describe("address", () => {
  const known: [string, object][] = [
    ["tcp://127.0.0.1:7601", { kind: "tcp", host: "127.0.0.1", port: 7601 }],
    ["tcp://[::1]:7601", { kind: "tcp", host: "::1", port: 7601 }],
    ["tls+tcp://book.example:7601", { kind: "tls", host: "book.example", port: 7601 }],
    ["ipc:///run/a b%20c.sock", { kind: "ipc", path: "/run/a b%20c.sock" }],
    ["ws://host:80/rpc", { kind: "ws", url: "ws://host:80/rpc" }],
    ["wss://host/rpc", { kind: "ws", url: "wss://host/rpc" }],
  ];
  for (const [text, address] of known) {
    test(`${text} is known`, () => {
      assert.deepEqual(parseAddress(text, kinds), address);
    });
  }

  const wrong = [
    "",
    "7601",
    "tcp://127.0.0.1",
    "tcp://:7601",
    "tcp://host:1/path",
    "tcp://host:99999",
    "ipc://",
    "http://h:1",
  ];
  for (const text of wrong) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => createTradebookTransport({ address: text }), isRefusal);
    });
  }

  test("a kind that cannot be used here is refused", () => {
    assert.throws(() => parseAddress("tcp://127.0.0.1:7601", ["ws"]), isRefusal);
  });
});

function isRefusal(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.InvalidArgument && error.message.includes("expected");
}
