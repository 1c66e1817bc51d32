package io.tradebook.client;

import io.grpc.Attributes;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * A gRPC channel to a tradebook server, for the generated stubs of {@code io.tradebook.v1}.
 *
 * <p>It keeps one connection, on which any number of calls of any threads are under way, connects
 * in the background, and again when the connection is lost. A server that is away makes calls wait
 * for it until their deadline, and then fail with {@code UNAVAILABLE}.
 *
 * <p>Every call has a deadline: the caller's, or the default timeout of the channel. Until then it
 * is sent again when the connection is lost and when the server answers {@code UNAVAILABLE}; every
 * call that writes carries a request id by which the server does it once, however often it comes.
 * {@code DEADLINE_EXCEEDED} and {@code UNAVAILABLE} leave open whether a write took effect. To be
 * able to ask again, give the id yourself, 16 bytes in the metadata {@code x-request-id-bin}.
 *
 * <p>{@code EventService/Subscribe} is the stream of events of {@code event.proto}. The response
 * headers come when its place is known: no later event is missed. Other streams answer {@code
 * UNIMPLEMENTED}.
 *
 * <p>Callbacks run on the executor of the call, else on that of the channel.
 */
public final class TradebookChannel extends ManagedChannel implements AutoCloseable {
  private static final int REPLY_BYTES_MAX = 16 * 1024 * 1024;
  private static final long CLOSE_SECONDS_MAX = 5;

  private final TradebookChannelBuilder settings;
  private final ScheduledExecutorService timer = Threads.timer("tradebook timer");
  private final ExecutorService ownExecutor = Threads.pool("tradebook callbacks");
  private final Exchange exchange;
  private final Set<LocalCall<?, ?>> calls = ConcurrentHashMap.newKeySet();
  private final CountDownLatch terminated = new CountDownLatch(1);
  private volatile boolean isShutdown;

  /** Makes calls even when the channel is shut down, for streams that still run. */
  private final Channel unconditional = new UnaryChannel();

  TradebookChannel(TradebookChannelBuilder settings) {
    this.settings = settings;
    this.exchange =
        new Exchange(
            listener -> link(settings.address, Connection.Protocol.REQ, REPLY_BYTES_MAX, listener));
    exchange.start();
  }

  /**
   * Begins a channel to an address.
   *
   * @param address {@code tcp://HOST:PORT}, {@code tls+tcp://HOST:PORT} or {@code ipc:///PATH}
   * @return the settings of the channel, to be finished with {@code build()}
   * @throws IllegalArgumentException if the address is malformed
   */
  public static TradebookChannelBuilder builder(String address) {
    return new TradebookChannelBuilder(address);
  }

  private Link link(
      Address address, Connection.Protocol protocol, int frameBytesMax, Link.Listener listener) {
    return new Link(address, protocol, frameBytesMax, settings.tls, timer, listener);
  }

  @Override
  public <ReqT, RespT> ClientCall<ReqT, RespT> newCall(
      MethodDescriptor<ReqT, RespT> method, CallOptions options) {
    Executor executor = executor(options);
    if (isShutdown) {
      return new RefusedCall<>(
          Status.UNAVAILABLE.withDescription("the channel is shut down"), executor);
    }
    if (SubscribeCall.isSubscribe(method)) {
      return new SubscribeCall<>(this, method, options, executor);
    }
    if (method.getType() != MethodType.UNARY && method.getType() != MethodType.UNKNOWN) {
      return new RefusedCall<>(
          Status.UNIMPLEMENTED.withDescription(
              method.getFullMethodName() + ": a tradebook server has no such stream"),
          executor);
    }
    return unconditional.newCall(method, options);
  }

  private final class UnaryChannel extends Channel {
    @Override
    public <ReqT, RespT> ClientCall<ReqT, RespT> newCall(
        MethodDescriptor<ReqT, RespT> method, CallOptions options) {
      return new UnaryCall<>(TradebookChannel.this, method, options, executor(options));
    }

    @Override
    public String authority() {
      return TradebookChannel.this.authority();
    }
  }

  private Executor executor(CallOptions options) {
    if (options.getExecutor() != null) {
      return options.getExecutor();
    }
    return settings.executor != null ? settings.executor : ownExecutor;
  }

  @Override
  public String authority() {
    return settings.address.text();
  }

  @Override
  public TradebookChannel shutdown() {
    isShutdown = true;
    terminateIfIdle();
    return this;
  }

  @Override
  public TradebookChannel shutdownNow() {
    shutdown();
    Status status = Status.UNAVAILABLE.withDescription("the channel was shut down");
    List.copyOf(calls).forEach(call -> call.fail(status));
    return this;
  }

  @Override
  public boolean isShutdown() {
    return isShutdown;
  }

  @Override
  public boolean isTerminated() {
    return terminated.getCount() == 0;
  }

  @Override
  public boolean awaitTermination(long timeout, TimeUnit unit) throws InterruptedException {
    return terminated.await(timeout, unit);
  }

  /** Ends all calls, and waits for a few seconds at most until streams have moved their cursors. */
  @Override
  public void close() {
    shutdownNow();
    try {
      awaitTermination(CLOSE_SECONDS_MAX, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // --- for calls ---

  void opened(LocalCall<?, ?> call) {
    calls.add(call);
  }

  void closed(LocalCall<?, ?> call) {
    calls.remove(call);
    terminateIfIdle();
  }

  private void terminateIfIdle() {
    if (isShutdown && calls.isEmpty()) {
      exchange.close();
      timer.shutdownNow();
      ownExecutor.shutdown();
      terminated.countDown();
    }
  }

  Channel unconditional() {
    return unconditional;
  }

  Exchange exchange() {
    return exchange;
  }

  ScheduledExecutorService timer() {
    return timer;
  }

  long defaultTimeoutMillis() {
    return settings.defaultTimeout.toMillis();
  }

  /** symbol is null for all. Answers null when the channel has no events address. */
  Doorbell doorbell(String symbol, Bell bell) {
    if (settings.eventsAddress == null) {
      return null;
    }
    return new Doorbell(
        symbol,
        bell,
        listener ->
            link(
                settings.eventsAddress,
                Connection.Protocol.SUB,
                Doorbell.FRAME_BYTES_MAX,
                listener));
  }

  /** Adds what the channel says in every call, unless the caller says it himself. */
  void addHeaders(Metadata headers) {
    addHeader(headers, Envelopes.CLIENT_ID, settings.clientId);
    addHeader(headers, Envelopes.AUTHORIZATION, settings.authorization);
  }

  private static void addHeader(Metadata headers, Metadata.Key<String> key, String value) {
    if (value != null && !headers.containsKey(key)) {
      headers.put(key, value);
    }
  }

  CallCredentials.RequestInfo requestInfo(MethodDescriptor<?, ?> method) {
    boolean isPrivate = settings.address.kind() == Address.Kind.TLS;
    return new CallCredentials.RequestInfo() {
      @Override
      public MethodDescriptor<?, ?> getMethodDescriptor() {
        return method;
      }

      @Override
      public SecurityLevel getSecurityLevel() {
        return isPrivate ? SecurityLevel.PRIVACY_AND_INTEGRITY : SecurityLevel.NONE;
      }

      @Override
      public String getAuthority() {
        return authority();
      }

      @Override
      public Attributes getTransportAttrs() {
        return Attributes.EMPTY;
      }
    };
  }
}
