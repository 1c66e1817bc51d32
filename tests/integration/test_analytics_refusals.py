"""Questions to the analytics that cannot be answered: each gets INVALID_ARGUMENT
with everything that is wrong, by field."""

import math

import book
import pytest
import serving
from book import INVALID_ARGUMENT, analytics_pb2 as a, timestamp

NAN, INF = math.nan, math.inf
INVERTED = {"start_time": timestamp(2000), "end_time": timestamp(1999)}
EMPTY = {"start_time": timestamp(2000), "end_time": timestamp(2000)}
OUT_OF_RANGE = {"start_time": timestamp(-62135596801), "end_time": timestamp(5, nanos=-1)}
NO_DIMENSION = {"slice": a.Slice(value="BTC-USD")}
UNSPECIFIED = {"slice": a.Slice(dimension=a.DIMENSION_UNSPECIFIED)}
BY_TIER = {"slice": a.Slice(dimension=a.DIMENSION_TIER, value="high")}

# Method: what a good request has at least.
GOOD = {
    "GetPerformance": {},
    "GetEquityCurve": {},
    "GetPerformanceSeries": {"period": a.PERIOD_DAY},
    "CompareStrategies": {},
    "RankTheories": {},
    "GetCalibration": {},
}
SLICED = ["GetPerformance", "GetEquityCurve", "GetPerformanceSeries", "GetCalibration"]
RISK_FREE = ["GetPerformance", "GetPerformanceSeries"]
PAGED = ["GetPerformanceSeries", "RankTheories"]

CASES = [
    *((m, INVERTED, ["end_time"]) for m in GOOD),
    *((m, EMPTY, ["end_time"]) for m in GOOD),
    *((m, OUT_OF_RANGE, ["start_time", "end_time"]) for m in GOOD),
    *((m, NO_DIMENSION, ["slice.dimension"]) for m in SLICED),
    *((m, UNSPECIFIED, ["slice.dimension"]) for m in SLICED),
    *((m, {"risk_free_rate": r}, ["risk_free_rate"]) for m in RISK_FREE for r in (1.01, -1.01, NAN, INF, -INF)),
    *((m, {"page_size": -1}, ["page_size"]) for m in PAGED),
    *((m, {"page_token": t}, ["page_token"]) for m in PAGED for t in ("x", "AAAA", "A" * 40, "né")),
    *((m, {**INVERTED, "page_size": -1, "page_token": "x"}, ["end_time", "page_size", "page_token"]) for m in PAGED),
    ("GetPerformance", {"breakdown": a.DIMENSION_TIER, **BY_TIER}, ["breakdown"]),
    ("GetPerformance", {"breakdown": a.DIMENSION_UNSPECIFIED}, ["breakdown"]),
    ("GetPerformance", {**INVERTED, **NO_DIMENSION, "risk_free_rate": 2.0, "breakdown": a.DIMENSION_TIER},
     ["end_time", "slice.dimension", "risk_free_rate", "breakdown"]),
    *(("GetEquityCurve", {"max_points": n}, ["max_points"]) for n in (0, -1, 10_001, -2**31)),
    ("GetEquityCurve", {**INVERTED, **NO_DIMENSION, "max_points": 0}, ["end_time", "slice.dimension", "max_points"]),
    ("GetPerformanceSeries", {"period": None}, ["period"]),
    ("GetPerformanceSeries", {"period": a.PERIOD_UNSPECIFIED}, ["period"]),
    ("GetPerformanceSeries", {"period": None, **INVERTED, "risk_free_rate": -2.0, "page_size": -5},
     ["period", "end_time", "risk_free_rate", "page_size"]),
    ("CompareStrategies", {"strategy_a": "x"}, ["strategy_b"]),
    ("CompareStrategies", {"strategy_b": "x"}, ["strategy_a"]),
    ("CompareStrategies", {"strategy_a": "x", "strategy_b": "x"}, ["strategy_b"]),
    ("CompareStrategies", {"strategy_a": "", "strategy_b": "x" * 51}, ["strategy_a", "strategy_b"]),
    *(("CompareStrategies", {"expected_share_a": s}, ["expected_share_a"]) for s in (0.0, 1.0, -0.5, 1.5, NAN, INF)),
    ("CompareStrategies", {**INVERTED, "strategy_a": "x", "expected_share_a": 0.0},
     ["end_time", "strategy_b", "expected_share_a"]),
    *(("RankTheories", {"min_n": n}, ["min_n"]) for n in (0, -1, -2**63)),
    *(("GetCalibration", {"bins": n}, ["bins"]) for n in (0, -1, -10, 3, 7, 40, 101, 200, 2**31 - 1)),
    ("GetCalibration", {**INVERTED, **NO_DIMENSION, "bins": 0}, ["end_time", "slice.dimension", "bins"]),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving.Server(tmp_path_factory.mktemp("refusals") / "book.db") as server:
        with book.Client(server.address) as client:
            yield client


def ident(case):
    return f"{case[0]}-{'-'.join(case[1])}"


@pytest.mark.parametrize("method, fields, wrong", CASES, ids=map(ident, CASES))
def test_analytics_bad_request_every_violation(client, method, fields, wrong):
    given = {name: value for name, value in {**GOOD[method], **fields}.items() if value is not None}
    reply = client.reply(f"AnalyticsService.{method}", **given)
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == set(wrong)


@pytest.mark.parametrize("method, field", [
    ("GetPerformance", "breakdown"), ("GetPerformanceSeries", "period"), ("RankTheories", "order")])
def test_analytics_unknown_enumeration_number_is_refused(client, method, field):
    request = book.request_of(f"AnalyticsService.{method}", **GOOD[method])
    payload = request.SerializeToString() + book.raw_field(request, field, 99)
    reply = client.call_raw(book.envelope(f"AnalyticsService.{method}", payload).SerializeToString())
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {field}


@pytest.mark.parametrize("method", SLICED)
def test_analytics_slice_of_unknown_dimension_is_refused(client, method):
    dimension = book.raw_field(a.Slice(), "dimension", 99)
    request = book.request_of(f"AnalyticsService.{method}", **GOOD[method])
    payload = request.SerializeToString() + book.raw_field(request, "slice", dimension)
    reply = client.call_raw(book.envelope(f"AnalyticsService.{method}", payload).SerializeToString())
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"slice.dimension"}
