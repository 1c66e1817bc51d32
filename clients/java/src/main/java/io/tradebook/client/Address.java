package io.tradebook.client;

/**
 * Where a server is: {@code tcp://HOST:PORT}, {@code tls+tcp://HOST:PORT} or {@code ipc:///PATH}.
 *
 * @param text as it was written
 * @param kind how to get there
 * @param host name or number, without the brackets of IPv6; the path of a Unix socket
 * @param port 0 for a Unix socket
 */
record Address(String text, Kind kind, String host, int port) {
  enum Kind {
    TCP("tcp://"),
    TLS("tls+tcp://"),
    IPC("ipc://");

    private final String prefix;

    Kind(String prefix) {
      this.prefix = prefix;
    }
  }

  static Address parse(String text) {
    for (Kind kind : Kind.values()) {
      if (text.startsWith(kind.prefix)) {
        String rest = text.substring(kind.prefix.length());
        return kind == Kind.IPC ? unixSocket(text, rest) : hostAndPort(text, kind, rest);
      }
    }
    throw malformed(text, "it names no transport that this client has");
  }

  private static Address unixSocket(String text, String path) {
    if (!path.startsWith("/")) {
      throw malformed(text, "the path is not absolute");
    }
    return new Address(text, Kind.IPC, path, 0);
  }

  private static Address hostAndPort(String text, Kind kind, String rest) {
    int colon = rest.lastIndexOf(':');
    if (colon <= 0) {
      throw malformed(text, "host or port is missing");
    }
    String host = rest.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    }
    try {
      int port = Integer.parseInt(rest.substring(colon + 1));
      if (port >= 1 && port <= 65535) {
        return new Address(text, kind, host, port);
      }
    } catch (NumberFormatException e) {
      // Told below, as a number that is out of range is.
    }
    throw malformed(text, "the port is not a number from 1 to 65535");
  }

  private static IllegalArgumentException malformed(String text, String why) {
    return new IllegalArgumentException(
        "the address \"%s\" is malformed: %s; write tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH"
            .formatted(text, why));
  }

  @Override
  public String toString() {
    return text;
  }
}
