package io.tradebook.client;

import com.google.common.util.concurrent.MoreExecutors;
import io.grpc.CallOptions;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.tradebook.v1.Event;
import io.tradebook.v1.EventServiceGrpc;
import io.tradebook.v1.EventServiceGrpc.EventServiceBlockingStub;
import io.tradebook.v1.SubscribeRequest;
import java.util.concurrent.Executor;

/**
 * EventService/Subscribe, which no server knows: a thread that makes the stream from ListEvents and
 * the events address, event by event as the caller asks for them.
 */
final class SubscribeCall<ReqT, RespT> extends LocalCall<ReqT, RespT> {
  private static final MethodDescriptor<SubscribeRequest, Event> SUBSCRIBE =
      EventServiceGrpc.getSubscribeMethod();

  private final Bell bell = new Bell();
  private final Progress progress = new Progress(bell);
  private Thread thread;

  SubscribeCall(
      TradebookChannel channel,
      MethodDescriptor<ReqT, RespT> method,
      CallOptions options,
      Executor executor) {
    super(channel, method, options, MoreExecutors.newSequentialExecutor(executor));
  }

  static boolean isSubscribe(MethodDescriptor<?, ?> method) {
    return method.getFullMethodName().equals(SUBSCRIBE.getFullMethodName());
  }

  @Override
  Deadline defaultDeadline() {
    return null;
  }

  @Override
  Status expire() {
    return Status.DEADLINE_EXCEEDED.withDescription("the deadline of the stream is over");
  }

  @Override
  public void request(int count) {
    progress.ask(count);
  }

  @Override
  synchronized void launch(Metadata headers, ReqT message) {
    progress.begin();
    if (!hasEnded()) {
      // Through the marshallers, which an interceptor may have changed; those of the generated
      // code hand the message itself over.
      SubscribeRequest request = SUBSCRIBE.parseRequest(method.streamRequest(message));
      thread = Threads.daemon(() -> run(headers, request), "tradebook events");
      thread.start();
    }
  }

  @Override
  synchronized void abandon() {
    if (thread == null) {
      channel.closed(this);
    } else {
      thread.interrupt();
    }
  }

  private void run(Metadata headers, SubscribeRequest request) {
    try (Doorbell doorbell =
        channel.doorbell(request.hasSymbol() ? request.getSymbol() : null, bell)) {
      EventFeed feed =
          new EventFeed(
              stub(headers), request, bell, progress, doorbell, channel.defaultTimeoutMillis());
      try {
        follow(feed);
      } catch (StatusRuntimeException e) {
        fail(e);
      } catch (InterruptedException e) {
        // The call has ended.
      }
      // What ended the stream is not to end this.
      Thread.interrupted();
      feed.commitAtEnd();
    } finally {
      channel.closed(this);
    }
  }

  private EventServiceBlockingStub stub(Metadata headers) {
    Metadata forwarded = new Metadata();
    forwarded.merge(headers);
    forwarded.removeAll(Envelopes.REQUEST_ID);
    return EventServiceGrpc.newBlockingStub(channel.unconditional())
        .withCallCredentials(options.getCredentials())
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(forwarded));
  }

  private void follow(EventFeed feed) throws InterruptedException {
    feed.findPlace();
    // Tells who listens that no later event is missed.
    callback(this::deliverHeaders);
    while (!Thread.interrupted()) {
      awaitRequest();
      feed.commitInTime();
      Event event = feed.next();
      RespT response = method.parseResponse(SUBSCRIBE.streamResponse(event));
      progress.deliver(event.getSequence());
      callback(() -> receive(response));
    }
  }

  private void awaitRequest() throws InterruptedException {
    while (true) {
      long seen = bell.rings();
      if (progress.isAsked()) {
        return;
      }
      bell.await(seen, Long.MAX_VALUE / 2_000_000);
    }
  }

  private void receive(RespT response) {
    progress.receive();
    try {
      deliver(response);
    } catch (RuntimeException e) {
      fail(Status.CANCELLED.withDescription("the caller failed on an event").withCause(e));
    } finally {
      progress.received();
    }
  }
}
