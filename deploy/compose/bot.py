"""A bot that trades at random: records a signal, opens its trade, closes it.

Prints one line of JSON for each trade whose close the server has acknowledged,
which means that it is on disk there. DEMO_PAUSE_SECONDS between two trades.
"""

import json
import os
import random
import signal
import sys
import time

import grpc
import tradebook
from tradebook.v1 import signal_pb2, signal_pb2_grpc, trade_pb2, trade_pb2_grpc, types_pb2

# Longer than a restart of the server takes: a call waits for it and is sent again.
CALL_SECONDS = 60


class Market:
    """Prices that wander."""

    def __init__(self):
        self.prices = {"BTC-USD": 64000.0, "ETH-USD": 3100.0, "SOL-USD": 145.0}

    def tick(self, symbol):
        self.prices[symbol] *= random.lognormvariate(0, 0.01)
        return round(self.prices[symbol], 2)


def trade_once(signals, trades, market):
    symbol = random.choice(list(market.prices))
    entry = market.tick(symbol)
    side = random.choice((1, -1))
    recorded = signals.CreateSignal(signal_pb2.CreateSignalRequest(signal=signal_pb2.Signal(
        symbol=symbol, direction=types_pb2.DIRECTION_LONG if side > 0 else types_pb2.DIRECTION_SHORT,
        confidence=round(random.uniform(0.5, 0.9), 3), tier=types_pb2.TIER_MEDIUM, strategy="demo",
        ensemble_prediction=0.6, entry_price=entry, sl_price=round(entry * (1 - 0.02 * side), 2),
        tp_price=round(entry * (1 + 0.03 * side), 2))), timeout=CALL_SECONDS)
    trades.OpenTrade(trade_pb2.OpenTradeRequest(signal_id=recorded.id, quantity=0.1), timeout=CALL_SECONDS)
    result = trades.CloseTrade(trade_pb2.CloseTradeRequest(
        signal_id=recorded.id, exit_price=market.tick(symbol), exit_reason="timeout"), timeout=CALL_SECONDS)
    return {"signal_id": recorded.id, "symbol": symbol, "pnl_usd": result.pnl_usd}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pause = float(os.environ.get("DEMO_PAUSE_SECONDS", "1"))
    market = Market()
    with tradebook.Channel(os.environ["TRADEBOOK_ADDRESS"]) as channel:
        signals = signal_pb2_grpc.SignalServiceStub(channel)
        trades = trade_pb2_grpc.TradeServiceStub(channel)
        while True:
            try:
                print(json.dumps(trade_once(signals, trades, market)))
            except grpc.RpcError as error:
                print(f"bot: {error.code().name}: {error.details()}", file=sys.stderr)
                time.sleep(1)
            time.sleep(pause)


if __name__ == "__main__":
    main()
