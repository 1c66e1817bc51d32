import { fromBinary } from "@bufbuild/protobuf";
import { EventSchema, HeartbeatSchema, type Event, type Heartbeat } from "./gen/tradebook/v1/event_pb.js";
import { Link } from "./link.js";
import { subscribePublish, type Dial } from "./pipe.js";

const heardMax = 4096;
const heartbeatTopic = "heartbeat/";
const eventTopic = "trade.closed/";
const heartbeatMsDefault = 1000;
const heartbeatMsMax = 60_000;
/** So many heartbeats that did not come: the doorbell is dead. */
const silentHeartbeats = 3;

/** What the server publishes, in the order of its arrival. It may lose anything. */
export class Doorbell {
  readonly #link: Link;
  readonly #topic: string;
  readonly #ring: () => void;
  #heard: (Event | Heartbeat)[] = [];
  #hasLost = false;
  #heardMs = 0;
  #heartbeatMs = heartbeatMsDefault;

  /** Connects. ring is called when there is something new. */
  constructor(dial: Dial, symbol: string | undefined, ring: () => void) {
    this.#topic = topicOf(symbol);
    this.#ring = ring;
    this.#link = new Link(dial, subscribePublish, {
      onConnected: () => {
        this.#heardMs = performance.now();
        this.#hasLost = true;
        ring();
      },
      onMessage: (frame) => {
        this.#hear(frame);
      },
      onLost: ring,
    });
    this.#link.want(true);
  }

  /** Until when it counts as alive unless it is heard; 0: it is dead. */
  get aliveUntilMs(): number {
    return this.#link.isConnected ? this.#heardMs + silentHeartbeats * this.#heartbeatMs : 0;
  }

  /** Whether events may have passed unheard since this was last asked. */
  takeLoss(): boolean {
    const hasLost = this.#hasLost;
    this.#hasLost = false;
    return hasLost;
  }

  /** The oldest that was heard and not taken. */
  take(): Event | Heartbeat | undefined {
    return this.#heard.shift();
  }

  close(): void {
    this.#link.close();
    this.#heard = [];
  }

  #hear(frame: Uint8Array): void {
    this.#heardMs = performance.now();
    const message = read(frame, this.#topic);
    if (message === undefined) {
      return;
    }
    if (isHeartbeat(message) && message.intervalMs > 0n && message.intervalMs <= heartbeatMsMax) {
      this.#heartbeatMs = Number(message.intervalMs);
    }
    if (this.#heard.length < heardMax) {
      this.#heard.push(message);
    } else {
      this.#hasLost = true;
    }
    this.#ring();
  }
}

export function isHeartbeat(message: Event | Heartbeat): message is Heartbeat {
  return message.$typeName === HeartbeatSchema.typeName;
}

/** The topic of a symbol, as event.proto has it; without one, how all topics begin. */
function topicOf(symbol: string | undefined): string {
  if (symbol === undefined) {
    return eventTopic;
  }
  const escaped = encodeURIComponent(symbol).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${eventTopic}${escaped}/`;
}

/** What a frame tells; undefined when it is of another topic or cannot be read. */
function read(frame: Uint8Array, wantedTopic: string): Event | Heartbeat | undefined {
  const end = frame.indexOf(0);
  if (end < 0) {
    return undefined;
  }
  const topic = String.fromCharCode(...frame.subarray(0, end));
  try {
    if (topic === heartbeatTopic) {
      return fromBinary(HeartbeatSchema, frame.subarray(end + 1));
    }
    return topic.startsWith(wantedTopic) ? fromBinary(EventSchema, frame.subarray(end + 1)) : undefined;
  } catch {
    return undefined;
  }
}
