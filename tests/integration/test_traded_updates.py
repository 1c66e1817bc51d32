"""Updates of rows that belong to a trade, or that another program has written: what is
not named stays as it is."""

import book
import pytest
import serving

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
