package io.tradebook.client;

import com.google.protobuf.InvalidProtocolBufferException;
import io.tradebook.v1.Event;
import io.tradebook.v1.Heartbeat;
import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import java.util.function.Function;

/**
 * The server's events address. It may lose, double and delay what it brings, so it only rings: the
 * stream hands out an event from here if it follows the last one.
 */
final class Doorbell implements Link.Listener, Closeable {
  /** One thing that was heard: an event, or the newest sequence that a heartbeat tells. */
  record Heard(Event event, long newestSequence) {}

  /** Frames that wait for the stream; the next ones are lost, and then listed. */
  static final int FRAMES_MAX = 4096;

  static final int FRAME_BYTES_MAX = 16 * 1024;

  private static final String HEARTBEAT = "heartbeat/";
  private static final long INTERVAL_MILLIS_MAX = 60_000;
  private static final long INTERVAL_MILLIS_DEFAULT = 1000;

  /** So many heartbeats that did not come: the address is dead. */
  private static final int SILENT_INTERVALS = 3;

  private final Bell bell;
  private final byte[] topic;
  private final byte[] heartbeat = bytes(HEARTBEAT);
  private final Queue<byte[]> frames = new ArrayDeque<>();
  private final Link link;
  private long intervalMillis = INTERVAL_MILLIS_DEFAULT;
  private boolean isConnected;
  private boolean isNew;
  private long heardNanos;

  /** symbol is null for all. The link is made by a function of its listener. */
  Doorbell(String symbol, Bell bell, Function<Link.Listener, Link> linkOf) {
    this.bell = bell;
    this.topic = bytes(topicOf(symbol));
    this.link = linkOf.apply(this);
    link.start();
  }

  static String topicOf(String symbol) {
    StringBuilder topic = new StringBuilder("trade.closed/");
    if (symbol == null) {
      return topic.toString();
    }
    for (byte b : bytes(symbol)) {
      boolean isPlain =
          b >= '0' && b <= '9'
              || b >= 'A' && b <= 'Z'
              || b >= 'a' && b <= 'z'
              || "-._~".indexOf(b) >= 0;
      topic.append(isPlain ? String.valueOf((char) b) : "%%%02X".formatted(b));
    }
    return topic.append('/').toString();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public synchronized void connected() {
    isConnected = true;
    isNew = true;
    heardNanos = System.nanoTime();
    bell.ring();
  }

  @Override
  public synchronized void received(byte[] frame) {
    heardNanos = System.nanoTime();
    boolean isWanted = startsWith(frame, topic) || startsWith(frame, heartbeat);
    if (isWanted && frames.size() < FRAMES_MAX) {
      frames.add(frame);
      bell.ring();
    }
  }

  @Override
  public synchronized void disconnected() {
    isConnected = false;
    bell.ring();
  }

  private static boolean startsWith(byte[] frame, byte[] prefix) {
    return frame.length >= prefix.length
        && Arrays.equals(frame, 0, prefix.length, prefix, 0, prefix.length);
  }

  /** Whether it was connected since this was asked last: something may have been missed. */
  synchronized boolean takeNew() {
    boolean wasNew = isNew;
    isNew = false;
    return wasNew;
  }

  /** The next thing that was heard; null when there is none. What cannot be read is left out. */
  synchronized Heard take() {
    while (true) {
      byte[] frame = frames.poll();
      if (frame == null) {
        return null;
      }
      try {
        return read(frame);
      } catch (InvalidProtocolBufferException e) {
        // Not from a tradebook server. ListEvents tells what there is.
      }
    }
  }

  private Heard read(byte[] frame) throws InvalidProtocolBufferException {
    int nul = 0;
    while (nul < frame.length && frame[nul] != 0) {
      nul++;
    }
    if (nul == frame.length) {
      throw new InvalidProtocolBufferException("no topic");
    }
    ByteBuffer message = ByteBuffer.wrap(frame, nul + 1, frame.length - nul - 1);
    if (!startsWith(frame, heartbeat)) {
      return new Heard(Event.parseFrom(message), 0);
    }
    Heartbeat beat = Heartbeat.parseFrom(message);
    if (beat.getIntervalMs() > 0 && beat.getIntervalMs() <= INTERVAL_MILLIS_MAX) {
      intervalMillis = beat.getIntervalMs();
    }
    return new Heard(null, beat.getNewestSequence());
  }

  /** For how long it may be silent before it counts as dead; 0 when it does. */
  synchronized long aliveMillis() {
    if (!isConnected) {
      return 0;
    }
    long silentMillis = (System.nanoTime() - heardNanos) / 1_000_000;
    return Math.max(0, intervalMillis * SILENT_INTERVALS - silentMillis);
  }

  @Override
  public void close() {
    link.close();
  }
}
