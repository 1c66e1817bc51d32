"""Reacts to every closed trade: prints one line of JSON for each, with the profit
added up. Its place in the events is kept by the server, so it goes on where it
was after a restart of either side; the first time it begins with the oldest
event. What it adds up begins anew."""

import json
import os
import signal
import sys

import tradebook
from tradebook.v1 import event_pb2, event_pb2_grpc


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    total = 0.0
    with tradebook.Channel(os.environ["TRADEBOOK_ADDRESS"], events_address=os.environ["TRADEBOOK_EVENTS"]) as channel:
        events = event_pb2_grpc.EventServiceStub(channel)
        place = event_pb2.SubscribeRequest(cursor="demo-subscriber", from_oldest=True)
        for event in events.Subscribe(place):
            result = event.trade_closed.signal_result
            total += result.pnl_usd
            print(json.dumps({"sequence": event.sequence, "signal_id": result.signal_id,
                              "symbol": event.trade_closed.symbol, "pnl_usd": result.pnl_usd,
                              "total_usd": round(total, 2)}))


if __name__ == "__main__":
    main()
