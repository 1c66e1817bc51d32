"""What the blocking channel is for those who know gRPC's."""

import concurrent.futures
import gc
import os
import ssl
import threading
from collections.abc import Callable
from typing import Any

import conformance
import fake
import grpc
import pytest
import trustme
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import tradebook
from tradebook.v1 import admin_pb2, event_pb2, rpc_pb2, signal_pb2, types_pb2
from tradebook.v1.admin_pb2_grpc import AdminServiceStub
from tradebook.v1.event_pb2_grpc import EventServiceStub
from tradebook.v1.signal_pb2_grpc import SignalServiceStub

SIGNAL = signal_pb2.Signal(
    symbol="BTC-USD",
    direction=types_pb2.DIRECTION_LONG,
    tier=types_pb2.TIER_HIGH,
    confidence=0.7,
    ensemble_prediction=0.5,
)
CREATE = signal_pb2.CreateSignalRequest(signal=SIGNAL)
ECHO = admin_pb2.EchoRequest(payload=b"abc")


def unavailable(times: int) -> fake.Answer:
    """Answers UNAVAILABLE so many times."""
    left = [times]

    def answer(request: rpc_pb2.Request) -> rpc_pb2.Reply:
        left[0] -= 1
        return rpc_pb2.Reply(code=rpc_pb2.CODE_UNAVAILABLE if left[0] >= 0 else rpc_pb2.CODE_OK, message="busy")

    return answer


def cutting(times: int) -> fake.Answer:
    """Ends the connection so many times."""
    left = [times]

    def answer(request: rpc_pb2.Request) -> rpc_pb2.Reply | None:
        left[0] -= 1
        return None if left[0] >= 0 else rpc_pb2.Reply()

    return answer


# --- calls ---


def test_with_call_answers_response_and_call(server: conformance.Server) -> None:
    with tradebook.Channel(server.addresses["address"]) as channel:
        response, call = AdminServiceStub(channel).Echo.with_call(ECHO)
    assert response.payload == b"abc"
    assert call.code() is grpc.StatusCode.OK
    assert (call.details(), call.trailing_metadata(), call.is_active()) == ("", (), False)


def test_future_is_a_grpc_future(server: conformance.Server) -> None:
    done = threading.Event()
    with tradebook.Channel(server.addresses["address"]) as channel:
        future: Any = AdminServiceStub(channel).Echo.future(ECHO, timeout=10)
        future.add_done_callback(lambda _: done.set())
        assert future.result(timeout=10).payload == b"abc"
        assert done.wait(10)
        assert (future.done(), future.cancelled(), future.running(), future.exception()) == (
            True,
            False,
            False,
            None,
        )
        assert 0 < (future.time_remaining() or 0) <= 10

        server.do({"do": "suspend"})
        future = AdminServiceStub(channel).Echo.future(ECHO)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.01)
        assert future.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            future.result()
        assert future.code() is grpc.StatusCode.CANCELLED


def test_error_is_rpc_error_call_and_future(server: conformance.Server) -> None:
    with (
        tradebook.Channel(server.addresses["address"]) as channel,
        pytest.raises(grpc.RpcError, match=r"signal.confidence: ") as raised,
    ):
        SignalServiceStub(channel).CreateSignal(
            signal_pb2.CreateSignalRequest(signal=signal_pb2.Signal(confidence=2))
        )
    error: Any = raised.value
    assert isinstance(raised.value, grpc.Call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.exception() is error
    with pytest.raises(grpc.RpcError):
        error.result()
    status = rpc_status.from_call(error)
    bad_request = error_details_pb2.BadRequest()
    assert status.message == error.details()
    assert status.details[0].Unpack(bad_request)
    assert "signal.confidence" in [violation.field for violation in bad_request.field_violations]


class Spy(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds metadata, and keeps how calls ended."""

    def __init__(self) -> None:
        self.codes: list[grpc.StatusCode] = []

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), ("trace-id", "t1")]
        call = continuation(details._replace(metadata=metadata), request)
        self.codes.append(call.code())
        return call

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(details, request)


def test_intercept_channel_sees_calls_and_errors() -> None:
    answers = [rpc_pb2.Reply(), rpc_pb2.Reply(code=rpc_pb2.CODE_NOT_FOUND, message="none")]
    spy = Spy()
    with (
        fake.serving(lambda _: answers.pop(0)) as server,
        tradebook.Channel(server.address) as channel,
    ):
        stub = AdminServiceStub(grpc.intercept_channel(channel, spy))
        stub.Echo(ECHO, metadata=(("a", "b"),))
        with pytest.raises(grpc.RpcError, match="NOT_FOUND: none"):
            stub.Echo(ECHO)
    assert spy.codes == [grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND]
    assert [(entry.key, entry.value) for entry in server.requests[0].metadata] == [
        ("a", b"b"),
        ("trace-id", b"t1"),
    ]


def test_intercepted_stream_is_one(server: conformance.Server) -> None:
    server.do({"do": "trades", "count": 2})
    with tradebook.Channel(server.addresses["address"]) as channel:
        stub = EventServiceStub(grpc.intercept_channel(channel, Spy()))
        stream = stub.Subscribe(event_pb2.SubscribeRequest(from_oldest=True))
        assert [next(stream).sequence for _ in range(2)] == [1, 2]
        stream.cancel()


def test_streams_that_do_not_exist_are_unimplemented(server: conformance.Server) -> None:
    with tradebook.Channel(server.addresses["address"]) as channel:
        kinds: list[Callable[[], Any]] = [
            lambda: list(channel.unary_stream("/a.B/C")(b"")),
            lambda: channel.stream_unary("/a.B/C")(iter([b""])),
            lambda: list(channel.stream_stream("/a.B/C")(iter([b""]))),
        ]
        for call in kinds:
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                call()


def test_writes_of_many_threads_are_done_once_each_whatever_happens_to_the_server(
    server: conformance.Server,
) -> None:
    with tradebook.Channel(server.addresses["address"], timeout=60) as channel:
        stub = SignalServiceStub(channel)

        def create(thread: int) -> list[int]:
            found = []
            for number in range(25):
                signal = signal_pb2.Signal(notes=f"{thread}-{number}")
                signal.MergeFrom(SIGNAL)
                found.append(stub.CreateSignal(signal_pb2.CreateSignalRequest(signal=signal)).id)
            return found

        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            under_way = [threads.submit(create, thread) for thread in range(16)]
            for _ in range(3):
                server.do({"do": "kill"})
                server.do({"do": "start"})
            ids = [number for done in under_way for number in done.result()]
    rows = server.do({"do": "sql", "sql": "SELECT count(*), count(DISTINCT notes) FROM signals"})["rows"]
    assert rows == [[400, 400]]
    assert len(set(ids)) == 400


# --- what is sent ---


def test_reads_have_no_request_id_and_writes_a_uuid_7() -> None:
    with fake.serving(fake.ok) as server, tradebook.Channel(server.address) as channel:
        AdminServiceStub(channel).Echo(ECHO)
        SignalServiceStub(channel).CreateSignal(CREATE)
        SignalServiceStub(channel).CreateSignal(CREATE)
    echo, *writes = server.requests
    assert not echo.HasField("request_id")
    ids = [request.request_id for request in writes]
    assert len(set(ids)) == 2
    assert all(len(sent) == 16 and sent[6] >> 4 == 7 and sent[8] >> 6 == 2 for sent in ids)


def test_channel_options_are_metadata_of_each_call() -> None:
    with (
        fake.serving(fake.ok) as server,
        tradebook.Channel(server.address, client_id="bot", token="secret") as channel,
    ):
        AdminServiceStub(channel).Echo(ECHO, metadata=(("x-request-id-bin", bytes(16)),))
    (request,) = server.requests
    assert {entry.key: entry.value for entry in request.metadata} == {
        "client-id": b"bot",
        "authorization": b"Bearer secret",
    }
    assert request.request_id == bytes(16)


@pytest.mark.parametrize("answer", [unavailable(3), cutting(3)], ids=["unavailable", "cut"])
def test_retries_have_the_same_request_id_and_less_time(answer: fake.Answer) -> None:
    with fake.serving(answer) as server, tradebook.Channel(server.address) as channel:
        SignalServiceStub(channel).CreateSignal(CREATE)
    assert len(server.requests) == 4
    assert len({request.request_id for request in server.requests}) == 1
    times = [request.timeout_ms for request in server.requests]
    assert times == sorted(times, reverse=True)
    assert 0 < times[-1] < times[0] <= 10_000


def test_other_errors_are_not_retried() -> None:
    def answer(request: rpc_pb2.Request) -> rpc_pb2.Reply:
        return rpc_pb2.Reply(code=rpc_pb2.CODE_RESOURCE_EXHAUSTED, message="full")

    with fake.serving(answer) as server, tradebook.Channel(server.address) as channel:
        with pytest.raises(grpc.RpcError, match="RESOURCE_EXHAUSTED: full"):
            SignalServiceStub(channel).CreateSignal(CREATE)
        assert len(server.requests) == 1


def test_unavailable_to_the_end_is_told_with_the_servers_reason() -> None:
    with fake.serving(unavailable(1000)) as server, tradebook.Channel(server.address, timeout=0.2) as channel:
        with pytest.raises(grpc.RpcError, match=r"UNAVAILABLE: busy|DEADLINE_EXCEEDED"):
            AdminServiceStub(channel).Echo(ECHO)
        assert len(server.requests) > 1


def test_tls_checks_the_server() -> None:
    authority = trustme.CA()
    with fake.serving(fake.ok, server_context(authority)) as server:
        trusting = client_context(authority)
        with tradebook.Channel(server.address, tls=trusting) as channel:
            AdminServiceStub(channel).Echo(ECHO)
        with (
            tradebook.Channel(server.address, timeout=0.3) as channel,
            pytest.raises(grpc.RpcError, match=r"UNAVAILABLE.*certificate"),
        ):
            AdminServiceStub(channel).Echo(ECHO)


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# --- the channel ---


def test_what_is_no_address_is_refused() -> None:
    for text in ["", "tcp://", "tcp://host", "tcp://host:0", "udp://host:1", "ipc://relative", "tcp://host:99999"]:
        with pytest.raises(ValueError, match="write tcp://HOST:PORT"):
            tradebook.Channel(text)


def test_channel_of_before_a_fork_says_so_in_the_child(server: conformance.Server) -> None:
    with tradebook.Channel(server.addresses["address"]) as channel:
        stub = AdminServiceStub(channel)
        stub.Echo(ECHO)
        child = os.fork()
        if child == 0:
            try:
                stub.Echo(ECHO)
            except RuntimeError as error:
                os._exit(7 if "before a fork" in str(error) else 1)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        stub.Echo(ECHO)


def test_stream_keeps_its_channel(server: conformance.Server) -> None:
    server.do({"do": "trades", "count": 2})
    stream = EventServiceStub(tradebook.Channel(server.addresses["address"])).Subscribe(
        event_pb2.SubscribeRequest(from_oldest=True)
    )
    gc.collect()
    assert [next(stream).sequence for _ in range(2)] == [1, 2]
    stream.cancel()


def test_reply_that_is_none_is_an_error() -> None:
    def answer(request: rpc_pb2.Request) -> Any:
        class Garbage:
            @staticmethod
            def SerializeToString() -> bytes:  # noqa: N802
                return b"\xff"

        return Garbage

    with (
        fake.serving(answer) as server,
        tradebook.Channel(server.address) as channel,
        pytest.raises(grpc.RpcError, match="INTERNAL: the reply of the server is no message"),
    ):
        AdminServiceStub(channel).Echo(ECHO)


def test_closed_channel_refuses_calls(server: conformance.Server) -> None:
    channel = tradebook.Channel(server.addresses["address"])
    stub = AdminServiceStub(channel)
    stub.Echo(ECHO)
    channel.close()
    channel.close()
    with pytest.raises(ValueError, match="closed"):
        stub.Echo(ECHO)


def test_close_ends_calls_under_way(server: conformance.Server) -> None:
    channel = tradebook.Channel(server.addresses["address"])
    AdminServiceStub(channel).Echo(ECHO)
    server.do({"do": "suspend"})
    future = AdminServiceStub(channel).Echo.future(ECHO)
    channel.close()
    assert future.code() is grpc.StatusCode.CANCELLED


def test_events_address_as_address_says_what_is_wrong(server: conformance.Server) -> None:
    with (
        tradebook.Channel(server.addresses["events_address"], timeout=0.3) as channel,
        pytest.raises(grpc.RpcError, match=r"UNAVAILABLE.*not what this address is for"),
    ):
        AdminServiceStub(channel).Echo(ECHO)


def test_channel_ready_future_waits_for_the_server(server: conformance.Server) -> None:
    server.do({"do": "stop"})
    with tradebook.Channel(server.addresses["address"]) as channel:
        ready = grpc.channel_ready_future(channel)
        with pytest.raises(grpc.FutureTimeoutError):
            ready.result(timeout=0.05)
        server.do({"do": "start"})
        ready.result(timeout=20)


def test_call_in_a_callback_is_refused_instead_of_waiting_for_itself(server: conformance.Server) -> None:
    found: list[Exception] = []
    done = threading.Event()
    with tradebook.Channel(server.addresses["address"]) as channel:
        stub = AdminServiceStub(channel)

        def call_again(_: object) -> None:
            try:
                stub.Echo(ECHO)
            except RuntimeError as error:
                found.append(error)
            done.set()

        server.do({"do": "suspend"})
        future = stub.Echo.future(ECHO)
        future.add_done_callback(call_again)
        server.do({"do": "resume"})
        assert done.wait(10)
    assert "must not block" in str(found[0])


def test_credentials_of_a_call_are_refused(server: conformance.Server) -> None:
    with (
        tradebook.Channel(server.addresses["address"]) as channel,
        pytest.raises(ValueError, match="give the channel a token"),
    ):
        AdminServiceStub(channel).Echo(ECHO, credentials=grpc.access_token_call_credentials("x"))


# --- streams ---


def test_the_event_that_was_not_asked_beyond_is_not_handled(server: conformance.Server) -> None:
    """Whoever leaves a stream in the middle gets the last event again."""
    server.do({"do": "trades", "count": 5})
    request = event_pb2.SubscribeRequest(cursor="c", from_oldest=True)
    with tradebook.Channel(server.addresses["address"]) as channel:
        stream = EventServiceStub(channel).Subscribe(request)
        assert [next(stream).sequence for _ in range(3)] == [1, 2, 3]
    with tradebook.Channel(server.addresses["address"]) as channel:
        assert next(EventServiceStub(channel).Subscribe(request)).sequence == 3


def test_cancelled_stream_raises_cancelled(server: conformance.Server) -> None:
    with tradebook.Channel(server.addresses["address"]) as channel:
        stream = EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest())
        threading.Timer(0.05, stream.cancel).start()
        with pytest.raises(grpc.RpcError) as raised:
            next(stream)
        assert raised.value.code() is grpc.StatusCode.CANCELLED
        assert stream.code() is grpc.StatusCode.CANCELLED
        assert not stream.is_active()


def test_stream_that_is_left_is_closed(server: conformance.Server) -> None:
    server.do({"do": "trades", "count": 2})
    with tradebook.Channel(server.addresses["address"]) as channel:
        for event in EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest(from_oldest=True)):
            assert event.sequence == 1
            break
        assert list(channel.session.streams) == []
