"""The two channels as the conformance runner drives them: through generated stubs."""

import asyncio
import concurrent.futures
import importlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message
from grpc_health.v1 import health_pb2_grpc

import tradebook

MODULES = ["admin", "analytics", "event", "model", "pattern", "risk", "signal", "theory", "trade"]

# What the ecosystem's stubs have besides.
NOT_SERVED = {("grpc.health.v1.Health", "Watch"), ("grpc.health.v1.Health", "List")}

Metadata = list[tuple[str, Any]]


def stubs() -> dict[str, Any]:
    """The stub class of each service, by its full name."""
    found = {"grpc.health.v1.Health": health_pb2_grpc.HealthStub}
    for name in MODULES:
        module = importlib.import_module(f"tradebook.v1.{name}_pb2_grpc")
        found |= {
            f"tradebook.v1.{stub.removesuffix('Stub')}": getattr(module, stub)
            for stub in dir(module)
            if stub.endswith("ServiceStub")
        }
    return found


STUBS = stubs()


def multi_callable(channel: Any, method: str) -> Any:
    """What a stub has for a method; for one that no stub has, a generic call."""
    service, name = method[1:].rsplit("/", 1)
    stub = STUBS.get(service)
    found = getattr(stub(channel), name, None) if stub else None
    return found or channel.unary_unary(method)


def methods(service: str) -> list[str]:
    return [
        method.name
        for method in descriptor_pool.Default().FindServiceByName(service).methods
        if (service, method.name) not in NOT_SERVED
    ]


class Blocking:
    def __init__(self, address: str, events_address: str | None, client_id: str | None) -> None:
        self.channel = tradebook.Channel(address, events_address=events_address, client_id=client_id)

    def call(self, method: str, request: message.Message | None, timeout: float | None, metadata: Metadata) -> Any:
        return self._find(method)(request or b"", timeout=timeout, metadata=metadata)

    def start(
        self, method: str, request: message.Message | None, timeout: float | None, metadata: Metadata
    ) -> Any:
        return self._find(method).future(request or b"", timeout=timeout, metadata=metadata)

    def subscribe(self, request: message.Message, timeout: float | None) -> Any:
        return self._find("/tradebook.v1.EventService/Subscribe")(request, timeout=timeout)

    def close(self) -> None:
        self.channel.close()

    def _find(self, method: str) -> Any:
        return multi_callable(self.channel, method)


class Asyncio:
    """The channel of asyncio, on a loop in a thread."""

    def __init__(self, address: str, events_address: str | None, client_id: str | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.channel = tradebook.aio.Channel(address, events_address=events_address, client_id=client_id)

    def call(self, method: str, request: message.Message | None, timeout: float | None, metadata: Metadata) -> Any:
        return self.start(method, request, timeout, metadata).result()

    def start(
        self, method: str, request: message.Message | None, timeout: float | None, metadata: Metadata
    ) -> "AsyncioCall":
        async def start() -> Any:
            return multi_callable(self.channel, method)(request or b"", timeout=timeout, metadata=metadata)

        return AsyncioCall(self, self.submit(start()).result())

    def subscribe(self, request: message.Message, timeout: float | None) -> "AsyncioCall":
        return self.start("/tradebook.v1.EventService/Subscribe", request, timeout, [])

    def close(self) -> None:
        self.submit(self.channel.close()).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def submit(self, work: Coroutine[Any, Any, Any]) -> "concurrent.futures.Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)


class AsyncioCall:
    def __init__(self, client: Asyncio, call: Any) -> None:
        self.client = client
        self.call = call

    def result(self) -> Any:
        async def result() -> Any:
            return await self.call

        return self._wait(result())

    def __iter__(self) -> Iterator[Any]:
        while (event := self._wait(self.call.read())) is not grpc.aio.EOF:
            yield event

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.client.submit(work).result()
        except concurrent.futures.CancelledError:
            raise grpc.FutureCancelledError from None

    def cancel(self) -> bool:
        async def cancel() -> bool:
            return bool(self.call.cancel())

        return bool(self.client.submit(cancel()).result())
