"""A server that answers what a test tells it to, to see what a client sends."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from tradebook import _link
from tradebook.v1 import rpc_pb2

# Answers a request; None ends the connection instead.
Answer = Callable[[rpc_pb2.Request], rpc_pb2.Reply | None]


class Fake:
    def __init__(self, answer: Answer, tls: ssl.SSLContext | None) -> None:
        self.answer = answer
        self.tls = tls
        self.requests: list[rpc_pb2.Request] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.address = f"{'tls+tcp' if tls else 'tcp'}://127.0.0.1:{self.port}"

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), plain:
            peer = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
            with peer, peer.makefile("rb") as stream:
                peer.sendall(_link.handshake(_link.REP))
                stream.read(8)
                while True:
                    (length,) = struct.unpack(">Q", stream.read(8))
                    frame = stream.read(length)
                    request = rpc_pb2.Request.FromString(frame[4:])
                    self.requests.append(request)
                    reply = self.answer(request)
                    if reply is None:
                        return
                    body = frame[:4] + reply.SerializeToString()
                    peer.sendall(struct.pack(">Q", len(body)) + body)


@contextlib.contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Fake]:
    fake = Fake(answer, tls)
    thread = threading.Thread(target=fake.accept)
    thread.start()
    try:
        yield fake
    finally:
        # Wakes the thread that waits in accept.
        fake.listener.shutdown(socket.SHUT_RDWR)
        fake.listener.close()
        thread.join()


def ok(request: rpc_pb2.Request) -> rpc_pb2.Reply:
    return rpc_pb2.Reply(payload=b"")


class Publisher:
    """A PUB peer that sends what a test tells it to. One subscriber at a time."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        self.peer, _ = self.listener.accept()
        self.peer.sendall(_link.handshake(_link.PUB))
        self.peer.recv(8, socket.MSG_WAITALL)

    def publish(self, topic: str, body: bytes) -> None:
        frame = topic.encode() + b"\0" + body
        self.peer.sendall(struct.pack(">Q", len(frame)) + frame)

    def drop(self) -> None:
        self.peer.close()


@contextlib.contextmanager
def publishing() -> Iterator[Publisher]:
    publisher = Publisher()
    with publisher.listener:
        yield publisher
        publisher.drop()
