/*
 * A server of events for the tests of the subscriber: a REP side that answers
 * ListEvents, GetCursor and CommitCursor as event.proto says, and a PUB side. Event
 * n is of the symbol "A/A" when n is odd, otherwise of "B".
 *
 * Threads: the test changes the log with the functions below while the server's
 * threads answer.
 */
#ifndef TBK_TESTS_EVENT_LOG_H
#define TBK_TESTS_EVENT_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "client_support.h"
#include "pub_server.h"
#include "tradebook/subscriber.h"

struct event_log {
    char rpc_address[64];
    char events_address[64];
    struct tbk_rep_server *rep;
    struct tbk_pub_server *pub;
    atomic_uint lists;   /* calls of ListEvents that were answered, for what they cost */
    atomic_uint commits; /* calls of CommitCursor */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_stopping;
    int64_t newest;
    int64_t oldest;              /* events before it are deleted; 1 at first */
    int64_t hole;                /* this event is missing; 0: none is */
    Tradebook__V1__Code refusal; /* of the next refusals calls of ListEvents */
    unsigned refusals;
    bool has_cursor;
    int64_t cursor;
};

/* Starts both sides with so many events. */
void event_log_init(struct event_log *log, int64_t newest);
void event_log_fini(struct event_log *log);

/* Takes the sides down and brings them back, at the same addresses. */
void event_log_stop(struct event_log *log);
void event_log_restart(struct event_log *log);

/* Records events up to newest; those who wait in ListEvents hear of it. */
void event_log_record(struct event_log *log, int64_t newest);
/* Deletes all events before oldest. */
void event_log_delete_before(struct event_log *log, int64_t oldest);
/* Answers the next calls of ListEvents with an error. */
void event_log_refuse(struct event_log *log, Tradebook__V1__Code code, unsigned calls);
/* Where the cursor is. */
int64_t event_log_cursor(struct event_log *log);

/* Publishes the frame of one event, recorded or not. */
void event_log_publish(struct event_log *log, int64_t sequence);
void event_log_beat(struct event_log *log, int64_t newest, int64_t interval_ms);

/* Opens a subscriber with options at the log's server, with its events address
 * if is_rung, and ends the test when that fails. */
struct tradebook_subscriber *event_log_subscribe(const struct event_log *log, bool is_rung,
                                                 struct tradebook_subscriber_options options);
/* Takes events from -> to, in steps, and looks at what is in them. */
void expect_events(struct tradebook_subscriber *subscriber, int64_t from, int64_t to, int64_t step);
/* Insists that no event is there now. */
void expect_none(struct tradebook_subscriber *subscriber);

#endif
