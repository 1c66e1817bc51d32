/** The client for Node: tcp, TLS, Unix sockets and WebSocket. Browsers get index-browser.ts. */
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { WebSocket as NodeWebSocket } from "ws";
import { parseAddress } from "./address.js";
import { messageBytesMax, type Dial } from "./pipe.js";
import { socketDialer } from "./pipe-socket.js";
import { webSocketDialer, type OpeningSocket } from "./pipe-websocket.js";
import { ConnectTransport, type TradebookTransport, type TransportOptions } from "./transport.js";

export { BadRequestSchema } from "./gen/google/rpc/error_details_pb.js";
export type { TradebookTransport } from "./transport.js";

/** Settings of a transport. Addresses are tcp://HOST:PORT, tls+tcp://HOST:PORT, ipc:///PATH, ws://HOST:PORT/PATH or
 * wss://HOST:PORT/PATH. */
export interface TradebookTransportOptions extends TransportOptions {
  /** Of tls+tcp:// and wss://, such as ca, cert and key. */
  tls?: ConnectionOptions;
}

/** A transport for `createClient` of `@connectrpc/connect`. Connects when there is something to send. Throws
 * INVALID_ARGUMENT for an address that cannot be used. */
export function createTradebookTransport(options: TradebookTransportOptions): TradebookTransport {
  return new ConnectTransport(options, (address) => dialerOf(address, options.tls ?? {}));
}

function dialerOf(text: string, tls: ConnectionOptions): Dial {
  const address = parseAddress(text, ["tcp", "tls", "ipc", "ws"]);
  return address.kind === "ws"
    ? webSocketDialer((subprotocol) => openWebSocket(address.url, subprotocol, tls))
    : socketDialer(address, tls);
}

function openWebSocket(url: string, subprotocol: string, tls: ConnectionOptions): OpeningSocket {
  const socket = new NodeWebSocket(url, subprotocol, { ...tls, maxPayload: messageBytesMax, perMessageDeflate: false });
  let stream: Socket | undefined;
  socket.on("upgrade", (response) => {
    stream = response.socket;
  });
  return {
    // The package has the interface of browsers.
    socket: socket as unknown as WebSocket,
    hold(holds) {
      if (holds) {
        stream?.ref();
      } else {
        stream?.unref();
      }
    },
  };
}
