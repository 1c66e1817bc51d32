package io.tradebook.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnsafeByteOperations;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tradebook.v1.Reply;
import io.tradebook.v1.Request;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * A call with one answer. It is sent again, with the same request id, when the connection is lost
 * or the server is unavailable, until its deadline.
 */
final class UnaryCall<ReqT, RespT> extends LocalCall<ReqT, RespT> implements Exchange.Attempt {
  private static final long FIRST_PAUSE_MILLIS = 5;
  private static final long LONGEST_PAUSE_MILLIS = 500;

  private final Exchange exchange;
  private final Executor executor;
  private final Backoff backoff = new Backoff(FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS);

  /** All of the envelope but the time, which is what is left when it is sent. */
  private Request envelope;

  private boolean isAsked;
  private ByteString payload;

  UnaryCall(
      TradebookChannel channel,
      MethodDescriptor<ReqT, RespT> method,
      CallOptions options,
      Executor executor) {
    super(channel, method, options, executor);
    this.exchange = channel.exchange();
    this.executor = executor;
  }

  @Override
  Deadline defaultDeadline() {
    return Deadline.after(channel.defaultTimeoutMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  Status expire() {
    Status status = exchange.isReached() ? unanswered() : unreached();
    exchange.expire(this);
    return status;
  }

  private Status unreached() {
    Exception failure = exchange.lastFailure();
    return Status.UNAVAILABLE
        .withDescription(
            "%s: no connection to %s within the deadline (%s); is the server running there?"
                .formatted(
                    method.getFullMethodName(),
                    channel.authority(),
                    failure != null ? failure.getMessage() : "it was not reached yet"))
        .withCause(failure);
  }

  private Status unanswered() {
    String advice =
        method.isSafe()
            ? ""
            : "; whether it took effect is open, calling again with the same request id is safe and"
                + " tells";
    return Status.DEADLINE_EXCEEDED.withDescription(
        "%s: no answer from %s within the deadline%s"
            .formatted(method.getFullMethodName(), channel.authority(), advice));
  }

  @Override
  void launch(Metadata headers, ReqT message) {
    CallCredentials credentials = options.getCredentials();
    if (credentials == null) {
      submit(headers, message);
      return;
    }
    credentials.applyRequestMetadata(
        channel.requestInfo(method),
        executor,
        new CallCredentials.MetadataApplier() {
          @Override
          public void apply(Metadata more) {
            headers.merge(more);
            submit(headers, message);
          }

          @Override
          public void fail(Status status) {
            UnaryCall.this.fail(status);
          }
        });
  }

  private void submit(Metadata headers, ReqT message) {
    channel.addHeaders(headers);
    Request.Builder request =
        Request.newBuilder()
            .setMethod("/" + method.getFullMethodName())
            .setPayload(serialised(message));
    byte[] requestId = headers.get(Envelopes.REQUEST_ID);
    if (requestId != null) {
      request.setRequestId(ByteString.copyFrom(requestId));
    } else if (!method.isSafe()) {
      request.setRequestId(RequestIds.next());
    }
    Envelopes.putHeaders(headers, request);
    envelope = request.buildPartial();
    submit();
  }

  private ByteString serialised(ReqT message) {
    try (InputStream stream = method.streamRequest(message)) {
      return UnsafeByteOperations.unsafeWrap(stream.readAllBytes());
    } catch (IOException e) {
      throw Status.INTERNAL
          .withDescription(method.getFullMethodName() + ": the request cannot be serialised")
          .withCause(e)
          .asRuntimeException();
    }
  }

  private void submit() {
    exchange.submit(this);
    if (hasEnded()) {
      exchange.forget(this);
    }
  }

  @Override
  public byte[] body() {
    long left = Math.max(1, deadline().timeRemaining(TimeUnit.MILLISECONDS));
    return envelope.toBuilder().setTimeoutMs(left).build().toByteArray();
  }

  @Override
  public void replied(byte[] body) {
    try {
      Reply reply = Envelopes.parse(body);
      if (Envelopes.isOk(reply)) {
        answer(reply.getPayload());
        return;
      }
      StatusRuntimeException failure = Envelopes.failure(reply);
      if (failure.getStatus().getCode() != Status.Code.UNAVAILABLE || !sendAgain()) {
        fail(failure);
      }
    } catch (InvalidProtocolBufferException e) {
      fail(
          Status.INTERNAL
              .withDescription(
                  method.getFullMethodName()
                      + ": the answer cannot be read; is the server a tradebook server?")
              .withCause(e));
    }
  }

  @Override
  public void lost() {
    sendAgain();
  }

  /** Answers whether there is time for it; if not, the deadline ends the call. */
  private boolean sendAgain() {
    long pause = backoff.next();
    if (deadline().timeRemaining(TimeUnit.MILLISECONDS) <= pause) {
      return false;
    }
    channel.timer().schedule((Runnable) this::submit, pause, TimeUnit.MILLISECONDS);
    return true;
  }

  private synchronized void answer(ByteString response) {
    payload = response;
    finishIfAsked();
  }

  @Override
  public synchronized void request(int count) {
    isAsked = true;
    finishIfAsked();
  }

  private void finishIfAsked() {
    if (isAsked && payload != null) {
      end(this::deliverAnswer);
    }
  }

  private void deliverAnswer() {
    Status status = Status.OK;
    try {
      deliverHeaders();
      deliver(method.parseResponse(payload.newInput()));
    } catch (StatusRuntimeException e) {
      status = e.getStatus();
    } catch (RuntimeException e) {
      status = Status.CANCELLED.withDescription("the caller failed on the response").withCause(e);
    }
    deliverEnd(status, new Metadata());
  }

  @Override
  void abandon() {
    channel.closed(this);
    exchange.forget(this);
  }
}
