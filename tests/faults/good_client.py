"""A well-behaved client beside whatever else happens to a server: it records a
signal, reads it back, and compares. One call is under way at a time.

    with good_client.GoodClient(address) as client:
        ...
    client.percentile_ms(99)

Each call is in `calls` as (moment, seconds, code); wrong answers are in `wrong`.
"""

import threading
import time

import book


class GoodClient(threading.Thread):
    def __init__(self, address, pause=0.002, timeout_ms=5000):
        super().__init__(daemon=True)
        self.address = address
        self.pause = pause
        self.timeout_ms = timeout_ms
        self.enough = threading.Event()
        self.calls = []
        self.wrong = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.join(timeout=60)
        if self.is_alive():
            self.wrong.append("a call without an end")

    def run(self):
        try:
            with book.Client(self.address) as client:
                while not self.enough.wait(self.pause):
                    self.record_and_read(client)
        except Exception as error:  # a lost connection is as wrong as a wrong answer
            self.wrong.append(repr(error))

    def record_and_read(self, client):
        signal = book.signal(notes=f"good {len(self.calls)}")
        reply = self.call(client, "SignalService.CreateSignal", signal=signal)
        if reply.code != book.OK:
            return
        created = book.response_of("SignalService.CreateSignal", reply)
        reply = self.call(client, "SignalService.GetSignal", id=created.id)
        if reply.code == book.OK and book.response_of("SignalService.GetSignal", reply).notes != signal.notes:
            self.wrong.append(f"signal {created.id} is another one")

    def call(self, client, method, **fields):
        begun = time.monotonic()
        reply = client.reply(method, timeout_ms=self.timeout_ms, **fields)
        self.calls.append((begun, time.monotonic() - begun, reply.code))
        return reply

    def between(self, begin, end=float("inf")):
        """The calls that began in this time."""
        return [call for call in self.calls if begin <= call[0] < end]

    def refused(self):
        return [code for _, _, code in self.calls if code != book.OK]


def percentile_ms(calls, percent):
    """NaN of no calls."""
    latencies = sorted(seconds for _, seconds, _ in calls)
    return 1000 * latencies[min(len(latencies) - 1, int(len(latencies) * percent / 100))] if latencies else float("nan")
