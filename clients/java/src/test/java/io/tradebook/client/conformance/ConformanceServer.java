package io.tradebook.client.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A real server on an empty database, driven by lines of JSON. */
public final class ConformanceServer implements AutoCloseable {
  private static final Path PROGRAM = Suite.FOLDER.resolve("server");
  private static final long END_SECONDS_MAX = 30;

  private final Process process;
  private final BufferedReader answers;
  private final Writer commands;
  private final JsonObject addresses;

  /** Starts a server with these options of {@code tradebook serve}. */
  public ConformanceServer(List<String> options) throws IOException {
    List<String> command = new ArrayList<>(List.of(PROGRAM.toString()));
    command.addAll(options);
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    answers = process.inputReader();
    commands = process.outputWriter();
    addresses = readLine();
  }

  public String address(String name) {
    return addresses.get(name).getAsString();
  }

  private JsonObject readLine() throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("the server program of the suite has ended");
    }
    return JsonParser.parseString(line).getAsJsonObject();
  }

  /** Does one command; answers the rows of "sql", else null. */
  synchronized JsonArray command(JsonElement command) throws IOException {
    commands.write(command + "\n");
    commands.flush();
    JsonObject answer = readLine();
    if (answer.has("error")) {
      throw new IOException(command + ": " + answer.get("error"));
    }
    return answer.getAsJsonArray("rows");
  }

  @Override
  public void close() throws IOException {
    commands.close();
    try {
      int status = process.onExit().get(END_SECONDS_MAX, TimeUnit.SECONDS).exitValue();
      if (status != 0) {
        throw new IOException("the server program of the suite ended with status " + status);
      }
    } catch (InterruptedException | ExecutionException | TimeoutException e) {
      process.destroyForcibly();
      throw new IOException("the server program of the suite does not end", e);
    }
  }
}
