package io.tradebook.client.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.HashMap;
import java.util.Map;

/** What the steps of a case have saved. */
final class Variables {
  private final Map<String, JsonElement> values = new HashMap<>();

  void save(JsonObject names, JsonElement response) {
    names
        .entrySet()
        .forEach(
            name -> {
              JsonElement value = Paths.find(response, name.getValue().getAsString());
              if (value == null) {
                throw new AssertionError(name.getValue() + " to save is not in " + response);
              }
              values.put(name.getKey(), value);
            });
  }

  /** The same with the values of the variables in place of their names. */
  JsonElement fill(JsonElement element) {
    if (element.isJsonObject()) {
      JsonObject filled = new JsonObject();
      element.getAsJsonObject().entrySet().forEach(e -> filled.add(e.getKey(), fill(e.getValue())));
      return filled;
    }
    if (element.isJsonArray()) {
      JsonArray filled = new JsonArray();
      element.getAsJsonArray().forEach(e -> filled.add(fill(e)));
      return filled;
    }
    boolean isText = element.isJsonPrimitive() && element.getAsJsonPrimitive().isString();
    return isText ? fill(element.getAsString()) : element;
  }

  private JsonElement fill(String text) {
    String filled = text;
    for (Map.Entry<String, JsonElement> value : values.entrySet()) {
      String name = "${" + value.getKey() + "}";
      if (text.equals(name)) {
        return value.getValue();
      }
      if (filled.contains(name)) {
        filled = filled.replace(name, value.getValue().getAsString());
      }
    }
    return new JsonPrimitive(filled);
  }
}
