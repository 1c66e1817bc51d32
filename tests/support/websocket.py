"""A small WebSocket client in plain Python, as the server's ws listeners are spoken to."""

import base64
import os
import socket
import struct

import sp


def upgrade(address, *headers):
    """Asks for a WebSocket; returns the connection and the server's first line."""
    host, path = address[len("ws://"):].split("/", 1)
    plain = socket.create_connection(tuple(host.split(":")), 20)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET /{path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Protocol: rep.sp.nanomsg.org", *headers]
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = plain.recv(4096)
        if not piece:
            break
        answer += piece
    return plain, answer.split(b"\r\n")[0].decode()


def frame(payload):
    """One masked binary message, the mask being zeros."""
    head = bytes([0x82])
    head += bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + struct.pack(">H", len(payload))
    return head + bytes(4) + payload


class Connection(sp.Connection):
    """One SP connection over ws://."""

    def __init__(self, address):  # pylint: disable=super-init-not-called; another handshake
        self.address = address
        self.socket, _ = upgrade(address)
        self.next_id = 1

    def send(self, body):
        request_id = self.next_id
        self.next_id += 1
        self.socket.sendall(frame(struct.pack(">I", request_id | 0x80000000) + body))
        return request_id

    def receive(self):
        """Replies of less than 64 KiB in one piece."""
        length = sp.read_exactly(self.socket, 2)[1]
        if length == 126:
            (length,) = struct.unpack(">H", sp.read_exactly(self.socket, 2))
        payload = sp.read_exactly(self.socket, length)
        return struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF, payload[4:]
