package io.tradebook.client;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The SP framing over one connected channel. One thread receives; any thread sends, and never waits
 * for the peer: what was sent is written by {@link #write}, which has a thread of its own.
 */
final class Connection implements Closeable {
  /** The SP protocols that a client speaks, each with the one it wants to meet. */
  enum Protocol {
    REQ(0x30, 0x31),
    SUB(0x21, 0x20);

    private final int number;
    private final int peer;

    Protocol(int number, int peer) {
      this.number = number;
      this.peer = peer;
    }
  }

  private static final int READ_BYTES = 64 * 1024;
  private static final int HELLO_BYTES = 8;

  /** Precedes each frame on a Unix socket. */
  private static final byte IPC_MARK = 1;

  private final ByteChannel channel;
  private final boolean hasMark;
  private final int frameBytesMax;
  private final ByteBuffer in = ByteBuffer.allocate(READ_BYTES).flip();
  private final BlockingQueue<ByteBuffer> outgoing = new LinkedBlockingQueue<>();

  Connection(ByteChannel channel, boolean isIpc, int frameBytesMax) {
    this.channel = channel;
    this.hasMark = isIpc;
    this.frameBytesMax = frameBytesMax;
  }

  /** Exchanges the first eight bytes of both sides. */
  void greet(Protocol protocol) throws IOException {
    writeAll(hello(protocol.number));
    byte[] theirs = take(HELLO_BYTES);
    if (!ByteBuffer.wrap(theirs).equals(hello(protocol.peer))) {
      throw new IOException("the peer does not greet as an SP server of this kind does");
    }
  }

  private static ByteBuffer hello(int protocol) {
    return ByteBuffer.allocate(HELLO_BYTES)
        .put(new byte[] {0, 'S', 'P', 0})
        .putShort((short) protocol)
        .putShort((short) 0)
        .flip();
  }

  /** The next frame. */
  byte[] receive() throws IOException {
    if (hasMark && take(1)[0] != IPC_MARK) {
      throw new IOException("a frame does not begin as it must");
    }
    long length = ByteBuffer.wrap(take(Long.BYTES)).getLong();
    if (length < 0 || length > frameBytesMax) {
      throw new IOException("a frame claims " + length + " bytes");
    }
    return take((int) length);
  }

  /** Takes the next bytes, from what was read already first. */
  private byte[] take(int length) throws IOException {
    byte[] bytes = new byte[length];
    ByteBuffer to = ByteBuffer.wrap(bytes);
    while (to.hasRemaining()) {
      if (!in.hasRemaining()) {
        // What is larger than the buffer goes past it.
        boolean isLarge = to.remaining() >= READ_BYTES;
        read(isLarge ? to : in.clear());
        if (!isLarge) {
          in.flip();
        }
      }
      int count = Math.min(in.remaining(), to.remaining());
      to.put(to.position(), in, in.position(), count);
      to.position(to.position() + count);
      in.position(in.position() + count);
    }
    return bytes;
  }

  private void read(ByteBuffer to) throws IOException {
    if (channel.read(to) < 0) {
      throw new EOFException("the peer has closed the connection");
    }
  }

  /** Queues a frame; it is written soon, or lost with the connection. */
  void send(byte[] frame) {
    ByteBuffer bytes = ByteBuffer.allocate(1 + Long.BYTES + frame.length);
    if (hasMark) {
      bytes.put(IPC_MARK);
    }
    outgoing.add(bytes.putLong(frame.length).put(frame).flip());
  }

  /** Writes what is sent, all that waits at a time, until the connection ends or is interrupted. */
  void write() throws IOException, InterruptedException {
    List<ByteBuffer> frames = new ArrayList<>();
    while (true) {
      frames.add(outgoing.take());
      outgoing.drainTo(frames);
      writeAll(joined(frames));
      frames.clear();
    }
  }

  private static ByteBuffer joined(List<ByteBuffer> frames) {
    if (frames.size() == 1) {
      return frames.get(0);
    }
    ByteBuffer all = ByteBuffer.allocate(frames.stream().mapToInt(ByteBuffer::remaining).sum());
    frames.forEach(all::put);
    return all.flip();
  }

  private void writeAll(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
