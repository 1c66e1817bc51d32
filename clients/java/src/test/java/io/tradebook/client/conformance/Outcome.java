package io.tradebook.client.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.ArrayList;
import java.util.List;

/**
 * How a call has ended.
 *
 * @param failure null when it has succeeded
 * @param response as JSON; null when it has failed
 */
record Outcome(StatusRuntimeException failure, JsonElement response) {
  static Outcome success(Message response) {
    try {
      return new Outcome(null, JsonParser.parseString(Methods.json(response)));
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }

  static Outcome failure(StatusRuntimeException failure) {
    return new Outcome(failure, null);
  }

  String code() {
    return failure == null ? "OK" : failure.getStatus().getCode().name();
  }

  void check(JsonObject expect) throws InvalidProtocolBufferException {
    Suite.checkMembers(
        expect,
        "code",
        "message_contains",
        "violations",
        "details",
        "response",
        "present",
        "absent");
    checkStatus(expect);
    checkDetails(expect);
    if (expect.has("response")) {
      Comparison.check(expect.get("response"), response, "response");
    }
    for (String path : Suite.texts(expect, "present")) {
      assertNotNull(Paths.find(response, path), path + " is not in " + response);
    }
    for (String path : Suite.texts(expect, "absent")) {
      assertNull(Paths.find(response, path), path + " is in " + response);
    }
  }

  void checkStatus(JsonObject expect) {
    assertEquals(Suite.text(expect, "code", "OK"), code(), () -> "got " + failure);
    String part = Suite.text(expect, "message_contains", "");
    if (!part.isEmpty()) {
      Status status = failure.getStatus();
      assertTrue(status.getDescription().contains(part), status.getDescription());
    }
  }

  private void checkDetails(JsonObject expect) throws InvalidProtocolBufferException {
    if (!expect.has("violations") && !expect.has("details")) {
      return;
    }
    com.google.rpc.Status status = StatusProto.fromThrowable(failure);
    List<String> violations = new ArrayList<>();
    JsonArray others = new JsonArray();
    for (Any detail : status.getDetailsList()) {
      if (detail.is(BadRequest.class)) {
        detail
            .unpack(BadRequest.class)
            .getFieldViolationsList()
            .forEach(violation -> violations.add(violation.getField()));
      } else {
        others.add(JsonParser.parseString(Methods.json(detail)));
      }
    }
    if (expect.has("violations")) {
      assertEquals(
          Suite.texts(expect, "violations").stream().sorted().toList(),
          violations.stream().sorted().toList());
    }
    if (expect.has("details")) {
      Comparison.check(expect.get("details"), others, "details");
    }
  }
}
