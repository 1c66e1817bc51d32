package io.tradebook.client;

import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Request ids: UUIDs of version 7 (RFC 9562), which grow within this process and are random
 * otherwise.
 */
final class RequestIds {
  private static final SecureRandom RANDOM = new SecureRandom();

  /** Milliseconds times 4,096 plus a counter. */
  private static final AtomicLong LAST_TICK = new AtomicLong();

  private RequestIds() {}

  static ByteString next() {
    return at(System.currentTimeMillis());
  }

  /** Runs ahead of a clock that was set back or has given 4,096 ids in a millisecond. */
  static ByteString at(long unixMillis) {
    long tick = LAST_TICK.updateAndGet(last -> Math.max(unixMillis << 12, last + 1));
    ByteBuffer id = ByteBuffer.allocate(16);
    id.putLong(tick >>> 12 << 16 | 0x7000 | tick & 0xfff);
    id.putLong(0x8000_0000_0000_0000L | RANDOM.nextLong() >>> 2);
    return ByteString.copyFrom(id.flip());
  }
}
