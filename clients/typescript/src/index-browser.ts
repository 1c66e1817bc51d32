/** The client for browsers, which reach a server by WebSocket only. Imports nothing of Node. */
import { parseAddress } from "./address.js";
import type { Dial } from "./pipe.js";
import { webSocketDialer } from "./pipe-websocket.js";
import { ConnectTransport, type TradebookTransport, type TransportOptions } from "./transport.js";

export { BadRequestSchema } from "./gen/google/rpc/error_details_pb.js";
export type { TradebookTransport } from "./transport.js";

/** Settings of a transport. Addresses are ws://HOST:PORT/PATH or wss://HOST:PORT/PATH. */
export type TradebookTransportOptions = TransportOptions;

/** A transport for `createClient` of `@connectrpc/connect`. Connects when there is something to send. Throws
 * INVALID_ARGUMENT for an address that cannot be used. */
export function createTradebookTransport(options: TradebookTransportOptions): TradebookTransport {
  return new ConnectTransport(options, dialerOf);
}

function dialerOf(text: string): Dial {
  const address = parseAddress(text, ["ws"]);
  return webSocketDialer((subprotocol) => ({
    socket: new WebSocket(address.url, subprotocol),
    hold() {
      // Nothing keeps a page.
    },
  }));
}
