import type { Dial, Pipe, Protocol } from "./pipe.js";
import { Backoff } from "./backoff.js";

const openMsMax = 10_000;
const pauseMsMin = 10;
const pauseMsMax = 500;

export interface LinkListener {
  onConnected(): void;
  onMessage(message: Uint8Array): void;
  /** The connection of the last onConnected is lost. */
  onLost(): void;
}

/** Keeps one connection for as long as somebody wants it, making a new one when it is lost. */
export class Link {
  readonly #dial: Dial;
  readonly #protocol: Protocol;
  readonly #listener: LinkListener;
  readonly #backoff = new Backoff(pauseMsMin, pauseMsMax);
  #pipe: Pipe | undefined;
  #isConnected = false;
  #isWanted = false;
  #failure: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(dial: Dial, protocol: Protocol, listener: LinkListener) {
    this.#dial = dial;
    this.#protocol = protocol;
    this.#listener = listener;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Why there is no connection. undefined: there is one, or nothing speaks against the first attempt yet. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** An unwanted connection stays, but neither keeps the program from ending nor is made again. */
  want(isWanted: boolean): void {
    if (this.#isWanted === isWanted) {
      return;
    }
    this.#isWanted = isWanted;
    this.#pipe?.hold(isWanted);
    if (!isWanted) {
      clearTimeout(this.#timer);
      if (!this.#isConnected) {
        this.#forgetPipe();
      }
    } else if (this.#pipe === undefined) {
      this.#connect();
    }
  }

  /** Sends one message; only while connected. */
  send(message: Uint8Array<ArrayBuffer>): void {
    this.#pipe?.send(message);
  }

  /** Gives the connection up, as if the peer had closed it. */
  drop(reason: string): void {
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      pipe.close();
      this.#end(reason);
    }
  }

  /** Ends for good; nothing is told to the listener any more. */
  close(): void {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#forgetPipe();
  }

  #forgetPipe(): void {
    this.#pipe?.close();
    this.#pipe = undefined;
    this.#isConnected = false;
  }

  #connect(): void {
    this.#timer = setTimeout(() => {
      this.drop("the connection was not ready in time");
    }, openMsMax);
    this.#pipe = this.#dial(this.#protocol, {
      onOpen: () => {
        clearTimeout(this.#timer);
        this.#isConnected = true;
        this.#failure = undefined;
        this.#listener.onConnected();
      },
      onMessage: (message) => {
        this.#backoff.reset();
        this.#listener.onMessage(message);
      },
      onClose: (reason) => {
        this.#end(reason);
      },
    });
  }

  #end(reason: string): void {
    clearTimeout(this.#timer);
    const wasConnected = this.#isConnected;
    this.#pipe = undefined;
    this.#isConnected = false;
    this.#failure = reason;
    if (this.#isWanted) {
      this.#timer = setTimeout(() => {
        this.#connect();
      }, this.#backoff.next());
    }
    if (wasConnected) {
      this.#listener.onLost();
    }
  }
}
