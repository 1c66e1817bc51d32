package io.tradebook.client.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The suite's rules for what an actual value must be to be as expected. */
final class Comparison {
  private static final double TOLERANCE = 1e-9;
  private static final Pattern TIMESTAMP =
      Pattern.compile("(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d)(?:\\.(\\d{1,9}))?Z");

  private Comparison() {}

  /** Fails with the path of the first difference. */
  static void check(JsonElement expected, JsonElement actual, String path) {
    if (expected.isJsonObject()) {
      checkObject(expected.getAsJsonObject(), actual, path);
    } else if (expected.isJsonArray()) {
      checkList(expected.getAsJsonArray(), actual, path);
    } else if (!isSame(expected, actual)) {
      throw different(expected, actual, path);
    }
  }

  private static AssertionError different(JsonElement expected, JsonElement actual, String path) {
    return new AssertionError("%s: expected %s, got %s".formatted(path, expected, actual));
  }

  private static void checkObject(JsonObject expected, JsonElement actual, String path) {
    if (actual == null || !actual.isJsonObject()) {
      throw different(expected, actual, path);
    }
    for (Map.Entry<String, JsonElement> member : expected.entrySet()) {
      JsonElement found = actual.getAsJsonObject().get(member.getKey());
      check(member.getValue(), found, path + "." + member.getKey());
    }
  }

  private static void checkList(JsonArray expected, JsonElement actual, String path) {
    if (actual == null && expected.isEmpty()) {
      return;
    }
    if (actual == null
        || !actual.isJsonArray()
        || actual.getAsJsonArray().size() != expected.size()) {
      throw different(expected, actual, path);
    }
    for (int i = 0; i < expected.size(); i++) {
      check(expected.get(i), actual.getAsJsonArray().get(i), path + "." + i);
    }
  }

  private static boolean isSame(JsonElement expected, JsonElement actual) {
    if (actual == null || !expected.isJsonPrimitive() || !actual.isJsonPrimitive()) {
      return expected.equals(actual);
    }
    JsonPrimitive one = expected.getAsJsonPrimitive();
    JsonPrimitive other = actual.getAsJsonPrimitive();
    if (one.isNumber() && other.isNumber()) {
      double value = one.getAsDouble();
      return Math.abs(value - other.getAsDouble()) <= TOLERANCE * Math.max(1, Math.abs(value));
    }
    if (one.isString() && other.isString()) {
      return microseconds(one.getAsString()).equals(microseconds(other.getAsString()));
    }
    return one.equals(other);
  }

  /** A timestamp with six digits of a second; any other text as it is. */
  private static String microseconds(String text) {
    Matcher timestamp = TIMESTAMP.matcher(text);
    if (!timestamp.matches()) {
      return text;
    }
    String fraction = timestamp.group(2) != null ? timestamp.group(2) : "";
    return timestamp.group(1) + "." + (fraction + "000000").substring(0, 6) + "Z";
  }
}
