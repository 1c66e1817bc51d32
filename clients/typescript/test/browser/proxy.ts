import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";

/** What a web server in front of tradebook does: it lets pages in, and takes the Origin from their WebSockets, which
 * tradebook itself refuses. */
export class Proxy {
  readonly #server = new WebSocketServer({ port: 0, host: "127.0.0.1" });

  /** Passes on to this address. */
  static async start(target: string): Promise<Proxy> {
    const proxy = new Proxy();
    proxy.#server.on("connection", (page) => {
      const server = new WebSocket(target, page.protocol);
      page.on("message", (data: Buffer) => {
        if (server.readyState === WebSocket.CONNECTING) {
          server.once("open", () => {
            server.send(data);
          });
        } else {
          server.send(data);
        }
      });
      server.on("message", (data: Buffer) => {
        page.send(data);
      });
      server.on("error", () => {
        page.terminate();
      });
      server.on("close", () => {
        page.close();
      });
      page.on("close", () => {
        server.close();
      });
    });
    await once(proxy.#server, "listening");
    return proxy;
  }

  get address(): string {
    return `ws://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/`;
  }

  stop(): void {
    this.#server.clients.forEach((client) => {
      client.terminate();
    });
    this.#server.close();
  }
}
