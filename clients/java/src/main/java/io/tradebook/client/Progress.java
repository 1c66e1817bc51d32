package io.tradebook.client;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * How many events the caller has asked for, and which he has handled.
 *
 * <p>Who asks for another event says that he has handled one more. From within {@code onMessage}
 * that is the event at hand. From elsewhere it is the one before the event that he is about to
 * take, because the blocking stubs of gRPC ask for one ahead before they hand one out.
 *
 * <p>The thread of the stream delivers; any thread may ask.
 */
final class Progress {
  /** Who asks for more than this at first says nothing by asking: what is delivered is handled. */
  static final long AHEAD_MAX = 4096;

  private final Bell bell;
  private final Deque<Long> unhandled = new ArrayDeque<>();
  private long asked;
  private long askedAtFirst;
  private boolean hasBegun;
  private long delivered;
  private long handled;
  private long lastHandled;
  private Thread receiver;

  Progress(Bell bell) {
    this.bell = bell;
  }

  synchronized void ask(int count) {
    asked += count;
    if (hasBegun) {
      long ahead = Thread.currentThread() == receiver ? 0 : 1;
      handle(asked - askedAtFirst - ahead);
    }
    bell.ring();
  }

  /** What was asked for before this is the caller's window. */
  synchronized void begin() {
    hasBegun = true;
    askedAtFirst = asked;
  }

  synchronized boolean isAsked() {
    return asked > delivered;
  }

  /** An event is on its way to the caller. */
  synchronized void deliver(long sequence) {
    delivered++;
    unhandled.add(sequence);
  }

  /** The caller receives an event in this thread. */
  synchronized void receive() {
    receiver = Thread.currentThread();
  }

  /** The caller has received it. */
  synchronized void received() {
    receiver = null;
    if (askedAtFirst > AHEAD_MAX) {
      handle(handled + 1);
      bell.ring();
    }
  }

  private void handle(long count) {
    while (handled < count && !unhandled.isEmpty()) {
      handled++;
      lastHandled = unhandled.remove();
    }
  }

  /** The place up to which all is handled, given the one up to which all was delivered. */
  synchronized long handledPlace(long position) {
    return unhandled.isEmpty() ? position : lastHandled;
  }
}
