/*
 * What the files of the client share.
 *
 *   call.c     a call enters, gets a lane or waits for one, and ends here
 *   attempt.c  a lane sends a call, waits for the reply, pauses, sends again
 *   wait.c     lanes that wait, for their reply or for the connection
 *   cancel.c   calls that their caller gives up
 *   link*.c    the connection
 *   client.c   a client is opened and closed
 *
 * Threads: a client's lists and counters are guarded by its mutex. A lane and
 * the call it carries belong to one thread at a time: to the thread that took
 * the lane from the list until it waits or starts a pause, then to the one that
 * ends that. Beginning to wait is therefore always the last thing done with a
 * lane.
 */
#ifndef TBK_CLIENT_INTERNAL_H
#define TBK_CLIENT_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "link.h"
#include "tradebook/client.h"

/* --- method.c --- */

struct tbk_client_method {
    char name[96]; /* "/tradebook.v1.SignalService/GetSignal" */
    const ProtobufCMethodDescriptor *descriptor;
};

/* NULL when there is none of that name. Any thread. */
const struct tbk_client_method *tbk_client_method_find(const char *name);

/* --- queue.c: everything here wants the client's mutex held, but for queue_end and queue_tick --- */

/* Who hears how a call ended. */
struct tbk_client_listener {
    tradebook_callback *callback;
    void *argument;
    bool frees_reply; /* the callback does, unlike those of users */
};

/* One call, under way or waiting for a lane. */
struct tbk_client_call {
    struct tbk_client_call *next;
    const struct tbk_client_method *method;
    uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES];
    uint8_t *payload; /* the serialised request and behind it the metadata, kept for sending them again */
    size_t payload_bytes;
    size_t metadata_bytes;
    size_t payload_bytes_allocated;
    int64_t timeout_ms;
    int64_t deadline_ms; /* on nng_clock */
    bool is_cancelled;   /* guarded by the client's mutex */
    struct tbk_client_listener listener;
};

/* What a lane waits for. */
enum tbk_client_wait { TBK_WAIT_NONE, TBK_WAIT_REPLY, TBK_WAIT_CONNECTION };

/* Carries one call at a time. */
struct tbk_client_lane {
    struct tbk_client_lane *next_free;
    struct tradebook_client *client;
    struct tbk_client_call *call;
    nng_aio *pause_aio;
    enum tradebook_code failure; /* not OK: the call ends with this after the pause */
    int64_t pause_ms;            /* the next pause */
    size_t index;                /* in the client's lanes */

    /* Guarded by the client's mutex: */
    enum tbk_client_wait waits;
    struct tbk_client_call *cancellable; /* the call, once others may look at it */
    uint32_t request_number;             /* of the last request on the wire */
    int64_t wait_end_ms;                 /* on nng_clock */
    struct tbk_client_lane *next_ended;
};

/* A call to fill in, a kept one if there is one; NULL when memory is exhausted. */
struct tbk_client_call *tbk_client_call_take(struct tradebook_client *client);
/* Takes the call back, for reuse or to free it. */
void tbk_client_call_keep(struct tradebook_client *client, struct tbk_client_call *call);
void tbk_client_call_free(struct tbk_client_call *call);
/* A free lane, or a new one while there may be more; otherwise NULL. */
struct tbk_client_lane *tbk_client_lane_take(struct tradebook_client *client);
void tbk_client_lane_keep(struct tradebook_client *client, struct tbk_client_lane *lane);
void tbk_client_enqueue(struct tradebook_client *client, struct tbk_client_call *call);
/* NULL when no call waits. */
struct tbk_client_call *tbk_client_dequeue(struct tradebook_client *client);
/* Ends calls that wait for a lane: all of them, or those whose time is over. */
void tbk_client_queue_end(struct tradebook_client *client, bool all);
/* Callback of client->queue_timer. */
void tbk_client_queue_tick(void *argument);

/* --- call.c --- */

/* Starts a call; see tradebook_call_async. */
enum tradebook_code tbk_client_call_start(struct tradebook_client *client, const char *method,
                                          const ProtobufCMessage *request,
                                          const struct tradebook_call_options *options,
                                          struct tbk_client_listener listener, struct tradebook_error *error);
/* Ends the call of a lane, gives the lane to the next call, then tells the
 * caller. Takes the reply. Only from a callback of nng. */
void tbk_client_call_finish(struct tbk_client_lane *lane, enum tradebook_code code, ProtobufCMessage *reply,
                            const struct tradebook_error *error);
/* Tells the caller how a call ended that is no longer on any list; takes the
 * reply. The client may be gone when this returns. */
void tbk_client_tell(struct tradebook_client *client, struct tbk_client_listener listener,
                     enum tradebook_code code, ProtobufCMessage *reply, const struct tradebook_error *error);

/* --- attempt.c --- */

/* Sends the call of a lane for the first time. */
void tbk_client_attempt_start(struct tbk_client_lane *lane);
/* Callback of a lane's pause. */
void tbk_client_attempt_paused(void *argument);
/* The lane has waited, and ... */
void tbk_client_attempt_replied(struct tbk_client_lane *lane, const uint8_t *reply, size_t length);
void tbk_client_attempt_lost(struct tbk_client_lane *lane);    /* the connection was lost */
void tbk_client_attempt_resumed(struct tbk_client_lane *lane); /* there may be a connection again, or the end */
void tbk_client_attempt_expired(struct tbk_client_lane *lane); /* no reply came in time */

static inline int64_t tbk_client_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- wait.c --- */

/* Sends the request of a lane and lets the lane wait for its reply until a time,
 * or when there is no connection, for one until another; when the connection has no
 * room for it, for some milliseconds. Takes the frame. False: the call was cancelled,
 * and nothing was done. */
bool tbk_client_wait(struct tbk_client_lane *lane, struct tbk_link_frame *frame, int64_t reply_end_ms,
                     int64_t connection_end_ms);
/* Goes on with a list of lanes that have waited. */
void tbk_client_go_on(struct tbk_client_lane *ended, void (*attempt)(struct tbk_client_lane *lane));
/* Ends all waiting as if there were a connection again. */
void tbk_client_wait_end(struct tradebook_client *client);
/* Callback of client->wait_timer. */
void tbk_client_wait_tick(void *argument);
/* Of the link. */
void tbk_client_wait_connection(void *argument, bool is_connected);
bool tbk_client_wait_frame(void *argument, const uint8_t *bytes, size_t length);

/* --- client.c --- */

struct tradebook_client {
    char *address;
    struct tradebook_client_options options; /* defaults filled in; client_id is NULL */
    Tradebook__V1__Metadata client_id;       /* sent with every call, if it has a value */
    struct tbk_link *link;
    atomic_bool is_connected;
    atomic_llong waiting_since; /* when the first request after the last reply was sent; 0: none since */
    atomic_bool closing;

    pthread_mutex_t mutex;
    pthread_cond_t idle; /* pending became 0 */
    size_t pending;      /* calls whose callback has not returned */
    struct tbk_client_lane **lanes;
    size_t lane_count;
    struct tbk_client_lane *free_lanes;
    struct tbk_client_call *free_calls;
    size_t free_call_count;
    struct tbk_client_call *queue_head; /* calls waiting for a lane, oldest first */
    struct tbk_client_call **queue_tail;
    size_t queue_length;
    int64_t queue_deadline_ms; /* no waiting call ends earlier */
    nng_aio *queue_timer;
    bool queue_timer_runs;
    nng_aio *wait_timer;
    int64_t wait_timer_ms; /* when it ends; 0: it does not run */
};

/* NULL when memory is exhausted. */
struct tbk_client_lane *tbk_client_lane_create(struct tradebook_client *client);

/* --- error.c --- */

/* Sets error, unless it is NULL, and returns code. */
enum tradebook_code tbk_client_error_set(struct tradebook_error *error, enum tradebook_code code,
                                         const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Copies what is set of from. to may be NULL. */
void tbk_client_error_copy(struct tradebook_error *to, const struct tradebook_error *from);

/* --- envelope.c --- */

/* The Request envelope of a call with this much time left, behind room for the
 * number of the request; NULL when memory is exhausted. */
struct tbk_link_frame *tbk_client_envelope_pack(const struct tbk_client_call *call, int64_t timeout_ms);
/* Reads the Reply envelope to a call. On OK *ret_reply is the response;
 * otherwise error is set. A reply that cannot be read is INTERNAL. */
enum tradebook_code tbk_client_envelope_unpack(const struct tbk_client_call *call, const uint8_t *data,
                                               size_t length, ProtobufCMessage **ret_reply,
                                               struct tradebook_error *error);

#endif
