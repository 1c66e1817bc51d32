import { messageBytesMax, type PipeListener, type Protocol } from "./pipe.js";

const greetingBytes = 8;
const lengthBytes = 8;
/** What ipc puts before each length. */
const ipcMarker = 1;

/** What each side of a stream sends first. */
export function greeting(protocol: number): Buffer {
  return Buffer.from([0, 0x53, 0x50, 0, protocol >> 8, protocol & 0xff, 0, 0]);
}

/** What precedes a message of this length on a stream. */
export function frameHeader(messageBytes: number, isIpc: boolean): Buffer {
  const header = Buffer.alloc((isIpc ? 1 : 0) + lengthBytes);
  if (isIpc) {
    header[0] = ipcMarker;
  }
  header.writeUInt32BE(messageBytes, header.length - 4);
  return header;
}

/** Cuts the bytes of a stream into messages, which may share their memory. */
export class FrameDecoder {
  readonly #protocol: Protocol;
  readonly #isIpc: boolean;
  readonly #listener: Pick<PipeListener, "onOpen" | "onMessage">;
  readonly #headerBytes: number;
  #isGreeted = false;
  #chunks: Buffer[] = [];
  #length = 0;
  /** So many bytes make it worth looking. */
  #needed = greetingBytes;

  constructor(protocol: Protocol, isIpc: boolean, listener: Pick<PipeListener, "onOpen" | "onMessage">) {
    this.#protocol = protocol;
    this.#isIpc = isIpc;
    this.#listener = listener;
    this.#headerBytes = (isIpc ? 1 : 0) + lengthBytes;
  }

  /** Takes what has come. Throws when the peer does not speak the protocol. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) {
      return;
    }
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    if (!this.#isGreeted) {
      this.#readGreeting(bytes);
      bytes = bytes.subarray(greetingBytes);
    }
    let end = this.#endOfFrame(bytes);
    while (bytes.length >= end) {
      this.#listener.onMessage(bytes.subarray(this.#headerBytes, end));
      bytes = bytes.subarray(end);
      end = this.#endOfFrame(bytes);
    }
    this.#chunks = [bytes];
    this.#length = bytes.length;
    this.#needed = end;
  }

  #readGreeting(bytes: Buffer): void {
    if (!bytes.subarray(0, greetingBytes).equals(greeting(this.#protocol.peer))) {
      const protocol = `0x${this.#protocol.peer.toString(16)}`;
      throw new Error(`the peer does not greet as an SP socket of protocol ${protocol} does`);
    }
    this.#isGreeted = true;
    this.#listener.onOpen();
  }

  /** Where the first frame ends; that of its header, while this has not come. */
  #endOfFrame(bytes: Buffer): number {
    if (bytes.length < this.#headerBytes) {
      return this.#headerBytes;
    }
    if (this.#isIpc && bytes[0] !== ipcMarker) {
      throw new Error("the peer sent a frame that is not one of ipc");
    }
    const high = bytes.readUInt32BE(this.#headerBytes - lengthBytes);
    const length = high * 2 ** 32 + bytes.readUInt32BE(this.#headerBytes - 4);
    if (length > messageBytesMax) {
      throw new Error(`the peer announced ${String(length)} bytes; at most ${String(messageBytesMax)} are taken`);
    }
    return this.#headerBytes + length;
  }
}
