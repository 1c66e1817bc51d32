"""What the asyncio channel is for those who know gRPC's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import conformance
import fake
import grpc
import grpc.aio
import pytest

import tradebook.aio
from tradebook.v1 import admin_pb2, event_pb2, signal_pb2
from tradebook.v1.admin_pb2_grpc import AdminServiceStub
from tradebook.v1.event_pb2_grpc import EventServiceStub
from tradebook.v1.signal_pb2_grpc import SignalServiceStub

ECHO = admin_pb2.EchoRequest(payload=b"abc")


def run(work: Callable[[tradebook.aio.Channel], Coroutine[Any, Any, None]], address: str, **options: Any) -> None:
    async def with_channel() -> None:
        async with tradebook.aio.Channel(address, **options) as channel:
            await work(channel)

    asyncio.run(with_channel(), debug=True)


def test_calls_are_awaited_and_say_how_they_ended(server: conformance.Server) -> None:
    async def work(channel: tradebook.aio.Channel) -> None:
        call: Any = AdminServiceStub(channel).Echo(ECHO, timeout=10)
        assert (await call).payload == b"abc"
        assert (await call.code(), await call.details(), call.done()) == (grpc.StatusCode.OK, "", True)

        refused: Any = SignalServiceStub(channel).GetSignal(signal_pb2.GetSignalRequest(id=0))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await refused
        assert raised.value.code() is await refused.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await refused.trailing_metadata())["grpc-status-details-bin"]

    run(work, server.addresses["address"])


def test_cancelled_call_is_cancelled(server: conformance.Server) -> None:
    async def work(channel: tradebook.aio.Channel) -> None:
        await AdminServiceStub(channel).Echo(ECHO)
        server.do({"do": "suspend"})
        call: Any = AdminServiceStub(channel).Echo(ECHO)
        await asyncio.sleep(0)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await call.code() is grpc.StatusCode.CANCELLED

    run(work, server.addresses["address"])


def test_timeout_of_the_reader_ends_the_stream(server: conformance.Server) -> None:
    """As in grpc.aio: a read that is cancelled cancels the call."""

    async def work(channel: tradebook.aio.Channel) -> None:
        stream: Any = EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(), 0.05)
        assert stream.cancelled()

    run(work, server.addresses["address"], events_address=server.addresses["events_address"])


def test_stream_is_iterated_and_cancelled_from_elsewhere(server: conformance.Server) -> None:
    server.do({"do": "trades", "count": 3})

    async def work(channel: tradebook.aio.Channel) -> None:
        stream: Any = EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest(from_oldest=True))
        seen = []

        async def read() -> None:
            async for event in stream:
                seen.append(event.sequence)
                if event.sequence == 3:
                    asyncio.get_running_loop().call_later(0.01, stream.cancel)

        with pytest.raises(asyncio.CancelledError):
            await read()
        assert seen == [1, 2, 3]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(work, server.addresses["address"])


class Tracing(grpc.aio.UnaryUnaryClientInterceptor, grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, value: str) -> None:
        self.value = value

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        client_call_details.metadata.add("trace", self.value)
        return await continuation(client_call_details, request)

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        client_call_details.metadata.add("trace", self.value)
        return await continuation(client_call_details, request)


def test_interceptors_run_in_order_for_calls_and_streams() -> None:
    async def work(channel: tradebook.aio.Channel) -> None:
        await AdminServiceStub(channel).Echo(ECHO)
        stream: Any = EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest(after_sequence=5))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stream.read()
        # The fake's newest event is 0.
        assert raised.value.code() is await stream.code() is grpc.StatusCode.DATA_LOSS

    with fake.serving(fake.ok) as server:
        run(work, server.address, interceptors=[Tracing("1"), Tracing("2")])
    methods = [request.method.rsplit("/")[-1] for request in server.requests]
    assert methods == ["Echo", "ListEvents"]
    assert all([entry.value for entry in request.metadata] == [b"1", b"2"] for request in server.requests)


def test_channel_ready_waits_for_the_server(server: conformance.Server) -> None:
    server.do({"do": "stop"})

    async def work(channel: tradebook.aio.Channel) -> None:
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.channel_ready(), 0.05)
        server.do({"do": "start"})
        await asyncio.wait_for(channel.channel_ready(), 20)
        assert channel.get_state() is grpc.ChannelConnectivity.READY

    run(work, server.addresses["address"])


def test_closed_channel_refuses_calls_and_ends_those_under_way(server: conformance.Server) -> None:
    async def work(channel: tradebook.aio.Channel) -> None:
        stub = AdminServiceStub(channel)
        await stub.Echo(ECHO)
        server.do({"do": "suspend"})
        call: Any = stub.Echo(ECHO)
        await asyncio.sleep(0)
        await channel.close()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(ValueError, match="closed"):
            stub.Echo(ECHO)
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN

    run(work, server.addresses["address"])


def test_streams_of_requests_are_unimplemented(server: conformance.Server) -> None:
    async def work(channel: tradebook.aio.Channel) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.stream_unary("/a.B/C")()
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.stream_stream("/a.B/C")().read()

    run(work, server.addresses["address"])
