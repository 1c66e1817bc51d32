"""Updates of rows that belong to a trade, or that another program has written: what is
not named stays as it is."""

import math

import book
import pytest
import serving
from book import FAILED_PRECONDITION, INVALID_ARGUMENT, OK

CREATE_SNAPSHOT = "RiskService.CreateRiskSnapshot"
UPDATE_SIGNAL = "SignalService.UpdateSignal"
UPDATE_SNAPSHOT = "RiskService.UpdateRiskSnapshot"


def traded(client, opened_at, closed_at, **levels):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(**levels))
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=opened_at)
    client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=closed_at, exit_reason="sl_hit")
    return signal.id


def snapshot(client, signal_id):
    return client.ok("RiskService.GetRiskSnapshot", signal_id=str(signal_id))


def update(client, signal_id, **fields):
    return client.ok(UPDATE_SNAPSHOT, risk_snapshot={"signal_id": str(signal_id), **fields},
                     update_mask={"paths": list(fields)})


@pytest.mark.parametrize("direction, opened_at, closed_at, sl_price, r", [
    (book.types_pb2.DIRECTION_LONG, 94, 90, 95, -4),
    (book.types_pb2.DIRECTION_SHORT, 106, 110, 105, -4),
])
def test_r_of_a_trade_opened_beyond_its_stop_keeps_its_sign(client, direction, opened_at, closed_at, sl_price, r):
    tp_price = 110 if sl_price < 100 else 90
    trade = traded(client, opened_at, closed_at, direction=direction, entry_price=100, sl_price=sl_price,
                   tp_price=tp_price)
    assert snapshot(client, trade).r_realized == r
    assert update(client, trade, slippage_bps=3).r_realized == r
    assert update(client, trade, exit_price=float(closed_at)).r_realized == r
    assert client.ok("AnalyticsService.GetPerformance").total.r_mean == r


def test_r_of_a_trade_with_a_trailing_stop_is_that_of_the_signals_side(client):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100, sl_price=95))
    client.ok("TradeService.OpenTrade", signal_id=signal.id)
    update(client, signal.id, sl_price=104.0)
    client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=104, exit_reason="sl_hit")
    assert snapshot(client, signal.id).r_realized == 1
    assert update(client, signal.id, latency_ms=2.0).r_realized == 1
    assert update(client, signal.id, sl_price=102.0).r_realized == 2
    assert update(client, signal.id, sl_price=98.0).r_realized == 2


def test_r_of_a_snapshot_of_another_pair_goes_by_its_own_stop(client, signal):
    client.ok("RiskService.CreateRiskSnapshot", risk_snapshot=book.risk_snapshot(
        signal_id=str(signal.id), pair="ETH-USD", entry_price=100, sl_price=104))
    assert update(client, signal.id, exit_price=102.0).r_realized == -0.5


def test_contradiction_that_is_there_already_does_not_refuse_other_fields(client, file):
    file.execute("INSERT INTO signals (symbol, direction, tier, confidence, ensemble_prediction, entry_price, tp_price, "
                 "sl_price) VALUES ('BTC-USD', 'long', 'high', 0.5, 0.5, 100, 90, 95)")
    changed = client.ok(UPDATE_SIGNAL, signal={"id": 1, "notes": "seen"}, update_mask={"paths": ["notes"]})
    assert changed.notes == "seen"
    reply = client.reply(UPDATE_SIGNAL, signal={"id": 1, "sl_price": 96}, update_mask={"paths": ["sl_price"]})
    assert reply.code == book.INVALID_ARGUMENT


@pytest.mark.parametrize("closed_at, result", [(110, book.types_pb2.RESULT_WIN), (90, book.types_pb2.RESULT_LOSS)])
def test_signal_that_was_read_and_changed_is_written_back(client, closed_at, result):
    trade = traded(client, 100, closed_at)
    read = client.ok("SignalService.GetSignal", id=trade)
    assert read.result == result
    read.notes = "looked at"
    assert client.ok(UPDATE_SIGNAL, signal=read) == read
    named = client.reply(UPDATE_SIGNAL, signal=read, update_mask={"paths": ["result"]})
    assert named.code == book.INVALID_ARGUMENT


@pytest.fixture
def open_trade(client):
    signal = client.ok("SignalService.CreateSignal",
                       signal=book.signal(entry_price=100, sl_price=95, tp_price=110))
    client.ok("TradeService.OpenTrade", signal_id=signal.id)
    return signal.id


def refused(client, file, method, code, **fields):
    """The Reply of a call that changes nothing."""
    before = [file.rows(table) for table in book.TABLES]
    reply = client.reply(method, **fields)
    assert reply.code == code, reply.message
    assert [file.rows(table) for table in book.TABLES] == before
    return reply


def close(client, signal_id, exit_price, **fields):
    return client.ok("TradeService.CloseTrade", **{"signal_id": signal_id, "exit_price": exit_price,
                                                   "exit_reason": "manual", **fields})


@pytest.mark.parametrize("exit_price", [None, 90, 100])
def test_result_of_a_traded_signal_is_not_for_others(client, file, open_trade, exit_price):
    if exit_price is not None:
        close(client, open_trade, exit_price)
    stored = client.ok("SignalService.GetSignal", id=open_trade)
    for result in (book.types_pb2.RESULT_SKIPPED, book.types_pb2.RESULT_PENDING):
        if stored.result == result:
            continue
        reply = refused(client, file, UPDATE_SIGNAL, FAILED_PRECONDITION, signal={"id": open_trade, "result": result},
                        update_mask={"paths": ["result"]})
        assert str(open_trade) in reply.message and "result" in reply.message
    if stored.HasField("result"):
        refused(client, file, UPDATE_SIGNAL, FAILED_PRECONDITION, signal={"id": open_trade},
                update_mask={"paths": ["result"]})
    stored.notes = "looked at"
    assert client.ok(UPDATE_SIGNAL, signal=stored) == stored


def test_signal_that_was_read_before_its_close_does_not_undo_it(client, file, open_trade):
    read = client.ok("SignalService.GetSignal", id=open_trade)
    close(client, open_trade, 110)
    refused(client, file, UPDATE_SIGNAL, FAILED_PRECONDITION, signal=read)


def test_result_of_a_signal_without_trade_is_the_clients(client, signal):
    for result in (book.types_pb2.RESULT_SKIPPED, book.types_pb2.RESULT_PENDING):
        changed = client.ok(UPDATE_SIGNAL, signal={"id": signal.id, "result": result})
        assert changed.result == result


@pytest.mark.parametrize("exit_price", [None, 90, 100])
def test_exit_of_a_traded_snapshot_is_not_for_others(client, file, open_trade, exit_price):
    if exit_price is not None:
        close(client, open_trade, exit_price)
    stored = snapshot(client, open_trade)
    for field, value in [("result", book.types_pb2.RESULT_WIN), ("exit_price", 111.0),
                         ("exit_time", book.timestamp(4_000_000_000))]:
        reply = refused(client, file, UPDATE_SNAPSHOT, FAILED_PRECONDITION,
                        risk_snapshot={"signal_id": str(open_trade), field: value})
        assert field in reply.message
        if stored.HasField(field):
            refused(client, file, UPDATE_SNAPSHOT, FAILED_PRECONDITION,
                    risk_snapshot={"signal_id": str(open_trade)}, update_mask={"paths": [field]})
    stored.latency_ms = 3
    assert client.ok(UPDATE_SNAPSHOT, risk_snapshot=stored) == stored
    assert client.ok(UPDATE_SNAPSHOT, risk_snapshot=stored, update_mask={"paths": ["*"]}) == stored


def of(signal_id, **given):
    return book.risk_snapshot(**{"signal_id": str(signal_id), "pair": "BTC-USD", "entry_price": 100.0,
                                 "entry_time": book.timestamp(1000), **given})


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("field, value", [("pair", "ETH-USD"), ("entry_price", 101.0)])
def test_snapshot_that_contradicts_its_trade_is_not_created(client, file, signal, is_closed, field, value):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100)
    if is_closed:
        close(client, signal.id, 110)
    wrong = of(signal.id, **{field: value})
    reply = refused(client, file, CREATE_SNAPSHOT, FAILED_PRECONDITION, risk_snapshot=wrong)
    assert str(signal.id) in reply.message and str(value).removesuffix(".0") in reply.message
    results = client.ok("RiskService.BatchCreateRiskSnapshots",
                        risk_snapshots=[wrong, book.risk_snapshot(), of(signal.id)]).results
    assert [result.status.code for result in results] == [FAILED_PRECONDITION, OK, OK]
    if not is_closed:
        close(client, signal.id, 110)


def test_snapshot_written_after_the_opening_is_closed_with_the_trade(client, file, signal):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100, entry_time=book.timestamp(2000))
    made = client.ok(CREATE_SNAPSHOT, risk_snapshot=of(signal.id, sl_price=96, entry_time=book.timestamp(5000)))
    assert made.entry_time == book.timestamp(2000)
    close(client, signal.id, 110, exit_time=book.timestamp(3000))
    stored = snapshot(client, signal.id)
    assert (stored.r_realized, stored.entry_time, stored.exit_time) == (2.5, *map(book.timestamp, (2000, 3000)))


@pytest.mark.parametrize("direction, sl_price, exit_price, reason, r, result", [
    ("LONG", 95, 110, "tp_hit", 2, "WIN"), ("LONG", 95, 90, "sl_hit", -2, "LOSS"), ("LONG", 95, 100, "manual", 0, None),
    ("SHORT", 105, 90, "tp_hit", 2, "WIN"),
])
def test_snapshot_written_after_the_close_is_that_of_one_written_before(client, direction, sl_price, exit_price,
                                                                        reason, r, result):
    trades = []
    for is_after in (False, True):
        signal = client.ok("SignalService.CreateSignal", signal=book.signal(
            direction=getattr(book.types_pb2, f"DIRECTION_{direction}"), entry_price=100))
        given = of(signal.id, sl_price=sl_price, created_at=book.timestamp(1), tier=book.types_pb2.TIER_HIGH)
        if not is_after:
            client.ok(CREATE_SNAPSHOT, risk_snapshot=given)
        client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_time=book.timestamp(2000))
        close(client, signal.id, exit_price, exit_time=book.timestamp(2090), exit_reason=reason)
        if is_after:
            made = client.ok(CREATE_SNAPSHOT, risk_snapshot=given)
            assert made == snapshot(client, signal.id)
        trades.append(snapshot(client, signal.id))
        trades[-1].ClearField("signal_id")
    before, after = trades
    assert before == after
    assert after.r_realized == r
    assert (after.result == getattr(book.types_pb2, f"RESULT_{result}")) if result else not after.HasField("result")
    assert client.ok("AnalyticsService.GetPerformance").total.r_mean == r


def test_snapshot_that_lacks_its_exit_takes_that_of_the_trade(client, file, open_trade):
    close(client, open_trade, 110)
    stored = snapshot(client, open_trade)
    file.execute("UPDATE risk_book_snapshots SET result = NULL, exit_price = NULL, exit_time = NULL, r_realized = NULL")
    refused(client, file, UPDATE_SNAPSHOT, FAILED_PRECONDITION,
            risk_snapshot={"signal_id": str(open_trade), "exit_price": 110.5})
    assert update(client, open_trade, result=stored.result, exit_price=110.0, exit_time=stored.exit_time) == stored


def test_key_that_is_the_id_of_a_trade_of_another_pair_keeps_its_own_exit(client, file, signal):
    client.ok(CREATE_SNAPSHOT, risk_snapshot=of(signal.id, pair="ETH-USD", sl_price=104))
    file.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp) VALUES (?, 7, '2026-01-01')",
                 signal.id)
    assert update(client, signal.id, exit_price=102.0).r_realized == -0.5


LONG, SHORT = book.types_pb2.DIRECTION_LONG, book.types_pb2.DIRECTION_SHORT
# Levels that fit a short, and a long when mirrored at 100.
OF_A_SHORT = [({"tp_price": 90.0, "sl_price": 105.0}, {"tp_price", "sl_price"}), ({"tp_price": 90.0}, {"tp_price"}),
              ({"sl_price": 105.0}, {"sl_price"})]


def mirrored(prices):
    return {name: 200 - price for name, price in prices.items()}


@pytest.mark.parametrize("is_traded", [False, True])
@pytest.mark.parametrize("direction", [LONG, SHORT])
@pytest.mark.parametrize("prices, fields", OF_A_SHORT)
def test_snapshot_with_levels_of_the_other_side_is_not_created(client, file, direction, prices, fields, is_traded):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(direction=direction))
    if is_traded:
        client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100)
    wrong, right = (prices, mirrored(prices)) if direction == LONG else (mirrored(prices), prices)
    reply = refused(client, file, CREATE_SNAPSHOT, INVALID_ARGUMENT, risk_snapshot=of(signal.id, **wrong))
    assert set(book.violations(reply)) == {f"risk_snapshot.{field}" for field in fields}
    assert client.ok(CREATE_SNAPSHOT, risk_snapshot=of(signal.id, **right)).sl_price == right.get("sl_price", 0)


@pytest.mark.parametrize("direction", [LONG, SHORT])
@pytest.mark.parametrize("prices, fields", OF_A_SHORT)
def test_snapshot_of_an_untraded_signal_is_not_given_levels_of_the_other_side(client, file, direction, prices, fields):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(direction=direction))
    client.ok(CREATE_SNAPSHOT, risk_snapshot=of(signal.id))
    wrong, right = (prices, mirrored(prices)) if direction == LONG else (mirrored(prices), prices)
    reply = refused(client, file, UPDATE_SNAPSHOT, INVALID_ARGUMENT,
                    risk_snapshot={"signal_id": str(signal.id), **wrong})
    assert set(book.violations(reply)) == {f"risk_snapshot.{field}" for field in fields}
    update(client, signal.id, **right)


@pytest.mark.parametrize("direction, stops, beyond, behind", [(LONG, [98, 104, 107], 112, 99),
                                                              (SHORT, [102, 96, 93], 88, 101)])
def test_stop_of_a_trade_follows_the_price_up_to_its_target(client, file, direction, stops, beyond, behind):
    side = 1 if direction == LONG else -1
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(
        direction=direction, entry_price=100, sl_price=100 - side * 5, tp_price=100 + side * 10))
    client.ok("TradeService.OpenTrade", signal_id=signal.id)
    for stop in stops:
        assert update(client, signal.id, sl_price=float(stop)).sl_price == stop
    for field, price in [("sl_price", beyond), ("tp_price", behind)]:
        reply = refused(client, file, UPDATE_SNAPSHOT, INVALID_ARGUMENT,
                        risk_snapshot={"signal_id": str(signal.id), field: price})
        assert set(book.violations(reply)) == {"risk_snapshot.tp_price"}
    read = snapshot(client, signal.id)
    assert client.ok(UPDATE_SNAPSHOT, risk_snapshot=read) == read
    assert close(client, signal.id, stops[-1], exit_reason="sl_hit").outcome == book.types_pb2.OUTCOME_WIN


def test_snapshot_whose_entry_slipped_past_its_target_is_written_back(client, open_trade):
    signal = client.ok("SignalService.CreateSignal",
                       signal=book.signal(entry_price=100, sl_price=95, tp_price=110))
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=112)
    read = snapshot(client, signal.id)
    read.sl_price = 103
    assert client.ok(UPDATE_SNAPSHOT, risk_snapshot=read).sl_price == 103


@pytest.mark.parametrize("levels, given, request_price", [
    # Made before its signal, or by another program, for a short.
    ({}, {"tp_price": 90.0, "sl_price": 105.0}, 100),
    ({}, {"sl_price": 105.0}, None),
    # The signal's stop is beyond the target, or the other way round.
    ({"sl_price": 95}, {"entry_price": 90.0, "tp_price": 94.0}, 101),
    ({"tp_price": 110}, {"entry_price": 120.0, "sl_price": 112.0}, 101),
    # The signal's entry is beyond the snapshot's target or stop.
    ({}, {"entry_price": 90.0, "tp_price": 99.0}, None),
    ({}, {"entry_price": 120.0, "sl_price": 112.0}, None),
])
def test_trade_with_levels_of_the_other_side_is_not_opened(client, file, levels, given, request_price):
    client.ok(CREATE_SNAPSHOT, risk_snapshot=of(1, **given))
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100, **levels))
    reply = refused(client, file, "TradeService.OpenTrade", FAILED_PRECONDITION, signal_id=signal.id,
                    entry_price=request_price)
    assert "_price must be" in reply.message and "UpdateRiskSnapshot" in reply.message
    update(client, signal.id, tp_price=given["entry_price"] + 20 if "entry_price" in given else 120.0,
           sl_price=given.get("entry_price", 100.0) - 30)
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=request_price)


def test_close_corrects_the_entry_of_a_snapshot(client, file, open_trade):
    """Another program has changed it, the time to one after the exit."""
    trade = client.ok("TradeService.GetSignalResult", signal_id=open_trade)
    file.execute("UPDATE risk_book_snapshots SET entry_time = '2099-01-01 00:00:00.000000', entry_price = 97")
    close(client, open_trade, 110)
    stored = snapshot(client, open_trade)
    assert stored.entry_time == trade.entry_timestamp and stored.exit_time.seconds >= stored.entry_time.seconds
    assert (stored.entry_price, stored.rr_expected, stored.r_realized) == (100, 2, 2)
    assert update(client, open_trade, sl_price=90.0).r_realized == 1


def test_ratios_that_are_no_numbers_are_absent(client, file, signal):
    extreme = {"entry_price": 1, "sl_price": math.nextafter(1, 0), "tp_price": 1e300}
    key = client.ok(CREATE_SNAPSHOT, risk_snapshot=book.risk_snapshot(**extreme)).signal_id
    assert not snapshot(client, key).HasField("rr_expected")
    assert not update(client, key, exit_price=1e300).HasField("r_realized")
    assert file.query("SELECT rr_expected, r_realized FROM risk_book_snapshots") == [(None, None)]
    client.ok(CREATE_SNAPSHOT, risk_snapshot=of(signal.id, **extreme))
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=1)
    close(client, signal.id, 1e300)
    assert not any(snapshot(client, signal.id).HasField(field) for field in ("rr_expected", "r_realized"))


def test_short_that_went_nowhere_made_plain_zero(client):
    trade = traded(client, 100, 100, direction=SHORT, entry_price=100, sl_price=105)
    result = client.ok("TradeService.GetSignalResult", signal_id=trade)
    event = client.ok("EventService.ListEvents").events[0].trade_closed
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(direction=SHORT))
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100)
    answer = close(client, signal.id, 100)
    key = client.ok(CREATE_SNAPSHOT, risk_snapshot=book.risk_snapshot(sl_price=105)).signal_id
    r_answered = update(client, key, exit_price=100.0).r_realized
    zeros = [result.pnl_usd, result.pnl_percent, answer.pnl_usd, answer.pnl_percent, r_answered,
             snapshot(client, trade).r_realized, event.r_realized]
    assert [str(zero) for zero in zeros] == ["0.0"] * len(zeros)


REOPEN = ("UPDATE signal_results SET outcome = 'open', exit_price = NULL, exit_timestamp = NULL, exit_reason = NULL, "
          "pnl_usd = NULL, pnl_percent = NULL")


def test_fees_of_a_close_that_was_taken_back_are_not_paid_again(client, file):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal())
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100, fees_usd=1)
    for exit_price, fees, pnl in [(110, 2, 7), (120, 3, 16), (90, 0, -11)]:
        closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=exit_price, exit_reason="manual",
                           fees_usd=fees)
        assert closed.pnl_usd == pnl
        file.execute(REOPEN)
    fees = [event.trade_closed.fees_usd for event in client.ok("EventService.ListEvents").events]
    assert fees == [3, 4, 1]


def test_trade_opened_before_fees_were_kept_apart_is_closed(tmp_path):
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        signal = client.ok("SignalService.CreateSignal", signal=book.signal())
        client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100, fees_usd=1)
    file = book.File(tmp_path / "book.db")
    file.execute("ALTER TABLE tb_trades DROP COLUMN open_fees_usd")
    file.execute("UPDATE tb_meta SET value = 2 WHERE key = 'schema_version'")
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        assert client.ok("AdminService.GetServerInfo").schema_version == 3
        closed = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=110, exit_reason="manual",
                           fees_usd=2)
        assert closed.pnl_usd == 7
