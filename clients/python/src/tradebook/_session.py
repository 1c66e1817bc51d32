"""What the calls of one channel share. Everything here runs on one event loop."""

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import grpc

from tradebook._caller import Caller, Options


class Stream(Protocol):
    def cancel(self) -> bool: ...


class Session:
    def __init__(self, options: Options) -> None:
        self.caller = Caller(options)
        self.caller.link.on_change = self._note_state
        # Called with each new state.
        self.listeners: list[Callable[[grpc.ChannelConnectivity], None]] = []
        self._state = grpc.ChannelConnectivity.IDLE
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[Any]] = set()
        self._closings: set[asyncio.Task[Any]] = set()
        # Those that nobody reads any more end by themselves.
        self.streams: weakref.WeakSet[Stream] = weakref.WeakSet()

    @property
    def is_closed(self) -> bool:
        return self._state is grpc.ChannelConnectivity.SHUTDOWN

    def start(self, call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts what close() cancels."""
        return keep(self._calls, call)

    def finish(self, closing: Coroutine[Any, Any, Any]) -> None:
        """Starts what close() waits for."""
        keep(self._closings, closing)

    async def close(self, grace: float | None = None) -> None:
        """Ends the calls that are still under way after grace seconds."""
        self._set_state(grpc.ChannelConnectivity.SHUTDOWN)
        if grace is not None and self._calls:
            await asyncio.wait(self._calls, timeout=grace)
        for call in self._calls:
            call.cancel()
        for stream in list(self.streams):
            stream.cancel()
        # The streams put their cursors where they were.
        await asyncio.gather(*self._closings, return_exceptions=True)
        self.caller.close()

    # --- connectivity ---

    @property
    def state(self) -> grpc.ChannelConnectivity:
        return self._state

    def connect(self) -> None:
        if not self.is_closed and not self.caller.link.is_connected:
            self.start(self._connect())

    async def _connect(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.caller.link.peer()

    async def changed_from(self, state: grpc.ChannelConnectivity) -> None:
        while self._state is state:
            await self._changed.wait()

    def _note_state(self) -> None:
        link = self.caller.link
        if link.is_connected:
            self._set_state(grpc.ChannelConnectivity.READY)
        elif link.is_connecting:
            self._set_state(grpc.ChannelConnectivity.CONNECTING)
        else:
            self._set_state(grpc.ChannelConnectivity.IDLE)

    def _set_state(self, state: grpc.ChannelConnectivity) -> None:
        if state is self._state or self.is_closed:
            return
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in list(self.listeners):
            listener(state)


def keep(tasks: set[asyncio.Task[Any]], work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task in this set until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
