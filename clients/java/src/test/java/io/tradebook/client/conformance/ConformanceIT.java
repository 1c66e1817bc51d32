package io.tradebook.client.conformance;

import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Every case of the suite that all clients share, over every transport of this one. */
class ConformanceIT {
  /** The names of the server's addresses, for calls and for events. */
  private static final Map<String, String> TRANSPORTS =
      Map.of("address", "events_address", "ipc", "events_ipc");

  @TestFactory
  @Execution(ExecutionMode.CONCURRENT)
  List<DynamicTest> cases() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonObject test : Suite.cases()) {
      TRANSPORTS.forEach((address, events) -> tests.add(test(test, address, events)));
    }
    return tests;
  }

  private static DynamicTest test(JsonObject test, String address, String events) {
    String name = test.get("name").getAsString() + " (" + address + ")";
    return DynamicTest.dynamicTest(
        name,
        () -> {
          Suite.checkMembers(test, "name", "options", "steps");
          try (CaseRun run = new CaseRun(test, address, events)) {
            run.run(Suite.objects(test, "steps"));
          }
        });
  }
}
