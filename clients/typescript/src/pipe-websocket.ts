import type { Dial, Pipe, PipeListener, Protocol } from "./pipe.js";

/** A WebSocket that is being opened. */
export interface OpeningSocket {
  readonly socket: WebSocket;
  /** Says whether it keeps the program from ending. */
  hold(holds: boolean): void;
}

/** SP over WebSocket: a binary message is an SP message, and the sub-protocol stands for the greeting. */
export function webSocketDialer(open: (subprotocol: string) => OpeningSocket): Dial {
  return (protocol, listener) => new WebSocketPipe(open, protocol, listener);
}

class WebSocketPipe implements Pipe {
  readonly #opening: OpeningSocket;

  constructor(open: (subprotocol: string) => OpeningSocket, protocol: Protocol, listener: PipeListener) {
    this.#opening = open(protocol.subprotocol);
    const { socket } = this.#opening;
    let failure: string | undefined;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      listener.onOpen();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) {
        listener.onMessage(new Uint8Array(data));
      }
    };
    socket.onerror = (event) => {
      // Browsers do not tell.
      failure = "message" in event ? String(event.message) : undefined;
    };
    socket.onclose = ({ code, reason }) => {
      listener.onClose(failure ?? `the WebSocket was closed with code ${String(code)}${reason && `: ${reason}`}`);
    };
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    this.#opening.socket.send(message);
  }

  hold(holds: boolean): void {
    this.#opening.hold(holds);
  }

  close(): void {
    const { socket } = this.#opening;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // One that is still connecting tells of its end as an error.
    socket.onerror = () => undefined;
    socket.close();
  }
}
