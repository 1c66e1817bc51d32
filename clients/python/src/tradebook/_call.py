"""The calls of the blocking channel, and the errors they raise."""

import concurrent.futures
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

import grpc
import grpc.aio

from tradebook._aio_call import CANCELLED
from tradebook._aio_stream import UnaryStreamCall
from tradebook._loop import Loop
from tradebook._status import Metadatum, StatusError
from tradebook._typed import Future

Metadata = tuple[Metadatum, ...]


class RpcError(grpc.RpcError, grpc.Call, Future):
    """How a call ended that did not end well. It is also that call, as interceptors and
    grpc_status expect."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata, text: str) -> None:
        super().__init__(text)
        self._code = code
        self._details = details
        self._trailing_metadata = trailing_metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def initial_metadata(self) -> Metadata:
        return ()

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]
        return self._trailing_metadata

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:  # type: ignore[override]
        return None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> NoReturn:
        raise self

    def exception(self, timeout: float | None = None) -> Self:
        return self

    def traceback(self, timeout: float | None = None) -> types.TracebackType | None:
        return traceback_of(self)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        fn(self)


def traceback_of(error: BaseException) -> types.TracebackType | None:
    try:
        raise error
    except type(error):
        return sys.exc_info()[2]


def rpc_error(error: StatusError) -> RpcError:
    return RpcError(error.code, error.message, error.trailing_metadata(), str(error))


def cancelled_error() -> RpcError:
    return RpcError(grpc.StatusCode.CANCELLED, CANCELLED, (), f"CANCELLED: {CANCELLED}")


class _Timed(grpc.Call):
    """A call that knows how long it still has."""

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def time_remaining(self) -> float | None:  # type: ignore[override]
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())


class Call(_Timed, Future):
    """A call that answers one message."""

    def __init__(self, loop: Loop, future: "concurrent.futures.Future[Any]", timeout: float | None) -> None:
        super().__init__(timeout)
        self._loop = loop
        self._future = future

    def wait(self) -> Any:
        """The response. A call that its thread does not wait for any more is cancelled."""
        try:
            return self.result()
        except grpc.FutureCancelledError:
            raise cancelled_error() from None
        except grpc.RpcError:
            raise
        except BaseException:
            self.cancel()
            raise

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._loop.wait(self._future, timeout)
        except StatusError as error:
            raise rpc_error(error) from None
        except concurrent.futures.CancelledError:
            raise grpc.FutureCancelledError from None
        except TimeoutError:
            raise grpc.FutureTimeoutError from None

    def exception(self, timeout: float | None = None) -> Exception | None:
        try:
            self.result(timeout)
        except (grpc.FutureCancelledError, grpc.FutureTimeoutError):
            raise
        except Exception as error:
            return error
        return None

    def traceback(self, timeout: float | None = None) -> types.TracebackType | None:
        error = self.exception(timeout)
        return None if error is None else traceback_of(error)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self._future.add_done_callback(lambda _: fn(self))

    def add_callback(self, callback: Callable[[], None]) -> bool:
        if self._future.done():
            return False
        self._future.add_done_callback(lambda _: callback())
        return True

    def cancel(self) -> bool:
        return self._future.cancel()

    def cancelled(self) -> bool:
        return self._future.cancelled()

    def running(self) -> bool:
        return not self._future.done()

    def is_active(self) -> bool:
        return not self._future.done()

    def done(self) -> bool:
        return self._future.done()

    def _error(self) -> RpcError | None:
        """How the call ended; None: well."""
        try:
            self.result()
        except grpc.FutureCancelledError:
            return cancelled_error()
        except RpcError as error:
            return error
        return None

    def code(self) -> grpc.StatusCode:
        error = self._error()
        return error.code() if error else grpc.StatusCode.OK

    def details(self) -> str:
        error = self._error()
        return error.details() if error else ""

    def initial_metadata(self) -> Metadata:
        return ()

    def trailing_metadata(self) -> Metadata:
        error = self._error()
        return error.trailing_metadata() if error else ()


class StreamCall(_Timed):
    """A call that answers a stream: iterate over it. Its channel lives as long as it does."""

    def __init__(
        self,
        channel: object,
        loop: Loop,
        opening: "concurrent.futures.Future[UnaryStreamCall]",
        timeout: float | None,
    ) -> None:
        super().__init__(timeout)
        self._channel = channel
        self._loop = loop
        self._opening = opening

    @property
    def _stream(self) -> UnaryStreamCall:
        return self._loop.wait(self._opening)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        reading = self._loop.submit(self._stream.read())
        try:
            message = self._loop.wait(reading)
        except grpc.aio.AioRpcError as error:
            raise from_aio(error) from None
        except concurrent.futures.CancelledError:
            raise cancelled_error() from None
        except BaseException:
            reading.cancel()
            raise
        if message is grpc.aio.EOF:
            raise StopIteration
        return message

    def cancel(self) -> bool:
        if self._stream.done():
            return False
        self._loop.soon(self._stream.cancel)
        return True

    def cancelled(self) -> bool:
        return self._stream.cancelled()

    def is_active(self) -> bool:
        return not self._stream.done()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        if self._stream.done():
            return False
        self._loop.soon(lambda: self._stream.add_done_callback(lambda _: callback()))
        return True

    def initial_metadata(self) -> Metadata:
        return ()

    def trailing_metadata(self) -> Metadata:
        trailing = self._loop.wait(self._loop.submit(self._stream.trailing_metadata()))
        return tuple(Metadatum(*pair) for pair in trailing)

    def code(self) -> grpc.StatusCode:
        return self._loop.wait(self._loop.submit(self._stream.code()))

    def details(self) -> str:
        return self._loop.wait(self._loop.submit(self._stream.details()))


def from_aio(error: grpc.aio.AioRpcError) -> RpcError:
    return RpcError(
        error.code(),
        error.details() or "",
        tuple(Metadatum(*pair) for pair in error.trailing_metadata()),
        error.debug_error_string() or "",
    )
