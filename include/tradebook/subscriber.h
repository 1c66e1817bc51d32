/*
 * tradebook subscriber: the closed trades of a server as one stream of events,
 * in order, none missing, none twice, across restarts of either side.
 *
 *   struct tradebook_subscriber *subscriber = NULL;
 *   struct tradebook_error error;
 *   const struct tradebook_subscriber_options options = {
 *       .events_address = "tcp://127.0.0.1:7602", .cursor = "alerts"};
 *   if (tradebook_subscriber_open("tcp://127.0.0.1:7601", &options, &subscriber, &error) != TRADEBOOK_OK) ...
 *
 *   const Tradebook__V1__Event *event = NULL;
 *   while (tradebook_subscriber_next(subscriber, -1, &event, &error) == TRADEBOOK_OK) {
 *       react_to(event->trade_closed);
 *       tradebook_subscriber_commit(subscriber, &error);
 *   }
 *   tradebook_subscriber_close(subscriber);
 *
 * What is published at the events address only rings: an event that follows the
 * last one is handed out as it comes, and whatever is missing (at the start, after
 * a lost connection, when this program was slow) is read with ListEvents. Without
 * an events address, or while nothing is heard there, ListEvents waits for the next
 * event.
 *
 * Once. Handling an event and committing the cursor are two steps. A program
 * that ends between them gets that event again when it starts again; one that
 * must not handle it twice stores event->sequence together with its effect and
 * starts with TRADEBOOK_START_AFTER.
 *
 * Threads: one at a time, but for tradebook_subscriber_stop, which any thread
 * may call at any time before the subscriber is closed. A subscriber has
 * connections of its own, keeps at most 4,096 published events and a page of 500 in
 * memory, and does not survive fork.
 */
#ifndef TRADEBOOK_SUBSCRIBER_H
#define TRADEBOOK_SUBSCRIBER_H

#include <stdint.h>

#include "tradebook/client.h"
#include "tradebook/v1/event.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a subscriber starts. */
enum tradebook_start {
    TRADEBOOK_START_NEWEST = 0, /* events recorded after it was opened */
    TRADEBOOK_START_OLDEST = 1, /* the oldest event the server keeps */
    TRADEBOOK_START_AFTER = 2   /* the event after after_sequence */
};

/* Settings of a subscriber; zero means the default. */
struct tradebook_subscriber_options {
    /* The server's events address, tcp://HOST:PORT or ipc:///PATH. It must belong to the same server. NULL:
     * ListEvents waits instead. */
    const char *events_address;
    /* Name of a cursor on the server, 1 to 100 characters: starts after it; when
     * there is none yet it is made at the place that start says. NULL: none. */
    const char *cursor;
    enum tradebook_start start;
    int64_t after_sequence; /* of TRADEBOOK_START_AFTER only; not negative, 0: from the first event on */
    /* Only this symbol, written as in the signal. NULL: all. */
    const char *symbol;
    /* Of the calls at the server's address; its timeout_ms also says after how
     * long a server that is away is told. NULL: the defaults. */
    const struct tradebook_client_options *client;
};

struct tradebook_subscriber;

/* Opens a subscriber at the server's address and finds out where it starts, which
 * takes up to the timeout of the client. What is recorded after this returned
 * is handed out. options may be NULL. INVALID_ARGUMENT: an address or option is
 * wrong. UNAVAILABLE: the server cannot be reached. */
enum tradebook_code tradebook_subscriber_open(const char *address,
                                              const struct tradebook_subscriber_options *options,
                                              struct tradebook_subscriber **ret_subscriber,
                                              struct tradebook_error *error);

/* Hands out the next event, and waits for it up to timeout_ms: 0 does not wait,
 * -1 waits without end. *ret_event belongs to the subscriber and lives until the next
 * call of this function or until the subscriber is closed. error may be NULL.
 *
 * The stream goes on with the next call after
 *   DEADLINE_EXCEEDED  no event within timeout_ms
 *   UNAVAILABLE        the server has been away for the client's timeout_ms
 * and has ended, with the same answer from then on, after
 *   CANCELLED          tradebook_subscriber_stop was called
 *   OUT_OF_RANGE       the next event was deleted already; the message names the
 *                      oldest one kept. Open another subscriber there to go on
 *   DATA_LOSS          the server's newest event is before this one's place, or an
 *                      event is missing: its database was restored to an older
 *                      state, is another one, or is damaged
 *   any other code     the server refused to list events, for example because of
 *                      a wrong symbol */
enum tradebook_code tradebook_subscriber_next(struct tradebook_subscriber *subscriber, int64_t timeout_ms,
                                              const Tradebook__V1__Event **ret_event,
                                              struct tradebook_error *error);

/* Sequence of the last event handed out. When tradebook_subscriber_next has found
 * none left, it may be beyond: events of other symbols lay between. */
int64_t tradebook_subscriber_position(const struct tradebook_subscriber *subscriber);

/* Moves the cursor to tradebook_subscriber_position and returns when that is
 * stored. Nothing is sent when it is there already. FAILED_PRECONDITION: the
 * subscriber was opened without cursor. Others as of CommitCursor; calling again
 * is safe. Works after tradebook_subscriber_stop, too. */
enum tradebook_code tradebook_subscriber_commit(struct tradebook_subscriber *subscriber,
                                                struct tradebook_error *error);

/* Ends a tradebook_subscriber_next that waits, and all later ones, with CANCELLED.
 * From any thread, but not from a signal handler. */
void tradebook_subscriber_stop(struct tradebook_subscriber *subscriber);

/* Frees the subscriber. No other call may be running: to end a stream from
 * another thread stop it, and close it when its thread has left the loop.
 * Accepts NULL. */
void tradebook_subscriber_close(struct tradebook_subscriber *subscriber);

#ifdef __cplusplus
}
#endif

#endif
