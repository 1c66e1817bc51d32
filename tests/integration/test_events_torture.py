"""Subscribers hear every closed trade once, in order and as it is stored, whoever
is killed, frozen or restarted meanwhile.

TRADEBOOK_SCALE=50 closes 200,000 trades.
"""

import collections
import os
import pathlib
import random
import signal
import subprocess
import threading

import book
import serving
import trades

READER = os.environ["TRADEBOOK_EVENT_READER"]
TRADES = book.scaled(4000)
READERS, FROZEN = 20, 5
SYMBOLS = ["BTC-USD", "ETH-USD", "BTC/USD"]
CLOSE = "TradeService.CloseTrade"


class Closer(threading.Thread):
    """Closes trades over one connection, many at a time; sends again, with the same
    request id, what was not answered when the connection broke."""

    DEPTH = 64

    def __init__(self, address, signals):
        super().__init__(daemon=True)
        self.address = address
        self.pending = collections.deque(self.request(number, signal) for number, signal in enumerate(signals))
        self.waiting = {}
        self.refused = []
        self.closed = 0
        self.progress = threading.Condition()
        self.serving = threading.Event()
        self.serving.set()

    @staticmethod
    def request(number, signal):
        message = book.request_of(CLOSE, signal_id=signal, exit_price=90.0 + number % 23,
                                  exit_reason=f"reason {number}")
        return book.envelope(CLOSE, message).SerializeToString()

    def run(self):
        while self.pending:
            self.serving.wait()
            try:
                with book.Client(self.address) as client:
                    self.close_trades(client)
            except OSError:
                self.pending.extendleft(self.waiting.values())
                self.waiting.clear()

    def close_trades(self, client):
        while self.pending or self.waiting:
            while self.pending and len(self.waiting) < self.DEPTH:
                request = self.pending.popleft()
                # Kept before it is sent: a send that fails may have arrived.
                self.waiting[client.next_id] = request
                client.send(request)
            received, body = client.receive()
            del self.waiting[received]
            self.account(book.rpc_pb2.Reply.FromString(body))

    def account(self, reply):
        with self.progress:
            self.closed += 1
            if reply.code != book.OK:
                self.refused.append(reply)
            self.progress.notify_all()

    def wait_for(self, closed):
        with self.progress:
            assert self.progress.wait_for(lambda: self.closed >= closed, timeout=600)


class Reader:
    """A subscriber that writes what it hears into a file; started again, it goes on
    after the last whole line."""

    def __init__(self, server, path, is_rung):
        self.addresses = [f"ipc://{server.db}.sock", server.events[0] if is_rung else "-"]
        self.path = pathlib.Path(path)
        self.path.touch()
        self.start()

    def lines(self):
        return self.path.read_text(encoding="ascii").splitlines()

    def start(self):
        whole = self.path.read_bytes()
        whole = whole[:whole.rfind(b"\n") + 1]
        self.path.write_bytes(whole)
        last = whole.split(b"\n")[-2].split()[0].decode() if whole else "0"
        with self.path.open("ab") as out:
            self.process = subprocess.Popen([READER, *self.addresses, last, str(TRADES)], stdout=out,
                                            stderr=subprocess.PIPE, text=True)

    def restart(self):
        self.process.kill()
        self.process.communicate()
        self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def finish(self):
        _, told = self.process.communicate(timeout=600)
        assert (self.process.returncode, told) == (0, "")


def open_trades(server):
    with trades.connection(server.db) as db:
        db.execute("BEGIN IMMEDIATE")
        signals = [trades.open_trade(db, SYMBOLS[number % 3], "short" if number % 2 else "long")
                   for number in range(TRADES)]
        db.execute("COMMIT")
    return signals


def make_trouble(server, closer, readers):
    """What happens while trades are closed, spread over the time that takes."""
    dice = random.Random(os.environ.get("TRADEBOOK_SEED", "1"))
    frozen = dice.sample(readers, FROZEN)
    steps = ["server"] * 5 + ["reader"] * 12
    dice.shuffle(steps)
    steps[len(steps) // 4:len(steps) // 4] = ["freeze"]
    steps[3 * len(steps) // 4:3 * len(steps) // 4] = ["thaw"]
    for number, step in enumerate(steps):
        closer.wait_for(TRADES * (number + 1) // (len(steps) + 1))
        if step == "server":
            closer.serving.clear()
            server.kill()
            server.restart()
            closer.serving.set()
        elif step == "reader":
            dice.choice(readers).restart()
        else:
            for reader in frozen:
                reader.freeze() if step == "freeze" else reader.thaw()


def expected_lines(file):
    """What is stored, in the order of the events' sequences."""
    return [
        f"{sequence} {signal_id} {symbol} {book.types_pb2.Outcome.Value('OUTCOME_' + outcome.upper())} "
        f"{entry:.17g} {exit_price:.17g} {usd:.17g} {percent:.17g} {reason}"
        for sequence, signal_id, symbol, outcome, entry, exit_price, usd, percent, reason in file.query(
            "SELECT sequence, r.signal_id, s.symbol, r.outcome, r.entry_price, r.exit_price, r.pnl_usd, "
            "r.pnl_percent, r.exit_reason FROM tb_events e JOIN signal_results r ON r.id = e.result_id "
            "JOIN signals s ON s.id = r.signal_id ORDER BY sequence")
    ]


def test_events_reach_every_subscriber_once_and_in_order(tmp_path):
    with serving.Server(tmp_path / "book.db", "--events", f"ipc://{tmp_path}/events", "--heartbeat-ms", "200",
                        "--quiet") as server:
        closer = Closer(f"ipc://{server.db}.sock", open_trades(server))
        readers = [Reader(server, tmp_path / f"reader{number}", number % 4 != 3) for number in range(READERS)]
        try:
            closer.start()
            make_trouble(server, closer, readers)
            closer.join(timeout=600)
            assert (closer.closed, closer.refused) == (TRADES, [])
            for reader in readers:
                reader.finish()
        finally:
            for reader in readers:
                reader.process.kill()
        expected = expected_lines(book.File(server.db))
        assert [line.split()[0] for line in expected] == [str(number) for number in range(1, TRADES + 1)]
        for reader in readers:
            assert reader.lines() == expected
