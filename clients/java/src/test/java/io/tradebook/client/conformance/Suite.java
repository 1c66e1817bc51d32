package io.tradebook.client.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The cases that all clients share, and how their parts are read. */
final class Suite {
  static final Path FOLDER = Path.of("../../tests/conformance").toAbsolutePath().normalize();

  private Suite() {}

  static List<JsonObject> cases() throws IOException {
    List<JsonObject> cases = new ArrayList<>();
    try (Stream<Path> files = Files.list(FOLDER.resolve("cases")).sorted()) {
      for (Path file : files.toList()) {
        try (Reader text = Files.newBufferedReader(file)) {
          JsonParser.parseReader(text)
              .getAsJsonArray()
              .forEach(c -> cases.add(c.getAsJsonObject()));
        }
      }
    }
    return cases;
  }

  /** Fails on a member that this runner does not know: it would be skipped silently. */
  static void checkMembers(JsonObject object, String... known) {
    for (String member : object.keySet()) {
      if (!Set.of(known).contains(member)) {
        throw new AssertionError(
            "this runner does not know the member \"" + member + "\" of " + object);
      }
    }
  }

  static List<JsonObject> objects(JsonObject object, String member) {
    return list(object, member).stream().map(JsonElement::getAsJsonObject).toList();
  }

  static List<String> texts(JsonObject object, String member) {
    return list(object, member).stream().map(JsonElement::getAsString).toList();
  }

  private static List<JsonElement> list(JsonObject object, String member) {
    return object.has(member) ? object.getAsJsonArray(member).asList() : List.of();
  }

  static JsonObject object(JsonObject object, String member) {
    return object.has(member) ? object.getAsJsonObject(member) : new JsonObject();
  }

  static String text(JsonObject object, String member, String otherwise) {
    return object.has(member) ? object.get(member).getAsString() : otherwise;
  }

  static int number(JsonObject object, String member, int otherwise) {
    return object.has(member) ? object.get(member).getAsInt() : otherwise;
  }

  static boolean flag(JsonObject object, String member, boolean otherwise) {
    return object.has(member) ? object.get(member).getAsBoolean() : otherwise;
  }
}
