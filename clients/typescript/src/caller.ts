import { Code, ConnectError } from "@connectrpc/connect";
import { Backoff } from "./backoff.js";
import { sleep, type Deadline } from "./deadline.js";
import { errorOf, packRequest, unpackReply, type Content } from "./envelope.js";
import { Code as ReplyCode, type Reply } from "./gen/tradebook/v1/rpc_pb.js";
import { ConnectionLost, type Requester } from "./requester.js";

const pauseMsMin = 5;
const pauseMsMax = 500;

/** Makes calls: sends them, and sends them again with the same request id when the connection was lost or the server
 * is UNAVAILABLE, until their time is over. */
export class Caller {
  readonly #requester: Requester;
  readonly #address: string;

  constructor(requester: Requester, address: string) {
    this.#requester = requester;
    this.#address = address;
  }

  /** Answers the payload of the response. Throws a ConnectError, or the reason of the deadline's signal. */
  async call(content: Content, deadline: Deadline): Promise<Uint8Array> {
    const backoff = new Backoff(pauseMsMin, pauseMsMax);
    for (;;) {
      const reply = await this.#attempt(content, deadline);
      if (reply?.code === ReplyCode.OK) {
        return reply.payload;
      }
      const pauseMs = backoff.next();
      // An attempt needs time for its answer as well; without that the server's words are worth more.
      const isLast = deadline.leftMs < 2 * pauseMs;
      if (reply !== undefined && (reply.code !== ReplyCode.UNAVAILABLE || isLast)) {
        throw errorOf(reply);
      }
      await sleep(pauseMs, deadline.signal);
    }
  }

  /** The error of a call of this method that had timeoutMs. */
  timeoutError(method: string, timeoutMs: number): ConnectError {
    const { failure } = this.#requester;
    if (failure !== undefined) {
      return new ConnectError(
        `${method}: no connection to ${this.#address} within ${String(timeoutMs)} ms (${failure}); ` +
          "is the server running there?",
        Code.Unavailable,
      );
    }
    return new ConnectError(
      `${method}: no answer from ${this.#address} within ${String(timeoutMs)} ms; whether a write took effect is ` +
        "open, calling again with the same request id is safe and tells",
      Code.DeadlineExceeded,
    );
  }

  /** undefined: the connection was lost. */
  async #attempt(content: Content, deadline: Deadline): Promise<Reply | undefined> {
    try {
      const body = () => packRequest(content, deadline.leftMs === Infinity ? undefined : deadline.leftMs);
      return unpackReply(await this.#requester.request(body, deadline.signal));
    } catch (error) {
      if (error instanceof ConnectionLost) {
        return undefined;
      }
      throw error;
    }
  }
}
