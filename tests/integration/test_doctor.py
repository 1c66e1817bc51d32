"""tradebook doctor: every kind of fault, planted into a copy of the users' database
and into one that tradebook has made, is found where it is and nowhere else; the
repair restores what was there and touches nothing else."""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import sqlite3
import types

import book
import pytest
import serving
import trades
from book import types_pb2

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))
CLEAN, FOUND, USAGE = 0, 1, 2
ENTRY_AT = 1_700_000_000
LONG, SHORT, HOLD = types_pb2.DIRECTION_LONG, types_pb2.DIRECTION_SHORT, types_pb2.DIRECTION_HOLD

# The trades that are open in the users' database are older than any default.
NEVER_STUCK = ("--stuck-days", "100000")


def doctor(db, *options):
    """Runs it; what it says as JSON."""
    run = serving.run("doctor", db, "--format", "json", "--examples", "1000", *NEVER_STUCK, *options)
    assert run.returncode in (CLEAN, FOUND), run.stderr
    said = json.loads(run.stdout)
    assert (run.returncode == CLEAN) == (not said["findings"])
    return said


def found(said):
    """{rule: {(table, key)}} of all findings."""
    for finding in said["findings"]:
        assert finding["count"] == len(finding["examples"]) >= 1
        assert 0 <= finding["repairable"] <= finding["count"]
    return {f["rule"]: {(e["table"], e["key"]) for e in f["examples"]} for f in said["findings"]}


@contextlib.contextmanager
def changing(path):
    """Plain SQL by another program, without waiting for the disk."""
    with trades.connection(path) as db:
        db.execute("PRAGMA synchronous = OFF")
        yield db


def dump(path):
    with changing(path) as db:
        return list(db.iterdump())


# --- two databases without faults ---

USERS = types.SimpleNamespace(long=3, short=13, breakeven=16, open=4564, hold=1, untraded=2)
# The only thing that the users' database lacks.
USERS_OWN = {"missing-index": {("index", "ix_theory_performance_was_correct")}}


def trade(client, signal, exit_price, quantity=2.5, fees=0.5, **given):
    client.ok("TradeService.OpenTrade", signal_id=signal, entry_time=book.timestamp(ENTRY_AT), quantity=quantity,
              fees_usd=fees)
    if exit_price is not None:
        client.ok("TradeService.CloseTrade", **{
            "signal_id": signal, "exit_price": exit_price, "exit_time": book.timestamp(ENTRY_AT + 3661),
            "exit_reason": "manual", "fees_usd": 0.25, **given})


def make_own(path, band):
    """A database of real use: every RPC that writes, on both sides, with fees."""
    with serving.Server(path, "--breakeven-band", band) as server, book.Client(server.address) as client:
        def signal(direction, entry=100.0, **given):
            side = {LONG: 1, SHORT: -1, HOLD: 0}[direction]
            levels = {"entry_price": entry, "tp_price": entry + side * entry / 10,
                      "sl_price": entry - side * entry / 30} if side else {}
            record = client.ok("SignalService.CreateSignal", signal=book.signal(
                direction=direction, session="london", latency_ms=3.5, **{**levels, **given}))
            client.ok("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(record.id))
            return record.id

        pattern = book.pattern()
        client.ok("PatternService.CreatePattern", pattern=pattern)
        for win in (True, False, True):
            client.ok("PatternService.RecordPatternOutcome", pattern_hash=pattern.pattern_hash, won=win)
        for version in ("m-1", "m-2"):
            model = client.ok("ModelService.CreateModelDeployment",
                              model_deployment=book.model_deployment(version=version, metrics_json='{"loss": 0.5}'))
            client.ok("ModelService.PromoteModel", version=version)
        ids = types.SimpleNamespace(
            long=signal(LONG), short=signal(SHORT), breakeven=signal(LONG, symbol="ADA-USD"), open=signal(LONG),
            hold=signal(HOLD), untraded=signal(LONG), model=model.id)
        trade(client, ids.long, 110.0, pattern_hashes=[pattern.pattern_hash])
        trade(client, ids.breakeven, 100.3)
        trade(client, ids.short, 93.7)
        trade(client, ids.open, None)
        # Away from the signal's price, tiny and large, without a snapshot, unpublished.
        trade(client, signal(LONG, entry=0.00001234), 0.00001301, quantity=1e9)
        trade(client, signal(SHORT, entry=98765.4321), 101234.5678, quantity=0.0001)
        trade(client, signal(LONG, sl_price=None, tp_price=None), 99.0, fees=0)
        client.ok("TradeService.RecordTrade", publish=False, open=book.trade_pb2.OpenTradeRequest(
            signal_id=signal(LONG), entry_price=120.0, entry_time=book.timestamp(ENTRY_AT)),
            close=book.trade_pb2.CloseTradeRequest(exit_price=119.0, exit_time=book.timestamp(ENTRY_AT + 59),
                                                   exit_reason="sl_hit"))
        client.ok("RiskService.CreateRiskSnapshot", risk_snapshot=book.risk_snapshot(tp_price=90.0, sl_price=105.0))
        client.ok("TheoryService.GradeTheories", signal_id=ids.untraded, was_correct=True)
    return ids


@pytest.fixture(scope="module", params=["0", "0.5"], ids=["band-0", "band-0.5"])
def own_clean(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "book.db"
    return path, make_own(path, request.param)


@pytest.fixture(scope="module")
def own_master(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "book.db"
    return path, make_own(path, "0.5")


@pytest.fixture(params=["users", "own"])
def planted(request, tmp_path):
    """A fresh copy of each database, its ids, and what is found before."""
    if request.param == "users":
        if not FIXTURE.is_file():
            pytest.skip("TRADEBOOK_FIXTURE names no database")
        master, ids, before = FIXTURE, USERS, USERS_OWN
    else:
        (master, ids), before = request.getfixturevalue("own_master"), {}
    path = tmp_path / "copy.db"
    shutil.copyfile(master, path)
    return path, ids, before


@pytest.fixture
def own(own_master, tmp_path):
    path = tmp_path / "copy.db"
    shutil.copyfile(own_master[0], path)
    return path, own_master[1]


def test_real_use_gives_no_finding(own_clean):
    path, _ = own_clean
    assert found(doctor(path)) == {}


def test_the_users_database_lacks_an_index_and_has_old_open_trades(tmp_path):
    if not FIXTURE.is_file():
        pytest.skip("TRADEBOOK_FIXTURE names no database")
    assert found(doctor(FIXTURE)) == USERS_OWN
    stuck = found(doctor(FIXTURE, "--stuck-days", "1"))["open-stuck"]
    assert stuck == {("signal_results", key) for (key,) in
                     book.File(FIXTURE).query("SELECT id FROM signal_results WHERE outcome = 'open'")}


# --- the faults: each changes a database and says what is to be found ---

FAULTS = {}


def fault(rule):
    def register(plant):
        FAULTS[rule] = plant
        return plant
    return register


def result_of(db, signal):
    return db.execute("SELECT id FROM signal_results WHERE signal_id = ?", (signal,)).fetchone()[0]


def only(rule, table, key):
    return {rule: {(table, key)}}


def invert(db, signal, side):
    """The result as the users' old code computed it for the other direction, with all
    that follows from it."""
    terms = (1.0, 0.0)
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tb_trades'").fetchone():
        terms = db.execute("SELECT quantity, fees_usd FROM tb_trades WHERE signal_id = ?", (signal,)).fetchone()
    quantity, fees = terms
    entry, exit = db.execute("SELECT entry_price, exit_price FROM signal_results WHERE signal_id = ?",
                             (signal,)).fetchone()
    pnl = -side * (exit - entry) * quantity - fees
    outcome = "win" if pnl > 0 else "loss"
    db.execute("UPDATE signal_results SET pnl_usd = ?, pnl_percent = ?, outcome = ? WHERE signal_id = ?",
               (pnl, pnl / (entry * quantity) * 100, outcome, signal))
    db.execute("UPDATE signals SET pnl = ?, result = ? WHERE id = ?", (pnl, outcome, signal))
    db.execute("UPDATE risk_book_snapshots SET result = ? WHERE signal_id = ?", (outcome, str(signal)))


@fault("pnl-inverted-short")
def plant(db, ids):
    invert(db, ids.short, -1)
    return only("pnl-inverted-short", "signal_results", result_of(db, ids.short))


@fault("pnl-inverted-long")
def plant(db, ids):
    invert(db, ids.long, 1)
    return only("pnl-inverted-long", "signal_results", result_of(db, ids.long))


@fault("pnl-wrong")
def plant(db, ids):
    db.execute("UPDATE signal_results SET pnl_usd = pnl_usd * 1.01 WHERE signal_id = ?", (ids.short,))
    db.execute("UPDATE signals SET pnl = pnl * 1.01 WHERE id = ?", (ids.short,))
    return only("pnl-wrong", "signal_results", result_of(db, ids.short))


@fault("pnl-percent-wrong")
def plant(db, ids):
    db.execute("UPDATE signal_results SET pnl_percent = pnl_percent + 0.01 WHERE signal_id = ?", (ids.long,))
    return only("pnl-percent-wrong", "signal_results", result_of(db, ids.long))


def set_outcome(db, signal, outcome, result):
    db.execute("UPDATE signal_results SET outcome = ? WHERE signal_id = ?", (outcome, signal))
    db.execute("UPDATE signals SET result = ? WHERE id = ?", (result, signal))
    db.execute("UPDATE risk_book_snapshots SET result = ? WHERE signal_id = ?", (result, str(signal)))
    return only("outcome-wrong", "signal_results", result_of(db, signal))


@fault("outcome-wrong")
def plant(db, ids):
    return set_outcome(db, ids.long, "loss", "loss")


@fault("outcome-wrong: a win called breakeven")
def plant(db, ids):
    return set_outcome(db, ids.long, "breakeven", None)


@fault("trade-on-hold")
def plant(db, ids):
    db.execute("UPDATE signals SET direction = 'hold' WHERE id = ?", (ids.long,))
    return only("trade-on-hold", "signal_results", result_of(db, ids.long))


SIGNAL_DIFFERS = {
    "pnl": "pnl = pnl + 0.5",
    "result": "result = 'pending'",
    "no result": "result = NULL",
    "exit price": "exit_price = exit_price * 1.0001",
    "exit time": "exit_time = '2026-01-01 00:00:00.000000'",
    "execution": "execution_price = execution_price * 1.0001",
    "executed": "executed = 0",
}
for what, change in SIGNAL_DIFFERS.items():
    @fault("signal-contradicts-result: " + what)
    def plant(db, ids, change=change):
        db.execute(f"UPDATE signals SET {change} WHERE id = ?", (ids.long,))
        return only("signal-contradicts-result", "signals", ids.long)


@fault("signal-contradicts-result: open")
def plant(db, ids):
    db.execute("UPDATE signals SET result = 'win' WHERE id = ?", (ids.open,))
    return only("signal-contradicts-result", "signals", ids.open)


@fault("snapshot-contradicts-result")
def plant(db, ids):
    db.execute("UPDATE risk_book_snapshots SET result = 'loss' WHERE signal_id = ?", (str(ids.long),))
    return only("snapshot-contradicts-result", "risk_book_snapshots", str(ids.long))


@fault("executed-without-result")
def plant(db, ids):
    db.execute("UPDATE signals SET executed = 1 WHERE id = ?", (ids.untraded,))
    return only("executed-without-result", "signals", ids.untraded)


@fault("closed-without-exit")
def plant(db, ids):
    db.execute("UPDATE signal_results SET exit_timestamp = NULL WHERE signal_id = ?", (ids.long,))
    return only("closed-without-exit", "signal_results", result_of(db, ids.long))


@fault("closed-without-exit: no price")
def plant(db, ids):
    db.execute("UPDATE signal_results SET exit_price = NULL WHERE signal_id = ?", (ids.long,))
    return only("closed-without-exit", "signal_results", result_of(db, ids.long))


@fault("open-with-exit")
def plant(db, ids):
    db.execute("UPDATE signal_results SET exit_price = 1.0 WHERE signal_id = ?", (ids.open,))
    return only("open-with-exit", "signal_results", result_of(db, ids.open))


@fault("exit-before-entry")
def plant(db, ids):
    early = "2001-01-01 00:00:00.000000"
    db.execute("UPDATE signal_results SET exit_timestamp = ? WHERE signal_id = ?", (early, ids.long))
    db.execute("UPDATE signals SET exit_time = ? WHERE id = ?", (early, ids.long))
    db.execute("UPDATE risk_book_snapshots SET exit_time = ? WHERE signal_id = ?", (early, str(ids.long)))
    return {"exit-before-entry": {("signal_results", result_of(db, ids.long)),
                                  ("risk_book_snapshots", str(ids.long))}}


@fault("hold-duration-wrong")
def plant(db, ids):
    db.execute("UPDATE signal_results SET hold_duration_minutes = hold_duration_minutes + 1 WHERE signal_id = ?",
               (ids.long,))
    return only("hold-duration-wrong", "signal_results", result_of(db, ids.long))


@fault("open-stuck")
def plant(db, ids):
    db.execute("UPDATE signal_results SET entry_timestamp = '1700-01-01 00:00:00.000000' WHERE signal_id = ?",
               (ids.open,))
    return only("open-stuck", "signal_results", result_of(db, ids.open))


@fault("levels-wrong-side")
def plant(db, ids):
    db.execute("UPDATE signals SET sl_price = entry_price * 1.01 WHERE id = ?", (ids.untraded,))
    return only("levels-wrong-side", "signals", ids.untraded)


@fault("levels-wrong-side: snapshot")
def plant(db, ids):
    db.execute("INSERT INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, tp_price, sl_price, "
               "mode, created_at) VALUES ('mine', 'BTC-USD', 'low', '2025-01-01 00:00:00.000000', 100.0, 110.0, 105.0,"
               " 'live', '2025-01-01 00:00:00.000000')")
    return only("levels-wrong-side", "risk_book_snapshots", "mine")


@fault("rr-expected-wrong")
def plant(db, ids):
    db.execute("UPDATE risk_book_snapshots SET rr_expected = rr_expected * 1.1 WHERE signal_id = ?",
               (str(ids.short),))
    return only("rr-expected-wrong", "risk_book_snapshots", str(ids.short))


@fault("r-realized-wrong")
def plant(db, ids):
    db.execute("UPDATE risk_book_snapshots SET r_realized = r_realized + 0.1 WHERE signal_id = ?", (str(ids.short),))
    return only("r-realized-wrong", "risk_book_snapshots", str(ids.short))


@fault("r-realized-wrong: sign")
def plant(db, ids):
    """Opened beyond its stop: the side is that of the signal, not of the stop."""
    db.execute("UPDATE risk_book_snapshots SET sl_price = entry_price * 1.001, "
               "rr_expected = abs(tp_price - entry_price) / (entry_price * 0.001), "
               "r_realized = -(exit_price - entry_price) / (entry_price * 0.001) WHERE signal_id = ?", (str(ids.long),))
    return only("r-realized-wrong", "risk_book_snapshots", str(ids.long))


NOW = "'2025-01-01 00:00:00.000000'"


def insert_open(db, signal):
    return db.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome, created_at, "
                      f"updated_at) VALUES (?, 1.0, {NOW}, 'open', {NOW}, {NOW})", (signal,)).lastrowid


@fault("orphan-result")
def plant(db, ids):
    return only("orphan-result", "signal_results", insert_open(db, 999_999))


@fault("orphan-theory")
def plant(db, ids):
    row = db.execute("INSERT INTO theory_performance (signal_id, theory_name, contribution_score, created_at) "
                     f"VALUES (999999, 'kalman_filter', 0.5, {NOW})").lastrowid
    return only("orphan-theory", "theory_performance", row)


@fault("orphan-snapshot")
def plant(db, ids):
    db.execute("INSERT INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, mode, created_at) "
               f"VALUES ('999999', 'BTC-USD', 'low', {NOW}, 1.0, 'live', {NOW})")
    return only("orphan-snapshot", "risk_book_snapshots", "999999")


@fault("result-twice")
def plant(db, ids):
    db.execute("DROP INDEX ix_signal_results_signal_id")
    row = insert_open(db, ids.open)
    execution = db.execute("SELECT execution_price FROM signals WHERE id = ?", (ids.open,)).fetchone()[0]
    db.execute("UPDATE signal_results SET entry_price = ? WHERE id = ?", (execution, row))
    return {"result-twice": {("signal_results", row)},
            "missing-index": {("index", "ix_signal_results_signal_id")}}


@fault("pattern-hash-twice")
def plant(db, ids):
    db.execute("DROP INDEX ix_patterns_pattern_hash")
    row = db.execute("INSERT INTO patterns (name, pattern_hash, wins, total, win_rate, created_at, updated_at) "
                     f"SELECT 'again', pattern_hash, 0, 0, 0.0, {NOW}, {NOW} FROM patterns LIMIT 1").lastrowid
    return {"pattern-hash-twice": {("patterns", row)}, "missing-index": {("index", "ix_patterns_pattern_hash")}}


@fault("model-version-twice")
def plant(db, ids):
    db.execute("DROP INDEX ix_model_deployments_version")
    row = db.execute("INSERT INTO model_deployments (version, model_path, model_type, deployed_at, is_promoted, "
                     f"is_active) SELECT version, 'm.pt', 'lstm', {NOW}, 0, 1 FROM model_deployments LIMIT 1").lastrowid
    return {"model-version-twice": {("model_deployments", row)},
            "missing-index": {("index", "ix_model_deployments_version")}}


@fault("theory-twice")
def plant(db, ids):
    row = db.execute("INSERT INTO theory_performance (signal_id, theory_name, contribution_score, created_at) "
                     "SELECT signal_id, theory_name, 0.5, created_at FROM theory_performance LIMIT 1").lastrowid
    return only("theory-twice", "theory_performance", row)


@fault("win-rate-wrong")
def plant(db, ids):
    db.execute("UPDATE patterns SET win_rate = round(win_rate, 2) + 0.001 WHERE id = 1")
    return only("win-rate-wrong", "patterns", 1)


@fault("pattern-counts-impossible")
def plant(db, ids):
    db.execute("UPDATE patterns SET wins = total + 1 WHERE id = 1")
    return only("pattern-counts-impossible", "patterns", 1)


@fault("promoted-twice")
def plant(db, ids):
    rows = []
    for version in ("twice-1", "twice-2"):
        rows.append(db.execute("INSERT INTO model_deployments (version, model_path, model_type, deployed_at, "
                               f"is_promoted, is_active) VALUES (?, 'm.pt', 'other', {NOW}, 1, 1)",
                               (version,)).lastrowid)
    return {"promoted-twice": {("model_deployments", row) for row in rows}}


@fault("promoted-inactive")
def plant(db, ids):
    row = db.execute("INSERT INTO model_deployments (version, model_path, model_type, deployed_at, is_promoted, "
                     f"is_active) VALUES ('idle', 'm.pt', 'other', {NOW}, 1, 0)").lastrowid
    return only("promoted-inactive", "model_deployments", row)


# Values by themselves: table, change, rows.
VALUES = {
    "value-type": ("signals", "lstm_prediction = 'much'"),
    "value-type: boolean": ("signals", "executed = 2"),
    "value-type: blob": ("signals", "session = x'00ff'"),
    "number-infinite": ("signals", "lstm_prediction = 9e999"),
    "price-not-positive": ("signals", "execution_price = 0"),
    "share-out-of-range": ("signals", "confidence = 1.5"),
    "number-negative": ("signals", "latency_ms = -1"),
    "word-unknown": ("signals", "tier = 'extreme'"),
    "word-case": ("signals", "tier = upper(tier)"),
    "text-invalid": ("signals", "notes = CAST(x'61ff62' AS TEXT)"),
    "text-invalid: NUL": ("signals", "session = 'a' || char(0) || 'b'"),
    "text-too-long": ("signals", "session = 'a session of twenty-eight characters'"),
    "text-odd": ("signals", "session = ' '"),
    "timestamp-unreadable": ("signals", "timestamp = 'yesterday'"),
    "timestamp-form": ("signals", "timestamp = '2025-11-01T00:00:00Z'"),
    "timestamp-future": ("signals", "timestamp = '2999-01-01 00:00:00.000000'"),
    "hash-invalid": ("patterns", "pattern_hash = 'abc'"),
    "json-invalid": ("model_deployments", "metrics_json = '{\"loss\": }'"),
    "json-invalid: number": ("model_deployments", "metrics_json = '17'"),
}
for name, (table, change) in VALUES.items():
    @fault(name)
    def plant(db, ids, name=name, table=table, change=change):
        key = ids.hold if table == "signals" else 1
        assert db.execute(f"UPDATE {table} SET {change} WHERE id = ?", (key,)).rowcount == 1
        return only(name.split(":")[0], table, key)


@fault("value-missing")
def plant(db, ids):
    # As a table that was made anew without its rule.
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, 'confidence FLOAT NOT NULL', 'confidence FLOAT') "
               "WHERE name = 'signals'")
    db.execute("PRAGMA writable_schema = RESET")
    db.execute("UPDATE signals SET confidence = ? WHERE id = ?", (float("nan"), ids.hold))
    return only("value-missing", "signals", ids.hold)


@fault("missing-table")
def plant(db, ids):
    db.execute("DROP TABLE patterns")
    return {"missing-table": {("table", "patterns")},
            "missing-index": {("index", "ix_patterns_name"), ("index", "ix_patterns_pattern_hash")}}


@fault("missing-column")
def plant(db, ids):
    for (trigger,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("ALTER TABLE signals DROP COLUMN strategy")
    return {"missing-column": {("column", "signals.strategy")}}


@fault("missing-index")
def plant(db, ids):
    db.execute("DROP INDEX ix_signals_symbol")
    return only("missing-index", "index", "ix_signals_symbol")


def merged(*findings):
    all_of = {}
    for finding in findings:
        for rule, places in finding.items():
            all_of[rule] = all_of.get(rule, set()) | places
    return all_of


def without_triggers(findings):
    return {rule: places for rule, places in findings.items() if rule != "missing-trigger"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_where_it_is(planted, name):
    path, ids, before = planted
    if ids is USERS and book.SCALE < 1:
        pytest.skip("a build with sanitizers looks at the smaller database only")
    with changing(path) as db:
        expected = FAULTS[name](db, ids)
    content = path.read_bytes()
    said = found(doctor(path))
    if name == "missing-column": # the triggers went with it
        said = without_triggers(said)
    assert said == merged(before, expected)
    assert path.read_bytes() == content
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


# --- faults in what only tradebook's own databases have ---

OWN_FAULTS = {}


def own_fault(rule):
    def register(plant):
        OWN_FAULTS[rule] = plant
        return plant
    return register


@own_fault("missing-trigger")
def plant(db, ids):
    db.execute("DROP TRIGGER tb_signal_results_close")
    return only("missing-trigger", "trigger", "tb_signal_results_close")


@own_fault("trigger-differs")
def plant(db, ids):
    db.execute("DROP TRIGGER tb_signal_results_forget")
    db.execute("CREATE TRIGGER tb_signal_results_forget AFTER DELETE ON signal_results BEGIN SELECT 1; END")
    return only("trigger-differs", "trigger", "tb_signal_results_forget")


@own_fault("missing-table")
def plant(db, ids):
    db.execute("DROP TABLE tb_cursors")
    return only("missing-table", "table", "tb_cursors")


@own_fault("missing-index")
def plant(db, ids):
    db.execute("DROP INDEX tb_requests_key")
    return only("missing-index", "index", "tb_requests_key")


@own_fault("orphan-terms")
def plant(db, ids):
    db.execute("INSERT INTO tb_trades VALUES (999999, 1.0, 0.0, 'live', NULL, 1, 0.0)")
    return only("orphan-terms", "tb_trades", 999_999)


def event_of(db, signal):
    return db.execute("SELECT sequence FROM tb_events WHERE signal_id = ?", (signal,)).fetchone()[0]


@own_fault("event-gap")
def plant(db, ids):
    gone = event_of(db, ids.breakeven) # the only one of its symbol
    db.execute("DELETE FROM tb_events WHERE sequence = ?", (gone,))
    return {"event-gap": {("tb_events", gone + 1)},
            "event-missing": {("signal_results", result_of(db, ids.breakeven))}}


@own_fault("event-chain-broken")
def plant(db, ids):
    last = db.execute("SELECT max(sequence) FROM tb_events").fetchone()[0]
    db.execute("UPDATE tb_events SET previous = NULL WHERE sequence = ?", (last,))
    return only("event-chain-broken", "tb_events", last)


@own_fault("event-newest-wrong")
def plant(db, ids):
    db.execute("UPDATE tb_symbols SET sequence = 1 WHERE symbol = 'BTC-USD'")
    return only("event-newest-wrong", "tb_events", db.execute(
        "SELECT max(sequence) FROM tb_events WHERE symbol = 'BTC-USD'").fetchone()[0])


@own_fault("event-missing")
def plant(db, ids):
    # A program without triggers, as after it has made its tables anew.
    sql = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'tb_signal_results_close'").fetchone()[0]
    db.execute("DROP TRIGGER tb_signal_results_close")
    [signal] = trades.closed_by(db)
    db.execute("UPDATE signals SET executed = 1, result = 'win' WHERE id = ?", (signal,))
    db.execute(sql)
    return only("event-missing", "signal_results", result_of(db, signal))


@own_fault("event-contradicts-result")
def plant(db, ids):
    sequence = event_of(db, ids.long)
    db.execute("UPDATE tb_events SET pnl_usd = pnl_usd + 1 WHERE sequence = ?", (sequence,))
    return only("event-contradicts-result", "tb_events", sequence)


@own_fault("event-twice")
def plant(db, ids):
    db.execute("UPDATE signal_results SET outcome = 'open' WHERE signal_id = ?", (ids.long,))
    db.execute("UPDATE signal_results SET outcome = 'win' WHERE signal_id = ?", (ids.long,))
    return only("event-twice", "tb_events", db.execute("SELECT max(sequence) FROM tb_events").fetchone()[0])


@pytest.mark.parametrize("name", OWN_FAULTS)
def test_a_fault_of_ours_is_found_where_it_is(own, name):
    path, ids = own
    with changing(path) as db:
        expected = OWN_FAULTS[name](db, ids)
    assert found(doctor(path)) == expected


def test_every_rule_has_its_fault(own):
    rules = {name.split(":")[0] for name in [*FAULTS, *OWN_FAULTS]} | {"damaged"}
    assert doctor(own[0])["rules"] == len(rules)


# --- what is no fault ---


def test_rounding_is_no_fault(planted):
    path, ids, before = planted
    with changing(path) as db:
        db.execute("UPDATE signal_results SET pnl_usd = round(pnl_usd, 4), pnl_percent = round(pnl_percent, 2) "
                   "WHERE signal_id = ?", (ids.short,))
        db.execute("UPDATE risk_book_snapshots SET rr_expected = round(rr_expected, 2), "
                   "r_realized = round(r_realized, 3)")
    assert found(doctor(path)) == before


def test_trades_of_unknown_size_are_judged_by_their_sign_alone(tmp_path):
    """A bot that trades other quantities than one, and pays fees that it does not
    record."""
    if not FIXTURE.is_file():
        pytest.skip("TRADEBOOK_FIXTURE names no database")
    path = pathlib.Path(shutil.copyfile(FIXTURE, tmp_path / "copy.db"))
    with changing(path) as db:
        db.execute("UPDATE signal_results SET pnl_usd = pnl_usd * (id % 7 + 2) - entry_price * 0.0001")
        db.execute("UPDATE signals SET pnl = (SELECT pnl_usd FROM signal_results r WHERE r.signal_id = signals.id)")
    assert found(doctor(path)) == USERS_OWN
    with changing(path) as db:
        invert(db, USERS.short, -1)
        db.execute("UPDATE signals SET pnl = NULL")
    assert found(doctor(path)) == {**USERS_OWN, "pnl-inverted-short": {
        ("signal_results", book.File(path).query("SELECT id FROM signal_results WHERE signal_id = 13")[0][0])}}


def test_a_correction_by_hand_does_not_contradict_its_event(own):
    path, ids = own
    with changing(path) as db:
        db.execute("UPDATE signal_results SET exit_reason = 'timeout' WHERE signal_id = ?", (ids.long,))
    assert found(doctor(path)) == {}


def test_forgotten_events_are_not_missed(own):
    path, ids = own
    with changing(path) as db:
        db.execute("DELETE FROM tb_events WHERE sequence < (SELECT max(sequence) FROM tb_events)")
    assert found(doctor(path)) == {}


def test_a_trade_made_in_the_millisecond_of_the_oldest_event_is_not_missed(own):
    """The event has milliseconds, what the trade says of itself microseconds."""
    path, ids = own
    with changing(path) as db:
        [forgotten] = trades.closed_by(db)
        [kept] = trades.closed_by(db)
        db.execute("UPDATE signals SET executed = 1, result = 'win' WHERE id IN (?, ?)", (forgotten, kept))
        db.execute("DELETE FROM tb_events WHERE signal_id <> ?", (kept,))
        db.execute("UPDATE signal_results SET created_at = (SELECT substr(created_at, 1, 23) || '999' FROM tb_events) "
                   "WHERE signal_id = ?", (forgotten,))
    assert found(doctor(path)) == {}
    with changing(path) as db:
        db.execute("UPDATE signal_results SET created_at = (SELECT strftime('%Y-%m-%d %H:%M:%f000', created_at, "
                   "'+0.001 seconds') FROM tb_events) WHERE signal_id = ?", (forgotten,))
        missing = result_of(db, forgotten)
    assert found(doctor(path)) == only("event-missing", "signal_results", missing)


def test_a_snapshot_of_another_pair_is_not_judged_by_the_signal_whose_id_it_has(own):
    """Its levels, R and result are those of a short, the signal is an open long."""
    path, ids = own
    with changing(path) as db:
        db.execute("UPDATE risk_book_snapshots SET pair = 'XRP-USD', entry_price = 100.0, tp_price = 90.0, "
                   "sl_price = 105.0, rr_expected = 2.0, exit_price = 90.0, r_realized = 2.0, result = 'win' "
                   "WHERE signal_id = ?", (str(ids.open),))
    assert found(doctor(path)) == {}
    with changing(path) as db:
        db.execute("UPDATE risk_book_snapshots SET pair = 'BTC-USD' WHERE signal_id = ?", (str(ids.open),))
    key = ("risk_book_snapshots", str(ids.open))
    assert found(doctor(path)) == {rule: {key} for rule in (
        "levels-wrong-side", "r-realized-wrong", "snapshot-contradicts-result")}


# --- repair ---

REPAIRABLE = ["hold-duration-wrong", "rr-expected-wrong", "r-realized-wrong", "win-rate-wrong", "missing-index",
              "word-case"]
OWN_REPAIRABLE = ["missing-trigger", "trigger-differs", "missing-index", "orphan-terms", "event-newest-wrong"]


def fix(path):
    said = doctor(path, "--fix")
    backup = pathlib.Path(said["backup"])
    assert backup.parent == path.parent and backup.name.startswith(path.name + ".before-fix-")
    return said, backup


def lines(path):
    return sorted(line for line in dump(path) if '"tb_changes"' not in line and '"sqlite_sequence"' not in line)


def test_repair_restores_what_was_there_and_nothing_else(planted):
    path, ids, before = planted
    is_own = before == {}
    clean = lines(path)
    with changing(path) as db:
        names = [FAULTS[name] for name in REPAIRABLE] + [OWN_FAULTS[name] for name in OWN_REPAIRABLE if is_own]
        expected = merged(before, *(plant(db, ids) for plant in names))
        if is_own: # elsewhere quantity and fees are not known
            expected = merged(expected, FAULTS["pnl-percent-wrong"](db, ids))
    faulty = dump(path)
    said, backup = fix(path)
    assert said["repaired"] == {rule: len(places) for rule, places in expected.items()}
    assert found(said) == {}
    assert lines(path) == sorted([*clean, *(
        ["CREATE INDEX ix_theory_performance_was_correct ON theory_performance (was_correct);"] if not is_own
        else [])])
    assert dump(backup) == faulty
    assert found(doctor(path)) == {}
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, backup.name]
    again = doctor(path, "--fix")
    assert (again["findings"], again["repaired"]) == ([], {}) and "backup" not in again


def test_repair_writes_the_same_moment_in_the_right_form(planted):
    path, ids, before = planted
    with changing(path) as db:
        db.execute("UPDATE signals SET timestamp = '2025-11-01T02:30:00.25+02:00' WHERE id = ?", (ids.hold,))
    said, _ = fix(path)
    assert said["repaired"]["timestamp-form"] == 1
    assert book.File(path).query("SELECT timestamp FROM signals WHERE id = ?", ids.hold) == [
        ("2025-11-01 00:30:00.250000",)]


def test_repair_makes_missing_tables_and_columns(planted):
    path, ids, before = planted
    with changing(path) as db:
        FAULTS["missing-column"](db, ids)
        FAULTS["missing-table"](db, ids)
    said, _ = fix(path)
    assert found(said) == {}
    assert book.File(path).query("SELECT count(*) FROM patterns") == [(0,)]
    assert set(book.File(path).query("SELECT DISTINCT strategy FROM signals")) == {("v7_full_math",)}
    with serving.Server(path) as server, book.Client(server.address) as client:
        client.ok("PatternService.CreatePattern", pattern=book.pattern())


def test_repair_leaves_what_has_more_than_one_answer(planted):
    path, ids, before = planted
    with changing(path) as db:
        left = FAULTS["pnl-inverted-short"](db, ids)
        FAULTS["win-rate-wrong"](db, ids)
        row = db.execute("SELECT * FROM signal_results WHERE signal_id = ?", (ids.short,)).fetchall()
    said, _ = fix(path)
    assert found(said) == left
    with changing(path) as db:
        assert db.execute("SELECT * FROM signal_results WHERE signal_id = ?", (ids.short,)).fetchall() == row


def test_nothing_to_repair_makes_no_backup(own):
    path, ids = own
    with changing(path) as db:
        FAULTS["trade-on-hold"](db, ids)
    content = path.read_bytes()
    said = doctor(path, "--fix")
    assert "backup" not in said and set(found(said)) == {"trade-on-hold"}
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_repair_refuses_values_that_must_be_unique_and_changes_nothing(planted):
    path, ids, _ = planted
    with changing(path) as db:
        FAULTS["result-twice"](db, ids)
        FAULTS["win-rate-wrong"](db, ids)
    content = dump(path)
    run = serving.run("doctor", path, "--fix")
    assert run.returncode == FOUND
    assert "must be unique" in run.stderr
    assert dump(path) == content
    assert not list(path.parent.glob("*.before-fix-*"))


def test_repair_that_cannot_write_leaves_nothing_behind(own):
    path, _ = own
    with trades.connection(path) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("DROP INDEX ix_signals_symbol")
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\xff")  # a format that SQLite reads and does not write
    run = serving.run("doctor", path, "--fix")
    assert run.returncode == FOUND and "cannot be written" in run.stderr
    assert [p.name for p in path.parent.iterdir()] == [path.name]


# --- served, damaged, not ours ---


def test_a_served_database_is_audited_and_not_repaired(tmp_path):
    path = tmp_path / "book.db"
    ids = make_own(path, "0")
    with serving.Server(path) as server, book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal())
        with changing(path) as db:
            expected = FAULTS["win-rate-wrong"](db, ids)
        log = pathlib.Path(f"{path}-wal")
        before = (path.read_bytes(), log.read_bytes())
        assert found(doctor(path)) == expected
        assert (path.read_bytes(), log.read_bytes()) == before
        run = serving.run("doctor", path, "--fix", *NEVER_STUCK)
        assert run.returncode == FOUND and "is served" in run.stderr
        assert (path.read_bytes(), log.read_bytes()) == before
        client.ok("SignalService.CreateSignal", signal=book.signal())
    said, _ = fix(path)
    assert said["repaired"] == {"win-rate-wrong": 1}


def test_a_damaged_file_is_named(planted):
    path, ids, _ = planted
    content = bytearray(path.read_bytes())
    page = 4096
    for start in range(3 * page, len(content), 5 * page):
        content[start:start + 64] = bytes(byte ^ 0xFF for byte in content[start:start + 64])
    path.write_bytes(content)
    said = doctor(path)
    damaged = [f for f in said["findings"] if f["rule"] == "damaged"]
    assert len(damaged) == 1 and damaged[0]["severity"] == "error" and damaged[0]["examples"][0]["detail"]
    run = serving.run("doctor", path, "--fix", *NEVER_STUCK)
    assert run.returncode == FOUND
    assert path.read_bytes() == bytes(content)


@pytest.mark.parametrize("content, said", [
    (b"no database at all, but long enough to look at" * 100, "not an SQLite database"), (None, "no database")])
def test_what_is_no_database_is_refused(tmp_path, content, said):
    path = tmp_path / "book.db"
    if content:
        path.write_bytes(content)
    for options in [[], ["--fix"]]:
        run = serving.run("doctor", path, *options)
        assert (run.returncode, run.stdout) == (FOUND, "") and said in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if content else [])


# --- output ---


def test_formats(own):
    path, ids = own
    with changing(path) as db:
        db.execute("UPDATE signals SET confidence = 2, notes = 'say \"no\", twice'")
    said = json.loads(serving.run("doctor", path, "--format", "json", "--examples", "2").stdout)
    [finding] = [f for f in said["findings"] if f["rule"] == "share-out-of-range"]
    assert sorted(finding) == ["count", "examples", "fix", "meaning", "repairable", "rule", "severity"]
    assert len(finding["examples"]) == 2 < finding["count"]
    assert finding["examples"][0] == {"table": "signals", "key": 1, "detail": "confidence is 2"}
    assert sorted(said) == ["database", "findings", "repaired", "rules", "schema_version"]
    rows = list(csv.DictReader(io.StringIO(serving.run("doctor", path, "--format", "csv").stdout, newline="")))
    assert [(r["table"], r["key"], r["count"]) for r in rows if r["rule"] == "share-out-of-range"] == [
        ("signals", str(key), str(finding["count"])) for key in range(1, 6)]
    table = serving.run("doctor", path, *NEVER_STUCK)
    assert table.returncode == FOUND and table.stderr == ""
    assert "share-out-of-range" in table.stdout and f"and {finding['count'] - 5} more" in table.stdout


@pytest.mark.parametrize("options", [
    ["--format", "xml"], ["--examples", "0"], ["--examples", "x"], ["--stuck-days", "-1"], ["a.db", "b.db"], ["--no"]])
def test_wrong_options(tmp_path, options):
    assert serving.run("doctor", *options, cwd=tmp_path).returncode == USAGE
