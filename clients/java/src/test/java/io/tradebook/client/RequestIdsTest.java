package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.util.Comparator;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class RequestIdsTest {
  private static final Comparator<ByteString> ORDER =
      ByteString.unsignedLexicographicalComparator();

  @Test
  void isUuidOfVersionSevenWithTheTime() {
    long now = System.currentTimeMillis();
    ByteBuffer bytes = RequestIds.next().asReadOnlyByteBuffer();
    UUID uuid = new UUID(bytes.getLong(), bytes.getLong());
    assertEquals(7, uuid.version());
    assertEquals(2, uuid.variant());
    assertTrue((uuid.getMostSignificantBits() >>> 16) >= now);
  }

  @Test
  void growsWithinAMillisecondAndWhenTheClockIsSetBack() {
    long now = System.currentTimeMillis();
    ByteString last = RequestIds.at(now);
    for (int i = 0; i < 10_000; i++) {
      ByteString next = RequestIds.at(now - i);
      assertTrue(ORDER.compare(last, next) < 0);
      last = next;
    }
  }
}
