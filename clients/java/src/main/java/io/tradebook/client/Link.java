package io.tradebook.client;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * One connection to an address, made again whenever it is lost. A thread of its own connects,
 * receives and calls the listener; a second one writes.
 */
final class Link implements Closeable {
  /** Hears what happens on a link, from the link's thread; must not block. */
  interface Listener {
    void connected();

    void received(byte[] frame) throws IOException;

    /** The connection is lost, and with it all that was sent and not answered. */
    void disconnected();
  }

  private static final Logger LOGGER = Logger.getLogger(Link.class.getName());
  private static final long FIRST_PAUSE_MILLIS = 5;
  private static final long LONGEST_PAUSE_MILLIS = 500;

  /** For connecting and greeting together. */
  private static final long OPEN_SECONDS_MAX = 10;

  private final Address address;
  private final Connection.Protocol protocol;
  private final int frameBytesMax;
  private final SSLSocketFactory tls;
  private final ScheduledExecutorService timer;
  private final Listener listener;
  private final Backoff backoff = new Backoff(FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS);
  private final Thread thread;

  /** What to close to end the present connection, or the attempt to make one. */
  private Closeable current;

  private boolean isClosed;
  private volatile boolean isReached;
  private volatile Connection connection;
  private volatile Exception lastFailure;
  private volatile long lastReceivedNanos;

  Link(
      Address address,
      Connection.Protocol protocol,
      int frameBytesMax,
      SSLSocketFactory tls,
      ScheduledExecutorService timer,
      Listener listener) {
    this.address = address;
    this.protocol = protocol;
    this.frameBytesMax = frameBytesMax;
    this.tls = tls;
    this.timer = timer;
    this.listener = listener;
    this.thread = Threads.daemon(this::run, "tradebook " + address);
  }

  void start() {
    thread.start();
  }

  /** Sends a frame over the present connection; without one it is lost. */
  void send(byte[] frame) {
    Connection present = connection;
    if (present != null) {
      present.send(frame);
    }
  }

  /** Whether something at the address has accepted a connection, though it may not answer. */
  boolean isReached() {
    return isReached;
  }

  /** Why the last connection was lost or not made; null before. */
  Exception lastFailure() {
    return lastFailure;
  }

  /** When the last frame came, as System.nanoTime tells. */
  long lastReceivedNanos() {
    return lastReceivedNanos;
  }

  /** Gives the present connection up, and makes another. */
  void drop() {
    closeCurrent();
  }

  /** Ends the link; the listener hears nothing more than that the connection is lost. */
  @Override
  public void close() {
    synchronized (this) {
      isClosed = true;
    }
    closeCurrent();
    thread.interrupt();
  }

  private void run() {
    while (!isClosed()) {
      try {
        serve();
      } catch (IOException | RuntimeException e) {
        lastFailure = e;
        LOGGER.log(Level.FINE, address + ": the connection is lost or was not made", e);
      } finally {
        isReached = false;
        closeCurrent();
      }
      try {
        Thread.sleep(backoff.next());
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** Connects and receives until the connection is lost. */
  private void serve() throws IOException {
    Connection opened = open();
    Thread writer = Threads.daemon(() -> write(opened), "tradebook writer " + address);
    writer.start();
    try {
      lastReceivedNanos = System.nanoTime();
      connection = opened;
      listener.connected();
      while (true) {
        byte[] frame = opened.receive();
        lastReceivedNanos = System.nanoTime();
        // Not before: a server that is full greets, and hangs up.
        backoff.reset();
        listener.received(frame);
      }
    } finally {
      connection = null;
      writer.interrupt();
      listener.disconnected();
    }
  }

  private void write(Connection opened) {
    try {
      opened.write();
    } catch (IOException e) {
      close(opened);
    } catch (InterruptedException e) {
      // The connection has ended.
    }
  }

  private Connection open() throws IOException {
    Future<?> limit = timer.schedule(this::closeCurrent, OPEN_SECONDS_MAX, TimeUnit.SECONDS);
    try {
      ByteChannel channel = address.kind() == Address.Kind.TLS ? connectTls() : connectPlain();
      isReached = true;
      Connection opened =
          new Connection(channel, address.kind() == Address.Kind.IPC, frameBytesMax);
      opened.greet(protocol);
      return opened;
    } finally {
      limit.cancel(false);
    }
  }

  private ByteChannel connectPlain() throws IOException {
    if (address.kind() == Address.Kind.IPC) {
      SocketChannel channel = keep(SocketChannel.open(StandardProtocolFamily.UNIX));
      channel.connect(UnixDomainSocketAddress.of(address.host()));
      return channel;
    }
    SocketChannel channel = keep(SocketChannel.open());
    channel.connect(resolve());
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    return channel;
  }

  private ByteChannel connectTls() throws IOException {
    SSLSocketFactory factory = tls != null ? tls : (SSLSocketFactory) SSLSocketFactory.getDefault();
    Socket plain = keep(new Socket());
    plain.connect(resolve());
    plain.setTcpNoDelay(true);
    SSLSocket socket =
        (SSLSocket)
            factory.createSocket(plain, address.host(), address.port(), /* autoClose= */ true);
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    socket.setSSLParameters(parameters);
    socket.startHandshake();
    return new StreamChannel(socket, plain);
  }

  /** Asks anew each time: the server may have moved. */
  private InetSocketAddress resolve() throws IOException {
    InetSocketAddress resolved = new InetSocketAddress(address.host(), address.port());
    if (resolved.isUnresolved()) {
      throw new IOException("the host " + address.host() + " is unknown");
    }
    return resolved;
  }

  private synchronized boolean isClosed() {
    return isClosed;
  }

  private synchronized <T extends Closeable> T keep(T opened) throws IOException {
    if (isClosed) {
      opened.close();
    }
    current = opened;
    return opened;
  }

  private void closeCurrent() {
    Closeable present;
    synchronized (this) {
      present = current;
    }
    if (present != null) {
      close(present);
    }
  }

  private void close(Closeable opened) {
    try {
      opened.close();
    } catch (IOException e) {
      LOGGER.log(Level.FINE, address + ": closing", e);
    }
  }
}
