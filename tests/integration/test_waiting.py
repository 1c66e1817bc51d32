"""ListEvents that waits: it ends by an event, by its time, by the request's time, or
because the server stops, and holds nobody else up."""

import contextlib
import signal
import threading

import book
import pytest
import serving
import sp
import trades
import websocket

LIST = "EventService.ListEvents"


def ask(connection, timeout_ms=None, **fields):
    """Sends a ListEvents and does not wait for the reply."""
    envelope = book.envelope(LIST, book.request_of(LIST, **fields), timeout_ms=timeout_ms)
    return connection.send(envelope.SerializeToString())


def reply_of(connection):
    number, body = connection.receive()
    return number, book.rpc_pb2.Reply.FromString(body)


def events_of(reply):
    return book.response_of(LIST, reply)


def wait_until_taken(connection):
    """Requests of one connection are taken in their order: when a read that does not
    wait is answered, a reader has taken all before it."""
    expected = ask(connection, after_sequence=2**62)
    assert reply_of(connection)[0] == expected


@pytest.fixture
def connection(server):
    with sp.Connection(server.address, timeout=60) as connection:
        yield connection


def test_wait_ends_with_the_event_of_another_program(server, connection):
    ask(connection, wait_ms=60000, timeout_ms=100000)
    wait_until_taken(connection)
    trades.closed(server.db, "A")
    response = events_of(reply_of(connection)[1])
    assert [event.sequence for event in response.events] == [1]
    assert (response.next_after_sequence, response.newest_sequence) == (1, 1)


def test_wait_is_over_at_once_when_there_is_an_event(server, client):
    trades.closed(server.db, "A")
    assert len(client.ok(LIST, wait_ms=60000, timeout_ms=100000).events) == 1


def test_wait_ends_empty_when_its_time_is_over(client):
    response = client.ok(LIST, after_sequence=0, wait_ms=100, timeout_ms=100000)
    assert (len(response.events), response.next_after_sequence, response.newest_sequence) == (0, 0, 0)


@pytest.mark.parametrize("timeout_ms", [1, 50, 400])
def test_wait_ends_empty_before_the_time_of_the_request(client, timeout_ms):
    """The answer is no DEADLINE_EXCEEDED, however the time of the request is spent:
    with one of 1 ms it may already be over when a reader takes it."""
    reply = client.reply(LIST, wait_ms=60000, timeout_ms=timeout_ms)
    assert reply.code == book.OK or (timeout_ms == 1 and reply.code == book.DEADLINE_EXCEEDED)
    assert reply.code != book.OK or not events_of(reply).events


def test_wait_for_a_topic_or_symbol_is_not_ended_by_others(server, connection):
    numbers = {ask(connection, timeout_ms=100000, wait_ms=60000, **fields): symbol
               for fields, symbol in [({"symbol": "B"}, "B"), ({"topic": "trade.closed/C/"}, "C"),
                                      ({"symbol": "B", "topic": "trade.closed/"}, "B")]}
    wait_until_taken(connection)
    trades.closed(server.db, *["A"] * 10)
    with book.Client(server.address) as client:
        while client.ok(LIST).newest_sequence < 10:
            pass
    trades.closed(server.db, "C", "B")
    heard = dict(reply_of(connection) for _ in numbers)
    assert {number: [event.trade_closed.symbol for event in events_of(reply).events]
            for number, reply in heard.items()} == {number: [symbol] for number, symbol in numbers.items()}


def test_all_who_wait_hear_of_one_event(server):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(sp.Connection(server.address, timeout=60)) for _ in range(50)]
        for connection in connections:
            ask(connection, wait_ms=60000, timeout_ms=100000)
            wait_until_taken(connection)
        trades.closed(server.db, "A")
        for connection in connections:
            assert [event.sequence for event in events_of(reply_of(connection)[1]).events] == [1]


def test_chain_of_waits_hears_every_event_once(server, client):
    total = book.scaled(500)

    def close():
        for _ in range(total):
            trades.closed(server.db, "A")

    closing = threading.Thread(target=close)
    closing.start()
    after, seen = 0, []
    while len(seen) < total:
        response = client.ok(LIST, after_sequence=after, wait_ms=60000, timeout_ms=100000)
        seen += [event.sequence for event in response.events]
        after = response.next_after_sequence
    closing.join()
    assert seen == list(range(1, total + 1))


def test_more_waits_than_readers_hold_nobody_up(server, client):
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(sp.Connection(server.address, timeout=60))
        for _ in range(40):
            ask(connection, wait_ms=60000, timeout_ms=100000)
        signal = client.ok("SignalService.CreateSignal", signal=book.signal())
        assert client.ok("SignalService.GetSignal", id=signal.id) == signal


def test_waits_beyond_half_of_the_contexts_are_refused(tmp_path):
    with serving.Server(tmp_path / "book.db", "--contexts", 16) as server, \
            sp.Connection(server.address, timeout=60) as connection:
        for _ in range(12):
            ask(connection, wait_ms=60000, timeout_ms=100000)
        refused = [reply_of(connection)[1] for _ in range(4)]
        assert {reply.code for reply in refused} == {book.RESOURCE_EXHAUSTED}
        assert "8 requests wait" in refused[0].message
        trades.closed(server.db, "A")
        assert all(len(events_of(reply_of(connection)[1]).events) == 1 for _ in range(8))


def test_waits_end_empty_when_the_server_stops(tmp_path):
    with serving.Server(tmp_path / "book.db") as server, sp.Connection(server.address, timeout=60) as connection:
        trades.closed(server.db, "A")
        for _ in range(20):
            ask(connection, after_sequence=1, wait_ms=60000, timeout_ms=100000)
        wait_until_taken(connection)
        process = server.process
        process.send_signal(signal.SIGTERM)
        for _ in range(20):
            response = events_of(reply_of(connection)[1])
            assert (len(response.events), response.next_after_sequence) == (0, 1)
        assert process.wait(timeout=60) == 0
        server.process = None


def test_waits_of_either_transport_end_together_when_the_server_stops(tmp_path):
    """Replies over tcp wait for the end of those that one thread answers at once, whatever
    the transport of the last one is."""
    with serving.Server(tmp_path / "book.db", "--listen", "ws://127.0.0.1:0/rpc", "--http",
                        "127.0.0.1:0") as server, \
            websocket.Connection(server.addresses["ws"]) as over_ws, \
            sp.Connection(server.address, timeout=60) as over_tcp:
        for count, connection in enumerate((over_ws, over_tcp), 1):  # the newest is answered first
            ask(connection, wait_ms=60000, timeout_ms=100000)
            server.wait_for_metric(f"tradebook_waiting_requests {count}")
        assert server.stop() == 0
        for connection in (over_ws, over_tcp):
            assert not events_of(reply_of(connection)[1]).events


def test_client_that_vanishes_while_it_waits_harms_nobody(server, client):
    for _ in range(20):
        with sp.Connection(server.address) as connection:
            ask(connection, wait_ms=60000, timeout_ms=100000)
    trades.closed(server.db, "A")
    assert len(client.ok(LIST, wait_ms=60000, timeout_ms=100000).events) == 1
