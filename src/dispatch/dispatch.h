/*
 * Dispatch: takes the bytes of one Request envelope and answers with the bytes
 * of one Reply, exactly once, from any thread. Knows no sockets and no SQL.
 *
 *   submit (transport's thread): decode envelope -> route -> decode and check
 *   payload -> answer at once, or queue for a reader or for the writer
 */
#ifndef TBK_DISPATCH_DISPATCH_H
#define TBK_DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/error.h"
#include "metrics/exposition.h"
#include "services/service.h"

struct tbk_dispatch;

/* What dispatch keeps about one connection; the transport has one for each, zero at
 * first, and keeps it until all requests of the connection are answered. */
struct tbk_share {
    unsigned waiting[2]; /* its requests in each queue, see queue.h; guarded by that queue */
};

/* The way back to the caller; embedded by the transport in what it keeps for one
 * request. Every submitted request gets exactly one call of send or discard, on
 * any thread, possibly before tbk_dispatch_submit returns; the request's bytes
 * and the responder belong to the transport again from then on. */
struct tbk_responder {
    /* A buffer of exactly length bytes for the Reply; NULL when memory is
     * exhausted. Called again, it replaces the buffer. */
    uint8_t *(*reserve)(struct tbk_responder *responder, size_t length);
    /* Sends the reserved buffer. Must not block. more: this thread ends further
     * requests at once, the last of them without more; until then the transport
     * may hold replies back, to send several in one system call. */
    void (*send)(struct tbk_responder *responder, bool more);
    /* There is no answer to send: the connection is closed, so that the client does
     * not wait for one. more: as for send. */
    void (*discard)(struct tbk_responder *responder, bool more);
    struct tbk_share *share; /* of its connection */
};

/* Where events go; implemented by the transport. Called from one thread. */
struct tbk_publisher {
    /* Hands a message (topic, NUL, serialised event) to whoever subscribes. Must not
     * block; who is slow may miss it. more: as for tbk_responder.send. */
    void (*publish)(struct tbk_publisher *publisher, const uint8_t *message, size_t length, bool more);
};

struct tbk_dispatch_config {
    const struct tbk_service_context *context; /* schema, storage, settings; outlives dispatch */
    unsigned reader_threads;                   /* 1..64 */
    unsigned queue_max;              /* requests waiting, for readers and for the writer each, see queue.h */
    unsigned waiting_max;            /* reads that wait for events */
    size_t request_bytes_max;        /* larger requests answer RESOURCE_EXHAUSTED */
    size_t arena_bytes_max;          /* memory of one request */
    struct tbk_budget *memory;       /* of all requests, shared with the transport; outlives dispatch */
    int64_t timeout_default_ms;      /* for requests without timeout_ms */
    int64_t timeout_max_ms;          /* larger timeouts are taken as this */
    int64_t request_retention_s;     /* how long answers to request ids are kept */
    int64_t event_retention_s;       /* how long events are kept */
    int64_t heartbeat_ms;            /* how often one is published */
    struct tbk_publisher *publisher; /* outlives dispatch */
    /* The outcome of a commit is unknown; the process must end so that recovery
     * decides. Called once, from the writer's thread. */
    void (*on_fatal)(void *argument, const struct tbk_error *error);
    void *on_fatal_argument;
};

/* Starts the threads. */
enum tbk_status tbk_dispatch_create(const struct tbk_dispatch_config *config, struct tbk_dispatch **ret_dispatch,
                                    struct tbk_error *error) TBK_MUST_CHECK;

/* Handles one request. Never blocks on disk or on a peer. data stays valid until
 * the responder is called. Any thread. */
void tbk_dispatch_submit(struct tbk_dispatch *dispatch, struct tbk_responder *responder, const uint8_t *data,
                         size_t length);

/* Answers a request, whose bytes the transport did not keep, that there is no memory
 * for it. Any thread. */
void tbk_dispatch_refuse(struct tbk_dispatch *dispatch, struct tbk_responder *responder);

/* Whether requests are served. UNAVAILABLE, with a sentence: the server stops or is
 * to be started again, or the writer is held up. Any thread. */
enum tbk_status tbk_dispatch_check(struct tbk_dispatch *dispatch, struct tbk_error *error) TBK_MUST_CHECK;

/* Writes the metrics of requests, queues and the writer. Any thread. */
void tbk_dispatch_expose(struct tbk_dispatch *dispatch, struct tbk_exposition *exposition);

/* From now on submitted requests answer UNAVAILABLE; returns when everything
 * that was queued is answered. */
void tbk_dispatch_drain(struct tbk_dispatch *dispatch);

/* After drain. Stops the threads and frees everything. Accepts NULL. */
void tbk_dispatch_destroy(struct tbk_dispatch *dispatch);

#endif
