package io.tradebook.client;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The other side of a connection, in SP framing and without any nng; each connection has a thread.
 */
abstract class FakePeer implements AutoCloseable {
  static final int REP = 0x31;
  static final int PUB = 0x20;

  private final ServerSocket listener;
  private final int protocol;
  private final List<Pipe> pipes = new CopyOnWriteArrayList<>();

  /** A connection from the client. */
  static final class Pipe {
    private final Socket socket;
    private final DataInputStream in;
    private final DataOutputStream out;

    Pipe(Socket socket) throws IOException {
      this.socket = socket;
      this.in = new DataInputStream(socket.getInputStream());
      this.out = new DataOutputStream(socket.getOutputStream());
    }

    byte[] receive() throws IOException {
      byte[] frame = new byte[Math.toIntExact(in.readLong())];
      in.readFully(frame);
      return frame;
    }

    synchronized void send(byte[] frame) {
      try {
        out.writeLong(frame.length);
        out.write(frame);
        out.flush();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** Sends these bytes as they are. */
    synchronized void sendRaw(byte... bytes) throws IOException {
      out.write(bytes);
      out.flush();
    }

    void hangUp() {
      try {
        socket.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  FakePeer(ServerSocket listener, int protocol) {
    this.listener = listener;
    this.protocol = protocol;
  }

  /** To be called when the peer is made. */
  final void start() {
    Threads.daemon(this::accept, "fake peer").start();
  }

  final int port() {
    return listener.getLocalPort();
  }

  final String address() {
    return "tcp://127.0.0.1:" + port();
  }

  final List<Pipe> pipes() {
    return pipes;
  }

  /** What to do with a connection that has greeted, in its thread. */
  abstract void serve(Pipe pipe) throws IOException;

  private void accept() {
    try {
      while (true) {
        Socket socket = listener.accept();
        Threads.daemon(() -> greetAndServe(socket), "fake connection").start();
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void greetAndServe(Socket socket) {
    try (socket) {
      Pipe pipe = new Pipe(socket);
      // In two parts, as a network may bring it.
      pipe.sendRaw((byte) 0, (byte) 'S', (byte) 'P', (byte) 0, (byte) 0);
      pipe.sendRaw((byte) protocol, (byte) 0, (byte) 0);
      pipe.in.readFully(new byte[8]);
      pipes.add(pipe);
      serve(pipe);
    } catch (IOException | UncheckedIOException e) {
      // The client has gone, or the test has hung up.
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    pipes.forEach(Pipe::hangUp);
  }
}
