package io.tradebook.client;

import com.google.protobuf.MessageLite;
import io.tradebook.v1.Event;
import io.tradebook.v1.Heartbeat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** An events address that publishes what a test says. */
final class FakePublisher extends FakePeer {
  FakePublisher() throws IOException {
    super(new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1")), PUB);
    start();
  }

  void publish(Event event) {
    send(event.getTopic(), event);
  }

  void beat(long newestSequence) {
    send(
        "heartbeat/",
        Heartbeat.newBuilder().setNewestSequence(newestSequence).setIntervalMs(60_000).build());
  }

  private void send(String topic, MessageLite message) {
    byte[] name = topic.getBytes(StandardCharsets.UTF_8);
    byte[] body = message.toByteArray();
    byte[] frame =
        ByteBuffer.allocate(name.length + 1 + body.length)
            .put(name)
            .put((byte) 0)
            .put(body)
            .array();
    for (Pipe pipe : pipes()) {
      try {
        pipe.send(frame);
      } catch (UncheckedIOException e) {
        // A subscriber that has gone hears nothing.
      }
    }
  }

  @Override
  void serve(Pipe pipe) throws IOException {
    // A subscriber says nothing; this waits until it has gone.
    pipe.receive();
  }
}
