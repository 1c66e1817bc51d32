"""Events as subscribers hear of them, over the wire of SUB. Trades are closed by
another program with plain SQL, as far as nothing else is said."""

import contextlib
import os
import socket
import subprocess
import threading

import book
import pytest
import serving
import sp
import trades

HEARTBEAT = "heartbeat/"
FAST = ["--heartbeat-ms", 20]
LIST = "EventService.ListEvents"


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", *FAST, "--connections", 64, "--events", "tcp://127.0.0.1:0", "--events",
                        f"ipc://{tmp_path}/events.sock") as server:
        yield server


@pytest.fixture(params=["tcp", "ipc"])
def address(server, request):
    return next(address for address in server.events if address.startswith(request.param))


class Subscriber(sp.Subscriber):
    """Is known to the publisher when it is made."""

    def __init__(self, address, timeout=60):
        super().__init__(address, timeout)
        self.heartbeat()

    def heartbeat(self):
        """The next heartbeat; what comes before it is skipped."""
        while True:
            topic, body = self.receive()
            if topic == HEARTBEAT:
                return book.event_pb2.Heartbeat.FromString(body)

    def event(self):
        """The next event, whose topic is the one it was sent under."""
        while True:
            topic, body = self.receive()
            if topic != HEARTBEAT:
                event = book.event_pb2.Event.FromString(body)
                assert event.topic == topic
                return event


def test_update_from_outside_is_published_as_it_is_listed(server, client, address):
    with Subscriber(address) as subscriber, trades.connection(server.db) as db:
        signal = trades.open_trade(db, "BTC/USD")
        trades.close_trade(db, signal)
        event = subscriber.event()
    assert event.topic == "trade.closed/BTC%2FUSD/"
    assert event.trade_closed.signal_result.signal_id == signal
    assert list(client.ok(LIST).events) == [event]


def test_events_come_in_order_and_name_the_one_before_of_their_symbol(server, address):
    with Subscriber(address) as subscriber:
        trades.closed(server.db, *["BTC", "BTC-USD"] * 200)
        events = [subscriber.event() for _ in range(400)]
    assert [event.sequence for event in events] == list(range(1, 401))
    assert [event.previous_sequence for event in events] == [0, 0, *range(1, 399)]


def test_closed_trade_is_published_with_all_that_is_known_of_it(client, address):
    signal = client.ok("SignalService.CreateSignal", signal=book.signal(
        entry_price=100.0, sl_price=90.0, tp_price=130.0, session="tokyo", model_version="v7"))
    client.ok("TradeService.OpenTrade", signal_id=signal.id, quantity=2.0, fees_usd=1.0,
              mode=book.types_pb2.MODE_LIVE)
    with Subscriber(address) as subscriber:
        result = client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=120.0, exit_reason="manual",
                           fees_usd=0.5)
        event = subscriber.event()
    assert event == client.ok(LIST).events[0]
    closed = event.trade_closed
    assert closed.signal_result == result
    assert (closed.symbol, closed.direction, closed.strategy, closed.tier, closed.session, closed.model_version,
            closed.confidence) == (signal.symbol, signal.direction, signal.strategy, signal.tier, "tokyo", "v7",
                                   signal.confidence)
    assert (closed.quantity, closed.fees_usd, closed.mode, closed.r_realized) == (2.0, 1.5, book.types_pb2.MODE_LIVE,
                                                                                 2.0)


def test_trade_recorded_without_publishing_is_no_event(client, address):
    with Subscriber(address) as subscriber:
        for publish in (False, True):
            signal = client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100.0))
            opened = book.trade_pb2.OpenTradeRequest(signal_id=signal.id, entry_time=book.timestamp(1_700_000_000))
            closed = book.trade_pb2.CloseTradeRequest(exit_price=110.0, exit_time=book.timestamp(1_700_000_600),
                                                      exit_reason="manual")
            client.ok("TradeService.RecordTrade", open=opened, close=closed, publish=publish)
        event = subscriber.event()
    assert (event.sequence, event.trade_closed.signal_result.signal_id) == (1, signal.id)


def test_what_is_rolled_back_is_not_published(server, address):
    with Subscriber(address) as subscriber, trades.connection(server.db) as db:
        db.execute("BEGIN")
        trades.close_trade(db, trades.open_trade(db, "ROLLED-BACK"))
        db.execute("ROLLBACK")
        trades.closed(server.db, "KEPT")
        event = subscriber.event()
    assert (event.sequence, event.trade_closed.symbol) == (1, "KEPT")


def test_heartbeat_tells_the_newest_event_and_when_the_next_one_is_due(server, address):
    with Subscriber(address) as subscriber:
        heartbeat = subscriber.heartbeat()
        assert heartbeat.HasField("newest_sequence") and heartbeat.newest_sequence == 0
        assert heartbeat.interval_ms == 20
        assert heartbeat.sent_at.seconds > 1_700_000_000
        trades.closed(server.db, "A", "A", "A")
        while subscriber.event().sequence < 3:
            pass
        assert subscriber.heartbeat().newest_sequence == 3


def test_events_before_the_start_are_not_published_again(server, address):
    trades.closed(server.db, "A", "A")
    with Subscriber(address) as subscriber:
        while subscriber.heartbeat().newest_sequence < 2:
            pass
    server.kill()
    server.restart()
    again = next(found for found in server.events if found.split(":")[0] == address.split(":")[0])
    with Subscriber(again) as subscriber:
        trades.closed(server.db, "A")
        event = subscriber.event()
    assert (event.sequence, event.previous_sequence) == (3, 2)


def test_every_subscriber_hears_everything(server):
    with contextlib.ExitStack() as stack:
        subscribers = [stack.enter_context(Subscriber(address)) for address in server.events * 10]
        trades.closed(server.db, *["A"] * 50)
        for subscriber in subscribers:
            assert [subscriber.event().sequence for _ in range(50)] == list(range(1, 51))


def test_frozen_subscriber_loses_its_own_messages_and_recovers_by_listing(server, client, address):
    """One subscriber does not read until more has happened than is kept for it: 20 MB,
    which is more than the queue and all buffers of the system."""
    with Subscriber(address) as frozen, Subscriber(address) as awake:
        total = 0
        while total < 5000:
            trades.closed(server.db, *["A"] * 100, reason="x" * 4000)
            total += 100
            while awake.event().sequence < total:
                pass
        handled = 0  # as a subscriber does that must not miss anything
        replayed = 0
        while handled < total:
            event = frozen.event()
            while event.sequence > handled + 1:
                for missed in client.ok(LIST, after_sequence=handled, page_size=1000).events:
                    assert missed.sequence == handled + 1
                    handled += 1
                    replayed += 1
            handled = max(handled, event.sequence)
        assert 0 < replayed < total


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def wait_for_descriptors(server, count):
    for _ in range(20000):
        if descriptors(server) <= count:
            return
        threading.Event().wait(0.005)
    pytest.fail(f"{descriptors(server)} descriptors, expected {count}")


def closed_by_server(plain):
    with contextlib.suppress(ConnectionError):
        while plain.recv(65536):
            pass
    plain.close()
    return True


def connect_and_close(address):
    sp.connect(address).close()


def half_a_handshake(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.SUB)[:5])


def request_peer(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.REQ))
        assert closed_by_server(plain)


def publishing_peer(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.PUB))
        assert closed_by_server(plain)


def http_request(address):
    with sp.connect(address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert closed_by_server(plain)


def talking_subscriber(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.SUB) + sp.frame(address, b"hello"))
        assert closed_by_server(plain)


def subscribe_and_vanish(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.SUB))


def subscribe_and_reset(address):
    with sp.open_connection(address, ours=sp.SUB, theirs=sp.PUB) as plain:
        if not sp.is_ipc(address):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


ABUSES = [connect_and_close, half_a_handshake, request_peer, publishing_peer, http_request, talking_subscriber,
          subscribe_and_vanish, subscribe_and_reset]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
def test_abused_connection_frees_everything_and_others_hear_on(server, address, abuse):
    with Subscriber(address) as subscriber:
        before = descriptors(server)
        for _ in range(100):
            abuse(address)
        trades.closed(server.db, "A")
        assert subscriber.event().sequence == 1
        wait_for_descriptors(server, before)


def test_thousands_of_abused_connections_leave_the_server_publishing(server):
    for address in server.events:
        Subscriber(address).close()
    subscribers = [Subscriber(address) for address in server.events]
    files = descriptors(server)
    for number in range(book.scaled(5000)):
        ABUSES[number // 2 % len(ABUSES)](server.events[number % 2])
    trades.closed(server.db, "A")
    assert [subscriber.event().sequence for subscriber in subscribers] == [1, 1]
    with book.Client(server.address) as client:
        assert len(client.ok(LIST).events) == 1
    wait_for_descriptors(server, files)
    for subscriber in subscribers:
        subscriber.close()


def test_connections_above_the_limit_are_closed_and_room_is_found_again(server, address):
    subscribers = [Subscriber(address) for _ in range(64)]
    assert closed_by_server(sp.connect(address))
    with book.Client(server.address) as client:  # has a limit of its own
        assert client.ok(LIST).newest_sequence == 0
    before = descriptors(server)
    for subscriber in subscribers:
        subscriber.close()
    wait_for_descriptors(server, before - 64)
    Subscriber(address).close()


def test_silent_connection_is_closed_after_the_handshake_time(server):
    silent = [sp.connect(address, timeout=60) for address in server.events]
    assert all(closed_by_server(plain) for plain in silent)


@pytest.mark.parametrize("topic,expected", [("", [1, 2, 3]), ("trade.closed/BTC/", [1, 3]),
                                            ("trade.closed/BTC-USD/", [2])])
def test_nngcat_hears_its_topic_exactly(server, address, topic, expected):
    """Stock nng. It has subscribed for certain once it prints something, so it is
    told of trades until it does."""
    subscriber = subprocess.Popen(["nngcat", "--sub", "--dial", address, "--subscribe", topic or "trade.closed/",
                                   "--raw"], stdout=subprocess.PIPE)
    try:
        os.set_blocking(subscriber.stdout.fileno(), False)
        heard, sequence = b"", 0
        while len(set(sequences_in(heard))) < 3:
            trades.closed(server.db, "BTC", "BTC-USD", "BTC")
            threading.Event().wait(0.05)
            heard += subscriber.stdout.read() or b""
    finally:
        subscriber.kill()
        subscriber.wait()
        subscriber.stdout.close()
    numbers = sequences_in(heard)
    assert {(number - 1) % 3 + 1 for number in numbers} == set(expected)
    assert numbers == sorted(set(numbers))
    assert HEARTBEAT.encode() not in heard


def sequences_in(heard):
    """Sequences of the events in what --raw prints: messages without separation,
    each topic, NUL and Event, which begins with its sequence."""
    numbers = []
    for part in heard.split(b"\0\x08")[1:]:
        number, shift = 0, 0
        for byte in part:
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        numbers.append(number)
    return numbers


def test_events_over_websocket_are_published_too(tmp_path):
    # nng 1.5.2 leaks a message that it is handed just when its peer goes away.
    suppressions = tmp_path / "suppressions"
    suppressions.write_text("leak:publish_on_socket\n")
    prefix = ["env", f"LSAN_OPTIONS=print_suppressions=0:suppressions={suppressions}"]
    with serving.Server(tmp_path / "book.db", *FAST, "--events", "ws://127.0.0.1:0/events", prefix=prefix) as server:
        subscriber = subprocess.Popen(["nngcat", "--sub", "--dial", server.events[0], "--raw"],
                                      stdout=subprocess.PIPE)
        try:
            heard = b""
            while b"trade.closed/A/\0" not in heard:
                trades.closed(server.db, "A")
                heard += os.read(subscriber.stdout.fileno(), 65536)
        finally:
            subscriber.kill()
            subscriber.wait()
            subscriber.stdout.close()


def test_addresses_are_told_and_closed_at_the_end(tmp_path):
    path = tmp_path / "events.sock"
    with serving.Server(tmp_path / "book.db", "--events", f"ipc://{path}") as server:
        assert server.events == [f"ipc://{path}"]
        assert f"publishing events address=ipc://{path}" in server.log.read_text()
        with Subscriber(server.events[0]):
            pass
    assert not path.exists()


def test_address_in_use_is_named(server, tmp_path):
    done = serving.run("serve", "--db", tmp_path / "other.db", "--listen", "tcp://127.0.0.1:0", "--events",
                       server.events[0])
    assert done.returncode == 1
    assert server.events[0] in done.stderr
