"""The order of events, whatever is published: against a server that a test commands."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import fake
import grpc
import pytest

import tradebook
from tradebook.v1 import event_pb2, rpc_pb2
from tradebook.v1.event_pb2_grpc import EventServiceStub

BTC, ETH = "trade.closed/BTC%2FUSD/", "trade.closed/ETH-USD/"


def event(sequence: int, topic: str = BTC, previous: int | None = None) -> event_pb2.Event:
    return event_pb2.Event(sequence=sequence, topic=topic, previous_sequence=previous)


@dataclasses.dataclass
class Book:
    """What the server would answer to ListEvents."""

    publisher: fake.Publisher
    stub: Any = None
    events: list[event_pb2.Event] = dataclasses.field(default_factory=list)
    newest: int | None = None
    listed: int = 0
    waited: int = 0
    # How often it is going to be too busy.
    refusals: int = 0

    def answer(self, request: rpc_pb2.Request) -> rpc_pb2.Reply:
        asked = event_pb2.ListEventsRequest.FromString(request.payload)
        self.listed += 1
        self.waited += asked.wait_ms > 0
        if self.refusals > 0:
            self.refusals -= 1
            return rpc_pb2.Reply(code=rpc_pb2.CODE_RESOURCE_EXHAUSTED)
        newest = self.newest if self.newest is not None else max([0, *(event.sequence for event in self.events)])
        page = event_pb2.ListEventsResponse(newest_sequence=newest)
        topic = BTC if asked.symbol else ""
        page.events.extend(
            event
            for event in self.events
            if event.sequence > asked.after_sequence and event.topic.startswith(topic)
        )
        page.next_after_sequence = max(asked.after_sequence, newest)
        return rpc_pb2.Reply(payload=page.SerializeToString())

    def record(self, *events: event_pb2.Event) -> None:
        self.events += events

    def publish(self, *events: event_pb2.Event) -> None:
        for published in events:
            self.publisher.publish(published.topic, published.SerializeToString())

    def beat(self, newest: int, interval_ms: int = 60_000) -> None:
        heartbeat = event_pb2.Heartbeat(newest_sequence=newest, interval_ms=interval_ms)
        self.publisher.publish("heartbeat/", heartbeat.SerializeToString())

    def follow(self, **request: Any) -> Iterator[int]:
        """The sequences of a stream that hears the publisher."""
        self.record(event(1))
        stream = self.stub.Subscribe(event_pb2.SubscribeRequest(after_sequence=0, **request))
        sequences = (event.sequence for event in stream)
        assert next(sequences) == 1
        self.publisher.accept()
        # What the new connection rings for is over after this.
        for sequence in (2, 3):
            self.record(event(sequence))
            self.beat(newest=sequence)
            assert next(sequences) == sequence
        return sequences


@pytest.fixture
def book() -> Iterator[Book]:
    with contextlib.ExitStack() as stack:
        found = Book(stack.enter_context(fake.publishing()))
        server = stack.enter_context(fake.serving(found.answer))
        channel = tradebook.Channel(server.address, events_address=found.publisher.address)
        found.stub = EventServiceStub(stack.enter_context(channel))
        yield found


def test_published_event_that_follows_is_handed_out_as_it_comes(book: Book) -> None:
    sequences = book.follow()
    book.publish(event(4), event(5))
    assert [next(sequences), next(sequences)] == [4, 5]


def test_published_again_is_handed_out_once(book: Book) -> None:
    sequences = book.follow()
    book.publish(event(3), event(4), event(4), event(3), event(5))
    assert [next(sequences), next(sequences)] == [4, 5]


def test_gap_is_filled_by_listing(book: Book) -> None:
    sequences = book.follow()
    book.record(event(4), event(5), event(6))
    book.publish(event(6))
    assert [next(sequences) for _ in range(3)] == [4, 5, 6]
    book.publish(event(7))
    assert next(sequences) == 7


def test_disorder_is_put_in_order(book: Book) -> None:
    sequences = book.follow()
    book.record(event(4), event(5), event(6))
    book.publish(event(5), event(4), event(6))
    assert [next(sequences) for _ in range(3)] == [4, 5, 6]


def test_event_that_the_server_does_not_know_is_dropped(book: Book) -> None:
    """It is of another server."""
    sequences = book.follow()
    book.publish(event(902))
    book.publish(event(4))
    assert next(sequences) == 4


def test_lost_last_event_is_noticed_by_the_heartbeat(book: Book) -> None:
    sequences = book.follow()
    book.record(event(4))
    book.beat(newest=4)
    assert next(sequences) == 4


def test_heartbeat_of_what_is_known_lists_nothing(book: Book) -> None:
    sequences = book.follow()
    book.publish(event(4))
    assert next(sequences) == 4
    book.record(event(4), event(5))
    book.beat(newest=5)
    assert next(sequences) == 5
    before = book.listed
    book.beat(newest=5)
    book.publish(event(6))
    assert next(sequences) == 6
    assert book.listed == before


def test_what_is_no_event_is_ignored(book: Book) -> None:
    sequences = book.follow()
    book.publisher.publish(BTC, b"\xff\xff\xff")
    book.publisher.publish("heartbeat/", b"\xff")
    book.publisher.publish("other/", b"")
    book.publish(event(4))
    assert next(sequences) == 4


def test_silent_publisher_is_not_relied_on(book: Book) -> None:
    sequences = book.follow()
    book.beat(newest=3, interval_ms=10)
    # The connection that was made and the heartbeat ring for the first ones.
    for sequence in range(4, 8):
        book.record(event(sequence))
        assert next(sequences) == sequence
    assert book.waited > 0


def test_lost_publisher_is_not_relied_on(book: Book) -> None:
    sequences = book.follow()
    book.publisher.drop()
    book.record(event(4))
    assert next(sequences) == 4


def test_stream_of_a_symbol_skips_others(book: Book) -> None:
    sequences = book.follow(symbol="BTC/USD")
    book.publish(event(4, ETH), event(5, previous=3), event(6, ETH), event(7, previous=5))
    assert [next(sequences), next(sequences)] == [5, 7]


def test_published_again_of_a_symbol_is_handed_out_once(book: Book) -> None:
    sequences = book.follow(symbol="BTC/USD")
    book.publish(event(5, previous=3), event(5, previous=3), event(3), event(7, previous=5))
    assert [next(sequences), next(sequences)] == [5, 7]


def test_gap_of_a_symbol_is_filled(book: Book) -> None:
    sequences = book.follow(symbol="BTC/USD")
    book.record(event(4, ETH), event(5, previous=3), event(6, previous=5))
    book.publish(event(6, previous=5))
    assert [next(sequences), next(sequences)] == [5, 6]


def test_page_with_a_hole_is_data_loss(book: Book) -> None:
    sequences = book.follow()
    book.record(event(4), event(6))
    book.publish(event(6))
    assert next(sequences) == 4
    with pytest.raises(grpc.RpcError, match="after event 4 the server answered event 6"):
        next(sequences)


def test_restored_database_is_data_loss(book: Book) -> None:
    sequences = book.follow()
    book.publish(event(4))
    assert next(sequences) == 4
    book.newest = 3
    book.beat(newest=3)
    with pytest.raises(grpc.RpcError, match="DATA_LOSS: the newest event of the server is 3, before 4"):
        next(sequences)


def test_more_than_is_kept_is_listed(book: Book) -> None:
    """4,096 published events are kept for a reader that does not read."""
    sequences = book.follow()
    many = [event(sequence) for sequence in range(4, 6004)]
    book.record(*many)
    book.publish(*many)
    assert [next(sequences) for _ in many] == [event.sequence for event in many]


def test_busy_server_is_asked_again(book: Book) -> None:
    sequences = book.follow()
    book.refusals = 3
    book.record(event(4), event(5))
    book.publish(event(5))
    assert [next(sequences), next(sequences)] == [4, 5]
    assert book.refusals == 0
