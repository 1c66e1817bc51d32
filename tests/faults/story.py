"""A trading day in steps, the same each time: what is sent, and what the database
holds after it. Requests have ids of their own, so a step can be sent again until
every request of it has its effect.

A step is a list of requests that are sent at once, or something that another
program does. The picture names rows by words, so ids may differ.
"""

import contextlib
import hashlib
import sqlite3
import uuid

import book
from book import types_pb2

BASE = 1_700_000_000
LARGE = 120 * 1024
REWRITES = 36  # of a large note, 30 pages each: together more pages than start a checkpoint


class Request:
    """One request of a step. fields: what it says, given the ids of the signals that
    were created before."""

    def __init__(self, word, method, fields, signals=None):
        self.word = word
        self.method = method
        self.fields = fields
        self.signals = signals  # the words of the signals it creates
        self.id = uuid.uuid5(uuid.NAMESPACE_OID, word).bytes

    def envelope(self, ids):
        return book.envelope(self.method, book.request_of(self.method, **self.fields(ids)), self.id).SerializeToString()

    def learn(self, reply, ids):
        """Takes the ids of new signals from the answer, which must be a whole success."""
        response = book.response_of(self.method, reply)
        results = getattr(response, "results", [])
        assert all(not result.HasField("status") for result in results), (self.word, response)
        if self.signals is not None:
            ids.update(zip(self.signals, [result.id for result in results] or [response.id]))


def hash_of(name):
    return hashlib.sha256(name.encode()).hexdigest()


def at(minutes):
    return book.timestamp(BASE + 60 * minutes)


def signal(word, **given):
    values = dict(notes=word, timestamp=at(0), entry_price=100.0, tp_price=110.0, sl_price=95.0,
                  strategy="v7_full_math", session="london", model_version="lstm-1")
    return book.signal(**{**values, **given})


def create(word, **given):
    return Request(f"create {word}", "SignalService.CreateSignal", lambda ids: {"signal": signal(word, **given)}, [word])


def create_many(words):
    return Request("create many", "SignalService.BatchCreateSignals",
                   lambda ids: {"signals": [signal(word) for word in words]}, words)


def opening(ids, word, **given):
    return {"signal_id": ids[word], "entry_time": at(1), "quantity": 2.0, "fees_usd": 0.5, **given}


def closing(ids, word, price, **given):
    return {"signal_id": ids[word], "exit_price": price, "exit_time": at(31), "exit_reason": "tp_hit",
            "fees_usd": 0.25, **given}


def open_trade(word):
    return Request(f"open {word}", "TradeService.OpenTrade", lambda ids: opening(ids, word))


def close_trade(word, price, **given):
    return Request(f"close {word}", "TradeService.CloseTrade", lambda ids: closing(ids, word, price, **given))


def close_many(words):
    return Request("close many", "TradeService.BatchCloseTrades",
                   lambda ids: {"trades": [closing(ids, word, 90.0 + 10 * i) for i, word in enumerate(words)]})


def record_trade(word):
    def fields(ids):
        return {"open": book.request_of("TradeService.OpenTrade", **opening(ids, word)),
                "close": book.request_of("TradeService.CloseTrade", **closing(ids, word, 104.0))}
    return Request(f"record {word}", "TradeService.RecordTrade", fields)


def model(version):
    deployment = book.model_deployment(version=version, deployed_at=at(0))
    return Request(f"model {version}", "ModelService.CreateModelDeployment",
                   lambda ids: {"model_deployment": deployment})


def simple(word, method, **fields):
    return Request(word, method, lambda ids: fields)


def theories(word):
    def fields(ids):
        return {"theory_records": [book.theory_record(ids[word], theory_name=name, contribution_score=0.5)
                                   for name in ("shannon_entropy", "kelly", "hurst")]}
    return Request(f"theories of {word}", "TheoryService.BatchCreateTheoryRecords", fields)


def note(word, number):
    """Differs from the one before on every page: SQLite writes only pages that change."""
    return f"{word} {number} ".ljust(LARGE, "xyz"[number % 3])


def rewrite(word, number):
    return Request(f"rewrite {word}", "SignalService.UpdateSignal",
                   lambda ids: {"signal": book.signal_pb2.Signal(id=ids[word], notes=note(word, number))})


class Neighbour:
    """A step of another program: it rewrites a note until the log is so long that the
    server's next commit moves it into the database. Its own calls do not fail."""

    def __init__(self, word):
        self.word = word

    def write(self, db):
        with contextlib.closing(sqlite3.connect(str(db), timeout=60)) as connection:
            connection.executescript("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0;")
            for number in range(REWRITES):
                with connection:
                    connection.execute("UPDATE signals SET notes = ? WHERE notes = ? OR notes LIKE ?",
                                       (note(self.word, number), self.word, self.word + " %"))


def steps():
    patterns = [book.pattern(name=name, pattern_hash=hash_of(name)) for name in ("flag", "wedge")]
    snapshot = book.risk_snapshot(signal_id="own key")
    hashes = [hash_of("flag"), hash_of("wedge")]
    return [
        [create("s1")],
        [simple("patterns", "PatternService.BatchCreatePatterns", patterns=patterns)],
        [theories("s1")],
        [open_trade("s1")],
        [create(word) for word in ("s2", "s3", "s4", "s5", "s6", "s7")],
        [create("short", direction=types_pb2.DIRECTION_SHORT, tp_price=90.0, sl_price=105.0, symbol="ETH-USD",
                strategy="v7_deepseek_only")],
        [create_many([f"m{i}" for i in range(12)])],
        [open_trade(word) for word in ("s2", "s3", "short", "m0")],
        [close_trade("s1", 112.0, pattern_hashes=hashes)],
        [model("lstm-a"), model("lstm-b")],
        [simple("promote a", "ModelService.PromoteModel", version="lstm-a")],
        [simple("promote b", "ModelService.PromoteModel", version="lstm-b")],
        [simple("roll back b", "ModelService.RollbackModel", version="lstm-b", reason="worse")],
        [close_many(["s2", "s3"])],
        [record_trade("s4")],
        [close_trade("short", 96.0, pattern_hashes=hashes[:1])],
        [simple("outcome", "PatternService.RecordPatternOutcome", pattern_hash=hashes[1], won=False)],
        [simple("snapshot", "RiskService.CreateRiskSnapshot", risk_snapshot=snapshot)],
        [simple("cursor", "EventService.SetCursor", name="alerts", sequence=2)],
        Neighbour("s5"),
        [rewrite("s5", REWRITES)],
        [open_trade("s5"), open_trade("s6")],
        [close_trade("s5", 103.0, exit_reason="manual")],
        [create("last")],
    ]


READS = [
    ("SignalService.ListSignals", {"filter": "symbol = 'BTC-USD' AND confidence > 0.5", "order_by": "timestamp desc, id"}),
    ("TradeService.ListSignalResults", {}),
    ("TradeService.ListOpenPositions", {}),
    ("EventService.ListEvents", {}),
    ("ModelService.ListModelHistory", {}),
    ("PatternService.ListPatterns", {}),
    ("AnalyticsService.GetPerformance", {"breakdown": 1}),
    ("AnalyticsService.GetEquityCurve", {}),
    ("AnalyticsService.CompareStrategies", {}),
    ("AnalyticsService.RankTheories", {}),
    ("AnalyticsService.RankPatterns", {}),
    ("AnalyticsService.GetCalibration", {}),
    ("AnalyticsService.ListProductionModels", {}),
    ("AdminService.GetServerInfo", {}),
]

# What must be equal whatever happened on the way. Rows are named by the first word
# of their signal's notes; when a row was made and by which id is nobody's promise.
_WORD = "substr(s.notes, 1, instr(s.notes || ' ', ' ') - 1)"
_PICTURE = {
    "signals": f"SELECT {_WORD}, substr(s.notes, 1, 12), length(s.notes), timestamp, symbol, direction, executed, "
               "execution_time, execution_price, result, exit_time, exit_price, pnl FROM signals s ORDER BY 1",
    "results": f"SELECT {_WORD}, r.entry_price, entry_timestamp, r.exit_price, exit_timestamp, exit_reason, pnl_percent, "
               "pnl_usd, outcome, hold_duration_minutes FROM signal_results r LEFT JOIN signals s ON s.id = r.signal_id "
               "ORDER BY 1",
    "terms": f"SELECT {_WORD}, quantity, fees_usd, mode, breakeven_band, publish FROM tb_trades t "
             "LEFT JOIN signals s ON s.id = t.signal_id ORDER BY 1",
    "theories": f"SELECT {_WORD}, theory_name, contribution_score, was_correct FROM theory_performance t "
                "LEFT JOIN signals s ON s.id = t.signal_id ORDER BY 1, 2",
    "patterns": "SELECT name, wins, total, win_rate FROM patterns ORDER BY 1",
    "snapshots": f"SELECT coalesce({_WORD}, k.signal_id), pair, k.entry_time, k.entry_price, k.tp_price, k.sl_price, "
                 "rr_expected, k.result, k.exit_time, k.exit_price, r_realized, time_to_tp_sl_seconds, mode "
                 "FROM risk_book_snapshots k LEFT JOIN signals s ON CAST(s.id AS TEXT) = k.signal_id ORDER BY 1",
    "models": "SELECT version, is_promoted, is_active, rollback_reason FROM model_deployments ORDER BY 1",
    "tenures": "SELECT version, model_type, demoted_at IS NULL, rollback_reason FROM tb_model_tenures ORDER BY id",
    "events": f"SELECT sequence, previous, {_WORD}, e.symbol, e.entry_price, e.exit_price, pnl_usd, outcome, quantity, "
              "fees_usd, r_realized FROM tb_events e LEFT JOIN signals s ON s.id = e.signal_id ORDER BY 1",
    "symbols": "SELECT symbol, sequence FROM tb_symbols ORDER BY 1",
    "cursors": "SELECT name, sequence FROM tb_cursors ORDER BY 1",
}
TABLES = [*book.TABLES, "tb_trades", "tb_model_tenures", "tb_events", "tb_symbols", "tb_cursors", "tb_requests"]


@contextlib.contextmanager
def _opened(db):
    with contextlib.closing(sqlite3.connect(str(db), timeout=60)) as connection:
        yield connection


def picture(db):
    """Everything that the story promises, as a dictionary of lists of rows."""
    with _opened(db) as connection:
        connection.execute("BEGIN")
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tb_requests'").fetchone():
            return {name: [] for name in _PICTURE}
        return {name: connection.execute(sql).fetchall() for name, sql in _PICTURE.items()}


def difference(expected, found):
    """In what two pictures differ, for people; "" if in nothing."""
    lines = []
    for name, rows in expected.items():
        lines += [f"{name}: missing {row}" for row in rows if row not in found[name]]
        lines += [f"{name}: too much {row}" for row in found[name] if row not in rows]
        if sorted(map(repr, rows)) != sorted(map(repr, found[name])) and not lines:
            lines.append(f"{name}: some rows are there twice")
    return "\n".join(lines)


def executed(db):
    """The ids of the requests that the server remembers to have executed."""
    with _opened(db) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tb_requests'").fetchone():
            return set()
        return {row[0] for row in connection.execute("SELECT request_id FROM tb_requests")}


def unbegun(db):
    """What is wrong with a file that no server has served yet: it is not there, empty
    or whole."""
    if not db.exists():
        return []
    with _opened(db) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('signals', 'tb_requests')").fetchone()[0]
        begun = [] if tables in (0, 2) else ["a part of the tables"]
    return begun + soundness(db)


def soundness(db):
    """What is wrong with the file itself, [] if nothing is."""
    with _opened(db) as connection:
        wrong = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tb_events'").fetchone():
            return wrong
        wrong += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        sequences = [row[0] for row in connection.execute("SELECT sequence FROM tb_events ORDER BY sequence")]
        if sequences != list(range(1, len(sequences) + 1)):
            wrong.append(f"events are not dense: {sequences}")
        closed = connection.execute("SELECT count(*) FROM signal_results WHERE outcome <> 'open'").fetchone()[0]
        if closed != len(sequences):
            wrong.append(f"{closed} trades are closed, {len(sequences)} events are there")
        return wrong
