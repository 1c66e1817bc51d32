package io.tradebook.client;

import io.tradebook.v1.Code;
import io.tradebook.v1.CommitCursorRequest;
import io.tradebook.v1.Cursor;
import io.tradebook.v1.Event;
import io.tradebook.v1.GetCursorRequest;
import io.tradebook.v1.ListEventsRequest;
import io.tradebook.v1.ListEventsResponse;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Events and cursors as a server keeps them; never waits for an event. */
final class FakeBook implements FakeServer.Handler {
  private final List<Event> events = new ArrayList<>();
  private final Map<String, Long> cursors = new HashMap<>();

  /** The sequences that were committed, in order. */
  final BlockingQueue<Long> commits = new LinkedBlockingQueue<>();

  /** The requests for pages. */
  final BlockingQueue<ListEventsRequest> lists = new LinkedBlockingQueue<>();

  static Event event(long sequence) {
    return Event.newBuilder().setSequence(sequence).setTopic("trade.closed/BTC-USD/").build();
  }

  synchronized void record(Event event) {
    events.add(event);
  }

  synchronized void record(long first, long last) {
    for (long sequence = first; sequence <= last; sequence++) {
      record(event(sequence));
    }
  }

  synchronized void forgetAll() {
    events.clear();
  }

  synchronized void setCursor(String name, long sequence) {
    cursors.put(name, sequence);
  }

  @Override
  public synchronized void handle(FakeServer.Call call) throws IOException {
    if (call.isOf("ListEvents")) {
      list(call);
    } else if (call.isOf("GetCursor")) {
      String name = GetCursorRequest.parseFrom(call.request().getPayload()).getName();
      if (cursors.containsKey(name)) {
        call.ok(Cursor.newBuilder().setSequence(cursors.get(name)).build());
      } else {
        call.fail(Code.CODE_NOT_FOUND, "there is no such cursor");
      }
    } else {
      CommitCursorRequest commit = CommitCursorRequest.parseFrom(call.request().getPayload());
      cursors.put(commit.getName(), commit.getSequence());
      commits.add(commit.getSequence());
      call.ok(Cursor.newBuilder().setSequence(commit.getSequence()).build());
    }
  }

  private void list(FakeServer.Call call) throws IOException {
    ListEventsRequest request = ListEventsRequest.parseFrom(call.request().getPayload());
    lists.add(request);
    long newest = events.isEmpty() ? 0 : events.get(events.size() - 1).getSequence();
    ListEventsResponse.Builder page = ListEventsResponse.newBuilder().setNewestSequence(newest);
    events.stream()
        .filter(event -> event.getSequence() > request.getAfterSequence())
        .filter(event -> !request.hasSymbol() || isOf(event, request.getSymbol()))
        .limit(request.getPageSize())
        .forEach(page::addEvents);
    int count = page.getEventsCount();
    // Beyond the events of a page that is not full there are none that were asked for.
    page.setNextAfterSequence(
        count == request.getPageSize()
            ? page.getEvents(count - 1).getSequence()
            : Math.max(newest, request.getAfterSequence()));
    if (!events.isEmpty()) {
      page.setOldestSequence(events.get(0).getSequence());
    }
    call.ok(page.build());
  }

  private static boolean isOf(Event event, String symbol) {
    return event.getTopic().equals(Doorbell.topicOf(symbol));
  }
}
