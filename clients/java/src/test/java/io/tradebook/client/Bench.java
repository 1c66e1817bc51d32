package io.tradebook.client;

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.ByteString;
import io.grpc.Channel;
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.CreateSignalRequest;
import io.tradebook.v1.Direction;
import io.tradebook.v1.EchoRequest;
import io.tradebook.v1.Signal;
import io.tradebook.v1.SignalServiceGrpc;
import io.tradebook.v1.Tier;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/** Measures calls in a closed loop: each answer starts the next call. */
final class Bench {
  private static final int WARMUP_CALLS = 20_000;
  private static final int[] IN_FLIGHT = {1, 64};

  private Bench() {}

  /** Arguments: the address, and how many calls to measure (default 20,000). */
  public static void main(String[] arguments) throws Exception {
    int calls = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 20_000;
    try (TradebookChannel channel = TradebookChannel.builder(arguments[0]).build()) {
      System.out.println("call          in flight    calls/s    p50 µs    p99 µs");
      for (int inFlight : IN_FLIGHT) {
        measure("Echo", inFlight, calls, echo(channel, inFlight));
        measure("CreateSignal", inFlight, calls, createSignal(channel, inFlight));
      }
    }
  }

  /** With one call in flight by a blocking stub, with more by one that gives futures. */
  private static Supplier<ListenableFuture<?>> echo(Channel channel, int inFlight) {
    EchoRequest request =
        EchoRequest.newBuilder().setPayload(ByteString.copyFrom(new byte[128])).build();
    var blocking = AdminServiceGrpc.newBlockingStub(channel);
    var future = AdminServiceGrpc.newFutureStub(channel);
    return inFlight == 1
        ? () -> Futures.immediateFuture(blocking.echo(request))
        : () -> future.echo(request);
  }

  private static Supplier<ListenableFuture<?>> createSignal(Channel channel, int inFlight) {
    Signal signal =
        Signal.newBuilder()
            .setSymbol("BTC-USD")
            .setDirection(Direction.DIRECTION_LONG)
            .setConfidence(0.72)
            .setTier(Tier.TIER_HIGH)
            .setEnsemblePrediction(0.64)
            .setModelVersion("bench")
            .build();
    CreateSignalRequest request = CreateSignalRequest.newBuilder().setSignal(signal).build();
    var blocking = SignalServiceGrpc.newBlockingStub(channel);
    var future = SignalServiceGrpc.newFutureStub(channel);
    return inFlight == 1
        ? () -> Futures.immediateFuture(blocking.createSignal(request))
        : () -> future.createSignal(request);
  }

  private static void measure(
      String name, int inFlight, int calls, Supplier<ListenableFuture<?>> call) throws Exception {
    run(inFlight, WARMUP_CALLS, call);
    long startNanos = System.nanoTime();
    long[] nanos = run(inFlight, calls, call);
    double seconds = (System.nanoTime() - startNanos) / 1e9;
    Arrays.sort(nanos);
    System.out.printf(
        "%-12s %10d %10.0f %9.0f %9.0f%n",
        name, inFlight, calls / seconds, nanos[calls / 2] / 1e3, nanos[calls * 99 / 100] / 1e3);
  }

  /** Answers how long each call took. */
  private static long[] run(int inFlight, int calls, Supplier<ListenableFuture<?>> call)
      throws Exception {
    Loop loop = new Loop(calls, call);
    if (inFlight == 1) {
      loop.callInTurn();
    } else {
      for (int i = 0; i < inFlight; i++) {
        loop.callNext();
      }
      loop.done.await();
    }
    if (loop.failure.get() != null) {
      throw new IllegalStateException("a call has failed", loop.failure.get());
    }
    return loop.nanos;
  }

  private static final class Loop {
    final long[] nanos;
    final CountDownLatch done;
    final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Supplier<ListenableFuture<?>> call;
    private final AtomicInteger started = new AtomicInteger();

    Loop(int calls, Supplier<ListenableFuture<?>> call) {
      this.nanos = new long[calls];
      this.done = new CountDownLatch(calls);
      this.call = call;
    }

    void callInTurn() {
      for (int i = 0; i < nanos.length; i++) {
        long start = System.nanoTime();
        call.get();
        nanos[i] = System.nanoTime() - start;
      }
    }

    void callNext() {
      int index = started.getAndIncrement();
      if (index < nanos.length) {
        long start = System.nanoTime();
        Futures.addCallback(
            call.get(),
            new FutureCallback<Object>() {
              @Override
              public void onSuccess(Object response) {
                finish(index, start);
              }

              @Override
              public void onFailure(Throwable thrown) {
                failure.compareAndSet(null, thrown);
                finish(index, start);
              }
            },
            Runnable::run);
      }
    }

    private void finish(int index, long start) {
      nanos[index] = System.nanoTime() - start;
      done.countDown();
      callNext();
    }
  }
}
