/*
 * What the files of dispatch share.
 */
#ifndef TBK_DISPATCH_INTERNAL_H
#define TBK_DISPATCH_INTERNAL_H

#include <stdatomic.h>

#include "dispatch/job.h"
#include "dispatch/queue.h"

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
    int64_t pruned_us; /* monotonic, last time old request ids were forgotten */
    bool broken;       /* a commit is undecided; nothing is executed any more */
};

struct tbk_dispatch {
    struct tbk_dispatch_config config;
    struct tbk_methods *methods;
    struct tbk_job_pool pool;
    struct tbk_readers readers;
    struct tbk_writer writer;
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

/* Sends the reply of a queued job. more: see struct tbk_responder. */
void tbk_dispatch_finish(struct tbk_dispatch *dispatch, struct tbk_job *job, bool more);

#endif
