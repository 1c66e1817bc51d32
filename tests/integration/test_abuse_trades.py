"""Requests about trades with values that cannot be: refused with every reason at
once, and nothing changes."""

import math

import book
import pytest
import serving
from book import INVALID_ARGUMENT

SECONDS_MAX = 253402300799

NOT_PRICES = [0.0, -1.0, math.nan, math.inf, -math.inf, -0.0]
NOT_FEES = [-0.01, math.nan, math.inf, -math.inf]
NOT_TIMES = [book.timestamp(SECONDS_MAX + 1), book.timestamp(-62135596801), book.timestamp(0, -1),
             book.timestamp(0, 1_000_000_000)]
HASH = "ab" * 32

OPEN = {
    "signal_id": [None, 0, -1, -(1 << 63)],
    "entry_price": NOT_PRICES,
    "entry_time": NOT_TIMES,
    "quantity": NOT_PRICES,
    "fees_usd": NOT_FEES,
    "mode": [0, 3, -1],
}
CLOSE = {
    "signal_id": [None, 0, -1],
    "exit_price": [None, *NOT_PRICES],
    "exit_time": NOT_TIMES,
    "exit_reason": [None, "", " ", "x" * 51, "é" * 51, "tp\nhit", "\x7f"],
    "fees_usd": NOT_FEES,
    "slippage_bps": [math.nan, math.inf],
    "spread_bps": NOT_FEES,
    "latency_ms": NOT_FEES,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all: what is refused leaves nothing behind."""
    with serving.Server(tmp_path_factory.mktemp("book") / "book.db") as server:
        yield server


@pytest.fixture
def opened(client, signal):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100.0, entry_time=book.timestamp(1000))
    return signal


def request(name, valid, field, value):
    """A request with this value, also one that protobuf's own classes refuse."""
    message = book.request_of(f"TradeService.{name}", **{k: v for k, v in valid.items() if k != field})
    return message.SerializeToString() + (b"" if value is None else book.raw_field(message, field, value))


def violated(client, file, method, message):
    before = file.counts(), file.rows("signal_results"), file.rows("signals")
    reply = client.reply(method, message)
    assert reply.code == INVALID_ARGUMENT
    assert (file.counts(), file.rows("signal_results"), file.rows("signals")) == before
    return set(book.violations(reply))


@pytest.mark.parametrize("field, value", [(field, value) for field, values in OPEN.items() for value in values])
def test_open_wrong_value_invalid_argument(client, file, signal, field, value):
    message = request("OpenTrade", {"signal_id": signal.id, "entry_price": 100.0}, field, value)
    assert violated(client, file, "TradeService.OpenTrade", message) == {field}


@pytest.mark.parametrize("field, value", [(field, value) for field, values in CLOSE.items() for value in values])
def test_close_wrong_value_invalid_argument(client, file, opened, field, value):
    valid = {"signal_id": opened.id, "exit_price": 110.0, "exit_reason": "manual"}
    message = request("CloseTrade", valid, field, value)
    assert violated(client, file, "TradeService.CloseTrade", message) == {field}


@pytest.mark.parametrize("hashes, fields", [
    (["ab"], {"pattern_hashes[0]"}),
    ([HASH, "g" * 64, ""], {"pattern_hashes[1]", "pattern_hashes[2]"}),
    ([HASH, "cd" * 32, HASH.upper()], {"pattern_hashes[2]"}),
    ([f"{i:064x}" for i in range(65)], {"pattern_hashes"}),
], ids=["short", "not-hex", "repeated", "too-many"])
def test_close_wrong_patterns_invalid_argument(client, file, opened, hashes, fields):
    message = book.request_of("TradeService.CloseTrade", signal_id=opened.id, exit_price=1, exit_reason="manual",
                              pattern_hashes=hashes)
    assert violated(client, file, "TradeService.CloseTrade", message) == fields


def test_close_with_the_most_patterns(client, file, opened):
    patterns = [book.pattern() for _ in range(64)]
    client.ok("PatternService.BatchCreatePatterns", patterns=patterns)
    client.ok("TradeService.CloseTrade", signal_id=opened.id, exit_price=101, exit_reason="x" * 50,
              pattern_hashes=[pattern.pattern_hash for pattern in patterns])
    assert file.query("SELECT sum(wins), sum(total), min(win_rate) FROM patterns") == [(64, 64, 1.0)]


def test_every_violation_at_once(client, file, opened):
    message = book.request_of("TradeService.CloseTrade", exit_price=-1, exit_reason=" ", fees_usd=-1, spread_bps=-1,
                              latency_ms=-1, slippage_bps=math.nan, pattern_hashes=["x"])
    assert violated(client, file, "TradeService.CloseTrade", message) == {
        "signal_id", "exit_price", "exit_reason", "fees_usd", "spread_bps", "latency_ms", "slippage_bps",
        "pattern_hashes[0]"}


def record(signal_id, open={}, close={}):
    return book.request_of(
        "TradeService.RecordTrade",
        open={"signal_id": signal_id, "entry_price": 100.0, "entry_time": book.timestamp(1000), **open},
        close={"exit_price": 110.0, "exit_time": book.timestamp(2000), "exit_reason": "manual", **close})


@pytest.mark.parametrize("change, fields", [
    (dict(open={"quantity": -1, "entry_price": 0}, close={"exit_price": -1, "exit_reason": ""}),
     {"open.quantity", "open.entry_price", "close.exit_price", "close.exit_reason"}),
    (dict(close={"exit_time": book.timestamp(999)}), {"close.exit_time"}),
    (dict(close={"signal_id": 77}), {"close.signal_id"}),
    (dict(open={"signal_id": 0}), {"open.signal_id"}),
    (dict(close={"pattern_hashes": ["ab"]}), {"close.pattern_hashes[0]"}),
], ids=["values", "exit-before-entry", "other-signal", "no-signal", "hash"])
def test_record_wrong_value_invalid_argument(client, file, signal, change, fields):
    assert violated(client, file, "TradeService.RecordTrade", record(signal.id, **change)) == fields


def test_record_missing_parts_invalid_argument(client, file, signal):
    message = record(signal.id)
    message.open.ClearField("entry_time")
    message.close.ClearField("exit_time")
    assert violated(client, file, "TradeService.RecordTrade", message) == {"open.entry_time", "close.exit_time"}
    assert violated(client, file, "TradeService.RecordTrade", b"") == {"open", "close"}


def test_record_may_name_the_signal_twice(client, signal):
    client.ok("TradeService.RecordTrade", record(signal.id, close={"signal_id": signal.id}))


@pytest.mark.parametrize("price, quantity", [(1e308, 1e308), (1e-300, 1e-300)])
def test_open_of_immeasurable_value_invalid_argument(client, file, signal, price, quantity):
    message = book.request_of("TradeService.OpenTrade", signal_id=signal.id, entry_price=price, quantity=quantity)
    assert violated(client, file, "TradeService.OpenTrade", message) == {"quantity"}


@pytest.mark.parametrize("price, quantity, fees", [(1e-150, 1e-150, 1e10), (1.0, 1.0, 1.79e308)])
def test_open_with_immeasurable_fees_invalid_argument(client, file, signal, price, quantity, fees):
    """They would be no finite percentage, whatever the exit."""
    given = {"entry_price": price, "quantity": quantity, "fees_usd": fees}
    message = book.request_of("TradeService.OpenTrade", signal_id=signal.id, **given)
    assert violated(client, file, "TradeService.OpenTrade", message) == {"fees_usd"}
    message = record(signal.id, open=given)
    assert violated(client, file, "TradeService.RecordTrade", message) == {"open.fees_usd"}


def test_largest_fees_that_open_are_closed(client, signal):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=1.0, fees_usd=1.79e306)
    closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=1.0, exit_reason="manual")
    assert closed.pnl_percent == pytest.approx(-1.79e308)


def test_close_with_infinite_profit_invalid_argument(client, file, signal):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=1.0, quantity=1e300)
    message = book.request_of("TradeService.CloseTrade", signal_id=signal.id, exit_price=1e300, exit_reason="manual")
    assert violated(client, file, "TradeService.CloseTrade", message) == {"exit_price"}


def test_text_that_looks_like_sql_is_data(client, file, opened):
    reason = "'; DROP TABLE signals; -- %_"
    closed = client.ok("TradeService.CloseTrade", signal_id=opened.id, exit_price=1, exit_reason=reason)
    assert closed.exit_reason == reason
    assert file.query("SELECT exit_reason FROM tb_events WHERE signal_id=?", opened.id) == [(reason,)]
    page = client.ok("TradeService.ListOpenPositions", symbol="' OR 1=1 --")
    assert not page.open_positions


def test_times_are_cut_to_microseconds(client, file, signal):
    opened = client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=1,
                       entry_time=book.timestamp(1000, 123_456_789))
    closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=1, exit_reason="manual",
                       exit_time=book.timestamp(1000, 123_456_999))
    assert opened.entry_timestamp.nanos == closed.exit_timestamp.nanos == 123_456_000
    assert client.ok("TradeService.GetSignalResult", signal_id=signal.id) == closed
