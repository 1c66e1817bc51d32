package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.EchoRequest;
import io.tradebook.v1.EchoResponse;
import io.tradebook.v1.Event;
import io.tradebook.v1.EventServiceGrpc;
import io.tradebook.v1.SubscribeRequest;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TradebookChannelTest {
  private static final EchoRequest ECHO = EchoRequest.getDefaultInstance();

  private static Status.Code codeOf(Runnable call) {
    return assertThrows(StatusRuntimeException.class, call::run).getStatus().getCode();
  }

  @Test
  void shutdownLetsCallsEndAndRefusesNewOnes() throws Exception {
    CompletableFuture<FakeServer.Call> held = new CompletableFuture<>();
    try (FakeServer server = new FakeServer(held::complete);
        TradebookChannel channel = TradebookChannel.builder(server.address()).build()) {
      ListenableFuture<EchoResponse> answer = AdminServiceGrpc.newFutureStub(channel).echo(ECHO);
      FakeServer.Call call = held.get();
      channel.shutdown();
      assertTrue(channel.isShutdown());
      assertFalse(channel.isTerminated());
      assertEquals(
          Status.Code.UNAVAILABLE,
          codeOf(() -> AdminServiceGrpc.newBlockingStub(channel).echo(ECHO)));
      call.ok(EchoResponse.getDefaultInstance());
      answer.get();
      assertTrue(channel.awaitTermination(10, TimeUnit.SECONDS));
      assertTrue(channel.isTerminated());
    }
  }

  @Test
  void shutdownNowEndsCalls() throws Exception {
    CompletableFuture<FakeServer.Call> held = new CompletableFuture<>();
    try (FakeServer server = new FakeServer(held::complete);
        TradebookChannel channel = TradebookChannel.builder(server.address()).build()) {
      ListenableFuture<EchoResponse> answer = AdminServiceGrpc.newFutureStub(channel).echo(ECHO);
      held.get();
      channel.shutdownNow();
      Exception failure = assertThrows(Exception.class, answer::get);
      assertEquals(Status.Code.UNAVAILABLE, Status.fromThrowable(failure).getCode());
      assertTrue(channel.awaitTermination(10, TimeUnit.SECONDS));
    }
  }

  @Test
  void closingEndsAllThreads() throws Exception {
    FakeBook book = new FakeBook();
    Set<Thread> before = threads();
    try (FakeServer server = new FakeServer(book);
        FakePublisher publisher = new FakePublisher()) {
      TradebookChannel channel =
          TradebookChannel.builder(server.address()).eventsAddress(publisher.address()).build();
      CompletableFuture<Void> end = new CompletableFuture<>();
      EventServiceGrpc.newStub(channel)
          .subscribe(
              SubscribeRequest.newBuilder().setAfterSequence(0).build(),
              new StreamObserver<Event>() {
                @Override
                public void onNext(Event event) {}

                @Override
                public void onError(Throwable failure) {
                  end.complete(null);
                }

                @Override
                public void onCompleted() {}
              });
      book.lists.take();
      channel.close();
      assertTrue(channel.isTerminated());
      end.join();
      for (Thread thread : threads()) {
        // Those of the pool wait for more work for some time.
        if (!before.contains(thread) && !thread.getName().equals("tradebook callbacks")) {
          thread.join();
        }
      }
    }
  }

  private static Set<Thread> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("tradebook"))
        .collect(Collectors.toSet());
  }

  @Test
  void otherStreamsAreUnimplemented() throws Exception {
    try (FakeServer server = new FakeServer(call -> {});
        TradebookChannel channel = TradebookChannel.builder(server.address()).build()) {
      HealthCheckRequest request = HealthCheckRequest.getDefaultInstance();
      assertEquals(
          Status.Code.UNIMPLEMENTED,
          codeOf(() -> HealthGrpc.newBlockingStub(channel).watch(request).next()));
    }
  }

  @Test
  void aTimeoutOfNothingIsRefused() {
    TradebookChannelBuilder builder = TradebookChannel.builder("tcp://127.0.0.1:7601");
    assertThrows(IllegalArgumentException.class, () -> builder.defaultTimeout(Duration.ofNanos(1)));
  }
}
