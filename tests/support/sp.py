"""A small client for the SP wire protocol over tcp and ipc, in plain Python.

    with sp.Client("tcp://127.0.0.1:7601") as client:
        reply = client.call("/tradebook.v1.SignalService/GetSignal", request)

It speaks what nng's REQ speaks, one request at a time or pipelined, and can
also misbehave: the tests that abuse a server use connect(), handshake() and frame().
"""

import os
import socket
import struct
import sys
import uuid

PUB, SUB, REQ, REP = 0x20, 0x21, 0x30, 0x31


def handshake(protocol):
    """The eight bytes that open a connection."""
    return struct.pack(">4sHH", b"\0SP\0", protocol, 0)


def is_ipc(address):
    return address.startswith("ipc://")


def frame(address, body):
    """body as a frame: its length, on ipc after a byte 01."""
    return (b"\1" if is_ipc(address) else b"") + struct.pack(">Q", len(body)) + body


def connect(address, timeout=20):
    """A socket connected to tcp://HOST:PORT or ipc:///PATH; nothing is sent."""
    if is_ipc(address):
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(timeout)
        plain.connect(address[len("ipc://"):])
        return plain
    host, port = address.split("://", 1)[1].rsplit(":", 1)
    plain = socket.create_connection((host.strip("[]"), int(port)), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def read_exactly(plain, count):
    data = bytearray()
    while len(data) < count:
        piece = plain.recv(count - len(data))
        if not piece:
            raise ConnectionError(f"closed by the server after {len(data)} of {count} bytes")
        data += piece
    return bytes(data)


def read_frame(plain, address):
    if is_ipc(address) and read_exactly(plain, 1) != b"\1":
        raise ConnectionError("a frame that does not begin with 01")
    (length,) = struct.unpack(">Q", read_exactly(plain, 8))
    return read_exactly(plain, length)


def open_connection(address, timeout=20, ours=REQ, theirs=REP):
    """A socket that has shaken hands, as a REQ peer unless told otherwise."""
    plain = connect(address, timeout)
    try:
        plain.sendall(handshake(ours))
        got = read_exactly(plain, 8)
        if got != handshake(theirs):
            raise ConnectionError(f"not the expected peer: {got.hex()}")
    except BaseException:
        plain.close()
        raise
    return plain


class Connection:
    """One SP connection. Bodies go out and come back as they are."""

    def __init__(self, address, timeout=20):
        self.address = address
        self.socket = open_connection(address, timeout)
        self.next_id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, body):
        """Sends a request and returns its id, to be found in the reply."""
        request_id = self.next_id
        self.next_id += 1
        self.socket.sendall(frame(self.address, struct.pack(">I", request_id | 0x80000000) + body))
        return request_id

    def receive(self):
        """The next reply: its request id and its body."""
        payload = read_frame(self.socket, self.address)
        return struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF, payload[4:]

    def exchange(self, body):
        """Sends a request and waits for its reply."""
        expected = self.send(body)
        while True:
            request_id, reply = self.receive()
            if request_id == expected:
                return reply


class Subscriber:
    """A SUB peer that takes everything; it has shaken hands when this returns, and
    the publisher knows of it once the first message has come."""

    def __init__(self, address, timeout=60):
        self.address = address
        self.socket = open_connection(address, timeout, SUB, PUB)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def receive(self):
        """The next message: its topic and its body."""
        topic, body = read_frame(self.socket, self.address).split(b"\0", 1)
        return topic.decode(), body


def messages():
    """The generated module of the envelope, from the folder TRADEBOOK_PY."""
    folder = os.environ["TRADEBOOK_PY"]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from tradebook.v1 import rpc_pb2

    return rpc_pb2


def envelope(method, payload=b"", timeout_ms=None, request_id=None):
    """The bytes of a Request. payload is bytes or a message."""
    request = messages().Request(method=method)
    request.payload = payload if isinstance(payload, bytes) else payload.SerializeToString()
    if timeout_ms is not None:
        request.timeout_ms = timeout_ms
    if request_id is not None:
        request.request_id = request_id
    return request.SerializeToString()


class Client(Connection):
    """Calls methods: sends a Request envelope, returns the Reply message."""

    def call(self, method, payload=b"", timeout_ms=None, request_id=None):
        return self.call_raw(envelope(method, payload, timeout_ms, request_id))

    def write(self, method, payload=b"", timeout_ms=None):
        """call() with a new request id, which methods that write need."""
        return self.call(method, payload, timeout_ms, uuid.uuid4().bytes)

    def call_raw(self, body):
        reply = messages().Reply()
        reply.ParseFromString(self.exchange(body))
        return reply
