"""EventService/Subscribe: the events from a place on, in order, none missing, none
twice.

Two sources bring events: what the server publishes, which may get lost, and
ListEvents, where nothing does. Only the sequence is trusted: a published event is
handed out when it follows the last one, anything else rings ListEvents. Without
an events address, or while nothing is heard there, ListEvents waits for the next
event.

Everything here runs on one event loop.
"""

import asyncio
import collections
import contextlib
import urllib.parse
from typing import TypeVar

import grpc
from google.protobuf import message

from tradebook import _link
from tradebook._address import Address
from tradebook._caller import REQUEST_ID_KEY, Caller, Metadata
from tradebook._status import StatusError
from tradebook.v1 import event_pb2

METHOD = "/tradebook.v1.EventService/Subscribe"

PAGE_SIZE = 500
FRAMES_MAX = 4096
WAIT_MS_MAX = 5_000
WAIT_TIMEOUT_PART = 4
POLL_SECONDS_MIN = 0.05
COMMIT_SECONDS = 1.0
HEARTBEAT_SECONDS = 1.0
HEARTBEAT_SECONDS_MAX = 60.0
SILENT_HEARTBEATS = 3
CLOSE_SECONDS_MAX = 2.0

# After these a call is made again: the server is away or busy.
PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}

Answer = TypeVar("Answer", bound=message.Message)


class Doorbell:
    """What the server publishes, as far as it is for this subscriber."""

    def __init__(self, address: Address, topic: bytes) -> None:
        self.events: collections.deque[event_pb2.Event] = collections.deque(maxlen=FRAMES_MAX)
        # The newest event may not be among those.
        self.has_missed = True
        self.newest: int | None = None
        self.rang = asyncio.Event()
        self._topic = topic
        self._silence_max = HEARTBEAT_SECONDS * SILENT_HEARTBEATS
        self._heard = -self._silence_max
        self._link = _link.Link(address, _link.SUB, _link.PUB, self._hear)
        self._listening = asyncio.create_task(self._listen())

    def close(self) -> None:
        self._listening.cancel()
        self._link.close()

    def silent_in(self) -> float:
        """Seconds until it counts as dead unless something is heard; 0: it does."""
        if not self._link.is_connected:
            return 0
        return max(0.0, self._heard + self._silence_max - asyncio.get_running_loop().time())

    async def _listen(self) -> None:
        while True:
            peer = await self._link.peer()
            self._note()
            self.has_missed = True
            await peer.lost
            self.rang.set()

    def _note(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        self.rang.set()

    def _hear(self, frame: bytes) -> None:
        topic, _, data = frame.partition(b"\0")
        with contextlib.suppress(message.DecodeError):
            if topic == b"heartbeat/":
                self._hear_heartbeat(event_pb2.Heartbeat.FromString(data))
            elif topic.startswith(self._topic):
                self.events.append(event_pb2.Event.FromString(data))
        self._note()

    def _hear_heartbeat(self, heartbeat: event_pb2.Heartbeat) -> None:
        self.newest = heartbeat.newest_sequence
        if heartbeat.interval_ms > 0:
            interval = min(heartbeat.interval_ms / 1000, HEARTBEAT_SECONDS_MAX)
            self._silence_max = interval * SILENT_HEARTBEATS


class Subscription:
    """One stream. next() is called by one task at a time."""

    def __init__(self, caller: Caller, request: event_pb2.SubscribeRequest, metadata: Metadata = ()) -> None:
        """metadata is sent with each call that the stream is made of."""
        self._caller = caller
        self._request = request
        self._metadata = [(key, value) for key, value in metadata if key != REQUEST_ID_KEY]
        self._symbol = request.symbol if request.HasField("symbol") else None
        self._cursor = request.cursor if request.HasField("cursor") else None
        self._doorbell: Doorbell | None = None
        self._page: collections.deque[event_pb2.Event] = collections.deque()
        # Where the page leads; beyond its last event if others' events come then.
        self._page_end = 0
        # Everything up to here was handed out; None: not started.
        self._position: int | None = None
        self._handled = 0
        self._committed = 0
        self._commit_due = 0.0
        self._is_behind = True
        # The published event that ListEvents was asked about last.
        self._doubted: event_pb2.Event | None = None

    async def next(self) -> event_pb2.Event:
        """The next event. Asking for it says that the one before was handled. Raises
        StatusError, which ends the stream."""
        if self._position is None:
            await self._start()
        assert self._position is not None
        self._handled = self._position
        if asyncio.get_running_loop().time() >= self._commit_due:
            await self._commit()
        while (event := self._take()) is None:
            # Events of other symbols may have moved the position.
            self._handled = self._position
            await self._commit()
            await self._fetch_or_wait()
        self._position = event.sequence
        return event

    async def close(self) -> None:
        if self._doorbell is not None:
            self._doorbell.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self._commit()

    # --- the start ---

    async def _start(self) -> None:
        request = self._request
        if request.HasField("after_sequence") and (request.after_sequence < 0 or request.from_oldest):
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "after_sequence must not be negative, and not be given together with from_oldest",
            )
        if self._caller.options.events_address is not None:
            topic = "trade.closed/"
            if self._symbol is not None:
                topic += urllib.parse.quote(self._symbol, safe="") + "/"
            self._doorbell = Doorbell(self._caller.options.events_address, topic.encode())
        place = await self._cursor_place()
        if place is None:
            place = await self._requested_place()
            if self._cursor is not None:
                place = (
                    await self._insist(
                        "CommitCursor",
                        event_pb2.CommitCursorRequest(name=self._cursor, sequence=place),
                        event_pb2.Cursor,
                    )
                ).sequence
        self._position = self._committed = place

    async def _cursor_place(self) -> int | None:
        if self._cursor is None:
            return None
        try:
            return (
                await self._insist("GetCursor", event_pb2.GetCursorRequest(name=self._cursor), event_pb2.Cursor)
            ).sequence
        except StatusError as error:
            if error.code != grpc.StatusCode.NOT_FOUND:
                raise
            return None

    async def _requested_place(self) -> int:
        if self._request.HasField("after_sequence"):
            return self._request.after_sequence
        page = await self._insist(
            "ListEvents", event_pb2.ListEventsRequest(page_size=1), event_pb2.ListEventsResponse
        )
        if self._request.from_oldest and page.HasField("oldest_sequence"):
            return page.oldest_sequence - 1
        return page.newest_sequence

    async def _insist(self, name: str, request: message.Message, answer: type[Answer]) -> Answer:
        """Calls until the server is there."""
        attempt = 0
        while True:
            try:
                return await self._call(name, request, answer)
            except StatusError as error:
                if error.code not in PASSING:
                    raise
                await asyncio.sleep(_link.pause(attempt))
                attempt += 1

    async def _call(self, name: str, request: message.Message, answer: type[Answer]) -> Answer:
        method = f"/tradebook.v1.EventService/{name}"
        return answer.FromString(
            await self._caller.call(method, request.SerializeToString(), None, self._metadata)
        )

    # --- the order ---

    def _follows(self, event: event_pb2.Event) -> bool:
        """Whether nothing is between the position and this event."""
        assert self._position is not None
        if self._symbol is not None:
            return event.previous_sequence <= self._position
        return event.sequence == self._position + 1

    def _take(self) -> event_pb2.Event | None:
        """The next event that is here."""
        assert self._position is not None
        if self._page:
            event = self._page.popleft()
            if not self._follows(event):
                raise StatusError(
                    grpc.StatusCode.DATA_LOSS,
                    f"after event {self._position} the server answered event {event.sequence}: one "
                    f"between is missing from its database",
                )
            return event
        self._position = max(self._position, self._page_end)
        return self._take_published(self._doorbell, self._position) if self._doorbell is not None else None

    def _take_published(self, doorbell: Doorbell, position: int) -> event_pb2.Event | None:
        while doorbell.events:
            event = doorbell.events[0]
            if event.sequence > position and not self._follows(event):
                if event is not self._doubted:
                    self._doubted = event
                    self._is_behind = True
                if self._is_behind:
                    return None
                # ListEvents does not know it: it is another server's, or older than a restore.
            doorbell.events.popleft()
            if event.sequence > position and self._follows(event):
                return event
        return None

    # --- more events ---

    async def _fetch_or_wait(self) -> None:
        """Asks for a page when events may be missing, and with waiting while the doorbell
        is dead; else waits until it rings."""
        doorbell = self._doorbell
        if doorbell is None or self._is_behind or self._note_missed(doorbell):
            await self._fetch(0 if self._is_behind else self._wait_ms())
            return
        silent_in = doorbell.silent_in()
        if silent_in == 0:
            await self._fetch(self._wait_ms())
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(silent_in):
                await doorbell.rang.wait()
        doorbell.rang.clear()

    def _note_missed(self, doorbell: Doorbell) -> bool:
        """Whether the doorbell says that there is more than it has brought."""
        newest, doorbell.newest = doorbell.newest, None
        if doorbell.has_missed or (newest is not None and newest != self._position and not doorbell.events):
            doorbell.has_missed = False
            self._is_behind = True
        return self._is_behind

    def _wait_ms(self) -> int:
        return min(WAIT_MS_MAX, int(self._caller.options.timeout * 1000 / WAIT_TIMEOUT_PART))

    async def _fetch(self, wait_ms: int) -> None:
        assert self._position is not None
        loop = asyncio.get_running_loop()
        started = loop.time()
        request = event_pb2.ListEventsRequest(after_sequence=self._position, page_size=PAGE_SIZE, wait_ms=wait_ms)
        if self._symbol is not None:
            request.symbol = self._symbol
        self._is_behind = False
        page = await self._insist("ListEvents", request, event_pb2.ListEventsResponse)
        if page.newest_sequence < self._position:
            raise StatusError(
                grpc.StatusCode.DATA_LOSS,
                f"the newest event of the server is {page.newest_sequence}, before {self._position} where this "
                f"stream is: its database was restored to an older state or is another one; check the server, "
                f"then subscribe at the place where to go on",
            )
        self._page.extend(page.events)
        self._page_end = page.next_after_sequence
        # A page that leads nowhere is not asked for again at once.
        self._is_behind = self._position < self._page_end < page.newest_sequence
        if wait_ms > 0 and not page.events:
            # A server that is about to stop does not wait.
            await asyncio.sleep(started + POLL_SECONDS_MIN - loop.time())

    # --- the cursor ---

    async def _commit(self) -> None:
        """Moves the cursor to what was handled. What fails is tried again by the next."""
        if self._cursor is None or self._position is None or self._handled <= self._committed:
            return
        self._commit_due = asyncio.get_running_loop().time() + COMMIT_SECONDS
        request = event_pb2.CommitCursorRequest(name=self._cursor, sequence=self._handled)
        with contextlib.suppress(StatusError):
            await self._call("CommitCursor", request, event_pb2.Cursor)
            self._committed = self._handled
