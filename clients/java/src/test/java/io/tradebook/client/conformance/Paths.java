package io.tradebook.client.conformance;

import com.google.gson.JsonElement;

/** Paths into a response, such as {@code results.0.status.code}. */
final class Paths {
  private Paths() {}

  /** Answers null when there is nothing. */
  static JsonElement find(JsonElement root, String path) {
    JsonElement at = root;
    for (String part : path.split("\\.")) {
      if (at != null && at.isJsonArray()) {
        int index = Integer.parseInt(part);
        at = index < at.getAsJsonArray().size() ? at.getAsJsonArray().get(index) : null;
      } else {
        at = at != null && at.isJsonObject() ? at.getAsJsonObject().get(part) : null;
      }
    }
    return at;
  }
}
