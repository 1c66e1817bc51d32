import { Code, ConnectError } from "@connectrpc/connect";
import { Link } from "./link.js";
import { requestReply, type Dial } from "./pipe.js";

/** What marks the last of the ids that an SP request passes through. */
const lastId = 0x8000_0000;
const idBytes = 4;
/** A connection that brings nothing for so long, although a request waits, may have lost its peer without a word. */
const quietMsMax = 1000;

/** The connection was lost after the request had been sent; whether it was executed is open. */
export class ConnectionLost extends Error {}

interface Pending {
  readonly body: () => Uint8Array;
  readonly resolve: (reply: Uint8Array) => void;
  readonly reject: (reason: Error) => void;
  readonly startedMs: number;
  isSent: boolean;
}

/** Any number of requests at once over one connection, which exists while there are some. */
export class Requester {
  readonly #link: Link;
  readonly #pending = new Map<number, Pending>();
  #nextId = Math.floor(Math.random() * lastId);
  #heardMs = 0;

  constructor(dial: Dial) {
    this.#link = new Link(dial, requestReply, {
      onConnected: () => {
        this.#sendWaiting();
      },
      onMessage: (message) => {
        this.#receive(message);
      },
      onLost: () => {
        this.#lose();
      },
    });
  }

  /** Why there is no connection, if that is known. */
  get failure(): string | undefined {
    return this.#link.failure;
  }

  /** Sends a body, which is asked for when there is a connection, and answers the reply's. Rejects with the signal's
   * reason, or with ConnectionLost. Sends once. */
  request(body: () => Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const id = this.#freeId();
      const onAbort = () => {
        const reason = signal.reason as Error;
        this.#giveUp(id, reason);
        reject(reason);
      };
      const settled = () => {
        signal.removeEventListener("abort", onAbort);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const pending: Pending = {
        body,
        resolve: (reply) => {
          settled();
          resolve(reply);
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
        startedMs: performance.now(),
        isSent: false,
      };
      this.#pending.set(id, pending);
      this.#link.want(true);
      if (this.#link.isConnected) {
        this.#send(id, pending);
      }
    });
  }

  /** Ends for good. Requests under way end by their signals. */
  close(): void {
    this.#link.close();
  }

  #freeId(): number {
    do {
      this.#nextId = (this.#nextId + 1) % lastId;
    } while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  #remove(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size === 0) {
      this.#link.want(false);
    }
  }

  #send(id: number, pending: Pending): void {
    let message: Uint8Array<ArrayBuffer>;
    try {
      const body = pending.body();
      message = new Uint8Array(idBytes + body.length);
      message.set(body, idBytes);
    } catch (error) {
      this.#remove(id);
      pending.reject(error as Error);
      return;
    }
    new DataView(message.buffer).setUint32(0, (lastId | id) >>> 0);
    pending.isSent = true;
    this.#link.send(message);
  }

  #sendWaiting(): void {
    for (const [id, pending] of this.#pending) {
      this.#send(id, pending);
    }
  }

  /** A reply that nobody waits for any more is dropped. */
  #receive(message: Uint8Array): void {
    this.#heardMs = performance.now();
    if (message.length < idBytes) {
      return;
    }
    const id = new DataView(message.buffer, message.byteOffset).getUint32(0);
    const pending = this.#pending.get(id - lastId);
    if (pending !== undefined) {
      this.#remove(id - lastId);
      pending.resolve(message.subarray(idBytes));
    }
  }

  #lose(): void {
    for (const [id, pending] of this.#pending) {
      if (pending.isSent) {
        this.#remove(id);
        pending.reject(new ConnectionLost());
      }
    }
  }

  #giveUp(id: number, reason: Error): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      return;
    }
    this.#remove(id);
    const isLate = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    const quietSinceMs = Math.max(pending.startedMs, this.#heardMs);
    if (isLate && pending.isSent && performance.now() - quietSinceMs >= quietMsMax) {
      this.#link.drop("the server did not answer any more");
    }
  }
}
