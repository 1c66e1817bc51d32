/** Prints calls/s and latencies of durable CreateSignal and of Echo, with 1 and 64 in flight, of the server at
 * $TRADEBOOK_ADDRESS. Writes signals of model_version "bench". */
import { createClient } from "@connectrpc/connect";
import { createTradebookTransport } from "@tradebook/client";
import { AdminService, Direction, SignalService, Tier } from "@tradebook/client/v1";

const warmupMs = 1000;
const measuredMs = Number(process.env.BENCH_SECONDS ?? "5") * 1000;

const address = process.env.TRADEBOOK_ADDRESS ?? "tcp://127.0.0.1:7601";
const transport = createTradebookTransport({ address });
const admin = createClient(AdminService, transport);
const signals = createClient(SignalService, transport);
const payload = new Uint8Array(128);
const signal = {
  symbol: "BTC-USD",
  direction: Direction.LONG,
  confidence: 0.72,
  tier: Tier.HIGH,
  ensemblePrediction: 0.64,
  entryPrice: 64000,
  slPrice: 62500,
  modelVersion: "bench",
};
const calls: Record<string, () => Promise<unknown>> = {
  Echo: () => admin.echo({ payload }),
  CreateSignal: () => signals.createSignal({ signal }),
};

/** Keeps so many calls under way for ms; the milliseconds each took. */
async function run(call: () => Promise<unknown>, inFlight: number, ms: number): Promise<number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + ms;
  async function lane(): Promise<void> {
    for (let startMs = performance.now(); startMs < endMs; startMs = performance.now()) {
      await call();
      latencies.push(performance.now() - startMs);
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane));
  return latencies.sort((a, b) => a - b);
}

function row(...columns: string[]): void {
  console.log(columns.map((text, i) => (i === 0 ? text.padEnd(14) : text.padStart(10))).join(""));
}

row("call", "in flight", "calls/s", "p50 ms", "p99 ms");
for (const [name, call] of Object.entries(calls)) {
  for (const inFlight of [1, 64]) {
    await run(call, inFlight, warmupMs);
    const latencies = await run(call, inFlight, measuredMs);
    const quantile = (q: number) => (latencies[Math.floor(q * latencies.length)] ?? NaN).toFixed(3);
    const rate = Math.round((latencies.length / measuredMs) * 1000).toString();
    row(name, inFlight.toString(), rate, quantile(0.5), quantile(0.99));
  }
}
