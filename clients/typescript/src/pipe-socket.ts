import * as net from "node:net";
import * as tls from "node:tls";
import type { Address } from "./address.js";
import { FrameDecoder, frameHeader, greeting } from "./framing.js";
import type { Dial, Pipe, PipeListener, Protocol } from "./pipe.js";

const keepAliveMs = 30_000;

/** SP over tcp, TLS and Unix sockets. */
export function socketDialer(address: Exclude<Address, { kind: "ws" }>, tlsOptions: tls.ConnectionOptions): Dial {
  return (protocol, listener) =>
    new SocketPipe(connect(address, tlsOptions), address.kind === "ipc", protocol, listener);
}

function connect(address: Exclude<Address, { kind: "ws" }>, tlsOptions: tls.ConnectionOptions): net.Socket {
  switch (address.kind) {
    case "ipc":
      return net.connect({ path: address.path });
    case "tcp":
      return net.connect({ host: address.host, port: address.port });
    case "tls": {
      const servername = net.isIP(address.host) === 0 ? address.host : undefined;
      return tls.connect({ servername, ...tlsOptions, host: address.host, port: address.port });
    }
  }
}

class SocketPipe implements Pipe {
  readonly #socket: net.Socket;
  readonly #isIpc: boolean;
  #isCorked = false;

  constructor(socket: net.Socket, isIpc: boolean, protocol: Protocol, listener: PipeListener) {
    this.#socket = socket;
    this.#isIpc = isIpc;
    const decoder = new FrameDecoder(protocol, isIpc, {
      onOpen() {
        listener.onOpen();
      },
      onMessage(message) {
        // The rest of what came together with a message that ended the connection.
        if (!socket.destroyed) {
          listener.onMessage(message);
        }
      },
    });
    let failure = "the peer closed the connection";
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    socket.write(greeting(protocol.own));
    socket.on("data", (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on("error", (error) => {
      failure = error.message;
    });
    socket.on("close", () => {
      listener.onClose(failure);
    });
  }

  send(message: Uint8Array): void {
    // One system call for all that is sent in one turn.
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frameHeader(message.length, this.#isIpc));
    this.#socket.write(message);
  }

  hold(holds: boolean): void {
    if (holds) {
      this.#socket.ref();
    } else {
      this.#socket.unref();
    }
  }

  close(): void {
    this.#socket.removeAllListeners("data").removeAllListeners("close").destroy();
  }
}
