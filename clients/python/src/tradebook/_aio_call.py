"""The calls of the asyncio channel. Everything here runs on one event loop."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import grpc
import grpc.aio

from tradebook._status import StatusError

# Serialisers and deserialisers of messages; None: bytes as they are.
Converter = Callable[[Any], Any] | None

CANCELLED = "cancelled by the caller"
CLOSED = "this channel is closed: open another one"
NO_CREDENTIALS = "credentials of a call are not supported: give the channel a token, or the call metadata"


def convert(converter: Converter, value: Any) -> Any:
    return value if converter is None else converter(value)


def rpc_error(error: StatusError) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        error.code, grpc.aio.Metadata(), grpc.aio.Metadata(*error.trailing_metadata()), error.message, str(error)
    )


class Call(grpc.aio.Call):
    """A call, which ends when a future does."""

    def __init__(self, ending: "asyncio.Future[Any]", timeout: float | None) -> None:
        self._ending = ending
        self._deadline = None if timeout is None else ending.get_loop().time() + timeout
        # An error that nobody asks for is no defect of the program.
        ending.add_done_callback(lambda done: done.cancelled() or done.exception())

    def cancel(self) -> bool:
        return self._ending.cancel()

    def cancelled(self) -> bool:
        return self._ending.cancelled()

    def done(self) -> bool:
        return self._ending.done()

    def time_remaining(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - self._ending.get_loop().time())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._ending.add_done_callback(lambda _: callback(self))

    async def _error(self) -> grpc.aio.AioRpcError | None:
        """How the call ended; None: well."""
        await asyncio.wait([self._ending])
        if self._ending.cancelled():
            return grpc.aio.AioRpcError(
                grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata(), CANCELLED
            )
        error = self._ending.exception()
        if error is not None and not isinstance(error, grpc.aio.AioRpcError):
            raise error
        return error

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        error = await self._error()
        return error.trailing_metadata() if error else grpc.aio.Metadata()

    async def code(self) -> grpc.StatusCode:
        error = await self._error()
        return error.code() if error else grpc.StatusCode.OK

    async def details(self) -> str:
        error = await self._error()
        return (error.details() if error else None) or ""

    async def wait_for_connection(self) -> None:
        """A call connects by itself and outlives connections: nothing to wait for."""


class UnaryUnaryCall(Call, grpc.aio.UnaryUnaryCall[Any, Any]):
    def __await__(self) -> Generator[Any, None, Any]:
        return self._ending.__await__()
