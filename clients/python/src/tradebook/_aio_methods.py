"""What the generated stubs call on the asyncio channel, with interceptors."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from tradebook._aio_call import CLOSED, NO_CREDENTIALS, Converter, UnaryUnaryCall, convert, rpc_error
from tradebook._aio_stream import Intercepted, Refusal, UnaryStreamCall, no_stream, stream_source
from tradebook._session import Session
from tradebook._status import StatusError


class _Method:
    def __init__(
        self,
        session: Session,
        interceptors: list[grpc.aio.ClientInterceptor],
        method: str,
        serializer: Converter,
        deserializer: Converter,
    ) -> None:
        self._session = session
        self._interceptors = interceptors
        self._method = method
        self._serializer = serializer
        self._deserializer = deserializer

    def _details(
        self, timeout: float | None, metadata: Any, credentials: Any, wait_for_ready: bool | None
    ) -> grpc.aio.ClientCallDetails:
        if self._session.is_closed:
            raise ValueError(CLOSED)
        if credentials is not None:
            raise ValueError(NO_CREDENTIALS)
        return grpc.aio.ClientCallDetails(
            self._method, timeout, grpc.aio.Metadata(*(metadata or ())), None, wait_for_ready
        )


def text(method: str | bytes) -> str:
    """Interceptors may write it either way."""
    return method.decode() if isinstance(method, bytes) else method


# What an interceptor does: continuation, details, request.
Intercept = Callable[[Any, grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


async def proceed(
    intercepts: Sequence[Intercept],
    invoke: Callable[[grpc.aio.ClientCallDetails, Any], Any],
    details: grpc.aio.ClientCallDetails,
    request: Any,
) -> Any:
    """Goes through the interceptors, each of which calls the next, to the call itself."""
    if not intercepts:
        return invoke(details, request)
    first, *others = intercepts
    return await first(lambda details, request: proceed(others, invoke, details, request), details, request)


class UnaryUnary(_Method, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> UnaryUnaryCall:
        details = self._details(timeout, metadata, credentials, wait_for_ready)
        intercepts = [
            interceptor.intercept_unary_unary
            for interceptor in self._interceptors
            if isinstance(interceptor, grpc.aio.UnaryUnaryClientInterceptor)
        ]
        if not intercepts:
            return self._invoke(details, request)
        return UnaryUnaryCall(
            self._session.start(self._answer(proceed(intercepts, self._invoke, details, request))), timeout
        )

    def _invoke(self, details: grpc.aio.ClientCallDetails, request: Any) -> UnaryUnaryCall:
        call = self._call(details, convert(self._serializer, request))
        return UnaryUnaryCall(self._session.start(call), details.timeout)

    async def _call(self, details: grpc.aio.ClientCallDetails, payload: bytes) -> Any:
        try:
            answer = await self._session.caller.call(
                text(details.method), payload, details.timeout, tuple(details.metadata or ())
            )
        except StatusError as error:
            raise rpc_error(error) from None
        return convert(self._deserializer, answer)

    async def _answer(self, call: Awaitable[Any]) -> Any:
        """An interceptor answers a call or the response itself."""
        result = await call
        return await result if isinstance(result, grpc.aio.UnaryUnaryCall) else result


class UnaryStream(_Method, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> UnaryStreamCall:
        details = self._details(timeout, metadata, credentials, wait_for_ready)
        intercepts = [
            interceptor.intercept_unary_stream
            for interceptor in self._interceptors
            if isinstance(interceptor, grpc.aio.UnaryStreamClientInterceptor)
        ]
        if not intercepts:
            return self._invoke(details, request)
        source = Intercepted(proceed(intercepts, self._invoke, details, request))
        return UnaryStreamCall(self._session, source, timeout)

    def _invoke(self, details: grpc.aio.ClientCallDetails, request: Any) -> UnaryStreamCall:
        source = stream_source(
            self._session,
            text(details.method),
            convert(self._serializer, request),
            tuple(details.metadata or ()),
            self._deserializer,
        )
        return UnaryStreamCall(self._session, source, details.timeout)


class StreamUnary(_Method):
    """A method that takes a stream, which none does here."""

    def __call__(self, request_iterator: Any = None, *, timeout: float | None = None, **_: Any) -> UnaryUnaryCall:
        return UnaryUnaryCall(self._session.start(self._refuse()), timeout)

    async def _refuse(self) -> Any:
        raise rpc_error(no_stream(self._method))


class StreamStream(_Method):
    def __call__(self, request_iterator: Any = None, *, timeout: float | None = None, **_: Any) -> UnaryStreamCall:
        return UnaryStreamCall(self._session, Refusal(self._method), timeout)
