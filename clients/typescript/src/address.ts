import { Code, ConnectError } from "@connectrpc/connect";

/** Where a server listens. */
export type Address =
  | { readonly kind: "tcp" | "tls"; readonly host: string; readonly port: number }
  | { readonly kind: "ipc"; readonly path: string }
  | { readonly kind: "ws"; readonly url: string };

/** Reads an address. INVALID_ARGUMENT: it is none, or of a kind that is not among kinds. */
export function parseAddress<K extends Address["kind"]>(
  text: string,
  kinds: readonly K[],
): Extract<Address, { kind: K }> {
  const address = parse(text);
  if (address === undefined || !isOneOf(address, kinds)) {
    const expected = kinds.map((kind) => examples[kind]).join(", ");
    throw new ConnectError(
      `the address "${text}" cannot be used here; expected one of ${expected}`,
      Code.InvalidArgument,
    );
  }
  return address;
}

function isOneOf<K extends Address["kind"]>(
  address: Address,
  kinds: readonly K[],
): address is Extract<Address, { kind: K }> {
  return kinds.some((kind) => kind === address.kind);
}

const examples: Record<Address["kind"], string> = {
  tcp: "tcp://HOST:PORT",
  tls: "tls+tcp://HOST:PORT",
  ipc: "ipc:///PATH",
  ws: "ws://HOST:PORT/PATH, wss://HOST:PORT/PATH",
};

function parse(text: string): Address | undefined {
  if (text.startsWith("ipc://")) {
    const path = text.slice("ipc://".length);
    return path === "" ? undefined : { kind: "ipc", path };
  }
  if (!URL.canParse(text)) {
    return undefined;
  }
  const url = new URL(text);
  switch (url.protocol) {
    case "ws:":
    case "wss:":
      return url.host === "" ? undefined : { kind: "ws", url: text };
    case "tcp:":
      return socketAddress("tcp", url);
    case "tls+tcp:":
      return socketAddress("tls", url);
    default:
      return undefined;
  }
}

function socketAddress(kind: "tcp" | "tls", url: URL): Address | undefined {
  const isBare = url.pathname === "" && url.search === "" && url.hash === "" && url.username === "";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return isBare && host !== "" && url.port !== "" ? { kind, host, port: Number(url.port) } : undefined;
}
