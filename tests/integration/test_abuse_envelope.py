"""What a malformed or oversized envelope gets: one status, every reason, and no
effect."""

import socket
import struct
import time
import uuid

import book
import pytest
import serving
import sp
from book import (DEADLINE_EXCEEDED, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, length_delimited,
                  rpc_pb2, varint)

MESSAGE_BYTES_MAX = 64 * 1024
CREATE = "/tradebook.v1.SignalService/CreateSignal"
ID = bytes(range(16))

# Field numbers of Request, and the wire types that matter here.
METHOD, PAYLOAD, TIMEOUT_MS, METADATA, REQUEST_ID = 1, 2, 3, 4, 5
FIXED64, GROUP_START = 1, 3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    db = tmp_path_factory.mktemp("envelope") / "book.db"
    with serving.Server(db, "--message-bytes", MESSAGE_BYTES_MAX) as server:
        yield server


@pytest.fixture
def client(server):
    with book.Client(server.address) as client:
        yield client


@pytest.fixture
def unchanged(server):
    """Nothing is written while the test runs."""
    file = book.File(server.db)
    before = file.counts()
    yield
    assert file.counts() == before


def request(method=CREATE, payload=None, request_id=ID, **fields):
    """The bytes of a Request that would be accepted."""
    if payload is None:
        payload = book.request_of("SignalService.CreateSignal", signal=book.signal()).SerializeToString()
    envelope = rpc_pb2.Request(method=method, payload=payload, **fields)
    if request_id is not None:
        envelope.request_id = request_id
    return envelope.SerializeToString()


def with_metadata(*entries):
    envelope = rpc_pb2.Request.FromString(request())
    for key, value in entries:
        envelope.metadata.add(key=key, value=value)
    return envelope.SerializeToString()


def batch(payload):
    return request("/tradebook.v1.SignalService/BatchCreateSignals", payload)


# Row: bytes of the envelope, field paths of the violations; None: any.
REFUSED = {
    "empty": (b"", {"method"}),
    "garbage": (b"\xff\xfe\xfd\xfc\xfb\xfa garbage", {""}),
    "text": (b"GET / HTTP/1.1\r\n\r\n", None),
    "zeroes": (bytes(100), {""}),
    "truncated varint": (request() + varint(TIMEOUT_MS << 3) + b"\x80", {"timeout_ms"}),
    "truncated tag": (request() + b"\x80", {""}),
    "varint of eleven bytes": (request() + varint(TIMEOUT_MS << 3) + b"\x80" * 10 + b"\x01", {"timeout_ms"}),
    "truncated string": (varint(METHOD << 3 | 2) + b"\x40/trade", {"method"}),
    "string length of 2^63": (varint(METHOD << 3 | 2) + varint(1 << 63) + b"x", {"method"}),
    "truncated fixed64": (request() + varint(100 << 3 | FIXED64) + b"\0\0\0", {""}),
    "field number 0": (request() + b"\x00\x00", {""}),
    "group": (request() + varint(100 << 3 | GROUP_START), {""}),
    "unknown wire type": (request() + varint(100 << 3 | 7), {""}),
    "wrong wire type of method": (request() + varint(METHOD << 3) + b"\x01", {"method"}),
    "wrong wire type of timeout": (request() + varint(TIMEOUT_MS << 3 | FIXED64) + bytes(8), {"timeout_ms"}),
    "no method": (request(method=""), {"method"}),
    "method not UTF-8": (request() + length_delimited(METHOD, b"\xc0\xaf"), {"method"}),
    "method with NUL": (request() + length_delimited(METHOD, CREATE.encode() + b"\0"), {"method"}),
    "write without request id": (request(request_id=None), {"request_id"}),
    "request id empty": (request(request_id=b""), {"request_id"}),
    "request id of 15 bytes": (request(request_id=bytes(15)), {"request_id"}),
    "request id of 17 bytes": (request(request_id=bytes(17)), {"request_id"}),
    "read with request id of 1 byte": (
        request("/tradebook.v1.SignalService/GetSignal", b"\x08\x01", request_id=b"x"), {"request_id"}),
    "timeout 0": (request(timeout_ms=0), {"timeout_ms"}),
    "timeout negative": (request(timeout_ms=-1), {"timeout_ms"}),
    "33 metadata entries": (with_metadata(*[(f"k{i}", b"") for i in range(33)]), {"metadata"}),
    "metadata above 8 KiB": (with_metadata(("k", bytes(8192))), {"metadata"}),
    "metadata key upper case": (with_metadata(("good", b""), ("Bad", b"")), {"metadata[1].key"}),
    "metadata key empty": (with_metadata(("", b"")), {"metadata[0].key"}),
    "metadata key of 129 characters": (with_metadata(("k" * 129, b"")), {"metadata[0].key"}),
    "metadata without key": (request() + length_delimited(METADATA, b""), {"metadata[0].key"}),
    "client id empty": (with_metadata(("client-id", b"")), {"metadata[client-id]"}),
    "client id of 129 bytes": (with_metadata(("client-id", b"c" * 129)), {"metadata[client-id]"}),
    "client id with control character": (with_metadata(("client-id", b"a\nb")), {"metadata[client-id]"}),
    "client id not UTF-8": (with_metadata(("client-id", b"\xff")), {"metadata[client-id]"}),
    "metadata bomb": (request() + length_delimited(METADATA, b"") * 25000, None),
    "payload empty": (request(payload=b""), {"signal"}),
    "payload garbage": (request(payload=b"\xff" * 20), {""}),
    "payload truncated": (request(payload=b"\x0a\x7f\x1a"), {"signal"}),
    # Field 1 is a message here and a number there.
    "payload of another type": (
        request(payload=book.request_of("SignalService.GetSignal", id=7).SerializeToString()), {"signal"}),
    "payload of another resource": (
        request(payload=book.request_of("ModelService.CreateModelDeployment",
                                        model_deployment=book.model_deployment()).SerializeToString()), None),
    "submessage bomb": (batch(b"\x0a\x00" * 25000), None),
    "too many items": (batch(b"\x0a\x00" * 1001), {"signals"}),
    "no items": (batch(b""), {"signals"}),
}


@pytest.mark.parametrize("row", REFUSED)
def test_envelope_bad_invalid_argument(client, unchanged, row):
    data, fields = REFUSED[row]
    reply = client.call_raw(data)
    assert reply.code == INVALID_ARGUMENT, reply
    assert reply.message
    found = set(book.violations(reply))
    assert found == fields if fields is not None else found
    # The connection and the server go on.
    assert client.reply("Health.Check").code == OK


def test_envelope_string_bomb_refused(tmp_path):
    """Two bytes each, sixteen or more when unpacked: the arena of a request ends."""
    paths = length_delimited(1, b"") * 1_500_000
    update = length_delimited(1, b"\x08\x01") + length_delimited(2, paths)
    with serving.Server(tmp_path / "book.db", "--message-bytes", 4 << 20) as server, book.Client(server.address) as client:
        reply = client.call_raw(request("/tradebook.v1.SignalService/UpdateSignal", update))
        assert reply.code == INVALID_ARGUMENT
        assert client.reply("Health.Check").code == OK


@pytest.mark.parametrize("method", [
    "/tradebook.v1.SignalService/Nothing", "/tradebook.v1.NothingService/CreateSignal", "CreateSignal", "/",
    "/tradebook.v1.SignalService/CreateSignal/", "/tradebook.v1.SignalService/createsignal", "x" * 5000,
    "/tradebook.v1.SignalService/'; DROP TABLE signals; --",
], ids=lambda name: name[:60])
def test_envelope_unknown_method_unimplemented(client, unchanged, method):
    reply = client.call_raw(request(method))
    assert reply.code == UNIMPLEMENTED
    assert reply.message


def test_envelope_every_violation_at_once(client, unchanged):
    reply = client.call_raw(
        rpc_pb2.Request(timeout_ms=-5, request_id=b"short", metadata=[rpc_pb2.Metadata(key="No Good")])
        .SerializeToString())
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"method", "timeout_ms", "request_id", "metadata[0].key"}


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("call", [
    lambda client, text: client.call_raw(request(text)),
    lambda client, text: client.reply("Health.Check", service=text),
    lambda client, text: client.reply("SignalService.UpdateSignal", signal={"id": 1}, update_mask={"paths": [text]}),
    lambda client, text: client.reply("SignalService.ListSignals", filter=text, order_by=text),
    lambda client, text: client.reply("SignalService.ListSignals", filter=f"confidence = '{text}'"),
    lambda client, text: client.reply("ModelService.CreateModelDeployment",
                                      model_deployment=book.model_deployment(metrics_json=text)),
], ids=["method", "service", "update_mask", "list", "filter", "metrics_json"])
def test_message_that_quotes_long_wide_text_is_utf8(client, call, offset):
    """Wherever the quoted text is cut, no character is cut in two."""
    reply = call(client, "x" * offset + "😀" * 400)
    assert reply.code != OK
    for text in [reply.message, *book.violations(reply).values()]:
        assert isinstance(text, str) and text


def test_envelope_unknown_fields_ignored(client):
    unknown = b"".join([
        length_delimited(100, b"from a newer client"), varint(101 << 3) + varint(7), varint(102 << 3 | 1) + bytes(8),
        varint(103 << 3 | 5) + bytes(4), length_delimited(104, b"\xff\xff"),
    ])
    signal = book.signal().SerializeToString() + unknown
    payload = length_delimited(1, signal) + unknown
    reply = client.call_raw(request(payload=payload, request_id=uuid.uuid4().bytes) + unknown)
    stored = book.response_of("SignalService.CreateSignal", reply)
    assert stored.symbol == "BTC-USD"
    assert not stored.HasField("notes")


def test_envelope_repeated_scalar_last_wins(client):
    signal = book.signal(symbol="FIRST", confidence=0.1)
    payload = length_delimited(
        1, signal.SerializeToString() + book.raw_field(signal, "symbol", "LAST") +
        book.raw_field(signal, "confidence", 0.9))
    body = (request("/tradebook.v1.SignalService/Nothing", payload, request_id=bytes(3)) +
            length_delimited(METHOD, CREATE.encode()) + length_delimited(REQUEST_ID, uuid.uuid4().bytes))
    stored = book.response_of("SignalService.CreateSignal", client.call_raw(body))
    assert (stored.symbol, stored.confidence) == ("LAST", 0.9)


def test_envelope_repeated_message_merged(client):
    """As protobuf says: the parts of a singular message that comes twice are one."""
    first, second = book.signal(notes="kept"), book.signal_pb2.Signal(symbol="SECOND")
    payload = length_delimited(1, first.SerializeToString()) + length_delimited(1, second.SerializeToString())
    stored = book.response_of("SignalService.CreateSignal",
                              client.call_raw(request(payload=payload, request_id=uuid.uuid4().bytes)))
    assert (stored.symbol, stored.notes) == ("SECOND", "kept")


def padded(length):
    """A valid request of exactly this many bytes."""
    body = request() + varint(100 << 3 | 2)
    return body + varint(length - len(body) - 3) + bytes(length - len(body) - 3)


def test_envelope_at_cap_accepted(client):
    body = padded(MESSAGE_BYTES_MAX)
    assert len(body) == MESSAGE_BYTES_MAX
    assert client.call_raw(body).code == OK


@pytest.mark.parametrize("length", [MESSAGE_BYTES_MAX + 1, 2 * MESSAGE_BYTES_MAX])
def test_envelope_above_cap_resource_exhausted(client, unchanged, length):
    body = padded(length)
    assert len(body) == length
    reply = client.call_raw(body)
    assert reply.code == RESOURCE_EXHAUSTED
    assert str(MESSAGE_BYTES_MAX) in reply.message
    assert client.reply("Health.Check").code == OK


def assert_closed(connection):
    """The server hangs up; nothing is answered before."""
    try:
        assert connection.recv(1) == b""
    except ConnectionResetError:
        pass


@pytest.mark.parametrize("length", [3 * MESSAGE_BYTES_MAX, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1],
                         ids=["three times the cap", "2^32", "2^63-1", "2^63", "2^64-1"])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_envelope_claimed_length_closed(server, unchanged, transport, length):
    address = server.addresses[transport]
    with sp.open_connection(address, timeout=60) as connection:
        connection.sendall((b"\1" if sp.is_ipc(address) else b"") + struct.pack(">Q", length))
        assert_closed(connection)
    with book.Client(address) as client:
        assert client.reply("Health.Check").code == OK


def test_envelope_far_above_cap_closed(server, unchanged):
    """The bytes are really sent, as far as the server takes them."""
    with sp.open_connection(server.address, timeout=60) as connection:
        try:
            connection.sendall(sp.frame(server.address, struct.pack(">I", 1 << 31) + padded(4 << 20)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert_closed(connection)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0", bytes(4), b"\x7f\xff\xff\xff"], ids=lambda b: b.hex() or "none")
def test_envelope_without_request_id_of_sp_serves_on(server, unchanged, payload):
    """An SP header that is cut off or never ends in a request id: dropped or closed."""
    with sp.open_connection(server.address, timeout=60) as connection:
        connection.sendall(sp.frame(server.address, payload))
        connection.shutdown(socket.SHUT_WR)
        assert_closed(connection)
    with book.Client(server.address) as client:
        assert client.reply("Health.Check").code == OK


def test_envelope_deadline_passed_not_executed(server):
    """A request whose time ends while it waits for the writer is not executed."""
    file = book.File(server.db)
    before = file.counts()["signals"]
    late_request = book.envelope("SignalService.CreateSignal",
                                 book.request_of("SignalService.CreateSignal", signal=book.signal(notes="late")),
                                 timeout_ms=1)
    late_rows = "SELECT count(*) FROM signals WHERE notes = 'late'"
    with book.Client(server.address) as first, book.Client(server.address) as late, file.locked() as unlock:
        first.send(request(request_id=uuid.uuid4().bytes))
        late.send(late_request.SerializeToString())
        # Its millisecond passes; that it was received shows in the answers behind it.
        with book.Client(server.address) as other:
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                other.ok("AdminService.Echo", payload=b"tick")
        unlock()
        assert rpc_pb2.Reply.FromString(first.receive()[1]).code == OK
        assert rpc_pb2.Reply.FromString(late.receive()[1]).code == DEADLINE_EXCEEDED
        assert file.query(late_rows) == [(0,)]
        assert file.counts()["signals"] == before + 1
        # It is not remembered either: the same request id may be tried again.
        late_request.ClearField("timeout_ms")
        assert late.call_raw(late_request.SerializeToString()).code == OK
        assert file.query(late_rows) == [(1,)]
