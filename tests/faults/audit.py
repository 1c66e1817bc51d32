"""The database against what the clients of traffic.py were told: every
acknowledged request has had its effect, with its values, exactly once; nothing
else is there; events and figures agree with the rows.

Each check yields sentences about what is wrong.
"""

import contextlib
import math
import random
import sqlite3
from collections import Counter, defaultdict

import book
import ledger
import traffic

OUTCOMES = {1: "open", 2: "win", 3: "loss", 4: "breakeven"}
REPLAYED = 300  # requests that are sent once more


def audit(server, running, seed):
    """Everything, while the server runs and the clients are done."""
    with contextlib.closing(Books(server.db, running)) as books, book.Client(server.address) as client:
        for check in (integrity, signals, theories, trades, patterns, models, remembered, events):
            yield from (f"{check.__name__}: {wrong}" for wrong in check(books))
        yield from (f"events: {wrong}" for wrong in told(books, client))
        yield from (f"figures: {wrong}" for wrong in figures(books, client))
        yield from (f"replays: {wrong}" for wrong in replays(books, client, server, random.Random(seed)))


def audit_backups(folder, counts):
    """What has the name of a backup is a copy of some moment: sound, and with an
    event for each closed trade."""
    for path in sorted(folder.glob("*.db")):
        counts["backups"] += 1
        try:
            with contextlib.closing(File(path)) as copy:
                yield from (f"{path.name}: {wrong}" for check in (integrity, events) for wrong in check(copy))
        except sqlite3.Error as error:
            yield f"{path.name}: {error}"


class File:
    def __init__(self, path):
        self.path = path
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def close(self):
        self.db.close()

    def rows(self, sql):
        """{first column: the others}; insists that the first is unique."""
        found = {}
        for key, *rest in self.db.execute(sql):
            if key in found:
                raise ValueError(f"{key} is there twice: {sql}")
            found[key] = tuple(rest)
        return found


class Books(File):
    """The file, and the requests by kind."""

    def __init__(self, path, running):
        super().__init__(path)
        self.running = running
        self.requests = defaultdict(list)
        for _, request in running.requests():
            self.requests[request.kind].append(request)
        self.opened, self.closed = self.trades_told()

    def trades_told(self):
        """{signal id: its OpenTradeRequest}, {signal id: (CloseTradeRequest, SignalResult)}"""
        opened = {r.message.signal_id: r.message for r in self.requests["open trade"]}
        closed = {r.message.signal_id: (r.message, r.response) for r in self.requests["close trade"]}
        for r in self.requests["close trades"]:
            for trade, result in zip(r.message.trades, r.response.results):
                closed[trade.signal_id] = (trade, result.signal_result)
        for r in self.requests["record trade"]:
            opened[r.message.open.signal_id] = r.message.open
            closed[r.message.open.signal_id] = (r.message.close, r.response)
        return opened, closed


def integrity(books):
    for (said,) in books.db.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield said
    for row in books.db.execute("PRAGMA foreign_key_check"):
        yield f"a foreign key points to nothing: {row}"


def signals(books):
    expected = {}
    for request in books.requests["create signal"]:
        expected[request.message.signal.notes] = (request.response.id, request.message.signal)
    for request in books.requests["create signals"]:
        for signal, result in zip(request.message.signals, request.response.results):
            if signal.confidence > 1:
                if result.status.code != book.INVALID_ARGUMENT:
                    yield f"{signal.notes} was not refused"
            else:
                expected[signal.notes] = (result.id, signal)
    times = Counter(notes for (notes,) in books.db.execute("SELECT notes FROM signals"))
    yield from compare_counts(times, expected)
    found = {notes: rest for notes, *rest in books.db.execute("SELECT notes, id, symbol, confidence, sl_price FROM signals")}
    for notes, (id, signal) in expected.items():
        stored = [id, signal.symbol, signal.confidence, signal.sl_price if signal.HasField("sl_price") else None]
        if notes in found and found[notes] != stored:
            yield f"signal {notes} is {found[notes]}, acknowledged was {stored}"


def compare_counts(times, expected):
    for key in expected:
        if times[key] != 1:
            yield f"{key} is there {times[key]} times"
    for key in times.keys() - set(expected):
        yield f"{key} is there, which nobody was told of"


def theories(books):
    expected = {r.message.theory_record.theory_name: r for r in books.requests["create theory"]}
    times = Counter(name for (name,) in books.db.execute("SELECT theory_name FROM theory_performance"))
    yield from compare_counts(times, expected)
    for name, *stored in books.db.execute("SELECT theory_name, id, signal_id, contribution_score FROM theory_performance"):
        if name in expected:
            told, record = expected[name].response, expected[name].message.theory_record
            if stored != [told.id, record.signal_id, record.contribution_score]:
                yield f"theory {name} is {stored}"


def profit(direction, opened, closed):
    side = 1 if direction == "long" else -1
    return side * (closed.exit_price - opened.entry_price) * opened.quantity - (opened.fees_usd + closed.fees_usd)


def trades(books):
    """One result for each opened trade, closed as it was acknowledged; the signal,
    the terms and the risk snapshot with it."""
    times = Counter(signal for (signal,) in books.db.execute("SELECT signal_id FROM signal_results"))
    yield from compare_counts(times, books.opened)
    terms = books.rows("SELECT signal_id, quantity, fees_usd FROM tb_trades")
    yield from compare_counts(Counter(terms.keys()), books.opened)
    risks = books.rows("SELECT CAST(signal_id AS INTEGER), result, exit_price FROM risk_book_snapshots")
    rows = books.db.execute(
        "SELECT r.signal_id, r.id, r.entry_price, r.exit_price, r.pnl_usd, r.pnl_percent, r.outcome, s.direction, "
        "s.executed, s.result, s.exit_price, s.pnl, s.sl_price FROM signal_results r JOIN signals s ON s.id=r.signal_id")
    for signal, id, entry, exit, usd, percent, outcome, direction, executed, result, signal_exit, pnl, stop in rows:
        if signal not in books.opened:
            continue
        opened = books.opened[signal]
        if entry != opened.entry_price or executed != 1 or terms.get(signal, (None,))[0] != opened.quantity:
            yield f"the trade of signal {signal} is not opened as acknowledged"
        if (stop is not None) != (signal in risks):
            yield f"the risk snapshot of signal {signal} is wrong"
        if signal not in books.closed:
            if outcome != "open" or result != "pending":
                yield f"signal {signal} is {outcome} ({result}), but nobody closed it"
            continue
        request, told = books.closed[signal]
        expected = profit(direction, opened, request)
        if not math.isclose(usd or 0, expected, rel_tol=1e-9, abs_tol=1e-9):
            yield f"signal {signal} earned {usd}, not {expected}"
        if (id, exit, usd, percent) != (told.id, request.exit_price, told.pnl_usd, told.pnl_percent):
            yield f"the result of signal {signal} is not the one that was acknowledged"
        if OUTCOMES[told.outcome] != outcome or (signal_exit, pnl, result) != (exit, usd, outcome):
            yield f"signal {signal} and its result do not agree"
        if stop is not None and risks.get(signal) != (outcome, exit):
            yield f"the risk snapshot of signal {signal} is {risks.get(signal)}"
        if terms.get(signal, (0, None))[1] != opened.fees_usd + request.fees_usd:
            yield f"the fees of signal {signal} are {terms.get(signal)}"


def patterns(books):
    """Each outcome is counted once."""
    expected = defaultdict(lambda: [0, 0])
    for request in books.requests["record outcome"]:
        expected[request.message.pattern_hash][0] += request.message.won
        expected[request.message.pattern_hash][1] += 1
    for request, told in books.closed.values():
        for hash in request.pattern_hashes:
            expected[hash][0] += OUTCOMES[told.outcome] == "win"
            expected[hash][1] += 1
    for hash, wins, total, rate in books.db.execute("SELECT pattern_hash, wins, total, win_rate FROM patterns"):
        if [wins, total] != expected[hash]:
            yield f"pattern {hash[:8]} has {wins} of {total}, acknowledged were {expected[hash]}"
        if rate != (wins / total if total else 0.0):
            yield f"pattern {hash[:8]} has win_rate {rate} of {wins} / {total}"


def models(books):
    """Each promotion once and in order, the last one in production."""
    deployed = Counter(version for (version,) in books.db.execute("SELECT version FROM model_deployments"))
    yield from compare_counts(deployed, {r.message.model_deployment.version for r in books.requests["deploy"]})
    for client in books.running.clients:
        asked = [r.message.version for r in client.answered if r.kind == "promote"]
        type = client.models.type
        tenures = books.db.execute("SELECT version, demoted_at IS NULL FROM tb_model_tenures WHERE model_type=? "
                                   "ORDER BY id", (type,)).fetchall()
        if [version for version, _ in tenures] != asked:
            yield f"{type} was promoted {len(asked)} times, its history has {len(tenures)}"
        live = [v for (v,) in books.db.execute("SELECT version FROM model_deployments WHERE model_type=? AND "
                                               "is_promoted=1", (type,))]
        if live != asked[-1:] or [version for version, open in tenures if open] != asked[-1:]:
            yield f"{type} has {live} in production, promoted was {asked[-1:]}"


def remembered(books):
    """One row for each request, under its client's name, with its first answer."""
    expected = {}
    for client, request in books.running.requests():
        name = client.metadata[0][1].decode() if client.metadata else ""
        expected[name, request.id] = request
    rows = books.db.execute("SELECT client, request_id, response FROM tb_requests WHERE client<>'prepare'").fetchall()
    times = Counter((name, id) for name, id, _ in rows)
    yield from compare_counts(times, expected)
    for name, id, response in rows:
        request = expected.get((name, id))
        if request and response != book.rpc_pb2.Reply.FromString(request.reply).payload:
            yield f"{request} is remembered with another answer"


def events(books):
    """Numbers 1..N, one event for each closed trade, equal to its row; each names
    the one before of its symbol."""
    columns = ("result_id", "signal_id", "entry_price", "exit_price", "exit_reason", "pnl_percent", "pnl_usd",
               "outcome", "symbol", "direction", "quantity", "fees_usd")
    rows = books.db.execute(f"SELECT sequence, previous, {', '.join(columns)} FROM tb_events ORDER BY sequence")
    source = {row[0]: row for row in books.db.execute(
        "SELECT r.id, r.signal_id, r.entry_price, r.exit_price, r.exit_reason, r.pnl_percent, r.pnl_usd, r.outcome, "
        "s.symbol, s.direction, t.quantity, t.fees_usd FROM signal_results r JOIN signals s ON s.id=r.signal_id "
        "JOIN tb_trades t ON t.signal_id=r.signal_id WHERE r.outcome<>'open'")}
    newest, seen = {}, Counter()
    expected = 0
    for sequence, previous, *values in rows:
        expected += 1
        if sequence != expected:
            yield f"event {expected} is missing, there is {sequence}"
            expected = sequence
        id, symbol = values[0], values[8]
        seen[id] += 1
        if source.get(id) != tuple(values):
            yield f"event {sequence} is {values}, the row says {source.get(id)}"
        if previous != newest.get(symbol):
            yield f"event {sequence} follows {previous} of {symbol}, before it was {newest.get(symbol)}"
        newest[symbol] = sequence
    yield from compare_counts(seen, source)
    if set(books.rows("SELECT symbol, sequence FROM tb_symbols").items()) != {(s, (n,)) for s, n in newest.items()}:
        yield "the newest events of the symbols are not as in the outbox"


def told(books, client):
    """What subscribers have seen, before and after each failure, is what is stored."""
    stored, after = {}, 0
    while True:
        page = client.ok("EventService.ListEvents", after_sequence=after, page_size=1000)
        if not page.events:
            break
        for event in page.events:
            stored[event.sequence] = event.SerializeToString(deterministic=True)
        after = page.next_after_sequence
    if len(stored) != len(books.closed):
        yield f"{len(books.closed)} trades were closed, there are {len(stored)} events"
    for sequence, event in books.running.witness.seen.items():
        if stored.get(sequence) != event:
            yield f"event {sequence} was {'another one' if sequence in stored else 'there'} when a subscriber saw it"


def figures(books, client):
    """Every figure of the performance, computed from the rows."""
    rows = ledger.Ledger(books.path)
    trades = rows.window()
    answer = client.ok("AnalyticsService.GetPerformance")
    try:
        ledger.assert_message(answer.total, ledger.performance(trades, ledger.days_of(trades, None, None)), "total")
    except AssertionError as difference:
        yield str(difference).splitlines()[0]
    sums = books.db.execute("SELECT count(*), sum(outcome='win'), sum(outcome='loss') FROM signal_results "
                            "WHERE outcome<>'open'").fetchone()
    if (answer.total.n, answer.total.wins, answer.total.losses) != tuple(value or 0 for value in sums):
        yield f"{answer.total.n} trades, {answer.total.wins} won, SQL says {sums}"


def replays(books, client, server, chance):
    """Old requests once more, over new connections: the first answers, no effect.
    Their ids with another body are refused."""
    everything = books.running.requests()
    before = book.File(server.db).counts()
    for owner, request in chance.sample(everything, min(REPLAYED, len(everything))):
        if (reply := client.exchange(request.body)) != request.reply:
            yield f"{request} was answered {traffic.show(request.reply)}, and now {traffic.show(reply)}"
        other = book.request_of("PatternService.RecordPatternOutcome", pattern_hash="00" * 32, won=True)
        envelope = book.envelope("PatternService.RecordPatternOutcome", other, request.id, metadata=owner.metadata)
        code = client.call_raw(envelope.SerializeToString()).code
        if code != book.FAILED_PRECONDITION:
            yield f"the id of {request} was taken for another one: {book.rpc_pb2.Code.Name(code)}"
    if book.File(server.db).counts() != before:
        yield "retries have changed the number of rows"
