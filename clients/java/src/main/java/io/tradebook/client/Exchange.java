package io.tradebook.client;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * The REQ side of a connection: many requests under way, each answered under the number it was sent
 * with. What is submitted without a connection waits for one.
 */
final class Exchange implements Link.Listener, Closeable {
  /** A request that is to be sent; called from the thread that submits or the link's. */
  interface Attempt {
    /** The body, made when it is sent. */
    byte[] body();

    void replied(byte[] body);

    /** The connection was lost before the reply came. */
    void lost();
  }

  /** Marks the number of a request among the words before a body. */
  private static final int REQUEST_BIT = 0x8000_0000;

  /**
   * Requests under way; more wait. A server refuses a connection that takes most of its queue (512
   * unless set), and this many keep it busy.
   */
  static final int IN_FLIGHT_MAX = 256;

  /** A connection that has brought nothing for so long is given up by a request that ends. */
  private static final long QUIET_NANOS_MAX = TimeUnit.SECONDS.toNanos(1);

  private record Sent(Attempt attempt, long nanos) {}

  private final Link link;
  private final Map<Integer, Sent> sent = new HashMap<>();
  private final Map<Attempt, Integer> numbers = new HashMap<>();
  private final Set<Attempt> waiting = new LinkedHashSet<>();
  private int lastNumber = ThreadLocalRandom.current().nextInt();
  private boolean isConnected;

  /** The link is made by a function of its listener. */
  Exchange(Function<Link.Listener, Link> linkOf) {
    link = linkOf.apply(this);
  }

  void start() {
    link.start();
  }

  /** Sends the request now, or when there is a connection and room on it. */
  void submit(Attempt attempt) {
    int number;
    synchronized (this) {
      if (!hasRoom()) {
        waiting.add(attempt);
        return;
      }
      number = REQUEST_BIT | ++lastNumber;
      sent.put(number, new Sent(attempt, System.nanoTime()));
      numbers.put(attempt, number);
    }
    byte[] body = attempt.body();
    link.send(ByteBuffer.allocate(Integer.BYTES + body.length).putInt(number).put(body).array());
  }

  private boolean hasRoom() {
    return isConnected && sent.size() < IN_FLIGHT_MAX;
  }

  /** A request has left: the one that has waited longest takes its place. */
  private void submitWaiting() {
    Attempt next;
    synchronized (this) {
      if (waiting.isEmpty() || !hasRoom()) {
        return;
      }
      next = waiting.iterator().next();
      waiting.remove(next);
    }
    submit(next);
  }

  /** Forgets a request that has ended; its reply is dropped when it comes. */
  void forget(Attempt attempt) {
    synchronized (this) {
      waiting.remove(attempt);
      Integer number = numbers.remove(attempt);
      if (number != null) {
        sent.remove(number);
      }
    }
    submitWaiting();
  }

  /**
   * The time of a request is over. If nothing at all has come for a while since it was sent, the
   * peer may be gone without a word: the connection is made anew.
   */
  void expire(Attempt attempt) {
    boolean isQuiet;
    synchronized (this) {
      Integer number = numbers.get(attempt);
      long now = System.nanoTime();
      isQuiet =
          number != null
              && now - sent.get(number).nanos() > QUIET_NANOS_MAX
              && now - link.lastReceivedNanos() > QUIET_NANOS_MAX;
    }
    if (isQuiet) {
      link.drop();
    }
  }

  /** Whether something at the address has accepted a connection, though it may not answer. */
  boolean isReached() {
    return link.isReached();
  }

  /** Why the last connection was lost or not made; null before. */
  Exception lastFailure() {
    return link.lastFailure();
  }

  @Override
  public void connected() {
    List<Attempt> ready;
    synchronized (this) {
      isConnected = true;
      ready = new ArrayList<>(waiting);
      waiting.clear();
    }
    ready.forEach(this::submit);
  }

  @Override
  public void received(byte[] frame) throws IOException {
    if (frame.length < Integer.BYTES) {
      throw new IOException("a reply has no request number");
    }
    Sent answered;
    synchronized (this) {
      answered = sent.remove(ByteBuffer.wrap(frame).getInt());
      if (answered != null) {
        numbers.remove(answered.attempt());
      }
    }
    if (answered != null) {
      submitWaiting();
      answered.attempt().replied(Arrays.copyOfRange(frame, Integer.BYTES, frame.length));
    }
  }

  @Override
  public void disconnected() {
    List<Sent> lost;
    synchronized (this) {
      isConnected = false;
      lost = new ArrayList<>(sent.values());
      sent.clear();
      numbers.clear();
    }
    lost.forEach(request -> request.attempt().lost());
  }

  @Override
  public void close() {
    link.close();
  }
}
