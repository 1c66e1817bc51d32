"""The life of a trade over real sockets: signal, theories, open, close, and every
record that follows from it. What is expected is computed here, from the
definitions alone."""

import datetime
import fractions
import sqlite3

import book
import pytest
import serving
from book import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, OK, trade_pb2, types_pb2

LONG, SHORT = types_pb2.DIRECTION_LONG, types_pb2.DIRECTION_SHORT
ENTRY_AT = 1_700_000_000
ENTRY, QUANTITY, OPEN_FEES, CLOSE_FEES = 100.0, 2.5, 0.5, 0.75


def text_time(seconds, micros=0):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + f".{micros:06}"


@pytest.fixture(scope="module", params=["0", "0.5"], ids=["band-0", "band-0.5"])
def banded(request, tmp_path_factory):
    """A server with this breakeven band, and the band."""
    folder = tmp_path_factory.mktemp("book")
    with serving.Server(folder / "book.db", "--breakeven-band", request.param) as server:
        yield server, fractions.Fraction(request.param)


def exact(number):
    return fractions.Fraction(number)


def definition(direction, exit_price, band, quantity=QUANTITY, fees=OPEN_FEES + CLOSE_FEES, entry=ENTRY):
    """(pnl_usd, pnl_percent, outcome) in exact arithmetic."""
    side = 1 if direction == LONG else -1
    pnl = side * (exact(exit_price) - exact(entry)) * exact(quantity) - exact(fees)
    percent = pnl / (exact(entry) * exact(quantity)) * 100
    outcome = "win" if percent > band else "loss" if percent < -band else "breakeven"
    return float(pnl), float(percent), outcome


def prices(direction, **given):
    """A signal with levels on the right sides: R of 5, reward to risk of 2."""
    side = 1 if direction == LONG else -1
    return book.signal(**{"direction": direction, "entry_price": ENTRY, "tp_price": ENTRY + side * 10,
                          "sl_price": ENTRY - side * 5, "session": "london", "model_version": "m-1",
                          "strategy": "v7_deepseek_only", **given})


def opened(client, signal=None, **given):
    signal = signal or client.ok("SignalService.CreateSignal", signal=prices(LONG))
    client.ok("TradeService.OpenTrade", **{"signal_id": signal.id, "entry_time": book.timestamp(ENTRY_AT), **given})
    return signal


def closing(signal, **given):
    return {"signal_id": signal.id, "exit_price": 110.0, "exit_time": book.timestamp(ENTRY_AT + 3661),
            "exit_reason": "tp_hit", **given}


# Moves of the price in the trade's favour. Of 100, less fees of 0.5 %: the
# profit is move - 0.5 percent, so 1.0 and 0.0 lie on the edges of the wider band.
@pytest.mark.parametrize("move", [10.0, 1.0, 0.75, 0.5, 0.25, 0.0, -5.0])
@pytest.mark.parametrize("direction", [LONG, SHORT], ids=["long", "short"])
def test_whole_story(banded, direction, move):
    server, band = banded
    file = book.File(server.db)
    side = 1 if direction == LONG else -1
    exit_price = ENTRY + side * move
    pnl, percent, outcome = definition(direction, exit_price, band)
    reason = {10.0: "tp_hit", -5.0: "sl_hit"}.get(move, "manual")
    with book.Client(server.address) as client:
        signal = client.ok("SignalService.CreateSignal", signal=prices(direction))
        theories = [client.ok("TheoryService.CreateTheoryRecord",
                              theory_record=book.theory_record(signal.id, theory_name=name))
                    for name in ("shannon_entropy", "fractal")]
        pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern())

        trade = client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_time=book.timestamp(ENTRY_AT, 250_000_000),
                          quantity=QUANTITY, fees_usd=OPEN_FEES, mode=types_pb2.MODE_LIVE)
        assert trade == client.ok("TradeService.GetSignalResult", signal_id=signal.id)
        assert (trade.entry_price, trade.outcome) == (ENTRY, types_pb2.OUTCOME_OPEN)
        assert not any(trade.HasField(f) for f in ("exit_price", "exit_timestamp", "exit_reason", "pnl_usd",
                                                   "pnl_percent", "hold_duration_minutes"))
        assert file.query("SELECT executed, execution_time, execution_price, result, exit_time, pnl FROM signals "
                          "WHERE id=?", signal.id) == [
            (1, text_time(ENTRY_AT, 250_000), ENTRY, "pending", None, None)]
        assert file.query("SELECT pair, tier, entry_time, entry_price, tp_price, sl_price, rr_expected, mode, result, "
                          "r_realized FROM risk_book_snapshots WHERE signal_id=?", str(signal.id)) == [
            ("BTC-USD", "high", text_time(ENTRY_AT, 250_000), ENTRY, signal.tp_price, signal.sl_price, 2.0, "live",
             None, None)]
        assert file.query("SELECT count(*) FROM tb_events WHERE signal_id=?", signal.id) == [(0,)]

        closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=exit_price,
                           exit_time=book.timestamp(ENTRY_AT + 3661), exit_reason=reason, fees_usd=CLOSE_FEES,
                           slippage_bps=-1.5, spread_bps=2.5, latency_ms=12.0,
                           pattern_hashes=[pattern.pattern_hash.upper()])
        assert closed == client.ok("TradeService.GetSignalResult", id=trade.id)

    r_realized = float(side * (exact(exit_price) - exact(ENTRY)) / 5)
    result = None if outcome == "breakeven" else outcome
    row = file.query("SELECT entry_price, entry_timestamp, exit_price, exit_timestamp, exit_reason, outcome, "
                     "hold_duration_minutes, created_at <= updated_at, pnl_usd, pnl_percent "
                     "FROM signal_results WHERE signal_id=?", signal.id)
    # 3660.75 seconds are 61 minutes and not 62.
    assert row[0][:8] == (ENTRY, text_time(ENTRY_AT, 250_000), exit_price, text_time(ENTRY_AT + 3661), reason,
                          outcome, 61, 1)
    assert row[0][8:] == pytest.approx((pnl, percent), rel=1e-12, abs=1e-12)
    assert (closed.pnl_usd, closed.pnl_percent) == row[0][8:]
    assert types_pb2.Outcome.Name(closed.outcome) == f"OUTCOME_{outcome.upper()}"

    assert file.query("SELECT executed, result, exit_time, exit_price, pnl FROM signals WHERE id=?", signal.id) == [
        (1, result, text_time(ENTRY_AT + 3661), exit_price, closed.pnl_usd)]
    limit_seconds = 3660 if reason in ("tp_hit", "sl_hit") else None
    snapshot = file.query("SELECT result, exit_time, exit_price, time_to_tp_sl_seconds, slippage_bps, spread_bps, "
                          "latency_ms, mode, r_realized FROM risk_book_snapshots WHERE signal_id=?", str(signal.id))
    assert snapshot[0][:8] == (result, text_time(ENTRY_AT + 3661), exit_price, limit_seconds, -1.5, 2.5, 12.0, "live")
    assert snapshot[0][8] == pytest.approx(r_realized, rel=1e-12)

    grade = {"win": 1, "loss": 0, "breakeven": None}[outcome]
    assert file.query("SELECT was_correct FROM theory_performance WHERE signal_id=?", signal.id) == (
        [(grade,)] * len(theories))
    won = int(outcome == "win")
    assert file.query("SELECT wins, total, win_rate, updated_at > created_at FROM patterns WHERE id=?",
                      pattern.id) == [(won, 1, float(won), 1)]
    assert file.query("SELECT quantity, fees_usd, mode, breakeven_band, publish FROM tb_trades WHERE signal_id=?",
                      signal.id) == [(QUANTITY, OPEN_FEES + CLOSE_FEES, "live", float(band), 1)]
    event = file.query("SELECT result_id, entry_price, exit_price, exit_reason, outcome, hold_duration_minutes, "
                       "symbol, direction, strategy, tier, session, model_version, quantity, fees_usd, mode, pnl_usd, "
                       "pnl_percent, r_realized, exit_timestamp FROM tb_events WHERE signal_id=?", signal.id)
    assert event == [(trade.id, ENTRY, exit_price, reason, outcome, 61, "BTC-USD",
                      "long" if direction == LONG else "short", "v7_deepseek_only", "high", "london", "m-1", QUANTITY,
                      OPEN_FEES + CLOSE_FEES, "live", closed.pnl_usd, closed.pnl_percent, snapshot[0][8],
                      text_time(ENTRY_AT + 3661))]


def test_events_are_dense_and_chained_by_symbol(client, file):
    for symbol in ("BTC-USD", "ETH-USD", "BTC-USD"):
        signal = opened(client, client.ok("SignalService.CreateSignal", signal=prices(LONG, symbol=symbol)))
        client.ok("TradeService.CloseTrade", **closing(signal))
    assert file.query("SELECT sequence, previous, symbol FROM tb_events ORDER BY sequence") == [
        (1, None, "BTC-USD"), (2, None, "ETH-USD"), (3, 1, "BTC-USD")]


def test_defaults_of_open(client, file):
    before = datetime.datetime.now(datetime.timezone.utc)
    signal = client.ok("SignalService.CreateSignal", signal=prices(SHORT))
    trade = client.ok("TradeService.OpenTrade", signal_id=signal.id)
    assert trade.entry_price == ENTRY
    assert before <= trade.entry_timestamp.ToDatetime(datetime.timezone.utc) <= datetime.datetime.now(
        datetime.timezone.utc)
    assert file.query("SELECT quantity, fees_usd, mode, breakeven_band, publish FROM tb_trades") == [
        (1.0, 0.0, "dryrun", None, 1)]
    assert file.query("SELECT mode FROM risk_book_snapshots") == [("dryrun",)]
    closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=90, exit_reason="manual")
    assert closed.pnl_usd == 10 and closed.hold_duration_minutes == 0
    assert closed.exit_timestamp.ToDatetime() >= trade.entry_timestamp.ToDatetime()


def test_entry_price_of_the_request_wins(client, file, signal):
    trade = client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=50)
    assert trade.entry_price == 50
    assert file.query("SELECT execution_price, entry_price FROM signals") == [(50.0, None)]


def test_without_stop_loss_no_snapshot(client, file):
    signal = opened(client, client.ok("SignalService.CreateSignal", signal=prices(LONG, sl_price=None)))
    client.ok("TradeService.CloseTrade", **closing(signal))
    assert file.counts()["risk_book_snapshots"] == 0
    assert file.query("SELECT r_realized, outcome FROM tb_events") == [(None, "win")]


def test_snapshot_of_the_client_is_completed(client, file):
    signal = client.ok("SignalService.CreateSignal", signal=prices(LONG))
    client.ok("RiskService.CreateRiskSnapshot", risk_snapshot=book.risk_snapshot(
        signal_id=str(signal.id), pair="BTC-USD", entry_price=99.0, sl_price=98.0, slippage_expected_bps=3.0,
        latency_ms=7.0))
    opened(client, signal, mode=types_pb2.MODE_LIVE)
    columns = "tier, entry_price, tp_price, sl_price, rr_expected, mode, slippage_expected_bps, latency_ms, r_realized"
    assert file.query(f"SELECT {columns} FROM risk_book_snapshots") == [
        ("high", 100.0, 110.0, 98.0, 5.0, "live", 3.0, 7.0, None)]
    client.ok("TradeService.CloseTrade", **closing(signal))
    assert file.query(f"SELECT {columns} FROM risk_book_snapshots") == [
        ("high", 100.0, 110.0, 98.0, 5.0, "live", 3.0, 7.0, 5.0)]


def test_snapshot_of_another_pair_failed_precondition(client, file):
    signal = client.ok("SignalService.CreateSignal", signal=prices(LONG))
    client.ok("RiskService.CreateRiskSnapshot",
              risk_snapshot=book.risk_snapshot(signal_id=str(signal.id), pair="ETH-USD"))
    before = file.rows("risk_book_snapshots"), file.rows("signals")
    reply = client.reply("TradeService.OpenTrade", signal_id=signal.id)
    assert reply.code == FAILED_PRECONDITION and "ETH-USD" in reply.message and "BTC-USD" in reply.message
    assert (file.rows("risk_book_snapshots"), file.rows("signals")) == before
    assert file.counts()["signal_results"] == 0


def test_theories_are_graded_once_and_only_if_asked(client, file):
    first, second = (opened(client) for _ in range(2))
    for signal in (first, second):
        client.ok("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(signal.id))
    client.ok("TradeService.CloseTrade", **closing(first))
    client.ok("TradeService.CloseTrade", **closing(second, grade_theories=False))
    assert file.query("SELECT signal_id, was_correct FROM theory_performance ORDER BY signal_id") == [
        (first.id, 1), (second.id, None)]


def test_pattern_win_rate_is_exact(client, file):
    pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern())
    for exit_price in (110.0, 90.0, 110.0):
        client.ok("TradeService.CloseTrade", **closing(opened(client), exit_price=exit_price, exit_reason="manual",
                                                       pattern_hashes=[pattern.pattern_hash]))
    assert file.query("SELECT wins, total, win_rate FROM patterns") == [(2, 3, 2 / 3)]


def test_trade_of_another_program_is_one_unit_without_fees(client, server, file):
    """It wrote the row itself, in another case and another form of time."""
    signal = client.ok("SignalService.CreateSignal", signal=prices(SHORT))
    connection = sqlite3.connect(server.db)
    with connection:
        connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome) "
                           "VALUES (?, 200, '2023-11-14T22:13:20Z', 'OPEN')", (signal.id,))
    connection.close()
    positions = client.ok("TradeService.ListOpenPositions").open_positions
    assert [(p.signal_id, p.entry_price, p.quantity, p.entry_timestamp.seconds) for p in positions] == [
        (signal.id, 200.0, 1.0, ENTRY_AT)]
    closed = client.ok("TradeService.CloseTrade", **closing(signal, exit_price=150.0, fees_usd=2))
    assert (closed.pnl_usd, closed.pnl_percent, closed.hold_duration_minutes) == (48.0, 24.0, 61)
    assert file.query("SELECT quantity, fees_usd, mode, publish FROM tb_trades") == [(1.0, 2.0, None, 1)]
    assert file.query("SELECT quantity, fees_usd, mode, r_realized FROM tb_events") == [(1.0, 2.0, None, None)]


def recorded(signal, **given):
    return {"open": {"signal_id": signal.id, "entry_time": book.timestamp(ENTRY_AT), "quantity": QUANTITY,
                     "fees_usd": OPEN_FEES},
            "close": {"exit_price": 90.0, "exit_time": book.timestamp(ENTRY_AT + 60), "exit_reason": "sl_hit",
                      "fees_usd": CLOSE_FEES}, **given}


def test_record_trade_is_open_and_close(client, file):
    """The same rows as by the two calls, but for ids and times of writing."""
    columns = ("entry_price, entry_timestamp, exit_price, exit_timestamp, exit_reason, pnl_percent, pnl_usd, outcome, "
               "hold_duration_minutes")
    recorded_signal, traded_signal = (client.ok("SignalService.CreateSignal", signal=prices(SHORT)) for _ in range(2))
    client.ok("TradeService.RecordTrade", **recorded(recorded_signal))
    request = recorded(traded_signal)
    client.ok("TradeService.OpenTrade", **request["open"])
    client.ok("TradeService.CloseTrade", signal_id=traded_signal.id, **request["close"])
    for table, sql, key in [
            ("signal_results", columns, "signal_id"),
            ("signals", "executed, execution_time, execution_price, result, exit_time, exit_price, pnl", "id"),
            ("risk_book_snapshots", "entry_time, result, exit_price, r_realized, time_to_tp_sl_seconds, mode",
             "CAST(signal_id AS INTEGER)"),
            ("tb_trades", "quantity, fees_usd, mode, breakeven_band, publish", "signal_id"),
            ("tb_events", columns + ", symbol, quantity, fees_usd, mode, r_realized", "signal_id")]:
        one, other = file.query(f"SELECT {sql} FROM {table} ORDER BY {key}")
        assert one == other, table
    pnl, percent, outcome = definition(SHORT, 90.0, 0)
    assert outcome == "win"
    assert file.query("SELECT pnl_usd, pnl_percent FROM signal_results LIMIT 1")[0] == pytest.approx((pnl, percent))


def test_record_trade_unpublished_makes_no_event_but_a_change(client, file):
    signal = client.ok("SignalService.CreateSignal", signal=prices(LONG))
    result = client.ok("TradeService.RecordTrade", **recorded(signal, publish=False))
    assert file.query("SELECT count(*) FROM tb_events") == [(0,)]
    assert file.query("SELECT row FROM tb_changes WHERE series=1") == [(result.id,)]
    assert file.query("SELECT publish FROM tb_trades") == [(0,)]


def test_record_trade_refused_changes_nothing(client, file):
    """Found wrong only when it would be closed, after it was opened."""
    signal = client.ok("SignalService.CreateSignal", signal=prices(LONG))
    before = file.counts(), file.rows("signals")
    request = recorded(signal)
    request["close"]["pattern_hashes"] = ["ab" * 32]
    reply = client.reply("TradeService.RecordTrade", **request)
    assert reply.code == NOT_FOUND and "ab" * 32 in reply.message
    assert (file.counts(), file.rows("signals")) == before
    assert file.query("SELECT count(*) FROM tb_trades") == [(0,)]


def test_batch_refuses_items_alone(client, file):
    signals = [opened(client) for _ in range(3)]
    pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern())
    held = client.ok("SignalService.CreateSignal", signal=book.signal(direction=types_pb2.DIRECTION_HOLD))
    items = [closing(signals[0], pattern_hashes=[pattern.pattern_hash]),
             closing(signals[1], exit_time=book.timestamp(ENTRY_AT - 1)),
             closing(signals[1], exit_price=-1.0, exit_reason=" "),
             closing(signals[0]),
             closing(signals[1], pattern_hashes=[pattern.pattern_hash, "cd" * 32]),
             closing(held),
             closing(held, signal_id=9999),
             closing(signals[2], pattern_hashes=[pattern.pattern_hash], exit_price=90.0)]
    results = client.ok("TradeService.BatchCloseTrades", trades=items).results
    assert [r.status.code for r in results] == [OK, INVALID_ARGUMENT, INVALID_ARGUMENT, FAILED_PRECONDITION, NOT_FOUND,
                                                FAILED_PRECONDITION, NOT_FOUND, OK]
    assert set(book.violations(results[1].status)) == {"exit_time"}
    assert set(book.violations(results[2].status)) == {"exit_price", "exit_reason"}
    assert stored_result(results[3].status) == results[0].signal_result
    assert [r.HasField("signal_result") for r in results] == [r.status.code == OK for r in results]
    assert file.query("SELECT outcome FROM signal_results ORDER BY signal_id") == [("win",), ("open",), ("loss",)]
    assert file.query("SELECT wins, total, win_rate FROM patterns") == [(1, 2, 0.5)]
    assert file.query("SELECT count(*) FROM tb_events") == [(2,)]
    # What was refused can still be closed.
    client.ok("TradeService.CloseTrade", **closing(signals[1]))


@pytest.mark.parametrize("count", [0, 1001])
def test_batch_of_wrong_size_invalid_argument(client, count):
    reply = client.reply("TradeService.BatchCloseTrades", trades=[{"signal_id": 1}] * count)
    assert reply.code == INVALID_ARGUMENT and set(book.violations(reply)) == {"trades"}


def stored_result(status):
    """The SignalResult in the details of a refused close."""
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/tradebook.v1.SignalResult"
    return trade_pb2.SignalResult.FromString(detail.value)


def listed(client, **fields):
    """Signal ids of the open positions, page by page."""
    found, token = [], ""
    for _ in range(100):
        page = client.ok("TradeService.ListOpenPositions", page_token=token, **fields)
        found.append([position.signal_id for position in page.open_positions])
        token = page.next_page_token
        if not token:
            return found
    raise AssertionError("pages without end")


def test_open_positions_newest_first_page_by_page(client):
    signals = []
    # Two at the same moment: the later id comes first.
    for number, second in enumerate([50, 10, 30, 30, 20]):
        signal = client.ok("SignalService.CreateSignal",
                           signal=prices(LONG, symbol="ETH-USD" if number % 2 else "BTC-USD"))
        opened(client, signal, entry_time=book.timestamp(ENTRY_AT + second), quantity=float(number + 1))
        signals.append(signal.id)
    a, b, c, d, e = signals
    assert listed(client) == [[a, d, c, e, b]]
    assert listed(client, page_size=2) == [[a, d], [c, e], [b]]
    assert listed(client, page_size=1, symbol="ETH-USD") == [[d], [b]]
    assert listed(client, symbol="eth-usd") == [[]]
    # Closed while paging: the page after it continues at its place.
    first = client.ok("TradeService.ListOpenPositions", page_size=2)
    client.ok("TradeService.CloseTrade", signal_id=d, exit_price=1, exit_reason="manual")
    rest = client.ok("TradeService.ListOpenPositions", page_size=2, page_token=first.next_page_token)
    assert [p.signal_id for p in rest.open_positions] == [c, e]
    newest = first.open_positions[0]
    assert newest == trade_pb2.OpenPosition(
        signal_id=a, symbol="BTC-USD", direction=LONG, entry_price=ENTRY, entry_timestamp=book.timestamp(ENTRY_AT + 50),
        tp_price=110, sl_price=95, quantity=1, strategy="v7_deepseek_only")


def test_open_positions_page_over_times_in_other_forms(client, server):
    """Another program writes times without fraction, with a T, or none at all; each
    trade is still on one page."""
    signals = client.ok("SignalService.BatchCreateSignals", signals=[book.signal() for _ in range(4)]).results
    connection = sqlite3.connect(server.db)
    with connection:
        for signal, moment in zip(signals, ["2023-01-01 00:00:00", "2023-01-01T00:00:00Z", "long ago", ""]):
            connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp) VALUES (?, 1, ?)",
                               (signal.id, moment))
    connection.close()
    pages = listed(client, page_size=1)
    assert sorted(id for page in pages for id in page) == [signal.id for signal in signals]


@pytest.mark.parametrize("fields, field", [
    ({"page_size": -1}, "page_size"), ({"page_token": "AAAA"}, "page_token"), ({"symbol": " "}, "symbol"),
    ({"symbol": "x" * 21}, "symbol"),
])
def test_open_positions_wrong_request_invalid_argument(client, fields, field):
    reply = client.reply("TradeService.ListOpenPositions", **fields)
    assert reply.code == INVALID_ARGUMENT and set(book.violations(reply)) == {field}


def test_open_positions_token_of_another_symbol_invalid_argument(client):
    for _ in range(2):
        opened(client)
    token = client.ok("TradeService.ListOpenPositions", page_size=1).next_page_token
    reply = client.reply("TradeService.ListOpenPositions", page_size=1, page_token=token, symbol="BTC-USD")
    assert reply.code == INVALID_ARGUMENT and set(book.violations(reply)) == {"page_token"}
