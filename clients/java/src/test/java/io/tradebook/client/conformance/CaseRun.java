package io.tradebook.client.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.tradebook.client.TradebookChannel;
import io.tradebook.client.TradebookChannelBuilder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/** Does the steps of one case against a server of its own. */
final class CaseRun implements AutoCloseable {
  private static final long POLL_NANOS_MAX = TimeUnit.SECONDS.toNanos(20);
  private static final long POLL_PAUSE_MILLIS = 20;
  private static final long OUTCOME_SECONDS_MAX = 60;

  private final ConformanceServer server;
  private final String address;
  private final String eventsAddress;
  private final Variables variables = new Variables();
  private final Map<String, TradebookChannel> channels = new HashMap<>();

  /** A case over one transport: the names of the server's addresses for it. */
  CaseRun(JsonObject test, String addressName, String eventsName) throws Exception {
    server = new ConformanceServer(Suite.texts(test, "options"));
    address = server.address(addressName);
    eventsAddress = server.address(eventsName);
  }

  /** The channel with this client id, "" for none, made when it is needed first. */
  private TradebookChannel channel(String clientId, boolean hearsEvents) {
    return channels.computeIfAbsent(
        clientId + (hearsEvents ? "" : " without events"),
        key -> {
          TradebookChannelBuilder builder = TradebookChannel.builder(address);
          if (hearsEvents) {
            builder.eventsAddress(eventsAddress);
          }
          if (!clientId.isEmpty()) {
            builder.clientId(clientId);
          }
          return builder.build();
        });
  }

  void run(List<JsonObject> steps) throws Exception {
    for (JsonObject plain : steps) {
      // What is done while or after a step may use what an earlier one of them has saved.
      JsonObject step = plain.has("meanwhile") || plain.has("after") ? plain : filled(plain);
      try {
        run(step);
      } catch (AssertionError | Exception e) {
        throw new AssertionError("step " + step + ": " + e.getMessage(), e);
      }
    }
  }

  private JsonObject filled(JsonObject step) {
    return variables.fill(step).getAsJsonObject();
  }

  private void run(JsonObject step) throws Exception {
    if (step.has("call")) {
      call(step);
    } else if (step.has("parallel")) {
      parallel(step);
    } else if (step.has("subscribe")) {
      subscribe(step);
    } else if (step.has("server")) {
      command(step);
    } else {
      throw new AssertionError("this runner does not know this kind of step");
    }
  }

  private void command(JsonObject step) throws Exception {
    Suite.checkMembers(step, "server", "rows");
    JsonArray rows = server.command(step.get("server"));
    if (step.has("rows")) {
      Comparison.check(step.get("rows"), rows, "rows");
    }
  }

  // --- call ---

  private CallStep callStep(JsonObject step) throws Exception {
    Suite.checkMembers(
        step,
        "call",
        "request",
        "timeout_ms",
        "request_id",
        "metadata",
        "client_id",
        "cancel",
        "meanwhile",
        "poll",
        "expect",
        "save");
    return new CallStep(channel(Suite.text(step, "client_id", ""), true), step);
  }

  private void call(JsonObject step) throws Exception {
    JsonObject own = step.deepCopy();
    own.remove("meanwhile");
    own = filled(own);
    CallStep call = callStep(own);
    Outcome outcome;
    if (step.has("meanwhile") || Suite.flag(step, "cancel", false)) {
      CallStep.Started started = call.start();
      if (Suite.flag(step, "cancel", false)) {
        started.call().cancel("the case says so", null);
      }
      run(Suite.objects(step, "meanwhile"));
      outcome = started.outcome().get(OUTCOME_SECONDS_MAX, TimeUnit.SECONDS);
      outcome.check(Suite.object(own, "expect"));
    } else if (Suite.flag(step, "poll", false)) {
      outcome = poll(call, Suite.object(own, "expect"));
    } else {
      outcome = call.make();
      outcome.check(Suite.object(own, "expect"));
    }
    variables.save(Suite.object(own, "save"), outcome.response());
  }

  private static Outcome poll(CallStep call, JsonObject expect) throws Exception {
    long end = System.nanoTime() + POLL_NANOS_MAX;
    while (true) {
      Outcome outcome = call.make();
      try {
        outcome.check(expect);
        return outcome;
      } catch (AssertionError e) {
        if (System.nanoTime() > end) {
          throw e;
        }
        Thread.sleep(POLL_PAUSE_MILLIS);
      }
    }
  }

  // --- parallel ---

  private record Underway(JsonObject step, CallStep.Started started) {}

  private void parallel(JsonObject step) throws Exception {
    Suite.checkMembers(step, "parallel", "times", "codes");
    List<Underway> calls = new ArrayList<>();
    for (int i = 0; i < Suite.number(step, "times", 1); i++) {
      for (JsonObject one : Suite.objects(step, "parallel")) {
        calls.add(new Underway(one, callStep(one).start()));
      }
    }
    Map<String, Integer> codes = new TreeMap<>();
    for (Underway call : calls) {
      Outcome outcome = call.started().outcome().get(OUTCOME_SECONDS_MAX, TimeUnit.SECONDS);
      codes.merge(outcome.code(), 1, Integer::sum);
      if (!step.has("codes")) {
        outcome.check(Suite.object(call.step(), "expect"));
      }
    }
    if (step.has("codes")) {
      Map<String, Integer> expected = new TreeMap<>();
      Suite.object(step, "codes")
          .entrySet()
          .forEach(code -> expected.put(code.getKey(), code.getValue().getAsInt()));
      assertEquals(expected, codes);
    }
  }

  // --- subscribe ---

  private void subscribe(JsonObject step) throws Exception {
    Suite.checkMembers(
        step, "subscribe", "count", "events_address", "timeout_ms", "meanwhile", "after", "expect");
    JsonObject own = step.deepCopy();
    own.remove("meanwhile");
    own.remove("after");
    own = filled(own);
    JsonObject expect = Suite.object(own, "expect");
    Suite.checkMembers(expect, "first", "sequences", "events", "code", "message_contains");
    int count = Suite.number(own, "count", 0);
    SubscribeStep stream =
        new SubscribeStep(channel("", Suite.flag(own, "events_address", true)), own);
    run(Suite.objects(step, "meanwhile"));
    stream.awaitEvents(count);
    run(Suite.objects(step, "after"));
    Outcome end = stream.awaitEnd(expect.has("code"));
    if (expect.has("code")) {
      end.checkStatus(expect);
    }
    check(stream.events(), count, expect);
  }

  private static void check(JsonArray events, int count, JsonObject expect) {
    assertEquals(count, events.size(), () -> "events came: " + SubscribeStep.sequences(events));
    if (expect.has("first")) {
      JsonArray sequences = new JsonArray();
      for (int i = 0; i < count; i++) {
        sequences.add(expect.get("first").getAsLong() + i);
      }
      Comparison.check(sequences, SubscribeStep.sequences(events), "sequences");
    }
    if (expect.has("sequences")) {
      Comparison.check(expect.get("sequences"), SubscribeStep.sequences(events), "sequences");
    }
    if (expect.has("events")) {
      Comparison.check(expect.get("events"), events, "events");
    }
  }

  @Override
  public void close() throws IOException {
    channels.values().forEach(TradebookChannel::close);
    server.close();
  }
}
