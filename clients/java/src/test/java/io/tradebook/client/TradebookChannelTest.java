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
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.EchoRequest;
import io.tradebook.v1.EchoResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
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
