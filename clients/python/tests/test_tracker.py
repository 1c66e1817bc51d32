"""The tracker against the SQL that it stands in for, on the users' own database."""

import datetime
import os
import pathlib
import shutil
import sqlite3
from collections.abc import Iterator
from typing import Any

import conformance
import grpc
import pytest
import serving

from tradebook.tracker import PerformanceTracker

FIXTURE = pathlib.Path(
    os.environ.get("TRADEBOOK_FIXTURE") or conformance.FOLDER.parents[2] / "shared" / "fixtures" / "tradingai.db"
)
# Back to before the first trade of the users' database.
LONG_AGO = (datetime.datetime.now(datetime.UTC) - datetime.datetime(2025, 10, 1, tzinfo=datetime.UTC)).days
SINCE = "datetime('now', '-' || ? || ' days')"
CLOSED = "outcome IN ('win', 'loss', 'breakeven')"

SIGNALS = """INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction, strategy)
             VALUES ('2026-01-02 03:04:05.000006', 'BTC-USD', '{}', 0.7, 'high', 0.5, 'v7_full_math')"""
ENTRY = datetime.datetime(2026, 1, 2, 3, 4, 5, 6)


@pytest.fixture
def tracker(server: conformance.Server) -> Iterator[PerformanceTracker]:
    for direction in ("long", "short", "hold"):
        server.do({"do": "sql", "sql": SIGNALS.format(direction)})
    with PerformanceTracker(server.addresses["address"]) as found:
        yield found


def test_trade_is_recorded_as_sql_shows_it(server: conformance.Server, tracker: PerformanceTracker) -> None:
    opened = tracker.record_entry(2, 100.0, ENTRY)
    assert opened["entry_timestamp"] == "2026-01-02 03:04:05.000006"
    assert (opened["outcome"], opened["exit_price"], opened["pnl_usd"]) == ("open", None, None)
    assert tracker.get_open_positions()[0]["direction"] == "short"
    closed = tracker.record_exit(2, 90.0, ENTRY + datetime.timedelta(minutes=90), "tp_hit")
    columns = (
        "id, signal_id, entry_price, entry_timestamp, exit_price, exit_timestamp, exit_reason, pnl_percent, "
        "pnl_usd, outcome, hold_duration_minutes, created_at, updated_at"
    )
    (stored,) = server.do({"do": "sql", "sql": f"SELECT {columns} FROM signal_results"})["rows"]
    assert closed == dict(zip(columns.split(", "), stored, strict=True))
    assert (closed["outcome"], closed["pnl_percent"], closed["hold_duration_minutes"]) == ("win", 10, 90)


@pytest.mark.parametrize(
    ("details", "keywords"),
    [
        (("tp_hit", ENTRY), {}),
        ((ENTRY, "tp_hit"), {}),
        (("tp_hit", None), {"exit_timestamp": ENTRY}),
        ((), {"exit_reason": "tp_hit", "exit_timestamp": ENTRY.replace(tzinfo=datetime.UTC)}),
    ],
)
def test_exit_takes_reason_and_time_in_either_order(
    tracker: PerformanceTracker, details: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    tracker.record_entry(1, 100.0, ENTRY)
    closed = tracker.record_exit(1, 110.0, *details, **keywords)
    assert (closed["exit_reason"], closed["exit_timestamp"]) == ("tp_hit", "2026-01-02 03:04:05.000006")


def test_what_old_trackers_let_happen_is_an_error(tracker: PerformanceTracker) -> None:
    with pytest.raises(grpc.RpcError, match="FAILED_PRECONDITION"):
        tracker.record_entry(3, 100.0)
    tracker.record_entry(1, 100.0)
    with pytest.raises(grpc.RpcError, match="ALREADY_EXISTS"):
        tracker.record_entry(1, 200.0)
    assert tracker.record_exit(1, 90.0)["exit_reason"] == "manual"
    with pytest.raises(grpc.RpcError, match="FAILED_PRECONDITION"):
        tracker.record_exit(1, 900.0)


def test_theories_are_recorded(tracker: PerformanceTracker) -> None:
    recorded = tracker.record_theory_contribution(1, "shannon_entropy", 0.4)
    assert (recorded["signal_id"], recorded["contribution_score"], recorded["was_correct"]) == (1, 0.4, None)
    with pytest.raises(ValueError, match="leave it out"):
        tracker.record_theory_contribution(1, "shannon_entropy", 0.4, was_correct=True)


def test_figures_of_nothing_are_0(tracker: PerformanceTracker) -> None:
    assert set(tracker.get_win_rate().values()) == {0}
    assert tracker.get_strategy_comparison()["comparison"] == {
        "win_rate_diff": 0,
        "pnl_diff": 0,
        "profit_factor_diff": 0,
    }
    assert tracker.get_recent_trades() == tracker.get_open_positions() == []


# --- against SQL ---


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PerformanceTracker]:
    if not FIXTURE.exists():
        pytest.skip("no users' database here")
    copy = tmp_path_factory.mktemp("tracker") / "tradingai.db"
    shutil.copy(FIXTURE, copy)
    with serving.Server(copy) as server, PerformanceTracker(server.address) as tracker:
        yield tracker


def rows(sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """Of the users' database, which the server has not touched."""
    database = sqlite3.connect(f"file:{FIXTURE}?mode=ro&immutable=1", uri=True)
    database.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in database.execute(sql, parameters)]
    finally:
        database.close()


def figures_by_sql(days: int, strategy: str | None) -> dict[str, Any]:
    (found,) = rows(
        f"""SELECT count(*) AS total_trades, sum(outcome = 'win') AS wins, sum(outcome = 'loss') AS losses,
                   100.0 * sum(outcome = 'win') / count(*) AS win_rate,
                   avg(CASE WHEN outcome = 'win' THEN pnl_percent END) AS avg_win,
                   avg(CASE WHEN outcome = 'loss' THEN pnl_percent END) AS avg_loss,
                   avg(pnl_percent) AS avg_pnl,
                   sum(CASE WHEN outcome = 'win' THEN pnl_percent END)
                   / -sum(CASE WHEN outcome = 'loss' THEN pnl_percent END) AS profit_factor
            FROM signal_results r JOIN signals s ON s.id = r.signal_id
            WHERE {CLOSED} AND exit_timestamp >= {SINCE} AND (? IS NULL OR strategy = ?)""",
        days,
        strategy,
        strategy,
    )
    return found


@pytest.mark.parametrize("strategy", [None, "v7_full_math", "v7_deepseek_only"])
def test_win_rate_is_that_of_sql(adopted: PerformanceTracker, strategy: str | None) -> None:
    expected = figures_by_sql(LONG_AGO, strategy)
    assert expected["total_trades"] > 100
    assert adopted.get_win_rate(LONG_AGO, strategy) == pytest.approx(expected, rel=1e-9)


def test_window_is_that_of_sql(adopted: PerformanceTracker) -> None:
    (newest,) = rows("SELECT max(exit_timestamp) AS t FROM signal_results")
    age = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.datetime.fromisoformat(newest["t"])
    expected = figures_by_sql(age.days + 3, None)
    assert 0 < expected["total_trades"] < figures_by_sql(LONG_AGO, None)["total_trades"]
    assert adopted.get_win_rate(age.days + 3) == pytest.approx(expected, rel=1e-9)


def test_comparison_is_that_of_sql(adopted: PerformanceTracker) -> None:
    a, b = (figures_by_sql(LONG_AGO, name) for name in ("v7_full_math", "v7_deepseek_only"))
    found = adopted.get_strategy_comparison(LONG_AGO)
    assert found["v7_full_math"] == pytest.approx(a, rel=1e-9)
    assert found["v7_deepseek_only"] == pytest.approx(b, rel=1e-9)
    assert found["comparison"]["win_rate_diff"] == pytest.approx(a["win_rate"] - b["win_rate"], rel=1e-9)


def test_open_positions_are_those_of_sql(adopted: PerformanceTracker) -> None:
    columns = "signal_id, symbol, direction, r.entry_price, entry_timestamp, tp_price, sl_price, strategy"
    expected = rows(
        f"""SELECT {columns} FROM signal_results r JOIN signals s ON s.id = r.signal_id WHERE outcome = 'open'
            ORDER BY entry_timestamp DESC"""
    )
    assert len(expected) == 5
    found = adopted.get_open_positions()
    assert [{name: position[name] for name in expected[0]} for position in found] == expected


@pytest.mark.parametrize("strategy", [None, "v7_full_math"])
@pytest.mark.parametrize("limit", [20, 250])
def test_recent_trades_are_those_of_sql(adopted: PerformanceTracker, strategy: str | None, limit: int) -> None:
    columns = (
        "signal_id, symbol, direction, r.entry_price, r.exit_price, pnl_percent, outcome, entry_timestamp, "
        "exit_timestamp, hold_duration_minutes, strategy, confidence"
    )
    expected = rows(
        f"""SELECT {columns} FROM signal_results r JOIN signals s ON s.id = r.signal_id
            WHERE {CLOSED} AND (? IS NULL OR strategy = ?) ORDER BY exit_timestamp DESC, r.id DESC LIMIT ?""",
        strategy,
        strategy,
        limit,
    )
    found = adopted.get_recent_trades(limit, strategy)
    assert [{name: trade[name] for name in expected[0]} for trade in found] == expected
