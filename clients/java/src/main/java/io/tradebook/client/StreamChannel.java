package io.tradebook.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import javax.net.ssl.SSLSocket;

/** A TLS socket as a channel, for buffers that have an array. */
final class StreamChannel implements ByteChannel {
  private final InputStream in;
  private final OutputStream out;
  private final Socket plain;

  /** plain is the socket below, which can be closed while another thread reads or writes. */
  StreamChannel(SSLSocket tls, Socket plain) throws IOException {
    this.in = tls.getInputStream();
    this.out = tls.getOutputStream();
    this.plain = plain;
  }

  @Override
  public int read(ByteBuffer to) throws IOException {
    int count = in.read(to.array(), to.arrayOffset() + to.position(), to.remaining());
    if (count > 0) {
      to.position(to.position() + count);
    }
    return count;
  }

  @Override
  public int write(ByteBuffer from) throws IOException {
    int count = from.remaining();
    out.write(from.array(), from.arrayOffset() + from.position(), count);
    from.position(from.limit());
    return count;
  }

  @Override
  public boolean isOpen() {
    return !plain.isClosed();
  }

  @Override
  public void close() throws IOException {
    plain.close();
  }
}
