"""The server's connections: what an abusive peer gets, and that nobody else
notices. Every row of "Network" that concerns requests and replies.

On nng 1.5.2 two of these recipes break nng's own sockets, with a server that
uses them. Seen there, with nothing but these lines:

  listener death   connect() and close() at once on ipc, a few times (on tcp:
                   shutdown, then close with a zero linger). Connections are
                   still accepted and shaken hands with, none is served.
  reaper hang      send three requests in one write and close. After a few
                   tries the thread that frees connections waits forever: each
                   further connection leaves its descriptor behind.

So the server serves tcp and ipc by nng's streams (see src/transport/streams.h), and
these tests hold on every version. Over ws, which stays with nng's sockets, nng
1.10.1 has a defect of its own.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading

import book
import pytest
import serving
import sp
import websocket

CHECK = "/grpc.health.v1.Health/Check"
GET_SET = "/tradebook.v1.AdminService/GetDescriptorSet"
MESSAGE_BYTES = 65536
REQUEST_ID = struct.pack(">I", 0x80000001)


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", "--message-bytes", MESSAGE_BYTES, "--connections", 64, "--contexts", 16,
                        "--send-timeout", 1000) as server:
        yield server


@pytest.fixture(params=["tcp", "ipc"])
def address(server, request):
    return server.addresses[request.param]


def answers(address):
    """Whether a well-behaved client is served."""
    with sp.Client(address) as client:
        return client.call(CHECK).code == 0


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def memory_is_its_own(server):
    """False with a sanitizer, which keeps freed memory back to watch it."""
    with open(f"/proc/{server.process.pid}/maps") as maps:
        return not any(name in line for line in maps for name in ("libasan", "libtsan"))


def wait_for_descriptors(server, count):
    """Waits until the server has freed what it no longer needs."""
    for _ in range(20000):
        if descriptors(server) <= count:
            return
        os.sched_yield()
        threading.Event().wait(0.005)
    pytest.fail(f"{descriptors(server)} descriptors, expected {count}")


def closed_by_server(plain):
    """Waits for the end of the connection."""
    with contextlib.suppress(ConnectionError):
        while plain.recv(65536):
            pass
    plain.close()
    return True


def request_frame(address, body=None):
    return sp.frame(address, REQUEST_ID + (sp.envelope(CHECK) if body is None else body))


# One connection each, left in a bad way. ------------------------------------


def connect_and_close(address):
    sp.connect(address).close()


def connect_and_reset(address):
    plain = sp.connect(address)
    if not sp.is_ipc(address):
        plain.shutdown(socket.SHUT_WR)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def half_a_handshake(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.REQ)[:5])


def wrong_protocol(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.REP))
        assert closed_by_server(plain)


def http_request(address):
    with sp.connect(address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert closed_by_server(plain)


def tls_hello(address):
    with sp.connect(address) as plain:
        plain.sendall(bytes.fromhex("1603010200010001fc0303") + bytes(64))
        assert closed_by_server(plain)


def half_a_frame(address):
    with sp.open_connection(address) as plain:
        plain.sendall(request_frame(address)[:-3])


def half_a_length(address):
    with sp.open_connection(address) as plain:
        plain.sendall(request_frame(address)[:4])


def claimed_length(address):
    with sp.open_connection(address) as plain:
        plain.sendall((b"\1" if sp.is_ipc(address) else b"") + struct.pack(">Q", 1 << 63))
        assert closed_by_server(plain)


def no_request_id(address):
    with sp.open_connection(address) as plain:
        plain.sendall(sp.frame(address, b"\0\0\0\1" * 100))
        assert closed_by_server(plain)


def empty_frame(address):
    with sp.open_connection(address) as plain:
        plain.sendall(sp.frame(address, b""))
        assert closed_by_server(plain)


def garbage_envelope(address):
    with sp.Client(address) as client:
        assert client.call_raw(b"\xff" * 40).code == 3


def vanish(count):
    def vanish_after(address):
        with sp.open_connection(address) as plain:
            plain.sendall(request_frame(address) * count)

    vanish_after.__name__ = f"vanish_after_{count}"
    return vanish_after


def vanish_without_handshake(address):
    with sp.connect(address) as plain:
        plain.sendall(sp.handshake(sp.REQ) + request_frame(address) * 3)


def never_read(address):
    """Asks for large replies, takes none, leaves."""
    with sp.open_connection(address) as plain:
        plain.sendall(request_frame(address, sp.envelope(GET_SET)) * 20)


ABUSES = [connect_and_close, connect_and_reset, half_a_handshake, wrong_protocol, http_request, tls_hello,
          half_a_frame, half_a_length, claimed_length, no_request_id, empty_frame, garbage_envelope,
          *map(vanish, range(1, 6)), vanish_without_handshake, never_read]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
def test_abused_connection_frees_everything_and_others_are_served(server, address, abuse):
    assert answers(address)
    before = descriptors(server)
    for _ in range(100):
        abuse(address)
    assert answers(address)
    wait_for_descriptors(server, before)


def test_ten_thousand_abused_connections_leave_the_server_as_it_was(server):
    addresses = list(server.addresses.values())
    assert all(answers(address) for address in addresses)
    files = descriptors(server)
    half, workers = 5000, 4

    def work(worker):
        for number in range(worker, half, workers):
            address = addresses[number % len(addresses)]
            ABUSES[number // len(addresses) % len(ABUSES)](address)

    # What the first half leaves is what nng and the allocator keep for the next.
    assert run_in_threads(work, workers) == []
    memory = resident_kib(server)
    assert run_in_threads(work, workers) == []
    assert all(answers(address) for address in addresses)
    wait_for_descriptors(server, files)
    assert resident_kib(server) < memory + 8 * 1024 or not memory_is_its_own(server)


def run_in_threads(work, count):
    failures = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # told by the caller
            failures.append(repr(error))

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


# What takes time or many. ----------------------------------------------------


def test_silent_connections_are_closed_after_the_handshake_time(server):
    silent = [sp.connect(address, timeout=60) for address in server.addresses.values()]
    for plain in silent:
        plain.sendall(sp.handshake(sp.REQ)[:4])
    assert all(closed_by_server(plain) for plain in silent)


def test_half_a_frame_and_shutdown_closes_the_connection(address):
    with sp.open_connection(address) as plain:
        plain.sendall(request_frame(address)[:-1])
        plain.shutdown(socket.SHUT_WR)
        assert closed_by_server(plain)


def test_half_a_frame_and_silence_is_closed_while_others_stay(address):
    """A request may be begun and left for 10 s, the time between two requests is free."""
    with sp.Client(address) as quiet, sp.open_connection(address) as plain:
        assert quiet.call(CHECK).code == 0
        plain.sendall(request_frame(address)[:-1])
        plain.settimeout(60)
        assert closed_by_server(plain)
        assert quiet.call(CHECK).code == 0


def test_peer_that_shuts_down_its_sending_side_is_closed(address):
    with sp.Client(address) as client:
        assert client.call(CHECK).code == 0
        client.socket.shutdown(socket.SHUT_WR)
        assert closed_by_server(client.socket)


def flood_without_reading(address, closed):
    """Writes requests for large replies until the server takes no more of them,
    which it does only by closing; notes in closed that this happened."""
    with sp.open_connection(address, timeout=30) as plain:
        batch = request_frame(address, sp.envelope(GET_SET)) * 50
        try:
            while True:
                plain.sendall(batch)
        except TimeoutError:
            pass
        except ConnectionError:
            closed.append(plain)


def test_clients_that_never_read_are_disconnected_and_others_are_served(server, address):
    closed = []
    floods = [threading.Thread(target=flood_without_reading, args=[address, closed]) for _ in range(4)]
    before = descriptors(server)
    for flood in floods:
        flood.start()
    with sp.Client(address) as client:
        served = 0
        while any(flood.is_alive() for flood in floods):
            assert client.call(CHECK).code == 0
            served += 1
    for flood in floods:
        flood.join()
    assert served > 0 and len(closed) == 4
    wait_for_descriptors(server, before)


def test_connections_above_the_limit_are_closed_and_room_is_found_again(server, address):
    connections = [sp.Client(address) for _ in range(64)]
    assert all(connection.call(CHECK).code == 0 for connection in connections)
    assert closed_by_server(sp.connect(address))
    assert all(connection.call(CHECK).code == 0 for connection in connections)
    before = descriptors(server)
    for connection in connections:
        connection.close()
    wait_for_descriptors(server, before - 64)
    assert answers(address)


def test_message_up_to_twice_the_limit_is_answered_a_larger_one_closes(address):
    with sp.Client(address) as client:
        assert client.call_raw(sp.envelope(CHECK, bytes(MESSAGE_BYTES))).code == 8
        assert client.call(CHECK).code == 0
    with sp.open_connection(address) as plain:
        with contextlib.suppress(ConnectionError):
            plain.sendall(sp.frame(address, REQUEST_ID + bytes(3 * MESSAGE_BYTES)))
        assert closed_by_server(plain)
    assert answers(address)


def test_pipelined_requests_beyond_all_contexts_are_all_answered(address):
    with sp.Connection(address) as connection:
        expected = {connection.send(sp.envelope(CHECK)) for _ in range(500)}
        assert {connection.receive()[0] for _ in range(500)} == expected


def test_frames_cut_anywhere_are_put_together(address):
    frames = request_frame(address) * 3 + request_frame(address, sp.envelope(CHECK, bytes(9000)))
    for step in (1, 7, 4097):
        with sp.open_connection(address) as plain:
            for begin in range(0, len(frames), step):
                plain.sendall(frames[begin:begin + step])
            for _ in range(4):
                assert sp.read_frame(plain, address)[:4] == REQUEST_ID


def test_backtrace_of_devices_comes_back_whole(address):
    with sp.open_connection(address) as plain:
        trace = b"\0\0\0\7\0\0\0\x08" + REQUEST_ID
        plain.sendall(sp.frame(address, trace + sp.envelope(CHECK)))
        assert sp.read_frame(plain, address).startswith(trace)


def test_many_connections_at_once_are_all_served(server):
    addresses = list(server.addresses.values())

    def work(number):
        with sp.Client(addresses[number % 2]) as client:
            for _ in range(50):
                assert client.call(CHECK).code == 0

    assert run_in_threads(work, 16) == []


def test_out_of_descriptors_recovers(tmp_path):
    with serving.Server(tmp_path / "book.db", "--connections", 1000, prefix=["prlimit", "--nofile=64"]) as server:
        address = server.address
        held = [sp.connect(address) for _ in range(100)]
        for plain in held:
            plain.close()
        assert answers(address)


# Stock nng as the client. ----------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "ipc"])
def test_nngcat_gets_a_reply(server, scheme):
    reply = nngcat(server.addresses[scheme], sp.envelope(CHECK))
    assert sp.messages().Reply.FromString(reply).code == 0


def nngcat(url, body):
    return subprocess.run(["nngcat", "--req", "--dial", url, "--raw", "--recv-timeout", "20", "--file", "/dev/stdin"],
                          input=body, stdout=subprocess.PIPE, check=True, timeout=60).stdout


# WebSocket. ------------------------------------------------------------------


@pytest.fixture
def ws(tmp_path):
    # nng 1.5.2 leaks a reply that it is handed just when its peer goes away.
    suppressions = tmp_path / "suppressions"
    suppressions.write_text("leak:responder_reserve\n")
    with serving.Server(tmp_path / "ws.db", "--listen", "ws://127.0.0.1:0/rpc", "--message-bytes", MESSAGE_BYTES,
                        ipc=False, prefix=["env", f"LSAN_OPTIONS=print_suppressions=0:suppressions={suppressions}"],
                        ) as server:
        yield server


def test_websocket_client_is_served(ws):
    plain, line = websocket.upgrade(ws.addresses["ws"])
    with plain:
        assert " 101 " in line
        plain.sendall(websocket.frame(REQUEST_ID + sp.envelope(CHECK)))
        head = sp.read_exactly(plain, 2)
        assert head[0] == 0x82
        assert sp.read_exactly(plain, head[1]).startswith(REQUEST_ID)


def test_websocket_of_a_page_is_closed(ws):
    plain, _ = websocket.upgrade(ws.addresses["ws"], "Origin: https://example.org")
    assert closed_by_server(plain)
    plain, line = websocket.upgrade(ws.addresses["ws"])
    plain.close()
    assert " 101 " in line


def test_websocket_peers_that_vanish_leave_nothing_behind(ws):
    with book.Client(ws.address) as client:
        nng = client.ok("AdminService.GetServerInfo").nng_version
    if not nng.startswith("1.5."):
        pytest.skip(f"nng {nng} itself now and then panics in this (pthread_mutex_lock: Invalid argument)")
    address = ws.addresses["ws"]
    websocket.upgrade(address)[0].close()
    before = descriptors(ws)
    for count in [0, 1, 2, 3, 5] * 40:
        plain, _ = websocket.upgrade(address)
        plain.sendall(websocket.frame(REQUEST_ID + sp.envelope(CHECK)) * count)
        plain.close()
    assert answers(ws.address)
    wait_for_descriptors(ws, before)


# The client. -------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "ipc", "ws"])
def test_calls_that_find_no_room_are_sent_later(tmp_path, transport):
    """More calls than the ways to a server that stands still can hold."""
    calls = 2500
    with serving.Server(tmp_path / "book.db", "--listen", "ws://127.0.0.1:0/rpc") as server:
        server.process.send_signal(signal.SIGSTOP)
        with subprocess.Popen([os.environ["TRADEBOOK_ECHO_FLOOD"], server.addresses[transport], str(calls), "8000",
                               "120000"], stdout=subprocess.PIPE, text=True) as flood:
            assert flood.stdout.readline() == "started\n"
            server.process.send_signal(signal.SIGCONT)
            assert flood.stdout.read() == f"{calls} of {calls}\n"
            assert flood.wait() == 0
