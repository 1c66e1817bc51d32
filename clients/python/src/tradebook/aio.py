"""The channel for asyncio: what grpc.aio.insecure_channel gives, over tradebook's
transport, so that the generated stubs work with it.

    async with tradebook.aio.Channel("tcp://127.0.0.1:7601") as channel:
        signal = await SignalServiceStub(channel).GetSignal(GetSignalRequest(id=1))
"""

import ssl
from collections.abc import Sequence
from typing import Any, Self

import grpc
import grpc.aio

from tradebook import _aio_methods, _options
from tradebook._aio_call import Converter
from tradebook._session import Session


class Channel(grpc.aio.Channel):
    """A channel to one server. It connects with its first call, and again by itself."""

    def __init__(
        self,
        address: str,
        *,
        events_address: str | None = None,
        client_id: str | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = _options.TIMEOUT_SECONDS,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        """The options are those of tradebook.Channel. Raises ValueError."""
        self._session = Session(_options.make(address, events_address, client_id, token, tls, timeout))
        self._interceptors = list(interceptors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Cancels the calls that are still under way after grace seconds."""
        await self._session.close(grace)

    def unary_unary(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> _aio_methods.UnaryUnary:
        return _aio_methods.UnaryUnary(
            self._session, self._interceptors, method, request_serializer, response_deserializer
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> _aio_methods.UnaryStream:
        return _aio_methods.UnaryStream(
            self._session, self._interceptors, method, request_serializer, response_deserializer
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _aio_methods.StreamUnary(self._session, [], method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Converter = None,
        response_deserializer: Converter = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _aio_methods.StreamStream(self._session, [], method, request_serializer, response_deserializer)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        if try_to_connect:
            self._session.connect()
        return self._session.state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._session.changed_from(last_observed_state)

    async def channel_ready(self) -> None:
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self._session.changed_from(state)
