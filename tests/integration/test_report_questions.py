"""The questions that the users ask in SQL: tradebook report answers the same, on
the same file."""

import csv
import io
import json
import os
import shutil
import sqlite3

import pytest
import serving

FIXTURE = os.environ.get("TRADEBOOK_FIXTURE", "")
WINDOWS = [("2025-10-20 12:00:00", "2025-11-19 12:00:00"), ("2025-11-01", "2025-11-02"), ("2025-01-01", "2026-01-01")]
CLOSED = "outcome IN ('win', 'loss', 'breakeven')"

pytestmark = pytest.mark.skipif(not os.path.exists(FIXTURE), reason="no users' database here")


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A server on a copy of the users' database."""
    db = tmp_path_factory.mktemp("questions") / "tradingai.db"
    shutil.copy(FIXTURE, db)
    with serving.Server(db) as server:
        yield server


def sql(query, *parameters):
    """Rows of the users' database, which the server has not touched."""
    connection = sqlite3.connect(f"file:{FIXTURE}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.close()


def printed(server, *arguments):
    done = serving.run("report", "--address", server.address, *arguments, LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def answer(server, *arguments):
    return json.loads(printed(server, *arguments, "--format", "json"))


def table(server, *arguments):
    """The lines of a table as words."""
    return [line.split() for line in printed(server, *arguments).splitlines()]


def near(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def full(moment):
    """A time of WINDOWS as the database writes times."""
    return (moment if " " in moment else moment + " 00:00:00") + ".000000"


def test_question_1_strong_signals(adopted):
    rows = sql("SELECT id, symbol, confidence FROM signals WHERE tier = 'high' AND confidence > 0.65 "
               "ORDER BY timestamp DESC, id DESC LIMIT 10")
    assert len(rows) == 10
    assert [(int(s["id"]), s["symbol"], s["confidence"]) for s in answer(adopted, "signals")["signals"]] == rows
    assert [line[0] for line in table(adopted, "signals")[-10:]] == [str(row[0]) for row in rows]


def performance_by_sql(since, until, condition="1"):
    return sql(
        f"""SELECT count(*), sum(outcome = 'win'), sum(outcome = 'loss'), 1.0 * sum(outcome = 'win') / count(*),
                   avg(CASE WHEN outcome = 'win' THEN pnl_percent END),
                   avg(CASE WHEN outcome = 'loss' THEN pnl_percent END), avg(pnl_percent)
            FROM signal_results r JOIN signals s ON s.id = r.signal_id
            WHERE {CLOSED} AND exit_timestamp >= ? AND exit_timestamp < ? AND {condition}""", full(since), full(until))[0]


@pytest.mark.parametrize("since, until", WINDOWS)
def test_question_2_win_rate(adopted, since, until):
    n, wins, losses, rate, mean_win, mean_loss, mean = performance_by_sql(since, until)
    assert n > 10
    window = ["--since", since, "--until", until]
    total = answer(adopted, "performance", *window)["total"]
    assert (int(total["n"]), int(total["wins"]), int(total["losses"])) == (n, wins, losses)
    assert total["winRate"]["value"] == near(rate)
    assert total["percent"]["meanWin"] == near(mean_win)
    assert total["percent"]["meanLoss"] == near(mean_loss)
    assert total["percent"]["mean"] == near(mean)
    lines = table(adopted, "performance", *window)
    assert ["wins", f"{wins:,}"] in lines
    assert ["win", "rate", f"{100 * rate:.1f}", "%"] in [line[:4] for line in lines]
    row, = csv.DictReader(io.StringIO(printed(adopted, "performance", *window, "--format", "csv")))
    assert (int(row["n"]), float(row["percent_mean"])) == (n, near(mean))


def test_question_2_days_reach_back_from_now(adopted):
    n, = sql(f"SELECT count(*) FROM signal_results WHERE {CLOSED}")[0]
    assert int(answer(adopted, "performance", "--days", "36500")["total"]["n"]) == n
    assert int(answer(adopted, "performance", "--days", "all")["total"]["n"]) == n


@pytest.mark.parametrize("dimension", ["strategy", "symbol", "session", "tier", "direction", "exit_reason", "model_version"])
def test_question_2_by_dimension(adopted, dimension):
    expected = sql(f"""SELECT {dimension}, count(*), sum(outcome = 'win'), sum(pnl_usd) FROM signal_results r
                       JOIN signals s ON s.id = r.signal_id WHERE {CLOSED} GROUP BY 1 ORDER BY 2 DESC, 1""")
    groups = answer(adopted, "performance", "--days", "all", "--by", dimension)["groups"]
    assert [(g.get("value"), int(g["performance"]["n"]), int(g["performance"]["wins"]), g["performance"]["usd"]["total"])
            for g in groups] == [(value, n, wins, near(usd)) for value, n, wins, usd in expected]


def test_question_2_of_a_slice(adopted):
    since, until = WINDOWS[0]
    n, wins, *_, mean = performance_by_sql(since, until, "symbol = 'BTC-USD'")
    response = answer(adopted, "performance", "--since", since, "--until", until, "--symbol", "BTC-USD")
    assert (int(response["total"]["n"]), int(response["total"]["wins"])) == (n, wins)
    assert response["total"]["percent"]["mean"] == near(mean)
    assert response["basis"]["slice"] == {"dimension": "DIMENSION_SYMBOL", "value": "BTC-USD"}


def test_question_3_theories(adopted):
    rows = sql("""SELECT theory_name, count(*), sum(was_correct), 1.0 * sum(was_correct) / count(*),
                         avg(contribution_score)
                  FROM theory_performance WHERE was_correct IS NOT NULL GROUP BY 1 ORDER BY 4 DESC, 2 DESC, 1""")
    assert len(rows) > 3
    theories = answer(adopted, "theories")["theories"]
    assert [(t["theoryName"], int(t["accuracy"]["n"]), int(t["correct"])) for t in theories] == [row[:3] for row in rows]
    assert [t["accuracy"]["value"] for t in theories] == near([row[3] for row in rows])
    assert [t["meanContribution"] for t in theories] == near([row[4] for row in rows])
    lines = table(adopted, "theories")[-len(rows):]
    assert [line[:4] for line in lines] == [[name, f"{n:,}", f"{correct:,}", f"{100 * rate:.1f}"]
                                            for name, n, correct, rate, _ in rows]


def test_question_4_patterns(adopted):
    rows = sql("SELECT name, total, wins, win_rate FROM patterns WHERE total >= 10 AND win_rate >= 0.65 "
               "ORDER BY win_rate DESC, total DESC")
    assert rows
    patterns = answer(adopted, "patterns")["patterns"]
    assert [(p["pattern"]["name"], int(p["pattern"]["total"]), int(p["pattern"]["wins"])) for p in patterns] == [
        row[:3] for row in rows]
    assert [p["winRate"]["value"] for p in patterns] == near([row[3] for row in rows])
    assert [line[:3] for line in table(adopted, "patterns")[-len(rows):]] == [
        [name, str(total), str(wins)] for name, total, wins, _ in rows]


def test_question_5_models(adopted):
    rows = sql("SELECT version, model_type FROM model_deployments WHERE is_promoted = 1 AND is_active = 1 "
               "ORDER BY deployed_at DESC")
    assert len(rows) == 3
    models = answer(adopted, "models")["modelDeployments"]
    assert [(m["version"], m["modelType"]) for m in models] == rows
    assert [line[1] for line in table(adopted, "models")[-3:]] == [row[0] for row in rows]


def test_question_6_open_positions(adopted):
    rows = sql("""SELECT r.signal_id, s.symbol, s.direction, r.entry_price, s.tp_price, s.sl_price FROM signal_results r
                  JOIN signals s ON s.id = r.signal_id WHERE r.outcome = 'open' ORDER BY r.entry_timestamp DESC""")
    assert len(rows) == 5
    positions = answer(adopted, "open")["openPositions"]
    assert [(int(p["signalId"]), p["symbol"], p["direction"][len("DIRECTION_"):].lower(), p["entryPrice"], p["tpPrice"],
             p["slPrice"]) for p in positions] == rows
    assert [line[:3] for line in table(adopted, "open")[-5:]] == [[str(row[0]), *row[1:3]] for row in rows]


@pytest.mark.parametrize("since, until", WINDOWS)
def test_question_7_ab(adopted, since, until):
    response = answer(adopted, "ab", "--since", since, "--until", until)
    for arm in (response["a"], response["b"]):
        n, wins, *_, mean = performance_by_sql(since, until, f"strategy = '{arm['strategy']}'")
        assert (int(arm["performance"]["n"]), int(arm["performance"]["wins"])) == (n, wins)
        assert arm["performance"]["percent"]["mean"] == near(mean)
        signals, = sql("SELECT count(*) FROM signals WHERE strategy = ? AND timestamp >= ? AND timestamp < ?",
                       arm["strategy"], full(since), full(until))[0]
        assert int(arm["signals"]) == signals


def test_question_7_names_arms_difference_p_values_and_verdict(adopted):
    response = answer(adopted, "ab", "--days", "36500")
    lines = table(adopted, "ab", "--days", "36500")
    text = printed(adopted, "ab", "--days", "36500")
    assert ["strategy", response["a"]["strategy"], response["b"]["strategy"]] in lines
    assert {response["a"]["strategy"], response["b"]["strategy"]} == {"v7_full_math", "v7_deepseek_only"}
    for name, scale, digits, unit in (("winRateDifference", 100, 1, "pp"), ("pnlPercentDifference", 1, 2, "%")):
        d = response[name]
        bounds = " .. ".join(f"{scale * d[bound]:+.{digits}f}" for bound in ("lower", "upper"))
        assert ["A", "-", "B", f"{scale * d['value']:+.{digits}f}", unit, *f"({bounds})".split()] in lines
        assert ["p-value", f"{d['pValue']:.4f}"] in lines or ["p-value", "<", "0.0001"] in lines
    verdict = {"VERDICT_A": "A (", "VERDICT_B": "B (", "VERDICT_NOT_ENOUGH_DATA": "not enough data"}[response["verdict"]]
    assert f"\nVerdict: {verdict}" in text
    assert " ".join(text.split()).endswith(response["verdictReason"])


def test_equity_ends_at_the_sum(adopted):
    total, percent = sql(f"SELECT sum(pnl_usd), sum(pnl_percent) FROM signal_results WHERE {CLOSED}")[0]
    last = answer(adopted, "equity", "--days", "all")["points"][-1]
    assert (last["equityUsd"], last["equityPercent"]) == (near(total), near(percent))
    assert f"Ends at {total:+,.2f} USD, {percent:+,.2f} % summed" in printed(adopted, "equity", "--days", "all")


def test_series_adds_up_to_the_window(adopted):
    since, until = WINDOWS[0]
    n, wins, *_ = performance_by_sql(since, until)
    for period in ("day", "week", "month"):
        periods = answer(adopted, "series", "--since", since, "--until", until, "--period", period)["periods"]
        assert sum(int(p["performance"]["n"]) for p in periods) == n
        assert sum(int(p["performance"]["wins"]) for p in periods) == wins


def test_calibration_counts_wins_and_losses(adopted):
    decided, = sql("SELECT count(*) FROM signal_results WHERE outcome IN ('win', 'loss')")[0]
    response = answer(adopted, "calibration", "--bins", "4")
    assert int(response["n"]) == decided
    assert sum(int(b["winRate"]["n"]) for b in response["bins"]) == decided
    assert len(response["bins"]) == 4
