import assert from "node:assert/strict";
import type { JsonValue } from "@bufbuild/protobuf";

export type Json = JsonValue;

const timestamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;

/** Insists that an actual value is as expected, by the rules of the conformance suite. */
export function compare(expected: Json, actual: Json | undefined, path = ""): void {
  if (Array.isArray(expected)) {
    const elements = actual ?? [];
    assert.ok(Array.isArray(elements) && elements.length === expected.length, different(expected, actual, path));
    expected.forEach((element, i) => {
      compare(element, elements[i], `${path}[${String(i)}]`);
    });
  } else if (typeof expected === "object" && expected !== null) {
    assert.ok(
      typeof actual === "object" && actual !== null && !Array.isArray(actual),
      different(expected, actual, path),
    );
    for (const [name, value] of Object.entries(expected)) {
      compare(value, actual[name], `${path}.${name}`);
    }
  } else {
    assert.ok(isSame(expected, actual), different(expected, actual, path));
  }
}

function isSame(expected: null | boolean | number | string, actual: Json | undefined): boolean {
  if (typeof expected === "number" && typeof actual === "number") {
    return Math.abs(expected - actual) <= 1e-9 * Math.max(1, Math.abs(expected));
  }
  if (typeof expected === "string" && typeof actual === "string") {
    return toMicroseconds(expected) === toMicroseconds(actual);
  }
  return expected === actual;
}

function toMicroseconds(text: string): string {
  const match = timestamp.exec(text);
  return match === null ? text : `${match[1] ?? ""}.${(match[2] ?? "").padEnd(6, "0").slice(0, 6)}Z`;
}

function different(expected: Json, actual: Json | undefined, path: string): string {
  return `at ${path || "the top"}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`;
}

/** What is at a path such as results.0.status.code; undefined when nothing is. */
export function at(value: Json | undefined, path: string): Json | undefined {
  let result = value;
  for (const name of path.split(".")) {
    if (typeof result !== "object" || result === null) {
      return undefined;
    }
    result = Array.isArray(result) ? result[Number(name)] : result[name];
  }
  return result;
}
