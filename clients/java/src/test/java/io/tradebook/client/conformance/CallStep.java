package io.tradebook.client.conformance;

import com.google.gson.JsonObject;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptors;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** One call, as the generated stubs make it. */
final class CallStep {
  private static final Metadata.Key<byte[]> REQUEST_ID =
      Metadata.Key.of("x-request-id-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final Channel channel;
  private final MethodDescriptor<Message, Message> method;
  private final CallOptions options;
  private final Message request;

  CallStep(Channel plain, JsonObject step) throws InvalidProtocolBufferException {
    channel =
        ClientInterceptors.intercept(
            plain, MetadataUtils.newAttachHeadersInterceptor(headers(step)));
    method = Methods.find(step.get("call").getAsString());
    options = withTimeout(CallOptions.DEFAULT, step);
    request = Methods.request(method, Suite.object(step, "request").toString());
  }

  static CallOptions withTimeout(CallOptions options, JsonObject step) {
    return step.has("timeout_ms")
        ? options.withDeadlineAfter(step.get("timeout_ms").getAsLong(), TimeUnit.MILLISECONDS)
        : options;
  }

  private static Metadata headers(JsonObject step) {
    Metadata headers = new Metadata();
    Suite.object(step, "metadata")
        .entrySet()
        .forEach(
            entry ->
                headers.put(
                    Metadata.Key.of(entry.getKey(), Metadata.ASCII_STRING_MARSHALLER),
                    entry.getValue().getAsString()));
    if (step.has("request_id")) {
      headers.put(REQUEST_ID, HexFormat.of().parseHex(step.get("request_id").getAsString()));
    }
    return headers;
  }

  /** As a blocking stub does. */
  Outcome make() {
    try {
      return Outcome.success(ClientCalls.blockingUnaryCall(channel, method, options, request));
    } catch (StatusRuntimeException e) {
      return Outcome.failure(e);
    }
  }

  /** A call that is under way. */
  record Started(ClientCall<Message, Message> call, CompletableFuture<Outcome> outcome) {}

  /** As a stub with callbacks does. */
  Started start() {
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    ClientCall<Message, Message> call = channel.newCall(method, options);
    ClientCalls.asyncUnaryCall(
        call,
        request,
        new StreamObserver<Message>() {
          private Message response;

          @Override
          public void onNext(Message message) {
            response = message;
          }

          @Override
          public void onError(Throwable failure) {
            outcome.complete(Outcome.failure((StatusRuntimeException) failure));
          }

          @Override
          public void onCompleted() {
            outcome.complete(Outcome.success(response));
          }
        });
    return new Started(call, outcome);
  }
}
