package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AddressTest {
  @ParameterizedTest
  @CsvSource({
    "tcp://127.0.0.1:7601, TCP, 127.0.0.1, 7601",
    "tcp://[::1]:7601, TCP, ::1, 7601",
    "tcp://trade_book:1, TCP, trade_book, 1",
    "tls+tcp://book.example:65535, TLS, book.example, 65535",
    "ipc:///run/user/0/tradebook.sock, IPC, /run/user/0/tradebook.sock, 0",
  })
  void parsesWhatIsWellFormed(String text, Address.Kind kind, String host, int port) {
    assertEquals(new Address(text, kind, host, port), Address.parse(text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "127.0.0.1:7601",
        "ws://host:1/",
        "tcp://host",
        "tcp://:7601",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:port",
        "ipc://relative"
      })
  void refusesWhatIsNot(String text) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> TradebookChannel.builder(text))
            .getMessage();
    assertTrue(message.contains("write tcp://HOST:PORT"), message);
  }

  @Test
  void anEventsAddressIsParsedToo() {
    TradebookChannelBuilder builder = TradebookChannel.builder("tcp://127.0.0.1:7601");
    assertThrows(IllegalArgumentException.class, () -> builder.eventsAddress("7602"));
  }
}
