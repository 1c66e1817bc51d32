/** What runs in the browser: it offers the test a client of its own. */
import { ConnectError, createClient } from "@connectrpc/connect";
import { BadRequestSchema, createTradebookTransport } from "@tradebook/client";
import { Direction, EventService, SignalService, Tier, TradeService } from "@tradebook/client/v1";

const signal = {
  symbol: "BTC-USD",
  direction: Direction.LONG,
  confidence: 0.72,
  tier: Tier.HIGH,
  ensemblePrediction: 0.64,
  entryPrice: 64000,
};

/** Records a signal, opens its trade and closes it; answers the profit. */
async function trade(address: string, defaultTimeoutMs?: number): Promise<number> {
  const transport = createTradebookTransport({ address, defaultTimeoutMs });
  const { id } = await createClient(SignalService, transport).createSignal({ signal });
  const trades = createClient(TradeService, transport);
  await trades.openTrade({ signalId: id });
  const { pnlUsd } = await trades.closeTrade({ signalId: id, exitPrice: 64100, exitReason: "tp_hit" });
  transport.close();
  return pnlUsd;
}

/** The paths of the fields that are wrong with an empty signal. */
async function violations(address: string): Promise<string[]> {
  const transport = createTradebookTransport({ address });
  try {
    await createClient(SignalService, transport).createSignal({ signal: {} });
    return [];
  } catch (error) {
    const details = ConnectError.from(error).findDetails(BadRequestSchema);
    return details.flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
  } finally {
    transport.close();
  }
}

/** The sequences of the first so many events. */
async function follow(address: string, eventsAddress: string | undefined, count: number): Promise<number[]> {
  const transport = createTradebookTransport({ address, eventsAddress });
  const sequences: number[] = [];
  for await (const event of createClient(EventService, transport).subscribe({ fromOldest: true })) {
    sequences.push(Number(event.sequence));
    if (sequences.length === count) {
      break;
    }
  }
  transport.close();
  return sequences;
}

const page = { trade, violations, follow };
export type Page = typeof page;
Object.assign(globalThis, { page });
