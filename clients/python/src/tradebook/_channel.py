"""The blocking channel."""

import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Self

import grpc

from tradebook import _options
from tradebook._aio_call import CLOSED, NO_CREDENTIALS, Converter, convert
from tradebook._aio_stream import Refusal, Source, UnaryStreamCall, stream_source
from tradebook._call import Call, StreamCall
from tradebook._caller import Metadata
from tradebook._loop import Loop
from tradebook._session import Session
from tradebook._typed import UnaryStreamMultiCallable, UnaryUnaryMultiCallable

StateCallback = Callable[[grpc.ChannelConnectivity], None]


class Channel(grpc.Channel):
    """A channel to one server, for any number of threads. It connects with its first
    call, and again by itself."""

    def __init__(
        self,
        address: str,
        *,
        events_address: str | None = None,
        client_id: str | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = _options.TIMEOUT_SECONDS,
    ) -> None:
        """address: tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH.
        events_address: where the same server publishes; Subscribe polls without it.
        client_id: keeps request ids apart from those of other clients.
        token: sent as "authorization: Bearer TOKEN".
        tls: how a tls+tcp server is checked; default: by the system's authorities.
        timeout: seconds that a call has, retries included, when it is given none.

        Raises ValueError for an address that is none."""
        self.session = Session(_options.make(address, events_address, client_id, token, tls, timeout))
        self.is_closed = False
        self._loop = Loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Absent when an address was refused.
        if hasattr(self, "_loop"):
            self._loop.stop(self.session.close)

    def close(self) -> None:
        """Cancels the calls that are under way."""
        self.is_closed = True
        self._loop.stop(self.session.close)
        self._loop.join()

    # --- calls ---

    def unary_unary(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> "UnaryUnary":
        return UnaryUnary(self, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> "UnaryStream":
        return UnaryStream(self, method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return StreamUnary(self, method, None, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return StreamStream(self, method, None, response_deserializer)

    def start(self, answering: Coroutine[Any, Any, Any], timeout: float | None) -> Call:
        return Call(self._loop, self._loop.submit(answering), timeout)

    def start_stream(self, source: Callable[[Session], Source], timeout: float | None) -> StreamCall:
        async def open_stream() -> UnaryStreamCall:
            return UnaryStreamCall(self.session, source(self.session), timeout)

        return StreamCall(self, self._loop, self._loop.submit(open_stream()), timeout)

    # --- connectivity ---

    def subscribe(self, callback: StateCallback, try_to_connect: bool | None = False) -> None:
        def add() -> None:
            self.session.listeners.append(callback)
            callback(self.session.state)
            if try_to_connect:
                self.session.connect()

        self._loop.soon(add)

    def unsubscribe(self, callback: StateCallback) -> None:
        def remove() -> None:
            if callback in self.session.listeners:
                self.session.listeners.remove(callback)

        self._loop.soon(remove)


class _Method:
    def __init__(self, channel: Channel, method: str, serializer: Converter, deserializer: Converter) -> None:
        self._channel = channel
        self._method = method
        self._serializer = serializer
        self._deserializer = deserializer

    def _metadata(self, metadata: Any, credentials: Any) -> Metadata:
        if self._channel.is_closed:
            raise ValueError(CLOSED)
        if credentials is not None:
            raise ValueError(NO_CREDENTIALS)
        return tuple(metadata or ())


class UnaryUnary(_Method, UnaryUnaryMultiCallable):
    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self.future(request, timeout, metadata, credentials).wait()

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> tuple[Any, Call]:
        call = self.future(request, timeout, metadata, credentials)
        return call.wait(), call

    def future(  # type: ignore[override]
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Call:
        pairs = self._metadata(metadata, credentials)
        return self._channel.start(self._answer(convert(self._serializer, request), timeout, pairs), timeout)

    async def _answer(self, payload: bytes, timeout: float | None, metadata: Metadata) -> Any:
        answer = await self._channel.session.caller.call(self._method, payload, timeout, metadata)
        return convert(self._deserializer, answer)


class UnaryStream(_Method, UnaryStreamMultiCallable):
    def __call__(  # type: ignore[override]
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> StreamCall:
        pairs = self._metadata(metadata, credentials)
        payload = convert(self._serializer, request)
        return self._channel.start_stream(
            lambda session: stream_source(session, self._method, payload, pairs, self._deserializer), timeout
        )


class StreamUnary(_Method):
    """A method that takes a stream, which none does here."""

    def __call__(self, request_iterator: Any, timeout: float | None = None, **_: Any) -> Any:
        return self.future(request_iterator, timeout).wait()

    def with_call(self, request_iterator: Any, timeout: float | None = None, **_: Any) -> tuple[Any, Call]:
        call = self.future(request_iterator, timeout)
        return call.wait(), call

    def future(self, request_iterator: Any, timeout: float | None = None, **_: Any) -> Call:
        return self._channel.start(Refusal(self._method).next(), timeout)


class StreamStream(_Method):
    def __call__(self, request_iterator: Any, timeout: float | None = None, **_: Any) -> StreamCall:
        return self._channel.start_stream(lambda _: Refusal(self._method), timeout)
