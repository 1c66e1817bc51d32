/*
 * What the files of dispatch share.
 */
#ifndef TBK_DISPATCH_INTERNAL_H
#define TBK_DISPATCH_INTERNAL_H

#include <stdatomic.h>

#include "dispatch/counts.h"
#include "dispatch/job.h"
#include "dispatch/queue.h"
#include "dispatch/waiters.h"

/* Threads that answer READ methods, each with its own read session. */
struct tbk_readers {
    struct tbk_dispatch *dispatch;
    struct tbk_queue queue;
    unsigned count;
    pthread_t *threads;
    struct tbk_session **sessions;
};

/* The thread that executes WRITE methods in group commits. */
struct tbk_writer {
    struct tbk_dispatch *dispatch;
    struct tbk_queue queue;
    pthread_t thread;
    struct tbk_session *session;
    int64_t pruned_us;    /* monotonic, last time old request ids and events were forgotten */
    int64_t newest_event; /* as of the last commit */
    atomic_bool broken;   /* a commit is undecided; nothing is executed any more */
};

/* The thread that tells of new events, whoever has committed them. */
struct tbk_relay {
    struct tbk_dispatch *dispatch;
    struct tbk_session *session;
    struct tbk_arena *arena; /* of one batch */
    pthread_t thread;
    pthread_mutex_t mutex; /* for what follows up to stopping */
    pthread_cond_t woken;
    bool awake;   /* our writer has committed events */
    bool minding; /* a job waits that was not there before */
    bool stopping;
    int64_t published;    /* sequence of the last event that was published */
    int64_t heartbeat_us; /* monotonic, when the next one is due */
    bool failing;         /* the last attempt to read failed, as was logged */
};

struct tbk_dispatch {
    struct tbk_dispatch_config config;
    struct tbk_methods *methods;
    struct tbk_job_pool pool;
    struct tbk_counts counts;
    struct tbk_readers readers;
    struct tbk_writer writer;
    struct tbk_relay relay;
    struct tbk_waiters waiters;
    atomic_bool draining;
    atomic_uint pending; /* jobs in queues or in work */
    pthread_mutex_t drain_mutex;
    pthread_cond_t drained;
};

enum tbk_status tbk_readers_start(struct tbk_readers *readers, struct tbk_dispatch *dispatch,
                                  struct tbk_error *error) TBK_MUST_CHECK;
void tbk_readers_stop(struct tbk_readers *readers);

enum tbk_status tbk_writer_start(struct tbk_writer *writer, struct tbk_dispatch *dispatch,
                                 struct tbk_error *error) TBK_MUST_CHECK;
void tbk_writer_stop(struct tbk_writer *writer);

enum tbk_status tbk_relay_start(struct tbk_relay *relay, struct tbk_dispatch *dispatch,
                                struct tbk_error *error) TBK_MUST_CHECK;
/* There are new events, and they are committed. Any thread. */
void tbk_relay_wake(struct tbk_relay *relay);
/* A job waits whose end is to be minded. Any thread. */
void tbk_relay_mind(struct tbk_relay *relay);
void tbk_relay_stop(struct tbk_relay *relay);

/* Sends the reply of a queued job. more: see struct tbk_responder. */
void tbk_dispatch_finish(struct tbk_dispatch *dispatch, struct tbk_job *job, bool more);

#endif
