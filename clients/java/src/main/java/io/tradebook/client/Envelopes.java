package io.tradebook.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.tradebook.v1.Reply;
import io.tradebook.v1.Request;

/** What gRPC knows as headers, status and trailers, in the envelopes of rpc.proto. */
final class Envelopes {
  static final Metadata.Key<byte[]> REQUEST_ID =
      Metadata.Key.of("x-request-id-bin", Metadata.BINARY_BYTE_MARSHALLER);
  static final Metadata.Key<String> CLIENT_ID = textKey("client-id");
  static final Metadata.Key<String> AUTHORIZATION = textKey("authorization");

  private Envelopes() {}

  private static Metadata.Key<String> textKey(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** The metadata of a request: every header but the request id. */
  static void putHeaders(Metadata headers, Request.Builder request) {
    for (String name : headers.keys()) {
      if (name.equals(REQUEST_ID.name())) {
        continue;
      }
      if (name.endsWith(Metadata.BINARY_HEADER_SUFFIX)) {
        for (byte[] value :
            headers.getAll(Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER))) {
          putHeader(name, ByteString.copyFrom(value), request);
        }
      } else {
        for (String value : headers.getAll(textKey(name))) {
          putHeader(name, ByteString.copyFromUtf8(value), request);
        }
      }
    }
  }

  private static void putHeader(String name, ByteString value, Request.Builder request) {
    request.addMetadataBuilder().setKey(name).setValue(value);
  }

  static Reply parse(byte[] body) throws InvalidProtocolBufferException {
    return Reply.parseFrom(body);
  }

  /** A code that this library does not know is an unknown field, and no success. */
  static boolean isOk(Reply reply) {
    return reply.getCode().getNumber() == 0
        && !reply.getUnknownFields().hasField(Reply.CODE_FIELD_NUMBER);
  }

  /** The status of a reply that is not OK, with its details among the trailers. */
  static StatusRuntimeException failure(Reply reply) {
    int code = reply.getCode().getNumber();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code != 0 ? code : Status.Code.UNKNOWN.value())
            .setMessage(reply.hasMessage() ? reply.getMessage() : "the server gave no reason")
            .addAllDetails(reply.getDetailsList())
            .build());
  }
}
