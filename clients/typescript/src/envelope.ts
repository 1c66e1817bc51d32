import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, decodeBinaryHeader } from "@connectrpc/connect";
import { ReplySchema, RequestSchema, type Reply } from "./gen/tradebook/v1/rpc_pb.js";

/** Names the entry of a call's header that carries its request id. */
export const requestIdHeader = "x-request-id-bin";

/** What is sent again unchanged with each attempt of a call. */
export interface Content {
  readonly method: string;
  readonly payload: Uint8Array;
  readonly requestId: Uint8Array | undefined;
  readonly metadata: readonly { key: string; value: Uint8Array }[];
}

const utf8 = new TextEncoder();

/** The content of a call. Header entries become metadata: the bytes that -bin stands for, otherwise text. */
export function contentOf(method: string, payload: Uint8Array, header: Headers): Content {
  let requestId: Uint8Array | undefined;
  const metadata: { key: string; value: Uint8Array }[] = [];
  header.forEach((text, key) => {
    const value = key.endsWith("-bin") ? binaryValue(key, text) : utf8.encode(text);
    if (key === requestIdHeader) {
      requestId = value;
    } else {
      metadata.push({ key, value });
    }
  });
  return { method, payload, requestId, metadata };
}

function binaryValue(key: string, text: string): Uint8Array {
  try {
    return decodeBinaryHeader(text);
  } catch (error) {
    throw new ConnectError(
      `the header ${key} is not base64; write it with encodeBinaryHeader`,
      Code.InvalidArgument,
      undefined,
      undefined,
      error,
    );
  }
}

/** The envelope of a call that has timeoutMs left; undefined: the server's default. */
export function packRequest(content: Content, timeoutMs: number | undefined): Uint8Array {
  return toBinary(
    RequestSchema,
    create(RequestSchema, {
      ...content,
      metadata: [...content.metadata],
      timeoutMs: timeoutMs === undefined ? undefined : BigInt(Math.max(1, Math.ceil(timeoutMs))),
    }),
  );
}

/** Throws INTERNAL for bytes that are no reply. */
export function unpackReply(bytes: Uint8Array): Reply {
  try {
    return fromBinary(ReplySchema, bytes);
  } catch (error) {
    throw new ConnectError("the server's reply cannot be read", Code.Internal, undefined, undefined, error);
  }
}

/** The error that a reply tells. */
export function errorOf(reply: Reply): ConnectError {
  const error = new ConnectError(reply.message, isCode(reply.code) ? reply.code : Code.Unknown);
  error.details = reply.details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return error;
}

/** The numbers are gRPC's on both sides. */
function isCode(code: number): code is Code {
  return code in Code;
}
