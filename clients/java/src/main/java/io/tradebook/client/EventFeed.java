package io.tradebook.client;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tradebook.v1.CommitCursorRequest;
import io.tradebook.v1.Event;
import io.tradebook.v1.EventServiceGrpc.EventServiceBlockingStub;
import io.tradebook.v1.GetCursorRequest;
import io.tradebook.v1.ListEventsRequest;
import io.tradebook.v1.ListEventsResponse;
import io.tradebook.v1.SubscribeRequest;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The order of events. Two sources bring them: the doorbell, which may lose, and pages of
 * ListEvents, which do not. An event is handed out when it follows the position, whichever source
 * it is from; one at or before it was handed out already. One of the doorbell that is ahead shows
 * that there is a page to read, which will hold it too.
 *
 * <p>One thread, which waits here and is interrupted to end it.
 */
final class EventFeed {
  private static final int PAGE_EVENTS = 500;
  private static final long WAIT_MILLIS_MAX = 5000;

  /** Of a call's timeout, the part that ListEvents waits at most. */
  private static final int WAIT_TIMEOUT_PART = 4;

  private static final long FIRST_PAUSE_MILLIS = 50;
  private static final long LONGEST_PAUSE_MILLIS = 1000;
  private static final long COMMIT_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long LAST_COMMIT_SECONDS_MAX = 1;

  private final EventServiceBlockingStub stub;
  private final SubscribeRequest request;
  private final Bell bell;
  private final Progress progress;
  private final Doorbell doorbell;
  private final long waitMillis;
  private final Backoff backoff = new Backoff(FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS);
  private final Queue<Event> page = new ArrayDeque<>();

  private long position;
  private long nextAfterPage;
  private boolean isBehind = true;
  private boolean hasPlace;
  private long committed = -1;
  private long committedNanos;

  /** doorbell is null when the channel has no events address. */
  EventFeed(
      EventServiceBlockingStub stub,
      SubscribeRequest request,
      Bell bell,
      Progress progress,
      Doorbell doorbell,
      long timeoutMillis) {
    this.stub = stub;
    this.request = request;
    this.bell = bell;
    this.progress = progress;
    this.doorbell = doorbell;
    this.waitMillis = Math.min(WAIT_MILLIS_MAX, timeoutMillis / WAIT_TIMEOUT_PART);
  }

  /** Calls until it succeeds; a server that is away ends no stream. */
  private <T> T insist(Supplier<T> call) throws InterruptedException {
    while (true) {
      try {
        T response = call.get();
        backoff.reset();
        return response;
      } catch (StatusRuntimeException e) {
        if (!isPassing(e)) {
          throw e;
        }
        Thread.sleep(backoff.next());
      }
    }
  }

  private static boolean isPassing(StatusRuntimeException failure) {
    return switch (failure.getStatus().getCode()) {
      case UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED -> true;
      default -> false;
    };
  }

  // --- the place where the stream starts ---

  /** Finds the first place, which later calls go on from. */
  void findPlace() throws InterruptedException {
    check();
    if (!request.hasCursor() || !findCursor()) {
      position = request.hasAfterSequence() ? request.getAfterSequence() : findEnd();
      if (request.hasCursor()) {
        // Stored at once, so that a restart before the first commit misses nothing.
        commit(position);
      }
    }
    hasPlace = true;
  }

  private void check() {
    if (request.hasAfterSequence() && request.getFromOldest()) {
      throw Violation.of("from_oldest", "must not be set together with after_sequence");
    }
    if (request.getAfterSequence() < 0) {
      throw Violation.of("after_sequence", "must not be negative");
    }
  }

  private boolean findCursor() throws InterruptedException {
    GetCursorRequest get = GetCursorRequest.newBuilder().setName(request.getCursor()).build();
    try {
      position = insist(() -> stub.getCursor(get)).getSequence();
      committed = position;
      return true;
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() != Status.Code.NOT_FOUND) {
        throw e;
      }
      return false;
    }
  }

  private long findEnd() throws InterruptedException {
    ListEventsRequest list =
        ListEventsRequest.newBuilder().setAfterSequence(Long.MAX_VALUE).setPageSize(1).build();
    ListEventsResponse end = insist(() -> stub.listEvents(list));
    return request.getFromOldest() && end.hasOldestSequence()
        ? end.getOldestSequence() - 1
        : end.getNewestSequence();
  }

  // --- the next event ---

  /** Waits for the next event. A StatusRuntimeException is the end of the stream. */
  Event next() throws InterruptedException {
    while (true) {
      long seen = bell.rings();
      Event event = nextOfPage();
      if (event == null) {
        isBehind |= doorbell != null && doorbell.takeNew();
        event = isBehind ? null : nextOfDoorbell();
      }
      if (event != null) {
        position = event.getSequence();
        return event;
      }
      if (isBehind) {
        list(0);
      } else {
        commitHandled();
        await(seen);
      }
    }
  }

  private void await(long seen) throws InterruptedException {
    long aliveMillis = doorbell != null ? doorbell.aliveMillis() : 0;
    if (aliveMillis > 0) {
      bell.await(seen, aliveMillis);
    } else {
      list(waitMillis);
    }
  }

  private boolean follows(Event event) {
    return request.hasSymbol()
        ? event.getPreviousSequence() <= position
        : event.getSequence() == position + 1;
  }

  private Event nextOfPage() {
    while (!page.isEmpty()) {
      Event event = page.remove();
      if (event.getSequence() > position) {
        if (!follows(event)) {
          throw dataLoss(
              "after event %d the server answered event %d: one between is missing from its database"
                  .formatted(position, event.getSequence()));
        }
        return event;
      }
    }
    if (request.hasSymbol()) {
      // Events of other symbols lay between.
      position = Math.max(position, nextAfterPage);
    }
    return null;
  }

  private Event nextOfDoorbell() {
    while (doorbell != null) {
      Doorbell.Heard heard = doorbell.take();
      if (heard == null) {
        return null;
      }
      Event event = heard.event();
      if (event == null) {
        // Larger: an event was lost. Smaller: the heartbeat is late, or the database an older one.
        isBehind |= heard.newestSequence() != position;
      } else if (event.getSequence() > position) {
        if (follows(event)) {
          return event;
        }
        isBehind = true;
      }
    }
    return null;
  }

  /** Reads the next page, and waits so long for an event when there is none. */
  private void list(long millis) throws InterruptedException {
    ListEventsRequest.Builder list =
        ListEventsRequest.newBuilder()
            .setAfterSequence(position)
            .setPageSize(PAGE_EVENTS)
            .setWaitMs(millis);
    if (request.hasSymbol()) {
      list.setSymbol(request.getSymbol());
    }
    long startedNanos = System.nanoTime();
    ListEventsResponse response = insist(() -> stub.listEvents(list.build()));
    if (response.getNewestSequence() < position) {
      throw dataLoss(
          ("the newest event of the server is %d, before %d where this stream is: its database was"
                  + " restored to an older state or is another one; check the server, then subscribe"
                  + " at the place where to go on")
              .formatted(response.getNewestSequence(), position));
    }
    page.addAll(response.getEventsList());
    nextAfterPage = response.getNextAfterSequence();
    isBehind = nextAfterPage > position && response.getNewestSequence() > nextAfterPage;
    if (millis > 0 && page.isEmpty()) {
      // A server that is about to stop answers at once.
      long tookMillis = (System.nanoTime() - startedNanos) / 1_000_000;
      Thread.sleep(Math.max(0, FIRST_PAUSE_MILLIS - tookMillis));
    }
  }

  private static StatusRuntimeException dataLoss(String message) {
    return Status.DATA_LOSS.withDescription(message).asRuntimeException();
  }

  // --- the cursor ---

  /** Moves the cursor if that was not done for a second. */
  void commitInTime() throws InterruptedException {
    if (System.nanoTime() - committedNanos > COMMIT_NANOS) {
      commitHandled();
    }
  }

  private void commitHandled() throws InterruptedException {
    long handled = progress.handledPlace(position);
    if (request.hasCursor() && handled > committed) {
      commit(handled);
    }
  }

  private void commit(long sequence) throws InterruptedException {
    try {
      insist(() -> stub.commitCursor(commitRequest(sequence)));
      committed = sequence;
      committedNanos = System.nanoTime();
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() != Status.Code.OUT_OF_RANGE || !hasPlace) {
        throw e;
      }
      // The database has been restored to an older state. Listing tells it in full.
      isBehind = true;
    }
  }

  /** Moves the cursor at the end of the stream, if it can be done soon. */
  void commitAtEnd() {
    long handled = progress.handledPlace(position);
    if (request.hasCursor() && hasPlace && handled > committed) {
      try {
        stub.withDeadlineAfter(LAST_COMMIT_SECONDS_MAX, TimeUnit.SECONDS)
            .commitCursor(commitRequest(handled));
      } catch (StatusRuntimeException e) {
        // Some events will come again, which the contract allows.
      }
    }
  }

  private CommitCursorRequest commitRequest(long sequence) {
    return CommitCursorRequest.newBuilder()
        .setName(request.getCursor())
        .setSequence(sequence)
        .build();
  }
}
