package io.tradebook.client;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Executor;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;

/** The settings of a {@link TradebookChannel}; the address alone is enough. */
public final class TradebookChannelBuilder {
  final Address address;
  Address eventsAddress;
  String clientId;
  String authorization;
  Duration defaultTimeout = Duration.ofSeconds(10);
  Executor executor;

  /** Null for that of the Java runtime. */
  SSLSocketFactory tls;

  TradebookChannelBuilder(String address) {
    this.address = Address.parse(address);
  }

  /**
   * The address at which the same server publishes its events. Without it, streams of events wait
   * in ListEvents.
   *
   * @param newAddress as that of the server
   * @return this
   * @throws IllegalArgumentException if the address is malformed
   */
  public TradebookChannelBuilder eventsAddress(String newAddress) {
    eventsAddress = Address.parse(newAddress);
    return this;
  }

  /**
   * Names this client: request ids of different clients do not meet. Default: no name.
   *
   * @param newClientId sent as the metadata {@code client-id}
   * @return this
   */
  public TradebookChannelBuilder clientId(String newClientId) {
    clientId = Objects.requireNonNull(newClientId);
    return this;
  }

  /**
   * Sends a token with every call. Only TLS and Unix sockets keep it secret.
   *
   * @param newToken sent as the metadata {@code authorization: Bearer TOKEN}
   * @return this
   */
  public TradebookChannelBuilder token(String newToken) {
    authorization = "Bearer " + Objects.requireNonNull(newToken);
    return this;
  }

  /**
   * The time of calls without a deadline, retries included. Default: 10 seconds.
   *
   * @param newDefaultTimeout at least a millisecond
   * @return this
   * @throws IllegalArgumentException if it is shorter
   */
  public TradebookChannelBuilder defaultTimeout(Duration newDefaultTimeout) {
    if (newDefaultTimeout.toMillis() < 1) {
      throw new IllegalArgumentException(
          "the default timeout is " + newDefaultTimeout + "; it must be at least a millisecond");
    }
    defaultTimeout = newDefaultTimeout;
    return this;
  }

  /**
   * Runs the callbacks of calls that name no executor. Default: a pool of the channel.
   *
   * @param newExecutor the channel does not shut it down
   * @return this
   */
  public TradebookChannelBuilder executor(Executor newExecutor) {
    executor = Objects.requireNonNull(newExecutor);
    return this;
  }

  /**
   * What {@code tls+tcp} addresses trust, and the certificate to show. Default: the certificate
   * authorities of the Java runtime. The name of the host is checked in any case.
   *
   * @param context an initialised context
   * @return this
   */
  public TradebookChannelBuilder tls(SSLContext context) {
    tls = context.getSocketFactory();
    return this;
  }

  /**
   * Opens the channel, which connects in the background.
   *
   * @return the channel, to be closed by the caller
   */
  public TradebookChannel build() {
    return new TradebookChannel(this);
  }
}
