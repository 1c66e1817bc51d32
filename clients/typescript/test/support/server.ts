import assert from "node:assert/strict";
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../../tests/conformance/server", import.meta.url));

export interface Addresses {
  address: string;
  ipc: string;
  ws: string;
  events_address: string;
  events_ipc: string;
  events_ws: string;
}

export interface Answer {
  ok?: true;
  rows?: unknown[][];
  error?: string;
}

/** A real server on a fresh database: tests/conformance/server. */
export class Server {
  readonly addresses: Addresses;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, addresses: Addresses) {
    this.#process = process;
    this.#lines = lines;
    this.addresses = addresses;
  }

  static async start(options: readonly string[] = []): Promise<Server> {
    const process = spawn(program, options);
    process.stderr.pipe(globalThis.process.stderr);
    const reader: Interface = createInterface(process.stdout);
    const lines = reader[Symbol.asyncIterator]();
    return new Server(process, lines, (await readLine(lines)) as Addresses);
  }

  /** Gives a command of the README of the conformance suite. */
  async command(command: object): Promise<Answer> {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    const answer = (await readLine(this.#lines)) as Answer;
    assert.equal(answer.error, undefined);
    return answer;
  }

  /** Ends the server and insists that it ended well. */
  async end(): Promise<void> {
    const exit = once(this.#process, "exit");
    this.#process.stdin.end();
    assert.deepEqual(await exit, [0, null]);
  }
}

async function readLine(lines: AsyncIterator<string>): Promise<unknown> {
  const line = await lines.next();
  assert.ok(line.done !== true, "the server program ended");
  return JSON.parse(line.value);
}
