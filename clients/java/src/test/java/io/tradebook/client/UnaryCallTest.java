package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.ByteString;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.Code;
import io.tradebook.v1.CreateSignalRequest;
import io.tradebook.v1.EchoRequest;
import io.tradebook.v1.EchoResponse;
import io.tradebook.v1.Reply;
import io.tradebook.v1.Request;
import io.tradebook.v1.Signal;
import io.tradebook.v1.SignalServiceGrpc;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class UnaryCallTest {
  private static final EchoRequest ECHO = echoOf("hello");
  private static final CreateSignalRequest CREATE = CreateSignalRequest.getDefaultInstance();

  private static EchoRequest echoOf(String text) {
    return EchoRequest.newBuilder().setPayload(ByteString.copyFromUtf8(text)).build();
  }

  /** Answers an Echo as the server does. */
  private static void echo(FakeServer.Call call) throws IOException {
    EchoRequest request = EchoRequest.parseFrom(call.request().getPayload());
    call.ok(EchoResponse.newBuilder().setPayload(request.getPayload()).build());
  }

  private static TradebookChannel channelTo(FakePeer server) {
    return TradebookChannel.builder(server.address()).build();
  }

  private static AdminServiceGrpc.AdminServiceBlockingStub admin(TradebookChannel channel) {
    return AdminServiceGrpc.newBlockingStub(channel);
  }

  private static StatusRuntimeException failureOf(Runnable call) {
    return assertThrows(StatusRuntimeException.class, call::run);
  }

  // --- the envelope ---

  @Test
  void aWriteHasMethodTimeAndIdAndAReadHasNoId() throws Exception {
    try (FakeServer server = new FakeServer(call -> call.ok(Signal.getDefaultInstance()));
        TradebookChannel channel = channelTo(server)) {
      SignalServiceGrpc.newBlockingStub(channel)
          .withDeadlineAfter(5, TimeUnit.SECONDS)
          .createSignal(CREATE);
      admin(channel).echo(EchoRequest.getDefaultInstance());
      Request write = server.requests().get(0);
      assertEquals("/tradebook.v1.SignalService/CreateSignal", write.getMethod());
      assertEquals(CREATE.toByteString(), write.getPayload());
      assertTrue(write.getTimeoutMs() > 0 && write.getTimeoutMs() <= 5000);
      assertEquals(16, write.getRequestId().size());
      assertEquals(0, write.getMetadataCount());
      Request read = server.requests().get(1);
      assertFalse(read.hasRequestId());
      assertTrue(read.getTimeoutMs() > 5000 && read.getTimeoutMs() <= 10_000);
    }
  }

  @Test
  void metadataIsSentButTheRequestIdHasItsOwnPlace() throws Exception {
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of("Trace-Id", Metadata.ASCII_STRING_MARSHALLER), "t1");
    headers.put(Metadata.Key.of("trace-id", Metadata.ASCII_STRING_MARSHALLER), "t2");
    byte[] bytes = {0, (byte) 255};
    headers.put(Metadata.Key.of("raw-bin", Metadata.BINARY_BYTE_MARSHALLER), bytes);
    headers.put(Envelopes.REQUEST_ID, "0123456789abcdef".getBytes());
    try (FakeServer server = new FakeServer(call -> call.ok(Signal.getDefaultInstance()));
        TradebookChannel channel =
            TradebookChannel.builder(server.address()).clientId("bot").token("secret").build()) {
      SignalServiceGrpc.newBlockingStub(channel)
          .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
          .createSignal(CREATE);
      Request request = server.requests().get(0);
      assertEquals("0123456789abcdef", request.getRequestId().toStringUtf8());
      Map<String, List<ByteString>> sent =
          request.getMetadataList().stream()
              .collect(
                  Collectors.groupingBy(
                      entry -> entry.getKey(),
                      Collectors.mapping(entry -> entry.getValue(), Collectors.toList())));
      assertEquals(
          Map.of(
              "trace-id", List.of(ByteString.copyFromUtf8("t1"), ByteString.copyFromUtf8("t2")),
              "raw-bin", List.of(ByteString.copyFrom(bytes)),
              "client-id", List.of(ByteString.copyFromUtf8("bot")),
              "authorization", List.of(ByteString.copyFromUtf8("Bearer secret"))),
          sent);
    }
  }

  private static CallCredentials credentials(Status failure) {
    return new CallCredentials() {
      @Override
      public void applyRequestMetadata(
          RequestInfo info, Executor executor, MetadataApplier applier) {
        Metadata headers = new Metadata();
        headers.put(Envelopes.AUTHORIZATION, info.getMethodDescriptor().getBareMethodName());
        executor.execute(
            () -> {
              if (failure == null) {
                applier.apply(headers);
              } else {
                applier.fail(failure);
              }
            });
      }
    };
  }

  @Test
  void callCredentialsAreAskedAndMayRefuse() throws Exception {
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      admin(channel).withCallCredentials(credentials(null)).echo(ECHO);
      assertEquals("Echo", server.requests().get(0).getMetadata(0).getValue().toStringUtf8());
      Status refusal = Status.UNAUTHENTICATED.withDescription("no token");
      StatusRuntimeException failure =
          failureOf(() -> admin(channel).withCallCredentials(credentials(refusal)).echo(ECHO));
      assertEquals(Status.Code.UNAUTHENTICATED, failure.getStatus().getCode());
      assertEquals(1, server.requests().size());
    }
  }

  // --- answers ---

  @Test
  void allKindsOfStubsGetTheAnswer() throws Exception {
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      assertEquals("hello", admin(channel).echo(ECHO).getPayload().toStringUtf8());
      assertEquals(
          "hello",
          AdminServiceGrpc.newFutureStub(channel).echo(ECHO).get().getPayload().toStringUtf8());
      CompletableFuture<String> heard = new CompletableFuture<>();
      AdminServiceGrpc.newStub(channel)
          .echo(
              ECHO,
              new StreamObserver<EchoResponse>() {
                private String text;

                @Override
                public void onNext(EchoResponse response) {
                  text = response.getPayload().toStringUtf8();
                }

                @Override
                public void onError(Throwable failure) {
                  heard.completeExceptionally(failure);
                }

                @Override
                public void onCompleted() {
                  heard.complete(text);
                }
              });
      assertEquals("hello", heard.get());
    }
  }

  @Test
  void callbacksRunOnTheExecutorOfTheCall() throws Exception {
    BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      ListenableFuture<EchoResponse> answer =
          AdminServiceGrpc.newFutureStub(channel).withExecutor(tasks::add).echo(ECHO);
      Runnable task = tasks.take();
      assertFalse(answer.isDone());
      task.run();
      assertTrue(answer.isDone());
    }
  }

  @Test
  void repliesFindTheirCallsInAnyOrder() throws Exception {
    List<FakeServer.Call> held = new ArrayList<>();
    try (FakeServer server =
            new FakeServer(
                call -> {
                  held.add(call);
                  if (held.size() == 100) {
                    for (int i = 99; i >= 0; i--) {
                      echo(held.get(i));
                    }
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      List<ListenableFuture<EchoResponse>> answers = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        answers.add(AdminServiceGrpc.newFutureStub(channel).echo(echoOf("call " + i)));
      }
      for (int i = 0; i < 100; i++) {
        assertEquals("call " + i, answers.get(i).get().getPayload().toStringUtf8());
      }
      assertEquals(1, server.pipes().size());
    }
  }

  @Test
  void moreCallsThanAConnectionTakesWait() throws Exception {
    BlockingQueue<FakeServer.Call> received = new LinkedBlockingQueue<>();
    try (FakeServer server = new FakeServer(received::add);
        TradebookChannel channel = channelTo(server)) {
      List<ListenableFuture<EchoResponse>> answers = new ArrayList<>();
      for (int i = 0; i < Exchange.IN_FLIGHT_MAX + 2; i++) {
        answers.add(AdminServiceGrpc.newFutureStub(channel).echo(ECHO));
      }
      List<FakeServer.Call> held = new ArrayList<>();
      while (held.size() < Exchange.IN_FLIGHT_MAX) {
        held.add(received.take());
      }
      assertNull(received.poll(50, TimeUnit.MILLISECONDS));
      echo(held.get(0));
      echo(received.take());
      // One that is cancelled makes room, too.
      answers.get(1).cancel(true);
      echo(received.take());
      answers.get(Exchange.IN_FLIGHT_MAX + 1).get();
    }
  }

  @Test
  void aLargeMessageGoesBothWays() throws Exception {
    byte[] large = new byte[5_000_000];
    large[4_999_999] = 7;
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      EchoRequest request = EchoRequest.newBuilder().setPayload(ByteString.copyFrom(large)).build();
      assertArrayEquals(large, admin(channel).echo(request).getPayload().toByteArray());
    }
  }

  @Test
  void aMessageWaitsUntilItIsAskedFor() throws Exception {
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      BlockingQueue<String> heard = new LinkedBlockingQueue<>();
      ClientCall<EchoRequest, EchoResponse> call =
          channel.newCall(AdminServiceGrpc.getEchoMethod(), CallOptions.DEFAULT);
      call.start(
          new ClientCall.Listener<EchoResponse>() {
            @Override
            public void onMessage(EchoResponse message) {
              heard.add("message");
            }

            @Override
            public void onClose(Status status, Metadata trailers) {
              heard.add(status.getCode().name());
            }
          },
          new Metadata());
      call.sendMessage(ECHO);
      call.halfClose();
      // A later call on the same connection is answered after it.
      admin(channel).echo(ECHO);
      assertTrue(heard.isEmpty());
      call.request(1);
      assertEquals("message", heard.take());
      assertEquals("OK", heard.take());
    }
  }

  @Test
  void aCodeOfALaterVersionIsNoSuccess() throws Exception {
    byte[] code99 = {Reply.CODE_FIELD_NUMBER << 3, 99};
    try (FakeServer server = new FakeServer(call -> call.replyRaw(code99));
        TradebookChannel channel = channelTo(server)) {
      Status status = failureOf(() -> admin(channel).echo(ECHO)).getStatus();
      assertEquals(Status.Code.UNKNOWN, status.getCode());
    }
  }

  @Test
  void whatCannotBeReadIsInternal() throws Exception {
    byte[] garbage = {-1, -1, -1};
    Reply badPayload = Reply.newBuilder().setPayload(ByteString.copyFrom(garbage)).build();
    try (FakeServer server =
            new FakeServer(
                call -> {
                  if (call.number() == 1) {
                    call.replyRaw(garbage);
                  } else {
                    call.reply(badPayload);
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      Status first = failureOf(() -> admin(channel).echo(ECHO)).getStatus();
      assertEquals(Status.Code.INTERNAL, first.getCode());
      assertTrue(first.getDescription().contains("is the server a tradebook server?"));
      Status second = failureOf(() -> admin(channel).echo(ECHO)).getStatus();
      assertEquals(Status.Code.INTERNAL, second.getCode());
    }
  }

  // --- sending again ---

  @Test
  void aLostConnectionAndUnavailableAreTriedAgainWithTheSameId() throws Exception {
    try (FakeServer server =
            new FakeServer(
                call -> {
                  switch (call.number()) {
                    case 1 -> call.pipe().hangUp();
                    case 2 -> call.fail(Code.CODE_UNAVAILABLE, "not now");
                    default -> call.ok(Signal.newBuilder().setId(17).build());
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      assertEquals(17, SignalServiceGrpc.newBlockingStub(channel).createSignal(CREATE).getId());
      assertEquals(3, server.requests().size());
      assertEquals(1, server.requests().stream().map(Request::getRequestId).distinct().count());
      assertTrue(
          server.requests().get(2).getTimeoutMs() <= server.requests().get(0).getTimeoutMs());
    }
  }

  @Test
  void nothingElseIsTriedAgain() throws Exception {
    try (FakeServer server =
            new FakeServer(call -> call.fail(Code.forNumber(call.number()), "reason"));
        TradebookChannel channel = channelTo(server)) {
      List<Status.Code> codes = new ArrayList<>();
      for (int code = 1; code <= 13; code++) {
        StatusRuntimeException failure = failureOf(() -> admin(channel).echo(ECHO));
        assertEquals("reason", failure.getStatus().getDescription());
        codes.add(failure.getStatus().getCode());
      }
      assertEquals(13, codes.stream().distinct().count());
      assertEquals(13, server.requests().size());
    }
  }

  @Test
  void aServerThatStaysUnavailableIsToldInItsOwnWords() throws Exception {
    try (FakeServer server =
            new FakeServer(
                call -> {
                  if (call.number() == 1) {
                    echo(call);
                  } else {
                    call.fail(Code.CODE_UNAVAILABLE, "locked by another");
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      admin(channel).echo(ECHO); // There is a connection now.
      Status status =
          failureOf(() -> admin(channel).withDeadlineAfter(500, TimeUnit.MILLISECONDS).echo(ECHO))
              .getStatus();
      assertEquals(Status.Code.UNAVAILABLE, status.getCode());
      assertEquals("locked by another", status.getDescription());
      assertTrue(server.requests().size() > 2);
    }
  }

  @Test
  void aServerThatIsNotThereIsUnavailable() throws Exception {
    String address;
    try (FakeServer gone = new FakeServer(UnaryCallTest::echo)) {
      address = gone.address();
    }
    try (TradebookChannel channel =
        TradebookChannel.builder(address).defaultTimeout(Duration.ofMillis(100)).build()) {
      Status status = failureOf(() -> admin(channel).echo(ECHO)).getStatus();
      assertEquals(Status.Code.UNAVAILABLE, status.getCode());
      assertTrue(status.getDescription().contains("is the server running there?"));
    }
  }

  @Test
  void aFrameThatCannotBeEndsTheConnection() throws Exception {
    try (FakeServer server =
            new FakeServer(
                call -> {
                  switch (call.number()) {
                    case 1 -> call.pipe().sendRaw((byte) 127); // and so on: far too long
                    case 2 -> call.pipe().send(new byte[] {1});
                    default -> echo(call);
                  }
                  if (call.number() == 1) {
                    call.pipe().sendRaw(new byte[7]);
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      assertEquals("hello", admin(channel).echo(ECHO).getPayload().toStringUtf8());
      assertEquals(3, server.pipes().size());
    }
  }

  // --- ends by the caller ---

  @Test
  void aCancelledCallIsCancelledAndItsLateReplyIsDropped() throws Exception {
    CompletableFuture<FakeServer.Call> first = new CompletableFuture<>();
    try (FakeServer server =
            new FakeServer(
                call -> {
                  if (call.number() == 1) {
                    first.complete(call);
                  } else {
                    echo(first.join());
                    echo(call);
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      ClientCall<EchoRequest, EchoResponse> call =
          channel.newCall(AdminServiceGrpc.getEchoMethod(), CallOptions.DEFAULT);
      ListenableFuture<EchoResponse> answer = ClientCalls.futureUnaryCall(call, ECHO);
      first.join();
      call.cancel("enough", null);
      Exception failure = assertThrows(Exception.class, answer::get);
      assertEquals(Status.Code.CANCELLED, Status.fromThrowable(failure).getCode());
      assertEquals("second", admin(channel).echo(echoOf("second")).getPayload().toStringUtf8());
    }
  }

  @Test
  void theContextEndsACall() throws Exception {
    CountDownLatch received = new CountDownLatch(1);
    try (FakeServer server = new FakeServer(call -> received.countDown());
        TradebookChannel channel = channelTo(server);
        Context.CancellableContext context = Context.current().withCancellation()) {
      ListenableFuture<EchoResponse> answer =
          context.call(() -> AdminServiceGrpc.newFutureStub(channel).echo(ECHO));
      received.await();
      context.cancel(new InterruptedException("the user has left"));
      Exception failure = assertThrows(Exception.class, answer::get);
      assertEquals(Status.Code.CANCELLED, Status.fromThrowable(failure).getCode());
    }
  }

  @Test
  void aDeadlineThatIsOverSendsNothing() throws Exception {
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      admin(channel).echo(ECHO);
      Status status =
          failureOf(() -> admin(channel).withDeadlineAfter(-1, TimeUnit.SECONDS).echo(ECHO))
              .getStatus();
      assertEquals(Status.Code.DEADLINE_EXCEEDED, status.getCode());
      admin(channel).echo(ECHO);
      assertEquals(2, server.requests().size());
    }
  }

  @Test
  void aPeerThatIsGoneWithoutAWordIsGivenUp() throws Exception {
    try (FakeServer server =
            new FakeServer(
                call -> {
                  if (call.number() != 2) {
                    echo(call);
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      admin(channel).echo(ECHO); // There is a connection now.
      Status status =
          failureOf(() -> admin(channel).withDeadlineAfter(1500, TimeUnit.MILLISECONDS).echo(ECHO))
              .getStatus();
      assertEquals(Status.Code.DEADLINE_EXCEEDED, status.getCode());
      admin(channel).echo(ECHO);
      assertEquals(2, server.pipes().size());
    }
  }

  @Test
  void cancellingKeepsAQuietConnection() throws Exception {
    try (FakeServer server =
            new FakeServer(
                call -> {
                  if (call.number() > 1) {
                    echo(call);
                  }
                });
        TradebookChannel channel = channelTo(server)) {
      ListenableFuture<EchoResponse> answer = AdminServiceGrpc.newFutureStub(channel).echo(ECHO);
      assertThrows(TimeoutException.class, () -> answer.get(1200, TimeUnit.MILLISECONDS));
      answer.cancel(true);
      admin(channel).echo(ECHO);
      assertEquals(1, server.pipes().size());
    }
  }

  @Test
  void anExecutorThatRefusesHarmsNoOtherCall() throws Exception {
    Executor refusing =
        task -> {
          throw new RejectedExecutionException("closed");
        };
    try (FakeServer server = new FakeServer(UnaryCallTest::echo);
        TradebookChannel channel = channelTo(server)) {
      AdminServiceGrpc.newFutureStub(channel).withExecutor(refusing).echo(ECHO);
      assertEquals("hello", admin(channel).echo(ECHO).getPayload().toStringUtf8());
      assertEquals(1, server.pipes().size());
    }
  }
}
