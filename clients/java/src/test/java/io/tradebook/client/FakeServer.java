package io.tradebook.client;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import io.tradebook.v1.Code;
import io.tradebook.v1.Reply;
import io.tradebook.v1.Request;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server that answers as a test says. */
final class FakeServer extends FakePeer {
  /** Answers a request now, later or never. */
  interface Handler {
    void handle(Call call) throws IOException;
  }

  /**
   * A request that has come.
   *
   * @param number of its attempt on this server, from 1
   */
  record Call(Request request, int number, Pipe pipe, byte[] header) {
    void reply(Reply reply) {
      replyRaw(reply.toByteArray());
    }

    void replyRaw(byte[] body) {
      pipe.send(ByteBuffer.allocate(4 + body.length).put(header).put(body).array());
    }

    void ok(MessageLite response) {
      reply(Reply.newBuilder().setPayload(response.toByteString()).build());
    }

    void fail(Code code, String message) {
      reply(Reply.newBuilder().setCode(code).setMessage(message).build());
    }

    boolean isOf(String method) {
      return request.getMethod().endsWith("/" + method);
    }
  }

  private final Handler handler;
  private final List<Request> requests = new CopyOnWriteArrayList<>();

  FakeServer(Handler handler) throws IOException {
    this(new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1")), handler);
  }

  FakeServer(ServerSocket listener, Handler handler) {
    super(listener, REP);
    this.handler = handler;
    start();
  }

  /** All that have come. */
  List<Request> requests() {
    return requests;
  }

  @Override
  void serve(Pipe pipe) throws IOException {
    while (true) {
      ByteBuffer frame = ByteBuffer.wrap(pipe.receive());
      byte[] header = new byte[4];
      frame.get(header);
      Request request = parse(frame);
      int number;
      synchronized (requests) {
        requests.add(request);
        number = requests.size();
      }
      handler.handle(new Call(request, number, pipe, header));
    }
  }

  private static Request parse(ByteBuffer body) throws InvalidProtocolBufferException {
    return Request.parseFrom(body);
  }
}
