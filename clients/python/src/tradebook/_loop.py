"""The event loop behind the blocking channel, on a thread of its own."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Loop:
    """Starts with the first work, so that a channel may be opened before a fork."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def submit(self, work: Coroutine[Any, Any, Result]) -> "concurrent.futures.Future[Result]":
        try:
            loop = self._started()
        except RuntimeError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def soon(self, work: Callable[[], object]) -> None:
        self._started().call_soon_threadsafe(work)

    def wait(self, future: "concurrent.futures.Future[Result]", timeout: float | None = None) -> Result:
        """The result of submitted work; raises what the work does."""
        if threading.current_thread() is self._thread and not future.done():
            raise RuntimeError("a callback of a call must not block: it runs on the thread that it waits for")
        return future.result(timeout)

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Does the last work, then cancels what still runs. Does not wait for that."""
        if self._loop is not None and self._pid == os.getpid() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(finish, self._loop, last)

    def join(self) -> None:
        """Waits until it has stopped."""
        if (
            self._thread is not None
            and self._pid == os.getpid()
            and self._thread is not threading.current_thread()
        ):
            self._thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._starting:
                if self._loop is None:
                    self._loop = self._start()
        if self._pid != os.getpid():
            raise RuntimeError("this channel was used before a fork: open another one in the child")
        return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=run, args=(loop,), name="tradebook", daemon=True)
        self._thread.start()
        return loop


def finish(loop: asyncio.AbstractEventLoop, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop.create_task(last()).add_done_callback(lambda _: loop.stop())


def run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
