"""tradebook report: what each report asks the server, and how it is printed. The
server is a stand-in, so that every figure is known."""

import csv
import importlib
import io
import json
import subprocess
import time

import book
import pytest
import serving
import sp
import terminal
from fake_server import FakeServer
from google.protobuf import json_format

analytics_pb2 = importlib.import_module("tradebook.v1.analytics_pb2")

METHODS = {
    "performance": "AnalyticsService/GetPerformance",
    "open": "TradeService/ListOpenPositions",
    "ab": "AnalyticsService/CompareStrategies",
    "theories": "AnalyticsService/RankTheories",
    "patterns": "AnalyticsService/RankPatterns",
    "models": "AnalyticsService/ListProductionModels",
    "signals": "SignalService/ListSignals",
    "equity": "AnalyticsService/GetEquityCurve",
    "calibration": "AnalyticsService/GetCalibration",
    "series": "AnalyticsService/GetPerformanceSeries",
}
MODULES = {"AnalyticsService": analytics_pb2, "TradeService": book.trade_pb2, "SignalService": book.signal_pb2}


def message(report, kind):
    service, method = METHODS[report].split("/")
    return getattr(MODULES[service], method + kind)


def basis():
    return analytics_pb2.Basis(trades=1210, days=30, start_time=book.timestamp(1_700_000_000),
                               end_time=book.timestamp(1_702_592_000))


def performance(total):
    """Figures with a round total."""
    figures = analytics_pb2.ProfitFigures(n=10, total=total, mean=total / 10)
    return analytics_pb2.Performance(
        n=10, wins=6, losses=3, breakevens=1, usd=figures, percent=figures,
        win_rate=analytics_pb2.Proportion(value=0.6, lower=0.3127, upper=0.8318, n=10))


def comparison(alarm=False):
    return analytics_pb2.CompareStrategiesResponse(
        basis=basis(),
        a=analytics_pb2.Arm(strategy="v7_full_math", signals=1576, performance=performance(123.4)),
        b=analytics_pb2.Arm(strategy="v7_deepseek_only", signals=54, performance=performance(-5)),
        win_rate_difference=analytics_pb2.ProportionDifference(value=0.021, lower=-0.01, upper=0.052, p_value=0.0312,
                                                               test=analytics_pb2.PROPORTION_TEST_FISHER),
        sample_ratio=analytics_pb2.SampleRatio(expected_share_a=0.5, observed_share_a=0.967, chi_squared=1421.25,
                                               p_value=1e-300 if alarm else 0.5, alarm=alarm),
        verdict=analytics_pb2.VERDICT_NOT_ENOUGH_DATA if alarm else analytics_pb2.VERDICT_B,
        verdict_reason="The reason is this.")


ANSWERS = {
    "performance": lambda: analytics_pb2.GetPerformanceResponse(
        basis=basis(), total=performance(123456.5),
        groups=[analytics_pb2.PerformanceGroup(value="=a,b", performance=performance(7)),
                analytics_pb2.PerformanceGroup(performance=performance(-8))]),
    "open": lambda: book.trade_pb2.ListOpenPositionsResponse(
        open_positions=[book.trade_pb2.OpenPosition(signal_id=7, symbol="BTC-USD", entry_price=64000.5)]),
    "ab": comparison,
    "theories": lambda: analytics_pb2.RankTheoriesResponse(
        basis=analytics_pb2.Basis(), overall_accuracy=analytics_pb2.Proportion(value=0.5, n=1),
        theories=[analytics_pb2.TheoryRank(theory_name="hurst", correct=3, mean_contribution=0.25)]),
    "patterns": lambda: analytics_pb2.RankPatternsResponse(
        patterns=[analytics_pb2.PatternRank(pattern=book.pattern_pb2.Pattern(name="flag", wins=7, total=10),
                                            win_rate=analytics_pb2.Proportion(value=0.7))]),
    "models": lambda: analytics_pb2.ListProductionModelsResponse(
        model_deployments=[book.model_pb2.ModelDeployment(version="v1", model_type="lstm")]),
    "signals": lambda: book.signal_pb2.ListSignalsResponse(
        signals=[book.signal_pb2.Signal(id=3, symbol="ETH-USD", confidence=0.7, pnl=-2.5)]),
    "equity": lambda: analytics_pb2.GetEquityCurveResponse(
        basis=basis(),
        points=[analytics_pb2.EquityPoint(time=book.timestamp(1_700_000_000 + i), trades=i, equity_usd=i * 10.0,
                                          equity_percent=i / 10) for i in range(1, 9)],
        max_drawdown_usd=analytics_pb2.Drawdown(depth=12.5, duration_seconds=90000)),
    "calibration": lambda: analytics_pb2.GetCalibrationResponse(
        basis=basis(), n=9, brier_score=0.2345,
        bins=[analytics_pb2.ReliabilityBin(confidence_min=0.5, confidence_max=1.0, mean_confidence=0.75)]),
    "series": lambda: analytics_pb2.GetPerformanceSeriesResponse(
        basis=basis(),
        periods=[analytics_pb2.PeriodPerformance(start_time=book.timestamp(1_700_000_000 - i * 86400),
                                                 performance=performance(10.0 * i)) for i in range(3)]),
}


def answering(*responses):
    """A server that answers these in turn."""
    left = iter(responses)
    return FakeServer(lambda _: sp.messages().Reply(payload=next(left).SerializeToString()))


def run(report, *arguments, answer=None, **environment):
    """Runs a report; returns the finished process and what was asked."""
    with answering(*(answer or [ANSWERS[report]()])) as server:
        done = serving.run("report", "--address", server.address, report, *arguments, LC_ALL="C", **environment)
        asked = [message(report, "Request").FromString(request.payload) for request in server.requests]
        assert {request.method for request in server.requests} <= {"/tradebook.v1." + METHODS[report]}
    return done, asked


def shown(report, *arguments, **options):
    done, _ = run(report, *arguments, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def asked(report, *arguments):
    done, requests = run(report, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return requests[0]


# --- what is asked ---


def test_report_signals_asks_for_the_ten_newest_strong_ones():
    request = asked("signals")
    assert (request.filter, request.order_by, request.page_size) == (
        "tier = 'high' AND confidence > 0.65", "timestamp desc", 10)


def test_report_patterns_asks_for_strong_ones():
    request = asked("patterns")
    assert (request.min_total, request.min_win_rate, request.order) == (10, 0.65, 0)
    request = asked("patterns", "--min", 3, "--min-rate", "0.5", "--order", "lower-bound", "--limit", 7)
    assert (request.min_total, request.min_win_rate, request.order, request.page_size) == (
        3, 0.5, analytics_pb2.RANK_ORDER_LOWER_BOUND, 7)


@pytest.mark.parametrize("report", ["performance", "equity", "series", "ab"])
@pytest.mark.parametrize("arguments, days", [([], 30), (["--days", "7"], 7), (["--days", "36500"], 36500)])
def test_report_days_are_24_hours_up_to_now(report, arguments, days):
    before = time.time_ns()
    request = asked(report, *arguments)
    after = time.time_ns()
    end = request.end_time.ToNanoseconds()
    assert before // 1000 * 1000 <= end <= after
    assert end - request.start_time.ToNanoseconds() == days * 86400 * 10**9


@pytest.mark.parametrize("report, arguments", [("performance", ["--days", "all"]), ("theories", []), ("calibration", [])])
def test_report_without_window_asks_for_all_time(report, arguments):
    request = asked(report, *arguments)
    assert not request.HasField("start_time") and not request.HasField("end_time")


@pytest.mark.parametrize("arguments, start, end", [
    (["--since", "2026-01-02"], "2026-01-02T00:00:00Z", None),
    (["--until", "2026-01-02 03:04:05.5"], None, "2026-01-02T03:04:05.500Z"),
    (["--since", "2026-01-02T00:00:00+01:00", "--until", "2026-02-01"], "2026-01-01T23:00:00Z", "2026-02-01T00:00:00Z"),
    (["--until", "2026-02-01", "--days", "2"], "2026-01-30T00:00:00Z", "2026-02-01T00:00:00Z"),
])
def test_report_since_and_until_are_the_window(arguments, start, end):
    request = asked("performance", *arguments)
    for field, expected in (("start_time", start), ("end_time", end)):
        assert request.HasField(field) == (expected is not None)
        assert expected is None or getattr(request, field).ToJsonString() == expected


@pytest.mark.parametrize("report", ["performance", "equity", "series", "calibration"])
@pytest.mark.parametrize("option, given, value", [
    *((name, 'a "b"', 'a "b"') for name in ("strategy", "symbol", "session", "exit-reason", "model-version")),
    ("tier", "HIGH", "high"), ("direction", "Short", "short")])
def test_report_slice_is_one_value_of_one_dimension(report, option, given, value):
    dimension = analytics_pb2.Dimension.Value("DIMENSION_" + option.upper().replace("-", "_"))
    assert asked(report, f"--{option}", given).slice == analytics_pb2.Slice(dimension=dimension, value=value)
    assert asked(report, f"--{option}=").slice == analytics_pb2.Slice(dimension=dimension)


def test_report_other_options_reach_the_request():
    request = asked("performance", "--by", "exit-reason", "--risk-free", "0.04")
    assert (request.breakdown, request.risk_free_rate) == (analytics_pb2.DIMENSION_EXIT_REASON, 0.04)
    assert asked("equity", "--points", 12).max_points == 12
    assert asked("calibration", "--bins", 4).bins == 4
    assert asked("series").period == analytics_pb2.PERIOD_DAY
    assert asked("series", "--period", "month").period == analytics_pb2.PERIOD_MONTH
    assert asked("open", "--symbol", "BTC-USD").symbol == "BTC-USD"
    assert asked("models", "--type", "lstm").model_type == "lstm"
    assert asked("theories", "--min", 5).min_n == 5
    request = asked("ab", "--arm-a", "x", "--arm-b", "y", "--share-a", "0.9")
    assert (request.strategy_a, request.strategy_b, request.expected_share_a) == ("x", "y", 0.9)


def test_report_asks_page_after_page_and_joins_them():
    pages = [book.trade_pb2.ListOpenPositionsResponse(
        open_positions=[book.trade_pb2.OpenPosition(signal_id=i)], next_page_token=token)
        for i, token in ((1, "two"), (2, "three"), (3, None))]
    done, requests = run("open", "--format", "json", answer=pages)
    assert json.loads(done.stdout) == {"openPositions": [{"signalId": "1"}, {"signalId": "2"}, {"signalId": "3"}]}
    assert [(r.page_size, r.page_token) for r in requests] == [(1000, ""), (1000, "two"), (1000, "three")]


def test_report_limit_holds_against_a_generous_server():
    done, requests = run("signals", "--limit", 1, "--format", "csv", answer=[book.signal_pb2.ListSignalsResponse(
        signals=[book.signal_pb2.Signal(id=i) for i in (1, 2, 3)], next_page_token="more")])
    assert [row["id"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["1"]
    assert len(requests) == 1


@pytest.mark.parametrize("arguments, reason", [
    ([], "REPORT is missing"),
    (["perfomance"], 'there is no report "perfomance". Did you mean "performance"?'),
    (["xyz"], 'there is no report "xyz"'),
    (["open", "ab"], '"ab" is one argument too many'),
    (["open", "--days", "3"], "report open has no option --days"),
    (["equity", "--by", "symbol"], "report equity has no option --by"),
    (["performance", "--by", "symbl"], '--by: "symbl" is not strategy, symbol, session, tier'),
    (["performance", "--by", "unspecified"], '--by: "unspecified" is not'),
    (["performance", "--tier", "higher"], '--tier: "higher" is not low, medium or high'),
    (["equity", "--direction", "up"], '--direction: "up" is not long, short or hold'),
    (["performance", "--days", "0"], '--days: "0" is not a whole number above 0'),
    (["performance", "--days", "ten"], '--days: "ten" is not'),
    (["performance", "--since", "yesterday"], '--since: "yesterday" is not a time'),
    (["performance", "--days", "3", "--since", "2026-01-01"], "--days and --since"),
    (["performance", "--days", "3", "--until", "soon"], '--until: "soon" is not a time'),
    (["performance", "--symbol", "A", "--tier", "high"], "--symbol and --tier cannot be given together"),
    (["performance", "--risk-free", "nan"], '--risk-free: "nan" is not a number'),
    (["equity", "--points", "1.5"], '--points: "1.5" is not a whole number'),
    (["equity", "--points", "99999999999"], "max_points"),
    (["patterns", "--min", "few"], '--min: "few" is not a whole number'),
    (["open", "--limit", "0"], '--limit: "0" is not'),
    (["open", "--format", "xml"], '--format: "xml" is not table, json or csv'),
])
def test_report_wrong_arguments_exits_2_without_a_call(arguments, reason):
    with answering() as server:
        done = serving.run("report", "--address", server.address, *arguments)
    assert (done.returncode, done.stdout, server.requests) == (2, "", [])
    assert reason in done.stderr


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_report_refused_prints_the_reason_only(form):
    refused = sp.messages().Reply(code=book.FAILED_PRECONDITION, message="Only one strategy has signals.")
    with FakeServer(lambda _: refused) as server:
        done = serving.run("report", "--address", server.address, "ab", "--format", form)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "FAILED_PRECONDITION: Only one strategy has signals.\n"


def test_report_refused_shows_no_control_characters():
    refused = sp.messages().Reply(code=book.FAILED_PRECONDITION, message="\x1b[31mred\x07\n\u009bé")
    with FakeServer(lambda _: refused) as server:
        done = serving.run("report", "--address", server.address, "ab")
    assert done.stderr == "FAILED_PRECONDITION: \\x1B[31mred\\x07\\n\\x9Bé\n"


# --- what is printed ---


@pytest.mark.parametrize("report", METHODS)
def test_report_json_is_the_response(report):
    printed = json_format.Parse(shown(report, "--format", "json"), message(report, "Response")())
    assert printed == ANSWERS[report]()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("report, count", [("performance", 1), ("open", 1), ("ab", 1), ("theories", 1), ("patterns", 1),
                                           ("models", 1), ("signals", 1), ("equity", 8), ("calibration", 1),
                                           ("series", 3)])
def test_report_csv_is_one_rectangle(report, count):
    text = shown(report, "--format", "csv")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert len(set(header)) == len(header)
    assert [len(row) for row in rows] == [len(header)] * count


def test_report_csv_values():
    total, = rows_of(shown("performance", "--format", "csv"))
    assert (total["n"], total["win_rate"], total["win_rate_lower"], total["usd_total"], total["sqn"]) == (
        "10", "0.6", "0.3127", "123456.5", "")
    groups = rows_of(shown("performance", "--by", "symbol", "--format", "csv"))
    assert [(g["value"], g["usd_total"]) for g in groups] == [("=a,b", "7"), ("", "-8")]
    arms, = rows_of(shown("ab", "--format", "csv"))
    assert (arms["a_strategy"], arms["b_signals"], arms["win_rate_difference_test"], arms["verdict"],
            arms["sample_ratio_alarm"]) == ("v7_full_math", "54", "fisher", "b", "0")
    assert rows_of(shown("equity", "--format", "csv"))[0]["time"] == "2023-11-14 22:13:21.000000"


def test_report_performance_table():
    lines = shown("performance").splitlines()
    assert lines[:2] == ["Performance",
                         "1,210 closed trades, from 2023-11-14 22:13:20 to 2023-12-14 22:13:20 UTC, 30 days"]
    assert "win rate                     60.0 % (31.3 .. 83.2)" in lines
    assert "total               +123,456.50 %  +123,456.50" in lines
    assert ["SQN", "-"] in [line.split() for line in lines]


def test_report_performance_by_dimension_adds_a_row_for_each_value():
    lines = shown("performance", "--by", "strategy").splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("strategy "))
    assert [line.split()[:2] for line in lines[header + 1:]] == [["=a,b", "10"], ["-", "10"]]


def test_report_basis_tells_slice_and_undated_trades():
    answer = ANSWERS["performance"]()
    answer.basis.slice.dimension = analytics_pb2.DIMENSION_SYMBOL
    answer.basis.undated_trades = 1
    answer.basis.ClearField("start_time")
    lines = shown("performance", answer=[answer]).splitlines()
    assert lines[1:3] == ["1,210 closed trades, until 2023-12-14 22:13:20 UTC, 30 days, without symbol",
                          "1 closed trade without exit_timestamp is in no window and left out"]
    answer.basis.slice.value = "BTC-USD"
    assert ", symbol BTC-USD\n" in shown("performance", answer=[answer])


@pytest.mark.parametrize("report, words", [
    ("open", "No trade is open."), ("models", "No model is in production."), ("patterns", "No pattern is that strong."),
    ("equity", "No trade was closed."), ("series", "No trade was closed."), ("signals", "There are none."),
    ("theories", "No theory has a graded record."),
])
def test_report_of_nothing_says_so(report, words):
    assert words in shown(report, answer=[message(report, "Response")()])


@pytest.mark.parametrize("locale, block", [("C", "#"), ("en_US.UTF-8", "█"), ("de_DE.utf8", "█"), ("", "#")])
def test_report_pictures_follow_the_locale(locale, block):
    with answering(ANSWERS["equity"]()) as server:
        done = serving.run("report", "--address", server.address, "equity", LC_ALL=locale, LC_CTYPE="", LANG="")
    assert block in done.stdout
    assert ("█" in done.stdout) == (block == "█")
    assert done.stdout.isascii() == (block == "#")


def test_report_ab_without_alarm_names_arms_difference_and_verdict():
    text = shown("ab")
    lines = [line.split() for line in text.splitlines()]
    assert ["strategy", "v7_full_math", "v7_deepseek_only"] in lines
    assert ["signals", "1,576", "54"] in lines
    assert "+2.1 pp (-1.0 .. +5.2)" in text
    assert ["p-value", "0.0312"] in lines
    assert ["test", "fisher"] in lines
    assert text.endswith("Verdict: B (v7_deepseek_only) is better\nThe reason is this.\n")
    assert "ALARM" not in text


def test_report_ab_shows_no_control_characters():
    answer = comparison()
    answer.b.strategy = "\x1b[2Jb"
    answer.verdict_reason = "Because\x07."
    text = shown("ab", answer=[answer])
    assert text.endswith("Verdict: B (\\x1B[2Jb) is better\nBecause\\x07.\n")
    assert "\x1b" not in text


def test_report_ab_reason_is_wrapped():
    answer = comparison()
    answer.verdict_reason = "word " * 50 + "end."
    lines = shown("ab", answer=[answer]).splitlines()
    assert " ".join(lines[-5:]).endswith("is better " + answer.verdict_reason)
    assert max(map(len, lines[-4:])) == 79


def test_report_ab_alarm_stands_before_the_figures():
    text = shown("ab", answer=[comparison(alarm=True)])
    assert text.index("!! SAMPLE RATIO ALARM") < text.index("Arms")
    assert "A has 96.7 % of the signals, 50.0 % expected: chi-squared 1421.25, p < 0.0001" in text
    assert "Verdict: not enough data\n" in text


# --- terminals ---


def on_terminal(report, answer=None, width=120, **environment):
    with answering(answer or ANSWERS[report]()) as server:
        return terminal.lines([serving.BIN, "report", "--address", server.address, report], width, **environment)


GREEN, RED, BOLD, RESET = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"


def test_report_on_terminal_shows_gain_green_and_loss_red():
    lines = on_terminal("performance")
    assert lines[0] == f"{BOLD}Performance{RESET}"
    total = next(line for line in lines if line.startswith("total "))
    assert f"{GREEN}+123,456.50 %{RESET}" in total
    groups = lines[-2:]
    assert f"{GREEN}+7.00{RESET}" in groups[0] and f"{RED}-8.00{RESET}" in groups[1]
    assert GREEN not in groups[1]


def test_report_on_terminal_alarm_is_marked():
    lines = on_terminal("ab", answer=comparison(alarm=True))
    alarm = next(line for line in lines if "ALARM" in line)
    assert alarm.startswith("\x1b[1;37;41m!! SAMPLE RATIO ALARM") and alarm.endswith(RESET)


@pytest.mark.parametrize("report", ["performance", "ab", "signals", "equity"])
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_report_on_terminal_is_plain_when_asked(report, environment):
    assert not any("\x1b" in line for line in on_terminal(report, **environment))


@pytest.mark.parametrize("report", METHODS)
def test_report_in_a_pipe_has_no_escapes(report):
    assert "\x1b" not in shown(report, TERM="xterm")


@pytest.mark.parametrize("report", METHODS)
def test_report_on_a_narrow_terminal_stays_within_it(report):
    for line in on_terminal(report, width=50, NO_COLOR="1", LC_ALL="C.UTF-8")[3:]:
        assert len(line) <= 50 or line.startswith(("Ends at", "A has"))


def test_report_output_that_cannot_be_written_exits_1():
    with answering(ANSWERS["models"]()) as server, open("/dev/full", "w") as full:
        done = subprocess.run([serving.BIN, "report", "--address", server.address, "models"], stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120, env=serving.environment())
    assert (done.returncode, done.stderr) == (1, "tradebook: cannot write the output: No space left on device.\n")
