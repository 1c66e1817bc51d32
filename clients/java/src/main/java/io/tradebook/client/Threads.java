package io.tradebook.client;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;

/** Threads that do not keep a program from ending. */
final class Threads {
  private Threads() {}

  static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  /** As many threads as run at a time, for callbacks that may block. */
  static ExecutorService pool(String name) {
    return Executors.newCachedThreadPool(task -> daemon(task, name));
  }

  static ScheduledExecutorService timer(String name) {
    ScheduledThreadPoolExecutor timer =
        new ScheduledThreadPoolExecutor(1, task -> daemon(task, name));
    timer.setRemoveOnCancelPolicy(true);
    return timer;
  }
}
