import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameDecoder, frameHeader, greeting } from "../../src/framing.js";
import { messageBytesMax, requestReply } from "../../src/pipe.js";

/** What a decoder told about these chunks. */
function decode(isIpc: boolean, ...chunks: Buffer[]): string[] {
  const told: string[] = [];
  const decoder = new FrameDecoder(requestReply, isIpc, {
    onOpen: () => told.push("open"),
    onMessage: (message) => told.push(Buffer.from(message).toString()),
  });
  for (const chunk of chunks) {
    decoder.push(chunk);
  }
  return told;
}

function stream(isIpc: boolean, ...messages: string[]): Buffer {
  const frames = messages.flatMap((message) => [frameHeader(message.length, isIpc), Buffer.from(message)]);
  return Buffer.concat([greeting(requestReply.peer), ...frames]);
}

describe("framing", () => {
  for (const isIpc of [false, true]) {
    test(`messages come whole wherever the stream is cut, ${isIpc ? "ipc" : "tcp"}`, () => {
      const bytes = stream(isIpc, "one", "", "three");
      for (let i = 0; i <= bytes.length; i++) {
        for (let j = i; j <= bytes.length; j++) {
          const told = decode(isIpc, bytes.subarray(0, i), bytes.subarray(i, j), bytes.subarray(j));
          assert.deepEqual(told, ["open", "one", "", "three"]);
        }
      }
    });
  }

  test("the bytes are those of the SP protocol", () => {
    assert.deepEqual([...greeting(0x30)], [0, 0x53, 0x50, 0, 0, 0x30, 0, 0]);
    assert.deepEqual([...frameHeader(258, false)], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert.deepEqual([...frameHeader(258, true)], [1, 0, 0, 0, 0, 0, 0, 1, 2]);
  });

  test("a peer of another protocol is refused", () => {
    assert.throws(() => decode(false, Buffer.from("HTTP/1.1 400 Bad Request")), /greet/);
    assert.throws(() => decode(false, greeting(requestReply.own)), /greet/);
  });

  test("a message beyond the limit is refused before it comes", () => {
    const bytes = Buffer.concat([greeting(requestReply.peer), frameHeader(messageBytesMax + 1, false)]);
    assert.throws(() => decode(false, bytes), /at most/);
    const huge = Buffer.concat([greeting(requestReply.peer), Buffer.alloc(8, 0xff)]);
    assert.throws(() => decode(false, huge), /at most/);
  });

  test("a frame of ipc has its marker", () => {
    assert.throws(() => decode(true, stream(false, "one")), /ipc/);
  });
});
