import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Json } from "./compare.js";

const folder = new URL("../../../../tests/conformance/cases/", import.meta.url);

type JsonObject = Record<string, Json>;

export interface Case {
  name: string;
  options?: string[];
  steps: Step[];
}

export type Step = CallStep | ParallelStep | SubscribeStep | ServerStep;

export interface CallStep {
  call: string;
  request?: JsonObject;
  timeout_ms?: number;
  request_id?: string;
  metadata?: Record<string, string>;
  client_id?: string;
  cancel?: boolean;
  meanwhile?: Step[];
  poll?: boolean;
  expect?: CallExpectation;
  save?: Record<string, string>;
}

export interface CallExpectation {
  code?: string;
  message_contains?: string;
  violations?: string[];
  details?: Json[];
  response?: Json;
  present?: string[];
  absent?: string[];
}

export interface ParallelStep {
  parallel: CallStep[];
  times?: number;
  codes?: Record<string, number>;
}

export interface SubscribeStep {
  subscribe: JsonObject;
  count?: number;
  events_address?: boolean;
  timeout_ms?: number;
  meanwhile?: Step[];
  after?: Step[];
  expect?: StreamExpectation;
}

export interface StreamExpectation {
  first?: number;
  sequences?: number[];
  events?: Json[];
  code?: string;
  message_contains?: string;
}

export interface ServerStep {
  server: { do: string };
  rows?: Json;
}

const caseMembers = ["name", "options", "steps"];
const members: Record<string, string[]> = {
  call: [
    "call",
    "request",
    "timeout_ms",
    "request_id",
    "metadata",
    "client_id",
    "cancel",
    "meanwhile",
    "poll",
    "expect",
    "save",
  ],
  parallel: ["parallel", "times", "codes"],
  subscribe: ["subscribe", "count", "events_address", "timeout_ms", "meanwhile", "after", "expect"],
  server: ["server", "rows"],
};
const callExpectMembers = ["code", "message_contains", "violations", "details", "response", "present", "absent"];
const streamExpectMembers = ["first", "sequences", "events", "code", "message_contains"];

/** All cases. Fails on a member that this runner does not know. */
export function readCases(): Case[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
  const cases = files.sort().flatMap((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Case[]);
  for (const each of cases) {
    insist(each, caseMembers, each.name);
    each.steps.forEach((step) => {
      checkStep(step, each.name);
    });
  }
  return cases;
}

function checkStep(step: Step, name: string): void {
  const kind = Object.keys(members).find((member) => member in step);
  assert.ok(kind !== undefined, `${name}: a step is of no known kind: ${JSON.stringify(step)}`);
  insist(step, members[kind] ?? [], name);
  if ("expect" in step) {
    insist(step.expect ?? {}, kind === "call" ? callExpectMembers : streamExpectMembers, name);
  }
  const nested = [
    ...("parallel" in step ? step.parallel : []),
    ...("meanwhile" in step ? (step.meanwhile ?? []) : []),
    ...("after" in step ? (step.after ?? []) : []),
  ];
  nested.forEach((each) => {
    checkStep(each, name);
  });
}

function insist(object: object, known: string[], name: string): void {
  const unknown = Object.keys(object).filter((member) => !known.includes(member));
  assert.deepEqual(unknown, [], `${name}: members that this runner does not know`);
}
