import assert from "node:assert/strict";
import { createRegistry, type DescFile, type DescMethodUnary } from "@bufbuild/protobuf";
import { EmptySchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema } from "@tradebook/client";
import * as health from "@tradebook/client/health";
import * as v1 from "@tradebook/client/v1";

const files = Object.values<unknown>({ ...v1, ...health }).filter(isFile);

function isFile(value: unknown): value is DescFile {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "file";
}

/** Everything that the server speaks. */
export const registry = createRegistry(...files, BadRequestSchema);

/** The method of a name such as /tradebook.v1.SignalService/GetSignal, of empty messages if the stubs lack it. */
export function unaryMethod(name: string): DescMethodUnary {
  const [typeName = "", method = ""] = name.slice(1).split("/");
  const known = registry.getService(typeName)?.methods.find((each) => each.name === method);
  if (known !== undefined) {
    assert.equal(known.methodKind, "unary");
    return known as DescMethodUnary;
  }
  return {
    kind: "rpc",
    name: method,
    localName: method,
    methodKind: "unary",
    parent: { typeName },
    input: EmptySchema,
    output: EmptySchema,
    idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
  } as unknown as DescMethodUnary;
}
