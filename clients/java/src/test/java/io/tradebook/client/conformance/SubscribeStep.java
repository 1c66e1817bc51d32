package io.tradebook.client.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.tradebook.v1.Event;
import io.tradebook.v1.EventServiceGrpc;
import io.tradebook.v1.SubscribeRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A stream that is read in the background. */
final class SubscribeStep implements StreamObserver<Event> {
  private static final long WAIT_SECONDS_MAX = 60;

  private final ClientCall<SubscribeRequest, Event> call;
  private final List<Event> events = new ArrayList<>();
  private final CompletableFuture<StatusRuntimeException> end = new CompletableFuture<>();

  SubscribeStep(ManagedChannel channel, JsonObject step) throws InvalidProtocolBufferException {
    SubscribeRequest.Builder request = SubscribeRequest.newBuilder();
    JsonFormat.parser().merge(step.get("subscribe").toString(), request);
    call =
        channel.newCall(
            EventServiceGrpc.getSubscribeMethod(), CallStep.withTimeout(CallOptions.DEFAULT, step));
    ClientCalls.asyncServerStreamingCall(call, request.build(), this);
  }

  @Override
  public synchronized void onNext(Event event) {
    events.add(event);
    notifyAll();
  }

  @Override
  public void onError(Throwable failure) {
    StatusRuntimeException status = (StatusRuntimeException) failure;
    end.complete(status);
    wake();
  }

  @Override
  public void onCompleted() {
    end.complete(Status.OK.asRuntimeException());
    wake();
  }

  private synchronized void wake() {
    notifyAll();
  }

  /** Waits until so many events have come, or the stream has ended. */
  synchronized void awaitEvents(int count) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS_MAX);
    while (events.size() < count && !this.end.isDone()) {
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (left <= 0) {
        throw new AssertionError("%d of %d events came in time".formatted(events.size(), count));
      }
      wait(left);
    }
  }

  /** Waits until the stream ends by itself, or cancels it. */
  Outcome awaitEnd(boolean byItself) throws Exception {
    if (!byItself) {
      if (end.isDone()) {
        throw new AssertionError("the stream has ended by itself", end.get());
      }
      call.cancel("all has come", null);
    }
    try {
      return Outcome.failure(end.get(WAIT_SECONDS_MAX, TimeUnit.SECONDS));
    } catch (TimeoutException e) {
      throw new AssertionError("the stream does not end", e);
    }
  }

  /** The events that came, as JSON. */
  synchronized JsonArray events() throws InvalidProtocolBufferException {
    JsonArray list = new JsonArray();
    for (Event event : events) {
      list.add(JsonParser.parseString(Methods.json(event)));
    }
    return list;
  }

  static JsonElement sequences(JsonArray events) {
    JsonArray sequences = new JsonArray();
    events.forEach(event -> sequences.add(event.getAsJsonObject().get("sequence").getAsLong()));
    return sequences;
  }
}
