"""A connection that speaks SP, the protocol of nng's sockets, and is made again when
it is lost.

Why not nng: its REQ sends a request again by itself, which is the caller's
decision here, and these frames are all there is to it.

Everything here runs on one event loop.
"""

import asyncio
import random
import struct
from collections.abc import Callable

from tradebook._address import Address

REQ, REP, PUB, SUB = 0x30, 0x31, 0x20, 0x21

FRAME_BYTES_MAX = 128 << 20
CONNECT_SECONDS_MAX = 10.0
PAUSE_SECONDS_MIN = 0.01
PAUSE_SECONDS_MAX = 1.0

LENGTH = struct.Struct(">Q")
LENGTH_IPC = struct.Struct(">BQ")


def handshake(protocol: int) -> bytes:
    return struct.pack(">4sHH", b"\0SP\0", protocol, 0)


def pause(attempt: int) -> float:
    """How long to wait after a failed attempt, counted from 0; random, so that many
    clients do not come back at the same moment."""
    return min(PAUSE_SECONDS_MIN * (1 << min(attempt, 16)), PAUSE_SECONDS_MAX) * random.uniform(0.5, 1.0)


class Peer(asyncio.Protocol):
    """One connection. It exists for its owner once the handshake is done."""

    def __init__(self, address: Address, ours: int, theirs: int, on_frame: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self._ours = ours
        self._theirs = handshake(theirs)
        self._length = LENGTH_IPC if address.is_ipc else LENGTH
        self._address = address
        self._on_frame = on_frame
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def send(self, payload: bytes) -> None:
        """Raises ConnectionError when the connection is lost."""
        if self._transport is None or self.lost.done():
            raise ConnectionError("the connection is lost")
        length = (1, len(payload)) if self._address.is_ipc else (len(payload),)
        self._transport.write(self._length.pack(*length) + payload)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(handshake(self._ours))

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection{f': {error}' if error else ''}")
        self.writable.set()
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return
        self._buffer += data
        if self.ready.done() or self._shake_hands():
            self._read_frames()

    # ---

    def _shake_hands(self) -> bool:
        if len(self._buffer) < len(self._theirs):
            return False
        got = bytes(self._buffer[: len(self._theirs)])
        del self._buffer[: len(self._theirs)]
        if got != self._theirs:
            self._refuse(f"what listens there is not what this address is for: it says {got.hex()}")
            return False
        self.ready.set_result(None)
        return True

    def _read_frames(self) -> None:
        buffer, header = self._buffer, self._length.size
        start = 0
        while len(buffer) - start >= header:
            *mark, length = self._length.unpack_from(buffer, start)
            if length > FRAME_BYTES_MAX or mark not in ([], [1]):
                self._refuse("what the server sent is no message")
                return
            if len(buffer) - start < header + length:
                break
            start += header + length
            self._on_frame(bytes(buffer[start - length : start]))
        del buffer[:start]

    def _refuse(self, why: str) -> None:
        self._fail(why)
        self.close()

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why))
            # Nobody may be waiting for it any more.
            self.ready.exception()


class Link:
    """Connects when somebody asks for the peer, and keeps trying until it has one."""

    def __init__(self, address: Address, ours: int, theirs: int, on_frame: Callable[[bytes], None]) -> None:
        self.address = address
        self.trouble = "no attempt to connect has ended yet"
        # Called when is_connected or is_connecting has changed, or an attempt has failed.
        self.on_change: Callable[[], None] = lambda: None
        self._ours, self._theirs, self._on_frame = ours, theirs, on_frame
        self._peer: Peer | None = None
        self._connecting: asyncio.Task[Peer] | None = None

    @property
    def is_connected(self) -> bool:
        return self._peer is not None and not self._peer.lost.done()

    @property
    def is_connecting(self) -> bool:
        return self._connecting is not None

    async def peer(self) -> Peer:
        if self._peer is not None and not self._peer.lost.done():
            return self._peer
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self.on_change()
        return await asyncio.shield(self._connecting)

    def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._peer is not None:
            self._peer.close()

    async def _connect(self) -> Peer:
        attempt = 0
        while True:
            peer = Peer(self.address, self._ours, self._theirs, self._on_frame)
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    await self.address.connect(lambda: peer)  # noqa: B023, called before peer changes
                    await peer.ready
                break
            except TimeoutError:
                self.trouble = f"no answer within {CONNECT_SECONDS_MAX:g} s"
            except OSError as error:
                self.trouble = error.strerror or str(error)
            except BaseException:
                peer.close()
                raise
            peer.close()
            self.on_change()
            await asyncio.sleep(pause(attempt))
            attempt += 1
        self._peer, self._connecting = peer, None
        peer.lost.add_done_callback(lambda _: self.on_change())
        self.on_change()
        return peer
