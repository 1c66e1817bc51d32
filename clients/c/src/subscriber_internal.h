/*
 * What the files of the subscriber share.
 *
 *   subscriber.c           the order of events: what is handed out, what is fetched
 *   subscriber_start.c     a subscriber is opened and closed, cursors
 *   subscriber_doorbell.c  what the server publishes, in the order of its arrival
 *   subscriber_page.c      one call of ListEvents, in the background
 *
 * Threads: callbacks of nng and of the client only put something down (a frame, a
 * page) and wake the thread that calls next, which does everything else. What both
 * touch is guarded by the waker's mutex.
 */
#ifndef TBK_CLIENT_SUBSCRIBER_INTERNAL_H
#define TBK_CLIENT_SUBSCRIBER_INTERNAL_H

#include "internal.h"
#include "link.h"
#include "tradebook/subscriber.h"

/* --- subscriber.c --- */

enum {
    TBK_SUBSCRIBER_HEARTBEAT_MS = 1000, /* until one tells */
    TBK_SUBSCRIBER_PAUSE_MS = 50,       /* first pause after the server was too busy */
};

struct tbk_waker {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    uint64_t changes;       /* how often it was rung: who has seen n waits for another number */
};

/* Wakes the thread that waits. The mutex is held. */
void tbk_waker_ring(struct tbk_waker *waker);

/* Milliseconds of CLOCK_MONOTONIC, which no one sets. */
int64_t tbk_subscriber_now_ms(void);

/* --- subscriber_doorbell.c --- */

enum { TBK_DOORBELL_FRAMES_MAX = 4096 };

#define TBK_DOORBELL_HEARTBEAT "heartbeat/"

/* Topic, NUL, message. */
struct tbk_doorbell_frame {
    size_t length;
    uint8_t bytes[];
};

struct tbk_doorbell {
    struct tbk_waker *waker;
    struct tbk_link *link; /* NULL: there is no events address */
    char *topic;
    /* Guarded by the waker's mutex: */
    struct tbk_doorbell_frame *frames[TBK_DOORBELL_FRAMES_MAX]; /* a ring */
    size_t first;
    size_t count;
    bool is_full; /* reading rests until a frame is taken */
    bool is_connected;
    bool is_connected_new; /* since it was last asked */
    int64_t heard_ms;      /* when the last frame came, or the connection */
};

/* Connects in the background and hears frames of topic, which it takes, and
 * heartbeats. */
enum tradebook_code tbk_doorbell_open(struct tbk_doorbell *doorbell, const char *address, char *topic,
                                      struct tbk_waker *waker, struct tradebook_error *error);
void tbk_doorbell_close(struct tbk_doorbell *doorbell);
/* The oldest frame, which the caller frees; NULL when there is none. */
struct tbk_doorbell_frame *tbk_doorbell_take(struct tbk_doorbell *doorbell);
/* Whether a connection was made since this was last asked: events before it were
 * not heard. */
bool tbk_doorbell_take_connected(struct tbk_doorbell *doorbell);
/* When the doorbell counts as dead unless it is heard: silence_ms after the last
 * frame. 0: there is no connection. */
int64_t tbk_doorbell_alive_until_ms(struct tbk_doorbell *doorbell, int64_t silence_ms);

/* --- subscriber_page.c --- */

struct tbk_page_call {
    struct tbk_waker *waker;
    int64_t after_sequence; /* of the request */
    int64_t started_ms;
    int64_t wait_ms;
    bool runs; /* until its end was taken */
    /* Guarded by the waker's mutex: */
    bool has_ended;
    enum tradebook_code code;
    Tradebook__V1__ListEventsResponse *page;
    struct tradebook_error error;
};

/* Starts to ask for the events after a sequence; the end, good or bad, rings.
 * symbol may be NULL. */
void tbk_page_call_start(struct tbk_page_call *call, struct tradebook_client *client, int64_t after_sequence,
                         const char *symbol, int64_t wait_ms);
/* Answers whether the call has ended since this was last asked. On OK *ret_page is
 * the caller's, otherwise *ret_page is NULL and call->error is set. */
bool tbk_page_call_take(struct tbk_page_call *call, Tradebook__V1__ListEventsResponse **ret_page);

/* --- subscriber_start.c --- */

struct tradebook_subscriber {
    struct tradebook_client *client;
    char *symbol; /* NULL: all */
    char *cursor; /* NULL: none */
    struct tbk_waker waker;
    bool is_stopped; /* guarded by the waker's mutex */
    struct tbk_doorbell doorbell;
    struct tbk_page_call call;

    /* Of the thread that calls next. Everything up to position was handed out, or
     * is of another symbol. */
    int64_t position;
    int64_t committed;                       /* where the cursor is */
    bool is_behind;                          /* events may be missing that the doorbell will not bring */
    int64_t heartbeat_ms;                    /* time between two heartbeats */
    int64_t pause_ms;                        /* the next pause after the server was too busy */
    int64_t list_not_before_ms;              /* the end of a pause */
    Tradebook__V1__Event *published;         /* handed out last, if the doorbell brought it */
    Tradebook__V1__ListEventsResponse *page; /* being handed out */
    size_t page_next;
    Tradebook__V1__Event *ahead; /* from the doorbell, not the next one */
    bool is_ahead_listed;        /* a page was asked for after it had come */
    struct tradebook_error end;  /* why the stream has ended; OK: it has not */
};

/* Frees the events that are kept. */
void tbk_subscriber_drop_events(struct tradebook_subscriber *subscriber);

#endif
