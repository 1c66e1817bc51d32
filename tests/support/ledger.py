"""What the analytics must answer, computed once more from the rows of a database
with Python's whole numbers and with scipy: nothing is shared with the server but the
definitions in analytics.proto.

Sums are exact: every double is a whole number of the smallest one, 2^-1074, and what
is called exact below is that number. Expected messages are dicts; None means that
the field is absent.
"""

import bisect
import datetime
import itertools
import math
import sqlite3
from collections import namedtuple
from fractions import Fraction

import book
import pytest
from scipy import special, stats

DAY = 86_400_000_000  # microseconds
SMALLEST = 1 << 1074  # so many of the smallest double are 1
EPOCH = datetime.datetime(1970, 1, 1)
DIMENSIONS = ["strategy", "symbol", "session", "tier", "direction", "exit_reason", "model_version"]
POWER = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)

Trade = namedtuple("Trade", ["id", "exit", "outcome", "percent", "usd", "r", "confidence", *DIMENSIONS])
Theory = namedtuple("Theory", ["at", "name", "correct", "contribution"])
Signal = namedtuple("Signal", ["at", "strategy"])


def microseconds(text):
    return None if text is None else (datetime.datetime.fromisoformat(text) - EPOCH) // datetime.timedelta(
        microseconds=1)


def text(us):
    return (EPOCH + datetime.timedelta(microseconds=us)).isoformat(" ", "microseconds")


def timestamp(us):
    return None if us is None else book.timestamp(us // 1_000_000, us % 1_000_000 * 1000)


def within(at, start, end):
    return at is not None and (start is None or at >= start) and (end is None or at < end)


class Ledger:
    def __init__(self, path):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.trades = [Trade(i, microseconds(at), *rest) for i, at, *rest in db.execute(
            "SELECT r.id, r.exit_timestamp, r.outcome, r.pnl_percent, r.pnl_usd, k.r_realized, s.confidence, "
            "s.strategy, s.symbol, s.session, s.tier, s.direction, r.exit_reason, s.model_version "
            "FROM signal_results r JOIN signals s ON s.id = r.signal_id "
            "LEFT JOIN risk_book_snapshots k ON k.signal_id = CAST(r.signal_id AS TEXT) "
            "WHERE r.outcome IN ('win', 'loss', 'breakeven') ORDER BY r.exit_timestamp, r.id")]
        self.theories = [Theory(microseconds(at), *rest) for at, *rest in db.execute(
            "SELECT created_at, theory_name, was_correct, contribution_score FROM theory_performance "
            "WHERE was_correct IS NOT NULL")]
        self.signals = [Signal(microseconds(at), strategy)
                        for at, strategy in db.execute("SELECT timestamp, strategy FROM signals")]
        db.close()

    def of(self, dimension=None, value=None):
        return [t for t in self.trades if dimension is None or getattr(t, dimension) == value]

    def window(self, start=None, end=None, dimension=None, value=None):
        return [t for t in self.of(dimension, value) if within(t.exit, start, end)]

    def basis(self, start=None, end=None, dimension=None, value=None):
        trades = self.window(start, end, dimension, value)
        return {
            "start_time": start, "end_time": end, "trades": len(trades),
            "undated_trades": sum(t.exit is None for t in self.of(dimension, value)),
            "days": len(days_of(trades, start, end)) or None,
        }


def days_of(trades, start, end):
    """The days that figures per day are made of. Windows here end in the past or
    years ahead."""
    if not trades:
        return range(0)
    first = start if start is not None else trades[0].exit
    ended = end is not None and end <= microseconds(datetime.datetime.utcnow().isoformat())
    last = end - 1 if ended else trades[-1].exit
    return range(first // DAY, last // DAY + 1)


def ratio(a, b):
    return None if a is None or b is None or b == 0 else a / b


def exact(value):
    numerator, denominator = float(value).as_integer_ratio()
    return numerator * (SMALLEST // denominator)


def mean(values):
    """Of exact values."""
    return None if not values else sum(values) / (SMALLEST * len(values))


def variance(values):
    """Of at least two exact values."""
    n = len(values)
    return (n * sum(v * v for v in values) - sum(values) ** 2) / (SMALLEST * SMALLEST * n * (n - 1))


def deviation(values):
    """Of exact values."""
    return None if len(values) < 2 else math.sqrt(variance(values))


def wilson(successes, n):
    return tuple(map(float, stats.binomtest(successes, n).proportion_ci(method="wilson")))


def proportion(successes, n):
    value, (lower, upper) = (successes / n, wilson(successes, n)) if n else (None, (None, None))
    return {"value": value, "lower": lower, "upper": upper, "n": n}


def per_deviation(figure, spread, size):
    """figure / spread of values of this size, of which 1e-12 is rounding."""
    return None if spread is None or spread <= 1e-12 * abs(size) else figure / spread


def falls(steps):
    """After each exact step, the cumulated curve and how far it is below its highest
    value, both exact."""
    total = high = 0
    for step in steps:
        total += step
        high = max(high, total)
        yield total, high - total


def drawdown(trades, steps):
    if not steps:
        return None
    curve = list(falls(steps))
    depth = max(fall for _, fall in curve)
    if depth == 0:
        return {"depth": 0.0, "peak_time": None, "trough_time": None, "recovery_time": None, "duration_seconds": 0}
    trough = next(i for i, (_, fall) in enumerate(curve) if fall == depth)
    high = curve[trough][0] + depth
    peak = next((i for i in range(trough) if curve[i][0] == high), None)
    recovery = next((i for i in range(trough, len(curve)) if curve[i][0] >= high), None)
    begin = trades[0 if peak is None else peak].exit
    finish = trades[-1 if recovery is None else recovery].exit
    return {
        "depth": depth / SMALLEST,
        "peak_time": None if peak is None else trades[peak].exit,
        "trough_time": trades[trough].exit,
        "recovery_time": None if recovery is None else trades[recovery].exit,
        "duration_seconds": (finish - begin) // 1_000_000,
    }


def profit(trades, unit):
    trades = [t for t in trades if getattr(t, unit) is not None]
    values = [exact(getattr(t, unit)) for t in trades]
    win, loss = (mean([v for t, v in zip(trades, values) if t.outcome == o]) for o in ("win", "loss"))
    gain, lost = sum(v for v in values if v > 0), sum(v for v in values if v < 0)
    return {
        "n": len(values), "total": sum(values) / SMALLEST, "mean": mean(values), "standard_deviation": deviation(values),
        "mean_win": win, "mean_loss": loss, "gross_gain": gain / SMALLEST, "gross_loss": lost / SMALLEST,
        "profit_factor": ratio(gain, -lost), "payoff": ratio(win, loss and abs(loss)),
        "max_drawdown": drawdown(trades, values),
    }


def performance(trades, days, risk_free_rate=0.0):
    count = {o: sum(t.outcome == o for t in trades) for o in ("win", "loss", "breakeven")}
    percent = profit(trades, "percent")
    r = [exact(t.r) for t in trades if t.r is not None]
    daily = dict.fromkeys(days, 0)
    for trade in trades:
        daily[trade.exit // DAY] += exact(trade.percent or 0)
    free = exact(100 * risk_free_rate / 365)
    excess = [value - free for value in daily.values()]
    squares = sum(min(e, 0) ** 2 for e in excess)
    downside = math.sqrt(squares / (SMALLEST * SMALLEST * len(excess))) if excess else None
    year = math.sqrt(365)
    depth = percent["max_drawdown"] and percent["max_drawdown"]["depth"]
    gross = (percent["gross_gain"] - percent["gross_loss"]) / len(daily) if daily else None
    sharpe = per_deviation(mean(excess), deviation(list(daily.values())), gross)
    sortino = per_deviation(mean(excess), downside, gross)
    return {
        "n": len(trades), "wins": count["win"], "losses": count["loss"], "breakevens": count["breakeven"],
        "win_rate": proportion(count["win"], len(trades)),
        "decisive_win_rate": proportion(count["win"], count["win"] + count["loss"]),
        "percent": percent, "usd": profit(trades, "usd"),
        "r_n": len(r), "r_mean": mean(r), "r_standard_deviation": deviation(r),
        "sqn": per_deviation(math.sqrt(min(len(r), 100)) * (mean(r) or 0), deviation(r), mean(r)),
        "sharpe": None if sharpe is None else sharpe * year,
        "sortino": None if sortino is None else sortino * year,
        "calmar": ratio(mean(list(daily.values())) * 365, depth) if daily else None,
    }


def groups(trades, dimension):
    """(value, its trades), most first, ties by value with those that have none last."""
    found = {}
    for trade in trades:
        found.setdefault(getattr(trade, dimension), []).append(trade)
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0] is None, item[0] or ""))


def proportion_test(k, n):
    """(test, statistic, p_value) of two shares."""
    expected = [Fraction(cell * size, sum(n)) for cell in (sum(k), sum(n) - sum(k)) for size in n]
    if min(expected) < 5:
        _, p_value = stats.fisher_exact([[k[0], n[0] - k[0]], [k[1], n[1] - k[1]]])
        return book.analytics_pb2.PROPORTION_TEST_FISHER, None, p_value
    pooled = sum(k) / sum(n)
    z = (k[0] / n[0] - k[1] / n[1]) / math.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    return book.analytics_pb2.PROPORTION_TEST_Z, z, 2 * stats.norm.sf(abs(z))


def rate_difference(k, n):
    names = ["value", "lower", "upper", "test", "statistic", "p_value", "minimum_detectable_effect"]
    if 0 in n:
        return dict.fromkeys(names)
    (low_a, high_a), (low_b, high_b) = map(wilson, k, n)
    rates = [a / b for a, b in zip(k, n)]
    d, pooled = rates[0] - rates[1], sum(k) / sum(n)
    lower = d - math.hypot(rates[0] - low_a, high_b - rates[1])
    upper = d + math.hypot(high_a - rates[0], rates[1] - low_b)
    effect = POWER * math.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    return dict(zip(names, [d, lower, upper, *proportion_test(k, n), effect or None]))


def mean_difference(a, b):
    names = ["value", "lower", "upper", "statistic", "degrees_of_freedom", "p_value", "minimum_detectable_effect"]
    result = dict.fromkeys(names)
    if a and b:
        result["value"] = mean(list(map(exact, a))) - mean(list(map(exact, b)))
    parts = [variance(list(map(exact, x))) / len(x) for x in (a, b) if len(x) > 1]
    if len(parts) == 2 and any(parts):
        error = math.sqrt(sum(parts))
        free = sum(parts) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(parts, (a, b)))
        test = stats.ttest_ind(a, b, equal_var=False)
        half = special.stdtrit(free, 0.975) * error
        result.update(lower=result["value"] - half, upper=result["value"] + half, statistic=test.statistic,
                      degrees_of_freedom=free, p_value=test.pvalue, minimum_detectable_effect=POWER * error)
    return result


def sample_ratio(a, b, expected):
    result = {"expected_share_a": expected, "observed_share_a": None, "chi_squared": None, "p_value": None,
              "alarm": None}
    if a + b:
        test = stats.chisquare([a, b], [(a + b) * expected, (a + b) * (1 - expected)])
        result.update(observed_share_a=a / (a + b), chi_squared=test.statistic, p_value=test.pvalue,
                      alarm=bool(test.pvalue < 0.001))
    return result


def holm(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [None] * len(p_values), 0.0
    for step, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[i]))
        corrected[i] = highest
    return corrected


def theory_ranks(records, min_n=1, by_lower_bound=False):
    found = {}
    for record in records:
        found.setdefault(record.name, []).append(record)
    all_n, all_correct = len(records), sum(r.correct for r in records)
    ranks = []
    for name, own in found.items():
        if len(own) < min_n:
            continue
        n, correct = len(own), sum(r.correct for r in own)
        test = p_value = None
        if all_n > n:
            test, _, p_value = proportion_test([correct, all_correct - correct], [n, all_n - n])
        ranks.append({
            "theory_name": name, "correct": correct, "accuracy": proportion(correct, n),
            "mean_contribution": mean([exact(r.contribution) for r in own]),
            "lift": ratio(correct / n, all_correct / all_n), "p_value": p_value, "test": test,
        })
    tested = [r for r in ranks if r["p_value"] is not None]
    for rank, corrected in zip(tested, holm([r["p_value"] for r in tested])):
        rank["p_value_holm"] = corrected
    order = {}
    for place, bound in (("rank_by_rate", "value"), ("rank_by_lower_bound", "lower")):
        order[place] = sorted(ranks, key=lambda r: (-r["accuracy"][bound], -r["accuracy"]["n"], r["theory_name"]))
        for position, rank in enumerate(order[place]):
            rank.setdefault("p_value_holm", None)
            rank[place] = position + 1
    return order["rank_by_lower_bound" if by_lower_bound else "rank_by_rate"]


def calibration(trades, bins=10):
    trades = [t for t in trades if t.outcome != "breakeven"]
    wins = sum(t.outcome == "win" for t in trades)
    squares = sum((exact(t.confidence) - exact(t.outcome == "win")) ** 2 for t in trades)
    brier = squares / (SMALLEST * SMALLEST * len(trades)) if trades else None
    rate = wins / len(trades) if trades else 0
    edges = [i / bins for i in range(bins + 1)]
    cells = [[] for _ in range(bins)]
    for trade in trades:
        cells[min(bisect.bisect_right(edges, trade.confidence) - 1, bins - 1)].append(trade)
    return {
        "n": len(trades), "brier_score": brier, "base_rate": proportion(wins, len(trades)),
        "brier_skill_score": 1 - brier / (rate * (1 - rate)) if 0 < rate < 1 else None,
        "bins": [{
            "confidence_min": edges[i], "confidence_max": edges[i + 1],
            "mean_confidence": mean([exact(t.confidence) for t in cell]),
            "win_rate": proportion(sum(t.outcome == "win" for t in cell), len(cell)),
        } for i, cell in enumerate(cells)],
    }


def equity(trades, span=None, first_day=0):
    """The points; span days of one point, or None when each trade is one. A trade
    without a value does not move its curve."""
    points, keys = [], []
    curves = {unit: list(falls([exact(getattr(t, unit) or 0) for t in trades])) for unit in ("percent", "usd")}
    for i, trade in enumerate(trades):
        keys.append(i if span is None else (trade.exit // DAY - first_day) // span)
    for key, members in itertools.groupby(range(len(trades)), lambda i: keys[i]):
        members = list(members)
        last = members[-1]
        point = {"time": trades[last].exit, "trades": last + 1}
        for unit, curve in curves.items():
            moved = [i for i in members if getattr(trades[i], unit) is not None] or [last]
            point[f"equity_{unit}"] = curve[last][0] / SMALLEST
            point[f"drawdown_{unit}"] = max(curve[i][1] for i in moved) / SMALLEST
        points.append(point)
    return points


def assert_message(message, expected, path="", absolute=1e-10):
    """The message has exactly these fields; numbers agree to 1e-9."""
    present = {field.name for field, _ in message.ListFields()}
    wanted = {name for name, value in expected.items() if value is not None}
    assert present == wanted, f"{path}: {sorted(present ^ wanted)}"
    for name in wanted:
        value, want, here = getattr(message, name), expected[name], f"{path}.{name}"
        if isinstance(want, dict):
            assert_message(value, want, here, absolute)
        elif isinstance(want, list):
            assert len(value) == len(want), here
            for i, pair in enumerate(zip(value, want)):
                assert_message(*pair, f"{here}[{i}]", absolute)
        elif message.DESCRIPTOR.fields_by_name[name].message_type is not None:
            assert value.seconds * 1_000_000 + value.nanos // 1000 == want, here
        elif isinstance(want, float):
            assert value == pytest.approx(want, rel=1e-9, abs=absolute), here
        else:
            assert value == want, here
