package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ProgressTest {
  private static final long POSITION = 99;

  private final Progress progress = new Progress(new Bell());

  @Test
  void asksAreMetOneByOne() {
    assertFalse(progress.isAsked());
    progress.ask(2);
    progress.begin();
    progress.deliver(11);
    assertTrue(progress.isAsked());
    progress.deliver(12);
    assertFalse(progress.isAsked());
  }

  @Test
  void askingFromWithinSaysThatTheEventAtHandIsHandled() {
    progress.ask(1);
    progress.begin();
    progress.deliver(11);
    progress.receive();
    assertEquals(0, progress.handledPlace(POSITION));
    progress.ask(1);
    progress.received();
    // Nothing is left, so the place may be beyond the event.
    assertEquals(POSITION, progress.handledPlace(POSITION));
  }

  @Test
  void askingFromElsewhereSaysThatTheEventBeforeIsHandled() {
    progress.ask(1);
    progress.begin();
    progress.deliver(11);
    progress.ask(1); // The iterator is about to hand 11 out.
    assertEquals(0, progress.handledPlace(POSITION));
    progress.deliver(12);
    progress.ask(1);
    assertEquals(11, progress.handledPlace(POSITION));
  }

  @Test
  void aWindowIsNotTakenForHandling() {
    progress.ask(10);
    progress.begin();
    for (int sequence = 11; sequence <= 15; sequence++) {
      progress.deliver(sequence);
    }
    assertEquals(0, progress.handledPlace(POSITION));
    progress.ask(3);
    assertEquals(12, progress.handledPlace(POSITION));
  }

  @Test
  void whoAsksWithoutLimitHasHandledWhatHeReceived() {
    progress.ask(Integer.MAX_VALUE);
    progress.begin();
    progress.deliver(11);
    progress.deliver(12);
    progress.receive();
    progress.received();
    assertEquals(11, progress.handledPlace(POSITION));
  }
}
