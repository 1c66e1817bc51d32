package io.tradebook.client;

import static io.tradebook.client.FakeBook.event;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.rpc.BadRequest;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.BlockingClientCall;
import io.tradebook.v1.Event;
import io.tradebook.v1.EventServiceGrpc;
import io.tradebook.v1.SubscribeRequest;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SubscribeCallTest {
  private final FakeBook book = new FakeBook();
  private FakeServer server;
  private FakePublisher publisher;
  private TradebookChannel channel;

  /** Without events address. */
  private TradebookChannel deafChannel;

  @BeforeEach
  void open() throws IOException {
    server = new FakeServer(book);
    publisher = new FakePublisher();
    channel = TradebookChannel.builder(server.address()).eventsAddress(publisher.address()).build();
    deafChannel =
        TradebookChannel.builder(server.address()).defaultTimeout(Duration.ofSeconds(1)).build();
  }

  @AfterEach
  void close() throws IOException {
    channel.close();
    deafChannel.close();
    publisher.close();
    server.close();
  }

  private static SubscribeRequest after(long sequence) {
    return SubscribeRequest.newBuilder().setAfterSequence(sequence).build();
  }

  private static SubscribeRequest cursor(String name) {
    return SubscribeRequest.newBuilder().setCursor(name).setFromOldest(true).build();
  }

  /** A stream of which the test asks for each event. */
  private static final class Stream extends ClientCall.Listener<Event> {
    final BlockingQueue<Long> sequences = new LinkedBlockingQueue<>();
    final CompletableFuture<Void> headers = new CompletableFuture<>();
    final CompletableFuture<StatusRuntimeException> end = new CompletableFuture<>();
    final ClientCall<SubscribeRequest, Event> call;

    Stream(TradebookChannel channel, SubscribeRequest request, int window) {
      call = channel.newCall(EventServiceGrpc.getSubscribeMethod(), CallOptions.DEFAULT);
      call.start(this, new Metadata());
      if (window > 0) {
        call.request(window);
      }
      call.sendMessage(request);
      call.halfClose();
    }

    @Override
    public void onHeaders(Metadata received) {
      headers.complete(null);
    }

    @Override
    public void onMessage(Event event) {
      sequences.add(event.getSequence());
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      end.complete(status.asRuntimeException(trailers));
    }

    List<Long> take(int count) throws InterruptedException {
      List<Long> taken = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        taken.add(sequences.take());
      }
      return taken;
    }

    Status awaitEnd() {
      return end.join().getStatus();
    }
  }

  /** Waits until a page that begins there was asked for, so that the stream hears. */
  private void awaitList(long afterSequence) throws InterruptedException {
    while (book.lists.take().getAfterSequence() != afterSequence) {
      continue;
    }
  }

  // --- order ---

  @Test
  void whatIsMissingOrDoubledAtTheDoorbellIsListedAndLeftOut() throws Exception {
    book.record(1, 2);
    Stream stream = new Stream(channel, after(0), 100);
    assertEquals(List.of(1L, 2L), stream.take(2));
    awaitDoorbell();
    book.record(3, 7);
    publisher.publish(event(3));
    publisher.publish(event(3));
    publisher.publish(event(2));
    publisher.publish(event(6));
    publisher.publish(event(5));
    assertEquals(List.of(3L, 4L, 5L, 6L, 7L), stream.take(5));
    book.record(8, 8);
    publisher.publish(event(8));
    assertEquals(List.of(8L), stream.take(1));
    assertTrue(stream.sequences.isEmpty());
  }

  private void awaitDoorbell() throws InterruptedException {
    while (publisher.pipes().isEmpty()) {
      Thread.onSpinWait();
    }
  }

  @Test
  void aHeartbeatTellsOfALostEvent() throws Exception {
    book.record(1, 1);
    Stream stream = new Stream(channel, after(0), 100);
    assertEquals(List.of(1L), stream.take(1));
    awaitDoorbell();
    book.record(2, 2);
    publisher.publish(event(2));
    assertEquals(List.of(2L), stream.take(1));
    // The stream listens now, and this says that it may be silent for three minutes.
    publisher.beat(2);
    book.record(3, 3);
    publisher.beat(3);
    assertEquals(List.of(3L), stream.take(1));
  }

  @Test
  void anEventThatTheServerDoesNotKnowIsNotHandedOut() throws Exception {
    book.record(1, 1);
    Stream stream = new Stream(channel, after(0), 100);
    assertEquals(List.of(1L), stream.take(1));
    awaitDoorbell();
    publisher.publish(event(9));
    book.record(2, 2);
    publisher.publish(event(2));
    assertEquals(List.of(2L), stream.take(1));
    assertTrue(stream.sequences.isEmpty());
  }

  @Test
  void ofOneSymbolEachFollowsTheOneBefore() throws Exception {
    Event first = event(3).toBuilder().setTopic("trade.closed/BTC%2FUSD/").build();
    Event second = first.toBuilder().setSequence(7).setPreviousSequence(3).build();
    Event third = first.toBuilder().setSequence(9).setPreviousSequence(7).build();
    book.record(first);
    book.record(second);
    SubscribeRequest request = after(0).toBuilder().setSymbol("BTC/USD").build();
    Stream stream = new Stream(channel, request, 100);
    assertEquals(List.of(3L, 7L), stream.take(2));
    assertEquals("BTC/USD", book.lists.take().getSymbol());
    awaitDoorbell();
    publisher.publish(event(8)); // another symbol's
    book.record(third);
    publisher.publish(third);
    assertEquals(List.of(9L), stream.take(1));
  }

  @Test
  void eventsOfOtherSymbolsMoveTheCursorToo() throws Exception {
    book.record(1, 9);
    book.setCursor("alerts", 0);
    SubscribeRequest request = cursor("alerts").toBuilder().setSymbol("ETH-USD").build();
    Stream stream = new Stream(channel, request, 1);
    assertEquals(9, book.commits.take());
    assertTrue(stream.sequences.isEmpty());
  }

  @Test
  void aStreamWithoutEventsAddressWaitsInListEvents() throws Exception {
    Stream stream = new Stream(deafChannel, after(0), 2000);
    awaitList(0);
    assertEquals(250, book.lists.take().getWaitMs());
    book.record(1, 1200);
    assertEquals(1200, stream.take(1200).get(1199));
  }

  @Test
  void aServerThatIsAwayEndsNoStream() throws Exception {
    book.record(1, 1);
    Stream stream = new Stream(channel, after(0), 100);
    assertEquals(List.of(1L), stream.take(1));
    awaitDoorbell();
    publisher.pipes().forEach(FakePeer.Pipe::hangUp);
    server.pipes().forEach(FakePeer.Pipe::hangUp);
    book.record(2, 2);
    assertEquals(List.of(2L), stream.take(1));
  }

  // --- ends ---

  @Test
  void anOlderDatabaseIsDataLoss() throws Exception {
    book.record(1, 5);
    Stream stream = new Stream(channel, after(0), 100);
    stream.take(5);
    awaitDoorbell();
    book.forgetAll();
    publisher.beat(0);
    assertEquals(Status.Code.DATA_LOSS, stream.awaitEnd().getCode());
    assertTrue(stream.awaitEnd().getDescription().contains("restored to an older state"));
  }

  @Test
  void aHoleInTheDatabaseIsDataLoss() throws Exception {
    book.record(1, 2);
    book.record(4, 4);
    Stream stream = new Stream(channel, after(0), 100);
    assertEquals(Status.Code.DATA_LOSS, stream.awaitEnd().getCode());
    assertEquals(List.of(1L, 2L), stream.take(2));
  }

  @Test
  void wrongFieldsAreViolations() throws Exception {
    for (SubscribeRequest request :
        List.of(after(-1), after(3).toBuilder().setFromOldest(true).build())) {
      StatusRuntimeException failure = new Stream(channel, request, 1).end.join();
      assertEquals(Status.Code.INVALID_ARGUMENT, failure.getStatus().getCode());
      BadRequest violations =
          StatusProto.fromThrowable(failure).getDetails(0).unpack(BadRequest.class);
      assertEquals(1, violations.getFieldViolationsCount());
    }
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void theDeadlineEndsAStream() {
    Iterator<Event> events =
        EventServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(100, TimeUnit.MILLISECONDS)
            .subscribe(after(0));
    StatusRuntimeException failure = assertThrows(StatusRuntimeException.class, events::next);
    assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.getStatus().getCode());
  }

  @Test
  void aCallerThatFailsEndsHisStream() {
    book.record(1, 2);
    ClientCall<SubscribeRequest, Event> call =
        channel.newCall(EventServiceGrpc.getSubscribeMethod(), CallOptions.DEFAULT);
    CompletableFuture<Status> end = new CompletableFuture<>();
    call.start(
        new ClientCall.Listener<Event>() {
          @Override
          public void onMessage(Event event) {
            throw new IllegalStateException("a defect");
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            end.complete(status);
          }
        },
        new Metadata());
    call.request(1);
    call.sendMessage(after(0));
    call.halfClose();
    assertEquals(Status.Code.CANCELLED, end.join().getCode());
    assertEquals("a defect", end.join().getCause().getMessage());
  }

  // --- what was asked for and handled ---

  @Test
  void noEventComesThatWasNotAskedFor() throws Exception {
    book.record(1, 10);
    Stream stream = new Stream(channel, after(0), 0);
    stream.headers.join();
    assertNull(stream.sequences.poll(50, TimeUnit.MILLISECONDS));
    stream.call.request(3);
    assertEquals(List.of(1L, 2L, 3L), stream.take(3));
    assertNull(stream.sequences.poll(50, TimeUnit.MILLISECONDS));
    assertFalse(stream.end.isDone());
  }

  @Test
  void aStreamStartsNowAndSaysWhenItHasItsPlace() throws Exception {
    book.record(1, 10);
    Stream stream = new Stream(channel, SubscribeRequest.getDefaultInstance(), 5);
    stream.headers.join();
    book.record(11, 11);
    publisher.beat(11);
    assertEquals(List.of(11L), stream.take(1));
  }

  @Test
  void aCursorIsMadeAtOnceAndMovesWhenTheNextIsAskedFor() throws Exception {
    book.record(4, 6);
    Stream stream = new Stream(channel, cursor("alerts"), 1);
    assertEquals(3, book.commits.take());
    assertEquals(List.of(4L), stream.take(1));
    stream.call.request(1);
    assertEquals(List.of(5L), stream.take(1));
    stream.call.request(1);
    assertEquals(List.of(6L), stream.take(1));
    stream.call.request(1);
    // Asked for from elsewhere: 6 may still be at hand.
    assertEquals(5, takeLast(5));
    stream.call.cancel("done", null);
    assertEquals(Status.Code.CANCELLED, stream.awaitEnd().getCode());
  }

  /** Waits until this was committed, whatever was before it. */
  private long takeLast(long sequence) throws InterruptedException {
    long committed = book.commits.take();
    while (committed < sequence) {
      committed = book.commits.take();
    }
    return committed;
  }

  @Test
  void aStreamGoesOnAtItsCursorAndMovesItAtItsEnd() throws Exception {
    book.record(1, 9);
    book.setCursor("alerts", 5);
    Context.CancellableContext context = Context.current().withCancellation();
    List<Long> heard = new ArrayList<>();
    context.run(
        () -> {
          Iterator<Event> events =
              EventServiceGrpc.newBlockingStub(channel).subscribe(cursor("alerts"));
          for (int i = 0; i < 3; i++) {
            heard.add(events.next().getSequence());
          }
        });
    context.cancel(null);
    assertEquals(List.of(6L, 7L, 8L), heard);
    // 8 was taken and may not be handled.
    assertEquals(7, takeLast(7));
    channel.close();
    assertNull(book.commits.poll());
  }

  @Test
  void theSecondKindOfBlockingStubReadsAStreamToo() throws Exception {
    book.record(1, 3);
    BlockingClientCall<?, Event> events =
        EventServiceGrpc.newBlockingV2Stub(channel).subscribe(after(0));
    for (long sequence = 1; sequence <= 3; sequence++) {
      assertEquals(sequence, events.read().getSequence());
    }
    events.cancel("done", null);
  }

  @Test
  void aSymbolInATopicIsEscaped() {
    assertEquals("trade.closed/", Doorbell.topicOf(null));
    assertEquals("trade.closed/a-Z_0.~/", Doorbell.topicOf("a-Z_0.~"));
    assertEquals("trade.closed/BTC%2FUSD%C3%A9/", Doorbell.topicOf("BTC/USDé"));
  }
}
