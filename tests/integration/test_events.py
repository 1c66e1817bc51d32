"""ListEvents and cursors over real sockets. Trades are closed by another program
with plain SQL."""

import book
import pytest
import serving
import trades

LIST, GET, CURSORS = "EventService.ListEvents", "EventService.GetCursor", "EventService.ListCursors"
COMMIT, SET, DELETE = "EventService.CommitCursor", "EventService.SetCursor", "EventService.DeleteCursor"


def sequences(response):
    return [event.sequence for event in response.events]


def test_new_database_has_no_events(client):
    response = client.ok(LIST)
    assert (response.next_after_sequence, response.newest_sequence) == (0, 0)
    assert not response.HasField("oldest_sequence")
    assert client.ok(LIST, after_sequence=5).next_after_sequence == 5


def test_a_stream_is_the_libraries_to_make(client):
    reply = client.reply("EventService.Subscribe", after_sequence=0)
    assert reply.code == book.rpc_pb2.CODE_UNIMPLEMENTED
    assert "ListEvents" in reply.message


def test_update_from_outside_is_listed_with_everything(server, client):
    with trades.connection(server.db) as db:
        signal = trades.open_trade(db, "BTC/USD", "short")
        assert sequences(client.ok(LIST)) == []
        trades.close_trade(db, signal, "LOSS")
    (event,) = client.ok(LIST, after_sequence=0).events
    assert event.topic == "trade.closed/BTC%2FUSD/"
    assert not event.HasField("previous_sequence")
    closed = event.trade_closed
    assert (closed.symbol, closed.direction, closed.tier) == ("BTC/USD", book.types_pb2.DIRECTION_SHORT,
                                                             book.types_pb2.TIER_HIGH)
    assert closed.signal_result == client.ok("TradeService.GetSignalResult", signal_id=signal)
    assert closed.signal_result.outcome == book.types_pb2.OUTCOME_LOSS
    assert not closed.HasField("quantity") and not closed.HasField("mode")


def test_pages_follow_each_other_without_gap(server, client):
    trades.closed(server.db, *["A", "B"] * 60)
    seen, after = [], None
    while True:
        response = client.ok(LIST, page_size=50, **({} if after is None else {"after_sequence": after}))
        assert response.newest_sequence == 120
        if not response.events:
            break
        seen += sequences(response)
        after = response.next_after_sequence
    assert seen == list(range(1, 121))
    assert len(client.ok(LIST, page_size=5000).events) == 120
    assert len(client.ok(LIST).events) == 50


def test_topic_and_symbol_choose_and_each_event_names_the_one_before(server, client):
    trades.closed(server.db, "BTC", "BTC-USD", "BTC", "BTC-USD", "BTC")
    response = client.ok(LIST, topic="trade.closed/BTC/")
    assert sequences(response) == [1, 3, 5]
    assert [event.previous_sequence for event in response.events] == [0, 1, 3]
    assert response.next_after_sequence == 5
    response = client.ok(LIST, symbol="BTC-USD")
    assert sequences(response) == [2, 4]
    assert response.next_after_sequence == 5
    assert sequences(client.ok(LIST, symbol="BTC-USD", topic="trade.closed/")) == [2, 4]
    assert sequences(client.ok(LIST, topic="heartbeat/")) == []


def test_bad_list_is_refused_with_every_reason(client):
    reply = client.reply(LIST, after_sequence=-1, topic="trade.closed", symbol=" ", page_size=-1, wait_ms=60001)
    assert reply.code == book.INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"after_sequence", "topic", "symbol", "page_size", "wait_ms"}


def test_events_below_the_oldest_are_out_of_range(server, client):
    trades.closed(server.db, *["A"] * 5)
    with trades.connection(server.db) as db:
        db.execute("DELETE FROM tb_events WHERE sequence < 4")
    for after in (0, 1, 2):
        reply = client.reply(LIST, after_sequence=after)
        assert reply.code == book.OUT_OF_RANGE
        assert "oldest kept is 4" in reply.message
    assert sequences(client.ok(LIST, after_sequence=3)) == [4, 5]
    response = client.ok(LIST)
    assert sequences(response) == [4, 5]
    assert response.oldest_sequence == 4


def test_events_past_their_retention_are_forgotten_but_for_the_newest(tmp_path):
    with serving.Server(tmp_path / "book.db", "--event-retention", 1) as server, \
            book.Client(server.address) as client:
        trades.closed(server.db, *["A"] * 3)
        assert sequences(client.ok(LIST, after_sequence=0)) == [1, 2, 3]
        while client.reply(LIST, after_sequence=1).code == book.OK:  # forgotten as part of writes
            client.ok("SignalService.CreateSignal", signal=book.signal())
        response = client.ok(LIST)
        assert (sequences(response), response.oldest_sequence) == ([3], 3)
        trades.closed(server.db, "A")
        assert sequences(client.ok(LIST, after_sequence=3)) == [4]


def test_beyond_the_newest_is_ok_and_empty(server, client):
    trades.closed(server.db, "A")
    for after in (1, 2, 2**63 - 1):
        response = client.ok(LIST, after_sequence=after)
        assert (sequences(response), response.next_after_sequence) == ([], after)


def test_restart_keeps_events_and_numbers(tmp_path):
    with serving.Server(tmp_path / "book.db") as server:
        trades.closed(server.db, "A", "A")
        server.kill()
        server.restart()
        trades.closed(server.db, "A")
        with book.Client(server.address) as client:
            response = client.ok(LIST)
    assert [(event.sequence, event.previous_sequence) for event in response.events] == [(1, 0), (2, 1), (3, 2)]


def test_cursor_moves_forward_and_set_moves_it_anywhere(server, client):
    trades.closed(server.db, *["A"] * 5)
    cursor = client.ok(COMMIT, name="risk", sequence=3)
    assert (cursor.name, cursor.sequence, cursor.behind) == ("risk", 3, 2)
    assert client.ok(COMMIT, name="risk", sequence=2).sequence == 3
    assert client.ok(SET, name="risk", sequence=2).sequence == 2
    cursor = client.ok(COMMIT, name="risk", sequence=5)
    assert (cursor.sequence, cursor.behind) == (5, 0)
    assert client.ok(GET, name="risk") == cursor
    assert client.ok(SET, name="other", sequence=0).behind == 5
    client.ok(DELETE, name="risk")
    assert client.reply(GET, name="risk").code == book.NOT_FOUND
    assert client.reply(DELETE, name="risk").code == book.NOT_FOUND


@pytest.mark.parametrize("method", [COMMIT, SET])
def test_cursor_beyond_the_newest_is_out_of_range(server, client, method):
    assert client.ok(method, name="risk", sequence=0).sequence == 0
    reply = client.reply(method, name="risk", sequence=1)
    assert reply.code == book.OUT_OF_RANGE
    assert "newest is 0" in reply.message


@pytest.mark.parametrize("method", [COMMIT, SET])
@pytest.mark.parametrize("fields,named", [
    ({}, {"name", "sequence"}),
    ({"name": " ", "sequence": -1}, {"name", "sequence"}),
    ({"name": "é" * 101, "sequence": 0}, {"name"}),
    ({"name": "a\nb", "sequence": 0}, {"name"}),
])
def test_bad_cursor_is_refused_with_every_reason(client, method, fields, named):
    reply = client.reply(method, **fields)
    assert reply.code == book.INVALID_ARGUMENT
    assert set(book.violations(reply)) == named
    assert list(client.ok(CURSORS).cursors) == []


def test_cursor_of_100_characters_is_kept(client):
    assert client.ok(COMMIT, name="é" * 100, sequence=0).name == "é" * 100


def test_cursors_are_listed_by_name_page_by_page(client):
    names = [f"c{number:02}" for number in range(7)]
    for name in reversed(names):
        client.ok(COMMIT, name=name, sequence=0)
    seen, token = [], None
    while token != "":
        page = client.ok(CURSORS, page_size=3, **({"page_token": token} if token else {}))
        seen.append([cursor.name for cursor in page.cursors])
        token = page.next_page_token
    assert seen == [names[:3], names[3:6], names[6:]]


def test_bad_cursor_page_is_refused(client):
    for name in ("a", "b"):
        client.ok(COMMIT, name=name, sequence=0)
    client.ok("SignalService.BatchCreateSignals", signals=[book.signal(), book.signal()])
    foreign = client.ok("SignalService.ListSignals", page_size=1).next_page_token
    for token in ("x", foreign):
        assert set(book.violations(client.reply(CURSORS, page_token=token))) == {"page_token"}
    assert set(book.violations(client.reply(CURSORS, page_size=-1))) == {"page_size"}
