package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tradebook.client.conformance.ConformanceServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of the README does what the README says, run as it says. */
class ReadmeIT {
  private static final String CLASS_PATH = "build/clients/java/*:build/clients/java/lib/*";
  private static final Pattern EXAMPLE = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Pattern OUTPUT =
      Pattern.compile("\\$ java -cp [^\n]*\n(.*?)```", Pattern.DOTALL);

  @Test
  void examplePrintsWhatItSays(@TempDir Path folder) throws Exception {
    String readme = Files.readString(Path.of("README.md"));
    assertTrue(readme.contains("java -cp '" + CLASS_PATH + "' Example.java"));
    Path example = Files.writeString(folder.resolve("Example.java"), find(EXAMPLE, readme));
    try (ConformanceServer server = new ConformanceServer(List.of())) {
      Process process =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-cp",
                  CLASS_PATH,
                  example.toString(),
                  server.address("address"),
                  server.address("events_address"))
              .directory(Path.of("../..").toFile())
              .redirectErrorStream(true)
              .start();
      String said = new String(process.getInputStream().readAllBytes());
      assertEquals(find(OUTPUT, readme), said);
      assertEquals(0, process.waitFor());
    }
  }

  private static String find(Pattern pattern, String text) {
    Matcher matcher = pattern.matcher(text);
    assertTrue(matcher.find(), () -> "the README has no " + pattern);
    return matcher.group(1);
  }
}
