import { once } from "node:events";
import * as net from "node:net";
import * as tls from "node:tls";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FrameDecoder, frameHeader, greeting } from "../../src/framing.js";
import { ReplySchema, RequestSchema, type Request } from "../../src/gen/tradebook/v1/rpc_pb.js";

const idBytes = 4;
const protocol = { own: 0x31, peer: 0x30, subprotocol: "rep.sp.nanomsg.org" };

/** What is answered to a request: a reply, or "lose" the connection, or nothing. */
export type Behaviour = (request: Request, number: number) => MessageInitShape<typeof ReplySchema> | "lose" | undefined;

/** A server of a test's own making: it remembers every request and answers as it is told. */
export class FakeServer {
  readonly requests: Request[] = [];
  /** How many connections were made so far. */
  connections = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #behaviour: Behaviour;
  readonly #scheme: string;

  private constructor(behaviour: Behaviour, tlsOptions?: tls.TlsOptions) {
    this.#behaviour = behaviour;
    const serve = (socket: net.Socket) => {
      this.#serve(socket);
    };
    this.#server = tlsOptions === undefined ? net.createServer(serve) : tls.createServer(tlsOptions, serve);
    this.#scheme = tlsOptions === undefined ? "tcp" : "tls+tcp";
  }

  static async start(behaviour: Behaviour, tlsOptions?: tls.TlsOptions): Promise<FakeServer> {
    const fake = new FakeServer(behaviour, tlsOptions);
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get address(): string {
    return `${this.#scheme}://127.0.0.1:${String((this.#server.address() as net.AddressInfo).port)}`;
  }

  stop(): void {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }

  #serve(socket: net.Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // A client that goes away.
    socket.on("error", () => undefined);
    socket.write(greeting(protocol.own));
    const decoder = new FrameDecoder(protocol, false, {
      onOpen: () => undefined,
      onMessage: (message) => {
        this.#answer(socket, message as Buffer);
      },
    });
    socket.on("data", (chunk: Buffer) => {
      decoder.push(chunk);
    });
  }

  #answer(socket: net.Socket, message: Buffer): void {
    const request = fromBinary(RequestSchema, message.subarray(idBytes));
    this.requests.push(request);
    const reply = this.#behaviour(request, this.requests.length);
    if (reply === "lose") {
      socket.destroy();
    } else if (reply !== undefined) {
      const body = toBinary(ReplySchema, create(ReplySchema, reply));
      const answer = Buffer.concat([message.subarray(0, idBytes), body]);
      socket.write(Buffer.concat([frameHeader(answer.length, false), answer]));
    }
  }
}
