"""Calls over one connection: deadlines, retries, replies to the calls they answer.

Everything here runs on one event loop.
"""

import asyncio
import dataclasses
import math
import random
import struct
from collections.abc import Sequence

import grpc
from google.protobuf import message

from tradebook import _link, _status
from tradebook._address import Address
from tradebook._request_id import is_write, new_request_id
from tradebook._status import StatusError
from tradebook.v1 import rpc_pb2

Metadata = Sequence[tuple[str, str | bytes]]

REQUEST_ID_KEY = "x-request-id-bin"
HEADER = struct.Struct(">I")
# Tells a request id of SP from a hop.
HEADER_END = 0x80000000
TIMEOUT_SECONDS_MAX = 10 * 365 * 86400.0


@dataclasses.dataclass(frozen=True)
class Options:
    """What all calls of a channel have in common."""

    address: Address
    events_address: Address | None
    metadata: Metadata
    timeout: float


class Caller:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.link = _link.Link(options.address, _link.REQ, _link.REP, self._take_frame)
        self._peer: _link.Peer | None = None
        # By the id of the attempt; all of them were sent to the one peer. None: it is lost.
        self._waiting: dict[int, asyncio.Future[bytes | None]] = {}
        self._next_id = random.getrandbits(31)

    def close(self) -> None:
        self.link.close()

    async def call(
        self, method: str, payload: bytes, timeout: float | None = None, metadata: Metadata = ()
    ) -> bytes:
        """The payload of the reply. timeout in seconds, None: the channel's. Raises
        StatusError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(self.options.timeout if timeout is None else timeout, TIMEOUT_SECONDS_MAX)
        request = self._request(method, payload, metadata)
        try:
            if deadline <= loop.time():
                raise TimeoutError
            async with asyncio.timeout_at(deadline):
                return await self._until_answered(request, deadline)
        except TimeoutError:
            raise self._late(method) from None

    def _request(self, method: str, payload: bytes, metadata: Metadata) -> rpc_pb2.Request:
        request = rpc_pb2.Request(method=method, payload=payload)
        for key, value in (*self.options.metadata, *metadata):
            data = value.encode() if isinstance(value, str) else value
            if key == REQUEST_ID_KEY:
                request.request_id = data
            else:
                request.metadata.add(key=key, value=data)
        if not request.HasField("request_id") and is_write(method):
            request.request_id = new_request_id()
        return request

    def _late(self, method: str) -> StatusError:
        if self.link.is_connected:
            return StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"no answer to {method} in time; whether it was done is not known, sending it again "
                f"with the same request id tells",
            )
        return StatusError(
            grpc.StatusCode.UNAVAILABLE,
            f"cannot connect to {self.options.address.text}: {self.link.trouble}; is `tradebook "
            f"serve` running there?",
        )

    async def _until_answered(self, request: rpc_pb2.Request, deadline: float) -> bytes:
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            request.timeout_ms = max(1, math.ceil((deadline - loop.time()) * 1000))
            pause = _link.pause(attempt)
            attempt += 1
            try:
                reply = rpc_pb2.Reply.FromString(await self._exchange(request.SerializeToString()))
            except ConnectionError:
                await asyncio.sleep(pause)
                continue
            except message.DecodeError:
                raise StatusError(grpc.StatusCode.INTERNAL, "the reply of the server is no message") from None
            if reply.code == rpc_pb2.CODE_OK:
                return reply.payload
            if reply.code != rpc_pb2.CODE_UNAVAILABLE or loop.time() + pause >= deadline:
                raise _status.from_reply(reply)
            await asyncio.sleep(pause)

    async def _exchange(self, envelope: bytes) -> bytes:
        """Sends once. Raises ConnectionError when the connection ends before the reply."""
        peer = await self.link.peer()
        if peer is not self._peer:
            self._peer = peer
            peer.lost.add_done_callback(self._lose_replies)
        await peer.writable.wait()
        self._next_id = (self._next_id + 1) % HEADER_END
        attempt_id = self._next_id
        reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[attempt_id] = reply
        try:
            peer.send(HEADER.pack(attempt_id | HEADER_END) + envelope)
            answer = await reply
        finally:
            del self._waiting[attempt_id]
        if answer is None:
            raise ConnectionError("the connection was lost")
        return answer

    def _lose_replies(self, _: object) -> None:
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_result(None)

    def _take_frame(self, frame: bytes) -> None:
        """Replies that nobody waits for any more are dropped."""
        if len(frame) < HEADER.size:
            return
        reply = self._waiting.get(HEADER.unpack_from(frame)[0] & ~HEADER_END)
        if reply is not None and not reply.done():
            reply.set_result(frame[HEADER.size :])
