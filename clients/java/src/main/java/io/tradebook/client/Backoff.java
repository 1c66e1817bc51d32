package io.tradebook.client;

import java.util.concurrent.ThreadLocalRandom;

/** Pauses that double up to a limit, each shortened at random by up to a half. One thread. */
final class Backoff {
  private final long firstMillis;
  private final long longestMillis;
  private long millis;

  Backoff(long firstMillis, long longestMillis) {
    this.firstMillis = firstMillis;
    this.longestMillis = longestMillis;
    this.millis = firstMillis;
  }

  /** The next pause in milliseconds. */
  long next() {
    long pause = millis;
    millis = Math.min(2 * millis, longestMillis);
    return pause - ThreadLocalRandom.current().nextLong(pause / 2 + 1);
  }

  /** Starts again with the first pause. */
  void reset() {
    millis = firstMillis;
  }
}
