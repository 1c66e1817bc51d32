"""Calls a second and their latency: Echo and durable CreateSignal, 1 and 64 in flight."""

import argparse
import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import tradebook
import tradebook.aio
from tradebook.v1 import admin_pb2, signal_pb2, types_pb2
from tradebook.v1.admin_pb2_grpc import AdminServiceStub
from tradebook.v1.signal_pb2_grpc import SignalServiceStub

ECHO = admin_pb2.EchoRequest(payload=bytes(64))
SIGNAL = signal_pb2.Signal(
    symbol="BTC-USD",
    direction=types_pb2.DIRECTION_LONG,
    tier=types_pb2.TIER_HIGH,
    confidence=0.7,
    ensemble_prediction=0.5,
)
CREATE = signal_pb2.CreateSignalRequest(signal=SIGNAL)


def methods(channel: Any) -> dict[str, Callable[[], Any]]:
    admin, signals = AdminServiceStub(channel), SignalServiceStub(channel)
    return {"Echo": lambda: admin.Echo(ECHO), "CreateSignal": lambda: signals.CreateSignal(CREATE)}


def with_threads(call: Callable[[], Any], in_flight: int, seconds: float) -> list[float]:
    """The latency of each call."""
    found: list[float] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        while (start := time.perf_counter()) < end:
            call()
            found.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


async def with_tasks(call: Callable[[], Awaitable[Any]], in_flight: int, seconds: float) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + seconds

    async def work() -> None:
        while (start := time.perf_counter()) < end:
            await call()
            found.append(time.perf_counter() - start)

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return found


def report(channel: str, method: str, in_flight: int, latencies: list[float], seconds: float) -> None:
    cuts = statistics.quantiles(latencies, n=100)
    print(
        f"{channel:9} {method:12} {in_flight:3} in flight {len(latencies) / seconds:8.0f} calls/s"
        f"  p50 {cuts[49] * 1e6:7.0f} us  p99 {cuts[98] * 1e6:7.0f} us"
    )


async def run_asyncio(address: str, seconds: float) -> None:
    async with tradebook.aio.Channel(address) as channel:
        for method, call in methods(channel).items():
            for in_flight in (1, 64):
                await with_tasks(call, in_flight, seconds / 10)
                report("asyncio", method, in_flight, await with_tasks(call, in_flight, seconds), seconds)


def run_blocking(address: str, seconds: float) -> None:
    with tradebook.Channel(address) as channel:
        for method, call in methods(channel).items():
            for in_flight in (1, 64):
                with_threads(call, in_flight, seconds / 10)
                report("blocking", method, in_flight, with_threads(call, in_flight, seconds), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    options = parser.parse_args()
    run_blocking(options.address, options.seconds)
    asyncio.run(run_asyncio(options.address, options.seconds))


if __name__ == "__main__":
    main()
