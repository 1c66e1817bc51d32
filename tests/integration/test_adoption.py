"""The users' database under a real server: nothing of theirs changes, their SQL
gives the same answers, and their programs go on writing to the same file."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import book
import load
import pytest
import serving

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))
SIGNALS = 4620

needs_fixture = pytest.mark.skipif(not FIXTURE.is_file(), reason="TRADEBOOK_FIXTURE names no database")

# "Now" for questions about the last 30 days: just behind the newest row.
NOW = "'2025-11-21 00:00:00'"

# What the users ask today, in their own SQL (shared words: schema.md).
QUESTIONS = {
    "recent strong signals": """
        SELECT * FROM signals WHERE tier = 'high' AND confidence > 0.65 ORDER BY timestamp DESC LIMIT 10""",
    "win rate of 30 days": f"""
        SELECT count(*), sum(outcome = 'win'), sum(outcome = 'loss'), 100.0 * sum(outcome = 'win') / count(*),
               avg(CASE WHEN outcome = 'win' THEN pnl_percent END),
               avg(CASE WHEN outcome = 'loss' THEN pnl_percent END), avg(pnl_percent)
        FROM signal_results
        WHERE outcome IN ('win', 'loss', 'breakeven') AND exit_timestamp >= datetime({NOW}, '-30 days')""",
    "best theories": """
        SELECT theory_name, count(*), sum(was_correct), 100.0 * sum(was_correct) / count(*) AS accuracy,
               avg(contribution_score)
        FROM theory_performance WHERE was_correct IS NOT NULL GROUP BY theory_name ORDER BY accuracy DESC""",
    "strong patterns": """
        SELECT * FROM patterns WHERE total >= 10 AND win_rate >= 0.65 ORDER BY win_rate DESC, total DESC""",
    "production models": """
        SELECT * FROM model_deployments WHERE is_promoted = 1 AND is_active = 1 ORDER BY deployed_at DESC""",
    "open positions": """
        SELECT r.signal_id, s.symbol, s.direction, r.entry_price, r.entry_timestamp, s.tp_price, s.sl_price
        FROM signal_results r JOIN signals s ON s.id = r.signal_id WHERE r.outcome = 'open'
        ORDER BY r.entry_timestamp DESC""",
    "A/B": f"""
        SELECT s.strategy, count(*), sum(r.outcome = 'win'), 100.0 * sum(r.outcome = 'win') / count(*),
               avg(r.pnl_percent)
        FROM signal_results r JOIN signals s ON s.id = r.signal_id
        WHERE r.outcome IN ('win', 'loss', 'breakeven') AND r.exit_timestamp >= datetime({NOW}, '-30 days')
        GROUP BY s.strategy ORDER BY s.strategy""",
    "which tables are there": f"""
        SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN {tuple(book.TABLES)} ORDER BY name""",
}


@pytest.fixture
def db(tmp_path):
    """A copy of the users' database."""
    return pathlib.Path(shutil.copy(FIXTURE, tmp_path / "tradingai.db"))


@needs_fixture
def test_adoption_keeps_every_row_and_every_answer(db):
    file = book.File(db)

    def look():
        return ({table: file.rows(table) for table in book.TABLES},
                {question: file.query(sql) for question, sql in QUESTIONS.items()},
                file.query("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%tb_%'"
                           " AND name NOT LIKE 'ix_theory_performance_was_correct' ORDER BY name"))

    before = look()
    assert len(before[0]["signals"]) == SIGNALS
    assert all(before[1].values())
    for _ in range(2):
        with serving.Server(db) as server, book.Client(server.address) as client:
            assert look() == before
            info = client.ok("AdminService.GetServerInfo")
            assert {t.name: t.rows for t in info.tables} == {name: len(rows) for name, rows in before[0].items()}
        assert look() == before
    assert file.query("PRAGMA integrity_check") == [("ok",)]


@needs_fixture
def test_adoption_is_announced_once(db):
    """What was added is said, and nothing is added the second time."""
    with serving.Server(db) as server:
        assert "database changed" in server.log.read_text()
    with serving.Server(db) as server:
        assert "database changed" not in server.log.read_text()


def as_json(message, column, value):
    """A column's value by the proto3 JSON mapping; None stands for absent."""
    field = message.DESCRIPTOR.fields_by_name[column]
    if value is None:
        return None
    if field.enum_type is not None:
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", field.enum_type.name).upper()
        return f"{prefix}_{value.upper()}"
    if field.message_type is not None:
        seconds, fraction = value.split(".")
        for digits in ("000000", "000"):
            if fraction.endswith(digits):
                fraction = fraction[:-len(digits)]
                break
        return seconds.replace(" ", "T") + (f".{fraction}" if fraction else "") + "Z"
    if field.type == field.TYPE_BOOL:
        return bool(value)
    return str(value) if field.type == field.TYPE_INT64 else value


def listed(server, *arguments):
    run = serving.run("list", *arguments, "--address", server.address, "--format", "json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


# Of each resource: its message, what is asked, and the same in SQL. Where the
# users' order leaves ties open, ours is by id in the same direction.
LISTS = {
    "signals": (
        book.signal_pb2.Signal,
        ["--filter", "tier = 'high' AND confidence > 0.65", "--order-by", "timestamp desc", "--limit", "10"],
        QUESTIONS["recent strong signals"]),
    "patterns": (
        book.pattern_pb2.Pattern,
        ["--filter", "total >= 10 AND win_rate >= 0.65", "--order-by", "win_rate desc, total desc"],
        QUESTIONS["strong patterns"] + ", id DESC"),
    "models": (
        book.model_pb2.ModelDeployment,
        ["--filter", "is_promoted = true AND is_active = true", "--order-by", "deployed_at desc"],
        QUESTIONS["production models"]),
    "results": (book.trade_pb2.SignalResult, [], "SELECT * FROM signal_results ORDER BY id"),
    "risk": (book.risk_pb2.RiskSnapshot, [], "SELECT * FROM risk_book_snapshots ORDER BY signal_id"),
    "theories": (
        book.theory_pb2.TheoryRecord, ["--filter", "was_correct != NULL AND signal_id < 500"],
        "SELECT * FROM theory_performance WHERE was_correct IS NOT NULL AND signal_id < 500 ORDER BY id"),
}


@needs_fixture
@pytest.mark.parametrize("resource", LISTS)
def test_list_equals_sql(db, resource):
    message, arguments, sql = LISTS[resource]
    with contextlib.closing(sqlite3.connect(FIXTURE.as_uri() + "?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute(sql)
        columns = [column[0] for column in rows.description]
        expected = [
            {message.DESCRIPTOR.fields_by_name[c].camelcase_name: as_json(message, c, v)
             for c, v in zip(columns, row) if v is not None}
            for row in rows]
    assert expected
    with serving.Server(db) as server:
        assert listed(server, resource, *arguments) == expected


def pages(client, **fields):
    """The ids of each page in turn."""
    token = None
    while token != "":
        response = client.ok("SignalService.ListSignals", page_token=token, **fields)
        yield [signal.id for signal in response.signals]
        token = response.next_page_token


@needs_fixture
@pytest.mark.parametrize("order_by, page_size", [("", 7), ("timestamp desc", 7), ("tier, confidence desc", 70)])
def test_paging_while_another_inserts_every_old_row_once(db, order_by, page_size):
    with serving.Server(db) as server, book.Client(server.address) as client, book.Client(server.address) as other:
        seen = []
        for page in pages(client, page_size=page_size, order_by=order_by):
            assert len(page) <= page_size
            seen += page
            assert len(seen) <= 2 * SIGNALS, "pages without end"
            # Before, between and behind the old rows, whatever the order.
            for tier in (book.types_pb2.TIER_LOW, book.types_pb2.TIER_HIGH):
                other.ok("SignalService.CreateSignal", signal=book.signal(tier=tier))
        assert sorted(id for id in seen if id <= SIGNALS) == list(range(1, SIGNALS + 1))
        assert len(set(seen)) == len(seen)


# A program of the users: Python's own sqlite3 with its own waiting time, one
# transaction for each signal. Prints how long the longest took.
BOT = """
import sqlite3, sys, time
db, count, word = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = sqlite3.connect(db)
longest = 0
for i in range(count):
    start = time.monotonic()
    with connection:
        connection.execute(
            "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction, notes)"
            " VALUES (strftime('%Y-%m-%d %H:%M:%f000', 'now'), 'BTC-USD', 'long', 0.5, 'low', 0.5, ?)",
            (f"{word}-{i}",))
    longest = max(longest, time.monotonic() - start)
print(longest)
"""


def test_other_programs_write_while_the_server_is_under_load(tmp_path, record_property):
    """Neither side ever hears "database is locked"."""
    programs, count = 3, book.scaled(100)
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as reader:
        file = book.File(server.db)
        started = time.monotonic()
        with load.Load(server.address, writers=4, depth=16) as working:
            working.wait_for(1)
            bots = [subprocess.Popen([sys.executable, "-c", BOT, str(server.db), str(count), f"bot{i}"],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for i in range(programs)]
            while any(bot.poll() is None for bot in bots):
                reader.ok("SignalService.ListSignals", page_size=10, order_by="id desc")
            ended = [(bot.returncode, *bot.communicate()) for bot in bots]
        seconds = time.monotonic() - started
        assert [status for status, _, _ in ended] == [0] * programs, [text for _, _, text in ended]
        assert not working.refused, next(iter(working.refused.values()))
        longest = max(float(said) for _, said, _ in ended)
        print(f"\nlongest wait of another program {longest:.3f} s; {programs * count} rows of theirs and "
              f"{len(working.acknowledged)} of the server's in {seconds:.1f} s")
        stored = load.stored_words(file)
        assert all(stored[f"bot{i}-{n}"] == 1 for i in range(programs) for n in range(count))
        assert all(stored[word] == 1 for word in working.acknowledged)
    assert file.query("PRAGMA integrity_check") == [("ok",)]


def test_another_program_holds_the_lock_half_of_the_time(tmp_path):
    """The server waits its turn as well."""
    with serving.Server(tmp_path / "book.db") as server:
        file = book.File(server.db)
        done = threading.Event()

        def seize():
            while not done.is_set():
                with file.locked():
                    done.wait(0.02)
                done.wait(0.02)

        seizing = threading.Thread(target=seize)
        seizing.start()
        try:
            with book.Client(server.address) as client:
                for _ in range(book.scaled(20)):
                    client.ok("SignalService.CreateSignal", signal=book.signal())
        finally:
            done.set()
            seizing.join()


def test_fresh_database_accepts_raw_inserts(tmp_path):
    """Defaults are in the SQL itself, so that what is left out is filled in."""
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(server.db)) as connection, connection:
            connection.execute("INSERT INTO signals (symbol, direction, confidence, tier, ensemble_prediction)"
                               " VALUES ('BTC-USD', 'long', 0.5, 'low', 0.5)")
            connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp)"
                               " VALUES (1, 100.5, '2026-01-02 03:04:05.000006')")
            connection.execute("INSERT INTO theory_performance (signal_id, theory_name, contribution_score)"
                               " VALUES (1, 'markov_chain', 0.5)")
            connection.execute("INSERT INTO patterns (name, pattern_hash) VALUES ('flag', ?)", ("a" * 64,))
            connection.execute("INSERT INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, mode)"
                               " VALUES ('1', 'BTC-USD', 'low', '2026-01-02 03:04:05', 100.5, 'dryrun')")
            connection.execute("INSERT INTO model_deployments (version, model_path, model_type)"
                               " VALUES ('v1', 'm.pt', 'lstm')")
        signal = client.ok("SignalService.GetSignal", id=1)
        assert (signal.executed, signal.strategy) == (False, "v7_full_math")
        result = client.ok("TradeService.GetSignalResult", signal_id=1)
        assert result.outcome == book.types_pb2.OUTCOME_OPEN
        assert result.entry_timestamp == book.timestamp(1767323045, 6000)
        assert not result.HasField("exit_price")
        theory = client.ok("TheoryService.GetTheoryRecord", id=1)
        assert not theory.HasField("was_correct")
        pattern = client.ok("PatternService.GetPattern", id=1)
        assert (pattern.wins, pattern.total, pattern.win_rate) == (0, 0, 0.0)
        model = client.ok("ModelService.GetModelDeployment", id=1)
        assert (model.is_promoted, model.is_active) == (False, True)
        now = time.time()
        for record, names in [(signal, ["timestamp"]), (result, ["created_at", "updated_at"]), (theory, ["created_at"]),
                              (pattern, ["created_at", "updated_at"]), (model, ["deployed_at"]),
                              (client.ok("RiskService.GetRiskSnapshot", signal_id="1"), ["created_at"])]:
            for name in names:
                assert abs(getattr(record, name).seconds - now) < 3600


def test_what_other_programs_wrote_is_read_liberally(tmp_path):
    """Other case, other forms of time, unknown words: read as what they mean, or as
    unspecified, never as an error."""
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(server.db)) as connection, connection:
            connection.executemany(
                "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction)"
                " VALUES (?, 'BTC-USD', ?, 0.5, ?, 1)",
                [("2026-01-02T03:04:05Z", "LONG", "High"), ("2026-01-02 03:04:05.5+00:00", "Short", "LOW"),
                 ("2026-01-02 03:04:05", "sideways", "medium"), ("not a time", "hold", "low")])
        signals = client.ok("SignalService.ListSignals").signals
        assert [(s.direction, s.tier) for s in signals] == [(1, 3), (2, 1), (0, 2), (3, 1)]
        assert [s.timestamp for s in signals[:3]] == [
            book.timestamp(1767323045), book.timestamp(1767323045, 500_000_000), book.timestamp(1767323045)]
        assert not signals[3].HasField("timestamp")
        assert [s.id for s in client.ok("SignalService.ListSignals", filter="direction = 'long'").signals] == [1]


# Holds the lock nearly all of the time until its input ends.
GREEDY = """
import select, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
print("holding", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(0.02)
    connection.execute("COMMIT")
    time.sleep(0.0002)
"""


def test_a_program_that_hardly_lets_go_of_the_lock_does_not_starve_the_server(tmp_path):
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        greedy = subprocess.Popen([sys.executable, "-c", GREEDY, str(server.db)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        with greedy:
            assert greedy.stdout.readline() == "holding\n"
            for _ in range(5):
                client.ok("SignalService.CreateSignal", signal=book.signal())
            greedy.stdin.close()
        assert greedy.returncode == 0
