/** Both ends of an SP connection: the number each says in its greeting, and the name of the server's in WebSocket. */
export interface Protocol {
  readonly own: number;
  readonly peer: number;
  readonly subprotocol: string;
}

export const requestReply: Protocol = { own: 0x30, peer: 0x31, subprotocol: "rep.sp.nanomsg.org" };
export const subscribePublish: Protocol = { own: 0x21, peer: 0x20, subprotocol: "pub.sp.nanomsg.org" };

/** A larger message ends the connection. */
export const messageBytesMax = 16 * 1024 * 1024;

/** One connection to a server. */
export interface Pipe {
  /** Sends one message; only after onOpen. */
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Whether the connection keeps the program from ending; it does at first. */
  hold(holds: boolean): void;
  /** Ends the connection; nothing is told to the listener any more. */
  close(): void;
}

export interface PipeListener {
  /** The peer has shown that it speaks the protocol. */
  onOpen(): void;
  onMessage(message: Uint8Array): void;
  /** The connection could not be made or has ended. The last call. */
  onClose(reason: string): void;
}

/** Starts to connect. The listener hears nothing before this has returned. */
export type Dial = (protocol: Protocol, listener: PipeListener) => Pipe;
