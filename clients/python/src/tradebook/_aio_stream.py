"""The streams of the asyncio channel. Everything here runs on one event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

import grpc
import grpc.aio

from tradebook import _subscription
from tradebook._aio_call import Call, Converter, convert, rpc_error
from tradebook._caller import Metadata
from tradebook._session import Session
from tradebook._status import StatusError
from tradebook.v1 import event_pb2


def no_stream(method: str) -> StatusError:
    return StatusError(
        grpc.StatusCode.UNIMPLEMENTED, f"{method} is no stream here; the only one is {_subscription.METHOD}"
    )


class Source(Protocol):
    """Where the messages of a stream come from. next raises StatusError or
    AioRpcError at the end of a stream that fails, StopAsyncIteration at another's."""

    async def next(self) -> Any: ...

    async def close(self) -> None: ...


class Events:
    """The source of Subscribe."""

    def __init__(self, subscription: _subscription.Subscription, deserializer: Converter) -> None:
        self._subscription = subscription
        self._deserializer = deserializer

    async def next(self) -> Any:
        return convert(self._deserializer, (await self._subscription.next()).SerializeToString())

    async def close(self) -> None:
        await self._subscription.close()


class Refusal:
    """The source of a stream that does not exist."""

    def __init__(self, method: str) -> None:
        self._method = method

    async def next(self) -> Any:
        raise no_stream(self._method)

    async def close(self) -> None:
        pass


class Intercepted:
    """The source of a stream that went through interceptors."""

    def __init__(self, opening: Awaitable[Any]) -> None:
        self._opening = opening
        self._stream: Any = None
        self._messages: AsyncIterator[Any] | None = None

    async def next(self) -> Any:
        if self._messages is None:
            self._stream = await self._opening
            self._messages = aiter(self._stream)
        return await anext(self._messages)

    async def close(self) -> None:
        if isinstance(self._stream, grpc.aio.Call):
            self._stream.cancel()


class UnaryStreamCall(Call, grpc.aio.UnaryStreamCall[Any, Any]):
    """Read by one task at a time."""

    def __init__(self, session: Session, source: Source, timeout: float | None) -> None:
        super().__init__(asyncio.get_running_loop().create_future(), timeout)
        self._session = session
        self._source = source
        self._reading: asyncio.Timeout | None = None
        session.streams.add(self)

    def __del__(self) -> None:
        """A stream that its reader has left is closed; from whatever thread."""
        loop = self._ending.get_loop()
        if not self._ending.done() and not loop.is_closed():
            loop.call_soon_threadsafe(self._session.finish, self._source.close())

    async def read(self) -> Any:
        if self._ending.done():
            return self._result()
        try:
            return await self._next()
        except TimeoutError:
            # Cancelled by cancel(), or too late.
            self._end(StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the time of the stream is over"))
        except asyncio.CancelledError:
            self.cancel()
            raise
        except StopAsyncIteration:
            self._end(None)
        except Exception as error:
            self._end(error)
        return self._result()

    async def _next(self) -> Any:
        try:
            async with asyncio.timeout_at(self._deadline) as self._reading:
                return await self._source.next()
        finally:
            self._reading = None

    def cancel(self) -> bool:
        is_first = self._ending.cancel()
        if is_first:
            self._finish()
        return is_first

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    def _result(self) -> Any:
        """Of a stream that has ended."""
        self._ending.result()
        return grpc.aio.EOF

    def _end(self, error: Exception | None) -> None:
        if self._ending.done():
            return
        if error is None:
            self._ending.set_result(None)
        else:
            self._ending.set_exception(rpc_error(error) if isinstance(error, StatusError) else error)
        self._finish()

    def _finish(self) -> None:
        if self._reading is not None:
            self._reading.reschedule(self._ending.get_loop().time())
        self._session.finish(self._source.close())


def stream_source(
    session: Session, method: str, payload: bytes, metadata: Metadata, deserializer: Converter
) -> Source:
    if method != _subscription.METHOD:
        return Refusal(method)
    request = event_pb2.SubscribeRequest.FromString(payload)
    return Events(_subscription.Subscription(session.caller, request, metadata), deserializer)
