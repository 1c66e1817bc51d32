import { describe, test } from "node:test";
import { Server, type Addresses } from "../support/server.js";
import { readCases } from "./cases.js";
import { Runner, type Variant } from "./runner.js";

const variants: Record<string, (addresses: Addresses) => Variant> = {
  tcp: ({ address, events_address: eventsAddress }) => ({ address, eventsAddress }),
  ipc: ({ ipc, events_ipc: eventsAddress }) => ({ address: ipc, eventsAddress }),
  ws: ({ ws, events_ws: eventsAddress }) => ({ address: ws, eventsAddress }),
};

const cases = readCases();
for (const [transport, variant] of Object.entries(variants)) {
  describe(`conformance over ${transport}`, { concurrency: 3 }, () => {
    for (const each of cases) {
      test(each.name, { timeout: 120_000 }, async () => {
        const server = await Server.start(each.options);
        try {
          await new Runner(server, variant(server.addresses)).run(each);
        } finally {
          await server.end();
        }
      });
    }
  });
}
