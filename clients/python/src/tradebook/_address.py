"""Addresses, as nng writes them: tcp://HOST:PORT, tls+tcp://HOST:PORT, ipc:///PATH."""

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Callable
from typing import Any

# A peer that does not confirm what was sent for so long is gone, whatever the
# connection looks like. Linux only.
UNCONFIRMED_MS_MAX = 10_000


@dataclasses.dataclass(frozen=True)
class Address:
    text: str
    path: str | None = None
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def is_ipc(self) -> bool:
        return self.path is not None

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        if self.path is not None:
            await loop.create_unix_connection(factory, self.path)
            return
        transport, _ = await loop.create_connection(factory, self.host, self.port, ssl=self.tls)
        notice_a_dead_peer(transport.get_extra_info("socket"))


def notice_a_dead_peer(connected: Any) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNCONFIRMED_MS_MAX)


def parse(text: str, tls: ssl.SSLContext | None = None) -> Address:
    """Raises ValueError, a sentence. tls: how to check the server of a tls+tcp address;
    default: the system's authorities."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "ipc" and rest.startswith("/"):
        return Address(text, path=rest)
    host, colon, port = rest.rpartition(":")
    if scheme in ("tcp", "tls+tcp") and colon and host and port.isdecimal() and 0 < int(port) < 65536:
        host = host.strip("[]")
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f'"{host}" is not a host name: {error}') from None
        context = (tls or ssl.create_default_context()) if scheme == "tls+tcp" else None
        return Address(text, host=host, port=int(port), tls=context)
    raise ValueError(f'"{text}" is not an address: write tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH')
