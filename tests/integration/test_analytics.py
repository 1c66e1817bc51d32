"""Every figure of the analytics against support/ledger.py, on the users' database
and on random trades with everything that makes figures hard: NULLs, equal times,
idle days, values without a group."""

import contextlib
import math
import os
import pathlib
import random
import shutil
import sqlite3
import threading

import book
import ledger
import pytest
import serving
from book import FAILED_PRECONDITION, INVALID_ARGUMENT, analytics_pb2 as a
from ledger import DAY, DIMENSIONS, Ledger, assert_message, microseconds, timestamp

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))
BASE = microseconds("2025-03-03 00:00:00")  # a Monday
AHEAD = microseconds("2999-01-01 00:00:00")
PERIODS = {"day": a.PERIOD_DAY, "week": a.PERIOD_WEEK, "month": a.PERIOD_MONTH}


def insert(db, table, **values):
    return db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                      list(values.values())).lastrowid


def add_trade(db, at, outcome, percent, usd, r=None, exit_reason="tp_hit", **signal):
    """A closed trade as another program writes it; at None is a trade without a time."""
    now = ledger.text(BASE)
    signal = {"timestamp": ledger.text((at or BASE) - 3_600_000_000), "symbol": "BTC-USD", "direction": "long",
              "confidence": 0.5, "tier": "high", "ensemble_prediction": 0.5, "executed": 1, "strategy": "alpha",
              **signal}
    signal_id = insert(db, "signals", **signal)
    insert(db, "signal_results", signal_id=signal_id, entry_price=100.0, entry_timestamp=signal["timestamp"],
           exit_price=101.0, exit_timestamp=at and ledger.text(at), exit_reason=exit_reason, pnl_percent=percent,
           pnl_usd=usd, outcome=outcome, created_at=now, updated_at=now)
    if r is not None:
        insert(db, "risk_book_snapshots", signal_id=str(signal_id), pair="BTC-USD", tier="high", entry_time=now,
               entry_price=100.0, r_realized=r, mode="dryrun", created_at=now)


def add_random(path, count, seed, first_day=0, days=200):
    chance = random.Random(seed)
    active = chance.sample(range(days), days // 3)
    confidences = [0.0, 0.07, 0.1, 0.29, 0.3, 0.57, 0.58, 0.7, 0.99, 1.0]
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
        at = None
        for i in range(count):
            if at is None or chance.random() < 0.95:  # else the same moment once more
                at = BASE + (first_day + chance.choice(active)) * DAY + chance.randrange(DAY)
            outcome = chance.choices(["win", "loss", "breakeven"], [5, 5, 1])[0]
            sign = {"win": 1, "loss": -1, "breakeven": 0}[outcome]
            percent = sign * chance.lognormvariate(0, 1) + chance.gauss(0, 0.1)
            add_trade(
                db, None if i % 97 == 5 else at, outcome, None if i % 31 == 7 else percent,
                None if i % 41 == 3 else percent * chance.uniform(5, 500),
                r=percent / 2 if chance.random() < 0.6 else None,
                exit_reason=chance.choice(["tp_hit", "sl_hit", "manual", None]),
                confidence=chance.choice([*confidences, chance.random()]),
                symbol=chance.choice(["BTC-USD", "ETH-USD", "SOL'); DROP TABLE signals; --"]),
                direction=chance.choice(["long", "short"]), tier=chance.choice(["high", "medium", "low"]),
                session=chance.choice(["tokyo", "london", None]), model_version=f"v7.{i % 5}" if i % 7 else None,
                strategy=chance.choices(["alpha", "beta", "naïve 😀", None], [10, 8, 1, 1])[0])
        names = [f"theory_{i}" for i in range(12)]
        for i in range(count * 2):
            name = chance.choice(names[:11]) if i else names[11]
            insert(db, "theory_performance", signal_id=1, theory_name=name, contribution_score=chance.random(),
                   was_correct=None if i % 9 == 4 else int(chance.random() < 0.3 + 0.04 * names.index(name)),
                   created_at=ledger.text(BASE + chance.randrange(days * DAY)))


@pytest.fixture(scope="module", params=["fixture", "random"])
def served(request, tmp_path_factory):
    """(client, ledger) of a database that holds trades."""
    path = tmp_path_factory.mktemp("analytics") / "book.db"
    if request.param == "fixture":
        if not FIXTURE.is_file():
            pytest.skip("TRADEBOOK_FIXTURE names no database")
        shutil.copy(FIXTURE, path)
    with serving.Server(path) as server:
        if request.param == "random":
            add_random(path, 700, seed=1)
        with book.Client(server.address) as client:
            yield client, Ledger(path)


@pytest.fixture
def client(served):
    return served[0]


@pytest.fixture
def books(served):
    return served[1]


def middle(books, share):
    dated = [t.exit for t in books.trades if t.exit is not None]
    return dated[int(len(dated) * share)]


WINDOWS = {
    "all": lambda b: (None, None),
    "from": lambda b: (middle(b, 0.3), None),
    "until": lambda b: (None, middle(b, 0.6)),
    "between": lambda b: (middle(b, 0.2) + 1, middle(b, 0.7) + 1),
    "whole days": lambda b: (middle(b, 0.2) // DAY * DAY, middle(b, 0.7) // DAY * DAY),
    "wide": lambda b: (middle(b, 0) - 40 * DAY, middle(b, 0.999) + 40 * DAY),
    "ahead": lambda b: (middle(b, 0.5), AHEAD),
    "one trade": lambda b: (middle(b, 0.5), middle(b, 0.5) + 1),
    "an hour": lambda b: (middle(b, 0.5), middle(b, 0.5) + 3_600_000_000),
    "nothing": lambda b: (AHEAD, None),
}


@pytest.fixture(params=WINDOWS)
def window(request, books):
    return WINDOWS[request.param](books)


def times(window):
    names = dict(zip(("start_time", "end_time"), map(timestamp, window)))
    return {name: value for name, value in names.items() if value is not None}


def dimension_number(name):
    return a.Dimension.Value(f"DIMENSION_{name.upper()}")


def slice_of(name, value):
    made = a.Slice(dimension=dimension_number(name))
    if value is not None:
        made.value = value
    return made


def assert_basis(basis, books, window, dimension=None, value=None):
    assert basis.definitions
    basis.ClearField("definitions")
    assert basis.HasField("slice") == (dimension is not None)
    if dimension is not None:
        assert basis.slice == slice_of(dimension, value)
        basis.ClearField("slice")
    assert_message(basis, books.basis(*window, dimension, value), "basis")


@pytest.mark.parametrize("rate", [None, 0.04, -0.5])
def test_performance_of_a_window(client, books, window, rate):
    free = {} if rate is None else {"risk_free_rate": rate}
    answer = client.ok("AnalyticsService.GetPerformance", **times(window), **free)
    assert_basis(answer.basis, books, window)
    trades = books.window(*window)
    assert_message(answer.total, ledger.performance(trades, ledger.days_of(trades, *window), rate or 0.0), "total")
    assert not answer.groups and answer.groups_left_out == 0


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_performance_breakdown_and_slices_agree_with_the_rows(client, books, dimension):
    window = WINDOWS["between"](books)
    answer = client.ok("AnalyticsService.GetPerformance", **times(window), breakdown=dimension_number(dimension))
    trades = books.window(*window)
    expected = ledger.groups(trades, dimension)
    assert [group.value if group.HasField("value") else None for group in answer.groups] == [v for v, _ in expected]
    days = ledger.days_of(trades, *window)
    assert_message(answer.total, ledger.performance(trades, days), "total")
    assert_basis(answer.basis, books, window)
    for group, (value, own) in zip(answer.groups, expected):
        assert_message(group.performance, ledger.performance(own, days), f"group {value}")
        sliced = client.ok("AnalyticsService.GetPerformance", **times(window), slice=slice_of(dimension, value))
        assert_basis(sliced.basis, books, window, dimension, value)
        assert_message(sliced.total, ledger.performance(own, ledger.days_of(own, *window)), f"slice {value}")


@pytest.mark.parametrize("value", ["no such symbol", "", "btc-usd", "' OR 1=1 --"])
def test_performance_slice_of_nothing_has_no_figures(client, value):
    answer = client.ok("AnalyticsService.GetPerformance", slice=slice_of("symbol", value))
    assert_message(answer.total, ledger.performance([], []), "total")
    assert answer.basis.trades == 0 and not answer.basis.HasField("days")


@pytest.mark.parametrize("points", [1, 3, 40, None, 10_000])
@pytest.mark.parametrize("name", ["all", "between", "from", "an hour", "nothing"])
def test_equity_curve(client, books, name, points):
    window = WINDOWS[name](books)
    given = {} if points is None else {"max_points": points}
    answer = client.ok("AnalyticsService.GetEquityCurve", **times(window), **given)
    assert_basis(answer.basis, books, window)
    trades = books.window(*window)
    span, first = None, trades and trades[0].exit // DAY
    if len(trades) > (points or 500):
        span = math.ceil((trades[-1].exit // DAY - first + 1) / (points or 500))
    assert answer.HasField("span_days") == (span is not None)
    assert answer.span_days == (span or 0)
    expected = ledger.equity(trades, span, first)
    assert len(answer.points) == len(expected) <= (points or 500)
    for point, want in zip(answer.points, expected):
        assert_message(point, want, "point", absolute=1e-8)
    for unit in ("percent", "usd"):
        falls = ledger.profit(trades, unit)["max_drawdown"]
        assert answer.HasField(f"max_drawdown_{unit}") == (falls is not None)
        if falls is not None:
            assert_message(getattr(answer, f"max_drawdown_{unit}"), falls, unit)


def test_equity_curve_of_a_slice(client, books):
    answer = client.ok("AnalyticsService.GetEquityCurve", slice=slice_of("tier", "low"), max_points=10_000)
    assert_basis(answer.basis, books, (None, None), "tier", "low")
    expected = ledger.equity(books.window(None, None, "tier", "low"))
    assert len(answer.points) == len(expected)
    for point, want in zip(answer.points, expected):
        assert_message(point, want, "point", absolute=1e-8)


def next_month(us):
    year, month = map(int, ledger.text(us).split("-")[:2])
    return microseconds(f"{year + month // 12:04}-{month % 12 + 1:02}-01")


def period_around(us, period):
    day = us // DAY
    if period == "day":
        return day * DAY, (day + 1) * DAY
    if period == "week":
        monday = day - (day + 3) % 7  # 1970-01-01 was a Thursday
        return monday * DAY, (monday + 7) * DAY
    first = microseconds(ledger.text(us)[:8] + "01")
    return first, next_month(first)


def periods(trades, window, period):
    """(start, end) of the periods, newest first."""
    if not trades:
        return []
    found, at = [], trades[0].exit
    while at <= period_around(trades[-1].exit, period)[0] or at == trades[0].exit:
        start, end = period_around(at, period)
        found.append((start if window[0] is None else max(start, window[0]),
                      end if window[1] is None else min(end, window[1])))
        at = end
    return found[::-1]


def all_pages(client, method, field, **request):
    """Every entry, page by page, and the last response."""
    found, token = [], ""
    for _ in range(10_000):
        answer = client.ok(method, **request, **({"page_token": token} if token else {}))
        found += getattr(answer, field)
        token = answer.next_page_token
        if not token:
            return found, answer
        assert len(getattr(answer, field)) == request.get("page_size", 50)
    pytest.fail("there is no last page")


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("name", ["all", "between", "whole days", "wide", "an hour", "nothing"])
def test_series(client, books, name, period):
    window = WINDOWS[name](books)
    found, last = all_pages(client, "AnalyticsService.GetPerformanceSeries", "periods", **times(window),
                            period=PERIODS[period], page_size=7, risk_free_rate=0.02)
    assert_basis(last.basis, books, window)
    trades = books.window(*window)
    expected = periods(trades, window, period)
    days = ledger.days_of(trades, *window)
    for answer, (start, end) in zip(found, expected, strict=True):
        own = range(max(days.start, start // DAY), min(days.stop, (end - 1) // DAY + 1))
        assert_message(answer, {"start_time": start, "end_time": end, "performance": ledger.performance(
            books.window(start, end), own, 0.02)}, ledger.text(start))


def test_series_token_is_bound_to_its_question(client):
    question = {"period": a.PERIOD_DAY, "page_size": 1}
    token = client.ok("AnalyticsService.GetPerformanceSeries", **question).next_page_token
    assert token
    client.ok("AnalyticsService.GetPerformanceSeries", **{**question, "page_size": 9}, page_token=token)
    for other in ({"period": a.PERIOD_WEEK}, {"risk_free_rate": 0.1}, {"start_time": timestamp(1)},
                  {"end_time": timestamp(AHEAD)}, {"slice": slice_of("tier", "high")}, {"slice": slice_of("tier", None)}):
        reply = client.reply("AnalyticsService.GetPerformanceSeries", **{**question, **other}, page_token=token)
        assert reply.code == INVALID_ARGUMENT and set(book.violations(reply)) == {"page_token"}
    reply = client.reply("AnalyticsService.RankTheories", page_token=token)
    assert reply.code == INVALID_ARGUMENT and set(book.violations(reply)) == {"page_token"}


def arms(books, window):
    """The two strategies with the most signals."""
    counts = {}
    for signal in books.signals:
        if signal.strategy is not None and ledger.within(signal.at, *window):
            counts[signal.strategy] = counts.get(signal.strategy, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:2]


@pytest.mark.parametrize("name", ["all", "from", "between", "whole days", "wide"])
def test_comparison(client, books, name):
    window = WINDOWS[name](books)
    answer = client.ok("AnalyticsService.CompareStrategies", **times(window))
    assert_basis(answer.basis, books, window)
    days = ledger.days_of(books.window(*window), *window)
    own = []
    for arm, (strategy, signals) in zip((answer.a, answer.b), arms(books, window), strict=True):
        own.append(books.window(*window, "strategy", strategy))
        assert_message(arm, {"strategy": strategy, "signals": signals,
                             "performance": ledger.performance(own[-1], days)}, strategy)
    wins, n = [sum(t.outcome == "win" for t in trades) for trades in own], [len(trades) for trades in own]
    rates = ledger.rate_difference(wins, n)
    means = ledger.mean_difference(*([t.percent for t in trades if t.percent is not None] for trades in own))
    split = ledger.sample_ratio(answer.a.signals, answer.b.signals, 0.5)
    assert_message(answer.win_rate_difference, rates, "win rates")
    assert_message(answer.pnl_percent_difference, means, "means")
    assert_message(answer.sample_ratio, split, "split")
    corrected = ledger.holm([rates["p_value"], means["p_value"]])
    decided = (min(corrected) < 0.05 and min(n) >= 30 and not split["alarm"] and rates["value"] * means["value"] >= 0)
    better = a.VERDICT_A if rates["value"] + means["value"] > 0 else a.VERDICT_B
    assert answer.verdict == (better if decided else a.VERDICT_NOT_ENOUGH_DATA)
    assert answer.verdict_reason.startswith("Not enough data: ") != decided


def test_comparison_named_arms_and_expected_share(client, books):
    (first, _), (second, _) = arms(books, (None, None))
    answer = client.ok("AnalyticsService.CompareStrategies", strategy_a=second, strategy_b=first,
                       expected_share_a=0.1)
    assert (answer.a.strategy, answer.b.strategy) == (second, first)
    assert_message(answer.sample_ratio, ledger.sample_ratio(answer.a.signals, answer.b.signals, 0.1), "split")
    assert answer.sample_ratio.alarm and answer.verdict == a.VERDICT_NOT_ENOUGH_DATA
    unknown = client.ok("AnalyticsService.CompareStrategies", strategy_a=first, strategy_b="nobody")
    assert_message(unknown.b, {"strategy": "nobody", "signals": 0, "performance": ledger.performance([], [])}, "b")
    assert not unknown.win_rate_difference.ListFields() and not unknown.pnl_percent_difference.ListFields()
    both = client.ok("AnalyticsService.CompareStrategies", strategy_a="nobody", strategy_b="no one")
    assert_message(both.sample_ratio, ledger.sample_ratio(0, 0, 0.5), "split")
    assert both.verdict == a.VERDICT_NOT_ENOUGH_DATA


def test_comparison_of_a_window_with_one_strategy_is_refused(client):
    reply = client.reply("AnalyticsService.CompareStrategies", start_time=timestamp(AHEAD))
    assert reply.code == FAILED_PRECONDITION
    assert "two strategies" in reply.message


@pytest.mark.parametrize("order", [None, a.RANK_ORDER_UNSPECIFIED, a.RANK_ORDER_RATE, a.RANK_ORDER_LOWER_BOUND])
@pytest.mark.parametrize("min_n", [None, 60])
def test_theories(client, books, order, min_n):
    given = {name: value for name, value in {"order": order, "min_n": min_n}.items() if value is not None}
    middle_at = sorted(t.at for t in books.theories)[len(books.theories) // 2]
    for window in [(None, None), (None, middle_at), (middle_at, AHEAD), (AHEAD, None)]:
        records = [t for t in books.theories if ledger.within(t.at, *window)]
        found, last = all_pages(client, "AnalyticsService.RankTheories", "theories", **times(window), **given,
                                page_size=3)
        assert last.basis.definitions
        last.basis.ClearField("definitions")
        assert_message(last.basis, dict(zip(("start_time", "end_time"), window)), "basis")
        assert_message(last.overall_accuracy, ledger.proportion(sum(t.correct for t in records), len(records)))
        expected = ledger.theory_ranks(records, min_n or 1, order == a.RANK_ORDER_LOWER_BOUND)
        for answer, want in zip(found, expected, strict=True):
            assert_message(answer, want, want["theory_name"])


@pytest.mark.parametrize("bins", [None, 1, 2, 4, 5, 10, 20, 25, 50, 100])
def test_calibration(client, books, bins):
    given = {} if bins is None else {"bins": bins}
    for name in ["all", "between", "one trade", "nothing"]:
        window = WINDOWS[name](books)
        answer = client.ok("AnalyticsService.GetCalibration", **times(window), **given)
        assert_basis(answer.basis, books, window)
        answer.ClearField("basis")
        assert_message(answer, ledger.calibration(books.window(*window), bins or 10), name)


def test_calibration_of_a_slice(client, books):
    answer = client.ok("AnalyticsService.GetCalibration", slice=slice_of("direction", "short"))
    assert_basis(answer.basis, books, (None, None), "direction", "short")
    answer.ClearField("basis")
    assert_message(answer, ledger.calibration(books.window(None, None, "direction", "short")), "short")


def test_empty_database_has_no_figures(tmp_path):
    with serving.Server(tmp_path / "empty.db") as server, book.Client(server.address) as client:
        answer = client.ok("AnalyticsService.GetPerformance", breakdown=a.DIMENSION_SYMBOL)
        assert_message(answer.total, ledger.performance([], []), "total")
        assert not answer.groups
        assert not client.ok("AnalyticsService.GetPerformanceSeries", period=a.PERIOD_DAY).periods
        assert not client.ok("AnalyticsService.GetEquityCurve").points
        assert client.ok("AnalyticsService.GetCalibration").n == 0
        theories = client.ok("AnalyticsService.RankTheories")
        assert not theories.theories and theories.overall_accuracy.n == 0
        assert client.reply("AnalyticsService.CompareStrategies").code == FAILED_PRECONDITION


def test_split_of_1576_to_54_raises_the_alarm(tmp_path):
    path = tmp_path / "split.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for i in range(1630):
                insert(db, "signals", timestamp=ledger.text(BASE + i), symbol="BTC-USD", direction="long",
                       confidence=0.5, tier="high", ensemble_prediction=0.5,
                       strategy="v7_full_math" if i < 1576 else "v7_deepseek_only")
        answer = client.ok("AnalyticsService.CompareStrategies")
        assert (answer.a.signals, answer.b.signals) == (1576, 54)
        assert answer.sample_ratio.alarm
        assert answer.sample_ratio.p_value < 1e-300
        assert answer.verdict == a.VERDICT_NOT_ENOUGH_DATA
        assert "1576 to 54" in answer.verdict_reason
        as_planned = client.ok("AnalyticsService.CompareStrategies", expected_share_a=0.97)
        assert not as_planned.sample_ratio.alarm


def test_better_strategy_gets_the_verdict(tmp_path):
    path = tmp_path / "better.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for i in range(200):
                win = i % 10 < 7
                add_trade(db, BASE + i * 1000, "win" if win else "loss", 1.0 + i / 1000 if win else -1.0, 10.0,
                          strategy="good")
                add_trade(db, BASE + i * 1000, "loss" if win else "win", -1.0 - i / 1000 if win else 1.0, 10.0,
                          strategy="bad")
        answer = client.ok("AnalyticsService.CompareStrategies")
        assert (answer.a.strategy, answer.b.strategy) == ("bad", "good")
        assert answer.verdict == a.VERDICT_B
        assert answer.verdict_reason.startswith("good is better than bad: it wins 70.0 % of 200 trades against 30.0 %")


def test_signals_without_a_strategy_are_not_those_of_the_empty_one(tmp_path):
    path = tmp_path / "nameless.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for strategy, count in (("", 3), ("alpha", 2), (None, 7)):
                for _ in range(count):
                    add_trade(db, BASE, "win", 1.0, 1.0, strategy=strategy)
        answer = client.ok("AnalyticsService.CompareStrategies")
        assert (answer.a.strategy, answer.a.signals, answer.a.performance.n) == ("", 3, 3)
        assert (answer.b.strategy, answer.b.signals, answer.b.performance.n) == ("alpha", 2, 2)


def test_comparison_is_of_one_moment(tmp_path):
    """Every trade that another program adds comes with its signal."""
    path = tmp_path / "moment.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        over = threading.Event()

        def write():
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
                db.execute("PRAGMA synchronous = OFF")
                while not over.is_set():
                    for strategy in ("alpha", "beta"):
                        with db:
                            add_trade(db, BASE, "win", 1.0, 1.0, strategy=strategy)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = 0
            while seen < 300:
                answer = client.ok("AnalyticsService.CompareStrategies", strategy_a="alpha", strategy_b="beta")
                arms_n = [(arm.signals, arm.performance.n) for arm in (answer.a, answer.b)]
                assert all(n == signals for signals, n in arms_n)
                assert answer.basis.trades == sum(n for _, n in arms_n)
                seen += answer.basis.trades > 0
        finally:
            over.set()
            writer.join()


# --- where doubles end ---


def computed(tmp_path, *trades):
    """(figures of all, the ledger) of trades (day, percent, usd, r)."""
    path = tmp_path / "doubles.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for i, (day, percent, usd, r) in enumerate(trades):
                add_trade(db, BASE + day * DAY + i, "win" if percent > 0 else "loss", percent, usd, r)
        return client.ok("AnalyticsService.GetPerformance").total, Ledger(path)


def plain(books):
    return ledger.performance(books.trades, ledger.days_of(books.trades, None, None))


def test_ratios_to_what_rounding_leaves_are_absent(tmp_path):
    """A day whose trades cancel out up to a last bit is no loss."""
    cancelling = [(1, 0.3, 1.0, 5 / 3), (1, -0.1, 1.0, 0.5 / 0.3), (1, -0.2, 1.0, (1 - 0.5) / 0.3)]
    figures, books = computed(tmp_path, (0, 0.5, 1.0, 5 / 3), *cancelling, (2, 0.5, 1.0, 5 / 3))
    assert sum(percent for _, percent, *_ in cancelling) < 0
    assert not figures.HasField("sortino") and not figures.HasField("sqn")
    assert figures.sharpe > 0
    assert_message(figures, plain(books))


def test_rounding_alone_has_no_sharpe(tmp_path):
    days = [(day, sign * percent, 1.0, None) for day in range(2) for sign, percent in ((1, 0.3), (-1, 0.1), (-1, 0.2))]
    figures, books = computed(tmp_path, *days, (2, 1.1, 1.0, None), (2, -0.8, 1.0, None), (2, -0.3, 1.0, None))
    assert not figures.HasField("sharpe") and not figures.HasField("sortino")
    assert_message(figures, plain(books))


def finite(message):
    """Whether no number of the message is infinite or not a number."""
    return all(finite(value) if field.message_type else not isinstance(value, float) or math.isfinite(value)
               for field, values in message.ListFields()
               for value in (values if field.label == field.LABEL_REPEATED else [values]))


def test_figures_beyond_a_double_are_absent(tmp_path):
    figures, _ = computed(tmp_path, *((day, sign * 1e308, sign * 1.5e308, sign * 1e308)
                                      for day in range(2) for sign in (1, 1, -1, -1, 1)))
    assert finite(figures)
    absent = [(figures, name) for name in ("r_standard_deviation", "sqn", "sharpe", "sortino", "calmar")]
    absent += [(profit, name) for profit in (figures.percent, figures.usd) for name in (
        "total", "mean", "standard_deviation", "mean_win", "mean_loss", "gross_gain", "gross_loss", "profit_factor",
        "payoff")]
    assert [name for message, name in absent if message.HasField(name)] == []
    assert figures.percent.n == figures.n == 10


def test_ratios_to_what_is_beyond_a_double_are_not_0(tmp_path):
    """The gains, means and daily returns are doubles, what they are divided by is not."""
    figures, _ = computed(tmp_path, (0, 1e200, 1.0, 1e200), (1, 1.0, 1.0, 1.0), (2, -1e308, -1e308, -1.0),
                          (3, -1e308, -1e308, 1.0))
    assert finite(figures)
    assert figures.usd.gross_gain == 2.0 and not figures.usd.HasField("profit_factor")
    assert figures.usd.mean_win == 1.0 and not figures.usd.HasField("payoff")
    assert figures.HasField("r_mean") and not figures.HasField("sqn")
    assert not figures.HasField("sharpe") and not figures.HasField("sortino")


def curve_of(tmp_path, *percents):
    """(figures, curve) of trades on successive days."""
    path = tmp_path / "curve.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for day, percent in enumerate(percents):
                add_trade(db, BASE + day * DAY, "win" if percent > 0 else "loss", percent, 1.0)
        figures = client.ok("AnalyticsService.GetPerformance").total
        curve = client.ok("AnalyticsService.GetEquityCurve")
    assert finite(figures) and finite(curve)
    return figures, curve


def drawdowns(curve):
    return [point.drawdown_percent if point.HasField("drawdown_percent") else None for point in curve.points]


def test_drawdown_after_a_sum_beyond_a_double_is_absent(tmp_path):
    figures, curve = curve_of(tmp_path, 1.0, -0.25, 1.5e308, 1.5e308, -1.5e308)
    assert not figures.percent.HasField("max_drawdown") and not curve.HasField("max_drawdown_percent")
    assert drawdowns(curve) == [0.0, 0.25, 0.0, None, None]
    assert [point.HasField("equity_percent") for point in curve.points] == [True, True, True, False, False]
    assert figures.usd.max_drawdown.depth == curve.max_drawdown_usd.depth == 0.0


def test_drawdown_beyond_a_double_is_absent(tmp_path):
    """Every sum is a double, the fall from the highest to the lowest is not."""
    figures, curve = curve_of(tmp_path, 1.5e308, -1.5e308, -1.5e308, 1.0)
    assert not figures.percent.HasField("max_drawdown") and not curve.HasField("max_drawdown_percent")
    assert not figures.HasField("calmar")
    assert drawdowns(curve) == [0.0, 1.5e308, None, None]
    assert [point.equity_percent for point in curve.points] == [1.5e308, 0.0, -1.5e308, -1.5e308]


def test_contributions_that_are_no_number_are_left_out_of_the_mean(tmp_path):
    path = tmp_path / "contributions.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for name, score in (("a", 0.5), ("a", math.inf), ("a", "much"), ("a", 0.25), ("b", math.inf)):
                insert(db, "theory_performance", signal_id=1, theory_name=name, contribution_score=score,
                       was_correct=1, created_at=ledger.text(BASE))
        [first, second] = client.ok("AnalyticsService.RankTheories").theories
    assert (first.theory_name, first.accuracy.n, first.mean_contribution) == ("a", 4, 0.375)
    assert (second.theory_name, second.accuracy.n) == ("b", 1) and not second.HasField("mean_contribution")


def test_a_grade_is_0_or_1(tmp_path):
    """Of what other programs write, seen at the start and later."""
    path = tmp_path / "grades.db"
    grades = (0, 1, "1", 1.0, 2, -1, 0.5, "yes", b"1", None)

    def add():
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for grade in grades:
                insert(db, "theory_performance", signal_id=1, theory_name="a", contribution_score=0.5,
                       was_correct=grade, created_at=ledger.text(BASE))

    with serving.Server(path):
        pass
    add()
    with serving.Server(path) as server, book.Client(server.address) as client:
        for n in (4, 8):
            [rank] = client.ok("AnalyticsService.RankTheories").theories
            assert (rank.accuracy.n, rank.correct) == (n, n * 3 // 4)
            add()


def test_comparison_beyond_a_double_has_no_test_of_means(tmp_path):
    path = tmp_path / "doubles.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for i in range(40):
                add_trade(db, BASE + i, "win", 1e200 if i % 2 else -1e200, 1.0, strategy="alpha")
                add_trade(db, BASE + i, "win", 1.0 + i % 2, 1.0, strategy="beta")
        answer = client.ok("AnalyticsService.CompareStrategies")
    assert finite(answer) and answer.verdict == a.VERDICT_NOT_ENOUGH_DATA
    assert [f.name for f, _ in answer.pnl_percent_difference.ListFields()] == ["value"]


USERS_SQL = {
    "win rate": """
        SELECT count(*), sum(outcome = 'win'), sum(outcome = 'loss'), 1.0 * sum(outcome = 'win') / count(*),
               avg(CASE WHEN outcome = 'win' THEN pnl_percent END),
               avg(CASE WHEN outcome = 'loss' THEN pnl_percent END), avg(pnl_percent)
        FROM signal_results WHERE outcome IN ('win', 'loss', 'breakeven') AND exit_timestamp >= ?""",
    "theories": """
        SELECT theory_name, count(*), sum(was_correct), 1.0 * sum(was_correct) / count(*) AS accuracy,
               avg(contribution_score)
        FROM theory_performance WHERE was_correct IS NOT NULL GROUP BY theory_name
        ORDER BY accuracy DESC, count(*) DESC, theory_name""",
    "A/B": """
        SELECT s.strategy, count(*), sum(r.outcome = 'win'), 1.0 * sum(r.outcome = 'win') / count(*),
               avg(r.pnl_percent)
        FROM signal_results r JOIN signals s ON s.id = r.signal_id
        WHERE r.outcome IN ('win', 'loss', 'breakeven') AND r.exit_timestamp >= ?
        GROUP BY s.strategy ORDER BY s.strategy""",
}


def near(*values):
    return pytest.approx(values, rel=1e-9)


@pytest.mark.skipif(not FIXTURE.is_file(), reason="TRADEBOOK_FIXTURE names no database")
def test_users_own_sql_gives_the_same_numbers(tmp_path):
    path = tmp_path / "book.db"
    shutil.copy(FIXTURE, path)
    with serving.Server(path) as server, book.Client(server.address) as client:
        file = book.File(path)
        since = "2025-10-22 00:00:00"
        start = {"start_time": timestamp(microseconds(since))}
        total = client.ok("AnalyticsService.GetPerformance", **start).total
        [(n, wins, losses, rate, win, loss, average)] = file.query(USERS_SQL["win rate"], since)
        assert (total.n, total.wins, total.losses) == (n, wins, losses)
        assert (total.win_rate.value, total.percent.mean_win, total.percent.mean_loss, total.percent.mean) == near(
            rate, win, loss, average)

        theories = client.ok("AnalyticsService.RankTheories").theories
        for theory, (name, n, correct, accuracy, contribution) in zip(
                theories, file.query(USERS_SQL["theories"]), strict=True):
            assert (theory.theory_name, theory.accuracy.n, theory.correct) == (name, n, correct)
            assert (theory.accuracy.value, theory.mean_contribution) == near(accuracy, contribution)

        answer = client.ok("AnalyticsService.CompareStrategies", **start)
        for arm, (strategy, n, wins, rate, average) in zip(
                sorted([answer.a, answer.b], key=lambda arm: arm.strategy), file.query(USERS_SQL["A/B"], since),
                strict=True):
            assert (arm.strategy, arm.performance.n, arm.performance.wins) == (strategy, n, wins)
            assert (arm.performance.win_rate.value, arm.performance.percent.mean) == near(rate, average)


def test_figures_follow_what_another_program_writes(tmp_path):
    path = tmp_path / "book.db"
    with serving.Server(path) as server, book.Client(server.address) as client:
        for round_ in range(4):
            # Later, earlier and among what is there already.
            add_random(path, 60, seed=10 + round_, first_day=[100, 300, 0, 100][round_])
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
                db.execute("UPDATE signal_results SET pnl_percent = pnl_percent + 1 WHERE id % 7 = ?", [round_])
                db.execute("DELETE FROM signal_results WHERE id % 29 = ?", [round_])
                db.execute("UPDATE signals SET strategy = 'moved' WHERE id % 11 = ?", [round_])
                db.execute("UPDATE theory_performance SET was_correct = 1 - was_correct WHERE id % 5 = ?", [round_])
            books = Ledger(path)
            trades = books.window()
            days = ledger.days_of(trades, None, None)
            answer = client.ok("AnalyticsService.GetPerformance", breakdown=a.DIMENSION_STRATEGY)
            assert_message(answer.total, ledger.performance(trades, days), "total")
            for group, (value, own) in zip(answer.groups, ledger.groups(trades, "strategy"), strict=True):
                assert_message(group.performance, ledger.performance(own, days), str(value))
            ranks = client.ok("AnalyticsService.RankTheories").theories
            for rank, want in zip(ranks, ledger.theory_ranks(books.theories), strict=True):
                assert_message(rank, want, want["theory_name"])


def test_figures_follow_a_signal_that_comes_after_its_trade(tmp_path):
    path = tmp_path / "late.db"

    def strategies():
        answer = client.ok("AnalyticsService.GetPerformance", breakdown=a.DIMENSION_STRATEGY)
        return {group.value if group.HasField("value") else None: group.performance.n for group in answer.groups}

    with serving.Server(path) as server, book.Client(server.address) as client:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
            with db:
                add_trade(db, BASE, "win", 1.0, 1.0, strategy="early")
                signal = dict(zip([column[1] for column in db.execute("PRAGMA table_info(signals)")],
                                  db.execute("SELECT * FROM signals").fetchone(), strict=True))
                db.execute("UPDATE signal_results SET signal_id = 77")
            assert strategies() == {None: 1}
            with db:
                insert(db, "signals", **{**signal, "id": 77, "strategy": "late"})
            assert strategies() == {"late": 1}
            with db:
                db.execute("UPDATE signals SET id = 78 WHERE id = 77")
            assert strategies() == {None: 1}
            with db:
                db.execute("UPDATE signals SET id = 77 WHERE id = 1")
            assert strategies() == {"early": 1}


def test_figures_of_trades_that_the_server_records(tmp_path):
    chance = random.Random(6)
    path = tmp_path / "book.db"
    with serving.Server(path, "--breakeven-band", 0.2) as server, book.Client(server.address) as client:
        for i in range(60):
            side = chance.choice([1, 2])
            signal = client.ok("SignalService.CreateSignal", signal=book.signal(
                direction=side, entry_price=100.0, sl_price=[95.0, 105.0][side - 1] if i % 3 else None,
                strategy=chance.choice(["alpha", "beta"]), confidence=chance.random()))
            entry = BASE + chance.randrange(40) * DAY + i
            opened = {"signal_id": signal.id, "entry_time": timestamp(entry), "quantity": 2.0, "fees_usd": 0.5}
            closed = {"exit_price": 100 + chance.gauss(0.5, 2), "exit_time": timestamp(entry + 90_000_000),
                      "exit_reason": "manual"}
            client.ok("TradeService.RecordTrade", open=opened, close=closed)
        books = Ledger(path)
        trades = books.window()
        answer = client.ok("AnalyticsService.GetPerformance", breakdown=a.DIMENSION_STRATEGY)
        days = ledger.days_of(trades, None, None)
        assert answer.total.n == 60 and answer.total.r_n == 40 and answer.total.breakevens > 0
        assert_message(answer.total, ledger.performance(trades, days), "total")
        for group, (value, own) in zip(answer.groups, ledger.groups(trades, "strategy"), strict=True):
            assert_message(group.performance, ledger.performance(own, days), value)


def test_largest_answers_fit(tmp_path):
    path = tmp_path / "large.db"
    symbols, count = 1003, 10_001
    with serving.Server(path) as server, book.Client(server.address) as client:
        chance = random.Random(5)
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
            for i in range(count):
                gain = chance.gauss(0.1, 1)
                add_trade(db, BASE + i * DAY // 9, "win" if gain > 0 else "loss", gain, gain * 1000, r=gain,
                          symbol=f"S{i % symbols:04}-USD")
        trades = Ledger(path).window()
        answer = client.ok("AnalyticsService.GetPerformance", breakdown=a.DIMENSION_SYMBOL)
        assert (len(answer.groups), answer.groups_left_out) == (1000, symbols - 1000)
        expected = ledger.groups(trades, "symbol")[:1000]
        assert [(g.value, g.performance.n) for g in answer.groups] == [(v, len(own)) for v, own in expected]
        assert_message(answer.groups[999].performance,
                       ledger.performance(expected[999][1], ledger.days_of(trades, None, None)), "last group")
        points = client.ok("AnalyticsService.GetEquityCurve", max_points=10_000)
        assert points.span_days == 1 and points.points[-1].trades == count
        points = client.ok("AnalyticsService.GetEquityCurve", max_points=10_000, end_time=timestamp(trades[-1].exit))
        assert not points.HasField("span_days") and len(points.points) == 10_000
        periods_ = client.ok("AnalyticsService.GetPerformanceSeries", period=a.PERIOD_DAY, page_size=5000)
        assert len(periods_.periods) == 1000 and periods_.next_page_token
