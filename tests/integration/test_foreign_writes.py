"""Another program writes to the file by plain SQL while the server runs: the
triggers make the same events, note the same changes and keep the same history
as if it had asked the server."""

import contextlib
import sqlite3

import book
import pytest

TRADES, THEORIES, SIGNALS = 1, 2, 3
EXIT = "2026-01-02 00:00:00.000000"
LATER = "2026-01-03 00:00:00.000000"


class Program:
    """The other program: SQL in a transaction of its own for each call."""

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def transaction(self):
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection

    def run(self, sql, *parameters):
        with self.transaction() as connection:
            return connection.execute(sql, parameters).lastrowid

    def signal(self, symbol="BTC-USD", **given):
        columns = {"symbol": symbol, "timestamp": EXIT, "direction": "long", "confidence": 0.5, "tier": "high",
                   "ensemble_prediction": 0.5, "strategy": "a", **given}
        return self.run(f"INSERT INTO signals ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                        *columns.values())

    def trade(self, signal, outcome="open", verb="INSERT", **given):
        columns = {"signal_id": signal, "entry_price": 100.0, "entry_timestamp": "2026-01-01 00:00:00.000000",
                   "outcome": outcome, "exit_timestamp": None if outcome == "open" else EXIT, **given}
        return self.run(f"{verb} INTO signal_results ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                        *columns.values())

    def close(self, trade, outcome="win", at=EXIT):
        self.run("UPDATE signal_results SET outcome = ?, exit_price = 110.0, exit_timestamp = ?, exit_reason = 'manual', "
                 "pnl_percent = 10.0, pnl_usd = 10.0 WHERE id = ?", outcome, at, trade)

    def theory(self, signal, was_correct=None):
        return self.run("INSERT INTO theory_performance (signal_id, theory_name, contribution_score, was_correct, "
                        "created_at) VALUES (?, 'x', 0.5, ?, ?)", signal, was_correct, EXIT)

    def snapshot(self, signal, r_realized, verb="INSERT"):
        self.run(f"{verb} INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, mode, r_realized) "
                 "VALUES (?, 'BTC-USD', 'high', ?, 100, 'live', ?)", str(signal), EXIT, r_realized)


@pytest.fixture
def program(server):
    return Program(server.db)


@pytest.fixture
def watch(file):
    return Watch(file)


class Watch:
    """What the triggers wrote since the last look."""

    def __init__(self, file):
        self.file = file
        self.seen = {"tb_events": 0, "tb_changes": 0}

    def _new(self, table, columns):
        rows = self.file.query(f"SELECT sequence, {columns} FROM {table} WHERE sequence > ? ORDER BY sequence",
                               self.seen[table])
        for sequence, *_ in rows:
            self.seen[table] += 1
            assert sequence == self.seen[table]
        return [row[1:] for row in rows]

    def events(self):
        return self._new("tb_events", "signal_id, outcome")

    def changes(self):
        return set(self._new("tb_changes", "series, row, filed_at"))

    def only(self, events=(), changes=()):
        """Exactly these, whatever their number: a change may be noted twice, and
        again without its time."""
        noted = self.changes()
        assert self.events() == list(events)
        assert set(changes) <= noted
        assert {row[:2] for row in noted} == {row[:2] for row in changes}


def test_close_by_update_makes_the_event(client, program, watch, file):
    signal = program.signal(symbol="ETH-USD", session="asia", model_version="v7")
    trade = program.trade(signal)
    program.snapshot(signal, 1.5)
    watch.only()
    program.close(trade)
    watch.only([(signal, "win")])
    assert file.query("SELECT result_id, symbol, direction, strategy, tier, session, model_version, exit_price, "
                      "exit_timestamp, exit_reason, pnl_percent, pnl_usd, r_realized, mode, previous FROM tb_events") == [
        (trade, "ETH-USD", "long", "a", "high", "asia", "v7", 110.0, EXIT, "manual", 10.0, 10.0, 1.5, "live", None)]
    # The server tells it to its subscribers.
    assert client.ok("EventService.ListEvents").events[0].trade_closed.symbol == "ETH-USD"


@pytest.mark.parametrize("outcome", ["win", "LOSS", "Breakeven"])
def test_close_in_any_case_makes_the_event(program, watch, outcome):
    signal = program.signal()
    program.close(program.trade(signal), outcome)
    watch.only([(signal, outcome)])


@pytest.mark.parametrize("outcome", ["open", "pending", ""])
def test_other_outcomes_make_none(program, watch, outcome):
    program.close(program.trade(program.signal()), outcome)
    watch.only()


def test_insert_of_a_closed_trade_makes_the_event(program, watch):
    signal = program.signal()
    program.trade(signal, "loss")
    watch.only([(signal, "loss")])


def test_one_statement_that_closes_many_chains_each_symbol(program, file, watch):
    for i in range(30):
        program.trade(program.signal(symbol="ABC"[i % 3]))
    program.run("UPDATE signal_results SET outcome = 'win'")
    assert len(watch.events()) == 30
    newest = {}
    for sequence, symbol, previous in file.query("SELECT sequence, symbol, previous FROM tb_events ORDER BY 1"):
        assert previous == newest.get(symbol)
        newest[symbol] = sequence
    assert dict(file.query("SELECT symbol, sequence FROM tb_symbols")) == newest


def test_rolled_back_leaves_no_trace(program, watch):
    trade = program.trade(program.signal())
    with pytest.raises(ZeroDivisionError), program.transaction() as connection:
        connection.execute("UPDATE signal_results SET outcome = 'win' WHERE id = ?", (trade,))
        raise ZeroDivisionError
    watch.only()


def test_correcting_a_closed_trade_is_a_change(program, watch):
    trade = program.trade(program.signal(), "win")
    watch.events()
    program.close(trade, "loss", LATER)
    watch.only([], [(TRADES, trade, EXIT)])
    program.run("UPDATE signal_results SET pnl_percent = 7 WHERE id = ?", trade)
    watch.only([], [(TRADES, trade, LATER)])


def test_opening_a_closed_trade_again_is_a_change_and_its_close_an_event(program, watch):
    signal = program.signal()
    trade = program.trade(signal, "win")
    watch.events()
    program.run("UPDATE signal_results SET outcome = 'open' WHERE id = ?", trade)
    watch.only([], [(TRADES, trade, EXIT)])
    program.close(trade, "loss")
    watch.only([(signal, "loss")])


def test_deleting_a_closed_trade_is_a_change(program, watch):
    trade = program.trade(program.signal(), "win")
    open_trade = program.trade(program.signal())
    watch.events()
    program.run("DELETE FROM signal_results WHERE id = ?", trade)
    watch.only([], [(TRADES, trade, EXIT)])
    program.run("DELETE FROM signal_results WHERE id = ?", open_trade)
    watch.only()


def test_replacing_a_closed_trade_is_a_change(program, watch):
    """INSERT OR REPLACE deletes without telling the delete triggers."""
    signal = program.signal()
    old = program.trade(signal, "win")
    watch.events()
    new = program.trade(signal, "open", verb="INSERT OR REPLACE")
    assert new != old
    watch.only([], [(TRADES, old, EXIT)])
    program.trade(signal, "loss", verb="INSERT OR REPLACE")
    watch.only([(signal, "loss")])


@pytest.mark.parametrize("column, value", [
    ("symbol", "XRP-USD"), ("strategy", "b"), ("session", "x"), ("tier", "low"), ("direction", "short"),
    ("model_version", "v8"), ("confidence", 0.9)])
def test_what_trades_are_told_apart_by_is_a_change(program, watch, column, value):
    signal = program.signal()
    trade = program.trade(signal, "win")
    watch.events()
    program.run(f"UPDATE signals SET {column} = ? WHERE id = ?", value, signal)
    moved = [(SIGNALS, signal, EXIT)] if column == "strategy" else []
    watch.only([], [(TRADES, trade, EXIT), *moved])


def test_signal_without_a_closed_trade_is_no_change_of_trades(program, watch):
    signal = program.signal()
    program.trade(signal)
    program.run("UPDATE signals SET symbol = 'X', notes = 'y' WHERE id = ?", signal)
    watch.only()
    program.run("UPDATE signals SET timestamp = ? WHERE id = ?", LATER, signal)
    watch.only([], [(SIGNALS, signal, EXIT)])
    program.run("DELETE FROM signals WHERE id = ?", signal)
    watch.only([], [(SIGNALS, signal, LATER)])


def test_r_realized_is_a_change_of_the_trade(program, watch):
    signal = program.signal()
    trade = program.trade(signal, "win")
    watch.events()
    expected = [(TRADES, trade, EXIT)]
    program.snapshot(signal, 1.0)
    watch.only([], expected)
    program.run("UPDATE risk_book_snapshots SET r_realized = 2 WHERE signal_id = ?", str(signal))
    watch.only([], expected)
    program.run("UPDATE risk_book_snapshots SET spread_bps = 2")
    watch.only()
    program.snapshot(signal, 3.0, verb="INSERT OR REPLACE")
    watch.only([], expected)
    program.run("DELETE FROM risk_book_snapshots")
    watch.only([], expected)


def test_grading_a_theory_is_a_change(program, watch):
    signal = program.signal()
    theory = program.theory(signal)
    watch.only()
    expected = [(THEORIES, theory, EXIT)]
    program.run("UPDATE theory_performance SET was_correct = 1")
    watch.only([], expected)
    program.run("UPDATE theory_performance SET contribution_score = 0.25")
    watch.only([], expected)
    program.run("DELETE FROM theory_performance")
    watch.only([], expected)
    theory = program.theory(signal, was_correct=0)
    watch.only([], [(THEORIES, theory, None)])


def test_promotion_makes_the_history(client, program):
    for version in ("v1", "v2"):
        client.ok("ModelService.CreateModelDeployment", model_deployment=book.model_deployment(version=version))
        with program.transaction() as connection:
            connection.execute("UPDATE model_deployments SET is_promoted = 0 WHERE is_promoted = 1")
            connection.execute("UPDATE model_deployments SET is_promoted = 1 WHERE version = ?", (version,))
    tenures = client.ok("ModelService.ListModelHistory").tenures
    assert [(t.version, t.HasField("demoted_at")) for t in tenures] == [("v2", False), ("v1", True)]


def test_both_write_in_turns_and_the_events_are_dense(client, program, file):
    signals = [client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100.0, symbol="AB"[i % 2])).id
               for i in range(20)]
    for i, signal in enumerate(signals):
        if i % 3:
            client.ok("TradeService.OpenTrade", signal_id=signal)
            client.ok("TradeService.CloseTrade", signal_id=signal, exit_price=101.0, exit_reason="tp_hit")
        else:
            program.trade(signal, "loss")
    events = client.ok("EventService.ListEvents", page_size=100).events
    assert [e.sequence for e in events] == list(range(1, len(signals) + 1))
    assert [e.trade_closed.signal_result.signal_id for e in events] == signals


def remake_tables(path):
    """What drop_all and create_all of SQLAlchemy do."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        made = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql NOT NULL AND "
                                  "type IN ('table', 'index') ORDER BY type = 'index'").fetchall()
        own = [(kind, name, sql) for kind, name, table, sql in made if table in book.TABLES]
        for kind, name, _ in own:
            if kind == "table":
                connection.execute(f"DROP TABLE {name}")
        for _, _, sql in own:
            connection.execute(sql)


def triggers(file):
    return {name for (name,) in file.query("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}


def test_tables_made_anew_get_their_triggers_at_the_next_start(server, client, program, file):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100.0)).id
    client.ok("TradeService.OpenTrade", signal_id=signal, quantity=5.0)
    client.ok("TradeService.CloseTrade", signal_id=signal, exit_price=110.0, exit_reason="tp_hit")
    client.ok("ModelService.CreateModelDeployment", model_deployment=book.model_deployment(version="gone"))
    client.ok("ModelService.PromoteModel", version="gone")
    before = triggers(file)
    remake_tables(server.db)
    assert triggers(file) < before
    client.close()
    assert server.stop() == 0
    server.restart()
    assert triggers(file) == before
    # Ids begin again, and what belonged to the old ones is not taken for theirs.
    again = program.signal(symbol="NEW")
    program.trade(again, "win")
    assert again == signal
    assert file.query("SELECT sequence, symbol, quantity FROM tb_events ORDER BY sequence") == [
        (1, "BTC-USD", 5.0), (2, "NEW", None)]
    with book.Client(server.address) as client:
        tenures = client.ok("ModelService.ListModelHistory").tenures
        assert [(t.version, t.HasField("demoted_at")) for t in tenures] == [("gone", True)]
