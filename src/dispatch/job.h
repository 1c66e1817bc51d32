/*
 * One request on its way through dispatch: what arrived, its memory, and the way
 * back. Jobs come from a pool, so a request at normal size allocates nothing.
 * A job belongs to one thread at a time; queues hand it on.
 */
#ifndef TBK_DISPATCH_JOB_H
#define TBK_DISPATCH_JOB_H

#include <pthread.h>

#include "dispatch/dispatch.h"
#include "dispatch/envelope.h"

/* First block of a request's arena; a request for one record needs less. */
enum { TBK_JOB_ARENA_FIRST_BYTES = 16 * 1024 };

struct tbk_job {
    struct tbk_job *next; /* in a queue or in the pool */
    struct tbk_responder *responder;
    struct tbk_arena *arena;
    const struct tbk_budget *memory; /* that of the pool */
    struct tbk_envelope envelope;
    const struct tbk_method *method;
    ProtobufCMessage *request;
    struct tbk_call call;
    uint64_t fingerprint;   /* of method and payload, for request ids */
    int64_t received_us;    /* monotonic */
    int64_t deadline_us;    /* monotonic */
    int64_t wait_end_us;    /* monotonic, while it waits for events */
    enum tbk_status status; /* of the reply that is reserved */
    struct tbk_error error;
};

struct tbk_job_pool {
    pthread_mutex_t mutex;
    struct tbk_job *free;
    size_t arena_bytes_max;
    struct tbk_budget *memory;
};

/* memory: of all jobs' arenas beyond their first blocks; may be NULL. */
void tbk_job_pool_init(struct tbk_job_pool *pool, size_t arena_bytes_max, struct tbk_budget *memory);
void tbk_job_pool_fini(struct tbk_job_pool *pool);

/* A clean job for this responder; NULL when memory is exhausted. */
struct tbk_job *tbk_job_take(struct tbk_job_pool *pool, struct tbk_responder *responder);
void tbk_job_give(struct tbk_job_pool *pool, struct tbk_job *job);

/* Whether the request's time has ended; then the error says so. */
bool tbk_job_expired(struct tbk_job *job, int64_t now_us);

#endif
