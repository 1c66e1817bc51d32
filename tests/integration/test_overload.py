"""More than the server may keep: what waits is bounded in number and in memory, the
rest is refused at once, and what was accepted is done. Another program holds the
lock of the database meanwhile, so that nothing ends by itself."""

import contextlib
import functools
import select

import book
import pytest
import serving
import sp

MIB = 1 << 20
QUEUE = 16
ALONE = 13  # for a connection that nobody else contends with
MEMORY = 32 * MIB
LARGE_REQUESTS = 60
RECORDS = 1000


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", "--queue", QUEUE) as server:
        yield server


@pytest.fixture
def roomy(tmp_path):
    """A server whose queue has room for all, but not its memory."""
    with serving.Server(tmp_path / "roomy.db", "--memory", MEMORY) as server:
        yield server


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def memory_is_its_own(server):
    """False with a sanitizer, which keeps freed memory back to watch it."""
    with open(f"/proc/{server.process.pid}/maps") as maps:
        return not any(name in line for line in maps for name in ("libasan", "libtsan"))


def received(connection):
    return book.rpc_pb2.Reply.FromString(connection.receive()[1])


def small_request():
    request = book.request_of("SignalService.CreateSignal", signal=book.signal())
    return book.envelope("SignalService.CreateSignal", request).SerializeToString()


@functools.cache
def many_signals():
    return book.request_of("SignalService.BatchCreateSignals",
                           signals=[book.signal(notes="n" * 900) for _ in range(RECORDS)])


def large_request():
    """A megabyte, and several times as much when it is unpacked."""
    body = book.envelope("SignalService.BatchCreateSignals", many_signals()).SerializeToString()
    assert MIB * 7 // 8 < len(body) < MIB
    return body


def test_who_fills_the_queue_leaves_room_for_others(server, file):
    with book.Client(server.address) as greedy, book.Client(server.address) as late, file.locked() as unlock:
        for _ in range(200):
            greedy.send(small_request())
        refused = [received(greedy) for _ in range(200 - 2 * QUEUE)]
        assert all(reply.code == book.RESOURCE_EXHAUSTED for reply in refused)
        late.send(small_request())
        unlock()
        assert received(late).code == book.OK


def test_queue_is_bounded_and_the_rest_refused_at_once(server, file):
    sent = 200
    with book.Client(server.address) as client, file.locked() as unlock:
        for _ in range(sent):
            client.send(small_request())
        # The writer has taken what waited once, and as much waits again.
        refused = [received(client) for _ in range(sent - 2 * QUEUE)]
        assert all(reply.code == book.RESOURCE_EXHAUSTED and str(QUEUE) in reply.message for reply in refused)
        unlock()
        rest = [received(client) for _ in range(2 * QUEUE)]
    done = sum(reply.code == book.OK for reply in rest)
    assert done >= ALONE
    assert all(reply.code in (book.OK, book.RESOURCE_EXHAUSTED) for reply in rest)
    assert file.query("SELECT count(*) FROM signals") == [(done,)]


def test_memory_of_large_requests_is_bounded_and_small_ones_go_on(roomy):
    with book.Client(roomy.address) as client:
        id = client.ok("SignalService.CreateSignal", signal=book.signal()).id
        before = resident_bytes(roomy)
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(sp.Connection(roomy.address)) for _ in range(LARGE_REQUESTS)]
            with book.File(roomy.db).locked() as unlock:
                for connection in connections:
                    connection.send(large_request())
                # Each takes twice its size at least, so these are not accepted.
                codes = answers(connections, LARGE_REQUESTS - MEMORY // (2 * len(large_request())))
                assert client.ok("SignalService.GetSignal", id=id).id == id
                assert resident_bytes(roomy) < before + MEMORY + 32 * MIB or not memory_is_its_own(roomy)
                unlock()
            codes += answers(connections, len(connections))
        assert codes.count(book.RESOURCE_EXHAUSTED) > 0
        # A slow machine may need longer than the server waits for the lock.
        assert set(codes) <= {book.OK, book.RESOURCE_EXHAUSTED, book.UNAVAILABLE}
        assert book.File(roomy.db).query("SELECT count(*) FROM signals") == [(1 + codes.count(book.OK) * RECORDS,)]
        assert client.call_raw(large_request()).code != book.RESOURCE_EXHAUSTED, "the memory was not given back"


def answers(connections, count):
    """Waits for so many answers; takes the answered out of connections. Returns the codes."""
    codes = []
    while len(codes) < count:
        sockets = {connection.socket: connection for connection in connections}
        for plain in select.select(sockets, [], [], 60)[0]:
            codes.append(received(sockets[plain]).code)
            connections.remove(sockets[plain])
    return codes
