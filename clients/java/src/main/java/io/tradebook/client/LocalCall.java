package io.tradebook.client;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * What all calls share: they take one request message, and end exactly once, by their answer, their
 * deadline or cancellation, whichever is first. Callbacks run on the executor of the call.
 */
abstract class LocalCall<ReqT, RespT> extends ClientCall<ReqT, RespT> {
  private static final Logger LOGGER = Logger.getLogger(LocalCall.class.getName());

  final TradebookChannel channel;
  final MethodDescriptor<ReqT, RespT> method;
  final CallOptions options;

  private final Executor executor;
  private final Context context = Context.current();
  private final Context.CancellationListener contextListener =
      cancelled -> fail(Contexts.statusFromCancelled(cancelled));
  private final AtomicBoolean hasEnded = new AtomicBoolean();

  private Listener<RespT> listener;
  private Metadata headers;
  private ReqT message;
  private Deadline deadline;
  private volatile ScheduledFuture<?> expiry;

  LocalCall(
      TradebookChannel channel,
      MethodDescriptor<ReqT, RespT> method,
      CallOptions options,
      Executor executor) {
    this.channel = channel;
    this.method = method;
    this.options = options;
    this.executor = executor;
  }

  /** Begins the call; it has its message. */
  abstract void launch(Metadata headers, ReqT message);

  /** The call has ended; what runs for it may stop. */
  abstract void abandon();

  /** The deadline of a call whose caller gives none; null for none. */
  abstract Deadline defaultDeadline();

  /** The deadline is over; answers what that means. */
  abstract Status expire();

  @Override
  public final void start(Listener<RespT> newListener, Metadata newHeaders) {
    listener = newListener;
    headers = newHeaders;
    channel.opened(this);
    deadline = earliest(options.getDeadline(), context.getDeadline());
    if (deadline == null) {
      deadline = defaultDeadline();
    }
    if (deadline != null && deadline.isExpired()) {
      fail(expire());
    } else if (deadline != null) {
      expiry = deadline.runOnExpiration(() -> fail(expire()), channel.timer());
    }
    context.addListener(contextListener, Runnable::run);
    if (hasEnded()) {
      release();
    }
  }

  private static Deadline earliest(Deadline one, Deadline other) {
    if (one == null || other == null) {
      return one == null ? other : one;
    }
    return one.minimum(other);
  }

  /** Null when the call has none. */
  final Deadline deadline() {
    return deadline;
  }

  @Override
  public final void sendMessage(ReqT newMessage) {
    message = newMessage;
  }

  @Override
  public final void halfClose() {
    if (!hasEnded()) {
      launch(headers, message);
    }
  }

  @Override
  public final void cancel(String reason, Throwable cause) {
    if (listener != null) {
      fail(
          Status.CANCELLED
              .withDescription(reason != null ? reason : "the caller has cancelled the call")
              .withCause(cause != null ? cause : new CancellationException()));
    }
  }

  final boolean hasEnded() {
    return hasEnded.get();
  }

  final void fail(StatusRuntimeException failure) {
    Metadata trailers = failure.getTrailers();
    fail(failure.getStatus(), trailers != null ? trailers : new Metadata());
  }

  final void fail(Status status) {
    fail(status, new Metadata());
  }

  private void fail(Status status, Metadata trailers) {
    end(() -> listener.onClose(status, trailers));
  }

  /** Ends the call with these callbacks, unless it has ended already. */
  final void end(Runnable callbacks) {
    if (hasEnded.compareAndSet(false, true)) {
      release();
      // Before the channel may know that its last call has ended, and stop its threads.
      callback(callbacks);
      abandon();
    }
  }

  private void release() {
    ScheduledFuture<?> running = expiry;
    if (running != null) {
      running.cancel(false);
    }
    context.removeListener(contextListener);
  }

  /** Runs on the executor of the call, in the context in which the call was made. */
  final void callback(Runnable task) {
    try {
      executor.execute(context.wrap(task));
    } catch (RuntimeException e) {
      // A direct executor lets through what the caller throws, one that was shut down refuses.
      LOGGER.log(Level.WARNING, method.getFullMethodName() + ": a callback has failed", e);
    }
  }

  /** Hands a message to the caller. */
  final void deliver(RespT response) {
    listener.onMessage(response);
  }

  final void deliverHeaders() {
    listener.onHeaders(new Metadata());
  }

  /** Tells the caller how the call ended. */
  final void deliverEnd(Status status, Metadata trailers) {
    listener.onClose(status, trailers);
  }
}
