package io.tradebook.client;

/** Wakes the thread of a stream: whoever changes something that it looks at rings. */
final class Bell {
  private long rings;

  synchronized void ring() {
    rings++;
    notifyAll();
  }

  /** How often it has rung; to be asked before looking at what may change. */
  synchronized long rings() {
    return rings;
  }

  /** Returns when it has rung since, or after the time. */
  synchronized void await(long seen, long millisMax) throws InterruptedException {
    long end = System.nanoTime() + millisMax * 1_000_000;
    long left = millisMax;
    while (rings == seen && left > 0) {
      wait(left);
      left = (end - System.nanoTime() + 999_999) / 1_000_000;
    }
  }
}
