/*
 * What the files of peer.h share: the peer, its two halves, and what passes between
 * them. A request that is read whole goes to dispatch; the frame that it comes back
 * with goes to the writer.
 */
#ifndef TBK_TRANSPORT_PEER_INTERNAL_H
#define TBK_TRANSPORT_PEER_INTERNAL_H

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timestamp.h"
#include "dispatch/dispatch.h"
#include "transport/peer.h"
#include "transport/streams.h"

enum { TBK_PEER_INPUT_BYTES = 4096 };

/* One frame to write, whole: own, or shared with other peers. Also the handshake, and
 * several frames one after the other. */
struct tbk_peer_frame {
    struct tbk_peer_frame *next;
    const uint8_t *bytes;
    size_t length;
    unsigned frames;                 /* that bytes are */
    struct tbk_shared_frame *shared; /* what bytes are of, or NULL */
    size_t counted;                  /* in the budget */
    uint8_t own[];
};

/* One frame read, and the way back for its answer. */
struct tbk_peer_request {
    struct tbk_responder responder; /* first: a responder is its request */
    struct tbk_peer *peer;
    struct tbk_peer_frame *reply;
    size_t backtrace_bytes;
    size_t length;
    size_t got;
    size_t kept;    /* of length; the rest of a request that is refused is forgotten */
    size_t counted; /* in the budget */
    uint8_t payload[];
};

/* Of the reading chain, which runs on one thread at a time: no lock. While the chain
 * rests, of whoever is to wake it. */
struct tbk_peer_reader {
    nng_aio *aio;
    bool shaken_hands;
    bool idle;                        /* no request is begun */
    int64_t started_us;               /* when the handshake or the request that is being read began */
    struct tbk_peer_request *request; /* being read, or waiting for a slot */
    bool has_slot;                    /* for request */
    bool direct;                      /* the running read goes into request, not input */
    size_t input_begin;
    size_t input_end;
    uint8_t input[TBK_PEER_INPUT_BYTES];
};

/* Under the lock of the peer. */
struct tbk_peer_writer {
    nng_aio *aio;
    bool subscribed; /* of a publisher: takes frames */
    struct tbk_peer_frame *first;
    struct tbk_peer_frame **last; /* where the next one goes */
    unsigned unread_frames;
    size_t unread_bytes;
    bool held;                  /* in a thread's list of peers to write to */
    struct tbk_peer *next_held; /* in that list */
    unsigned writing;           /* items of the list in the running write */
    size_t write_offset;        /* of these already written */
    int64_t write_end_us;       /* when the peer must have taken them */
};

struct tbk_peer {
    struct tbk_peer_links links; /* under the lock of streams */
    struct tbk_streams *streams;
    nng_stream *stream;
    bool ipc;
    atomic_uint references;
    struct tbk_share share; /* of dispatch */
    struct tbk_peer_reader reader;

    pthread_mutex_t lock; /* for what follows */
    bool closed;
    bool paused; /* the reading chain rests until the peer takes frames or is closed */
    struct tbk_peer_writer writer;
};

/* peer.c */
/* When the last reference is gone. */
void tbk_peer_free(struct tbk_peer *peer);
/* As tbk_peer_close, under the lock. */
void tbk_peer_close_locked(struct tbk_peer *peer);

static inline void tbk_peer_hold(struct tbk_peer *peer)
{
    atomic_fetch_add(&peer->references, 1);
}

static inline void tbk_peer_release(struct tbk_peer *peer)
{
    if (atomic_fetch_sub(&peer->references, 1) == 1)
        tbk_peer_free(peer);
}

static inline bool tbk_peer_publishes(const struct tbk_peer *peer)
{
    return tbk_streams_settings(peer->streams)->dispatch == NULL;
}

static inline struct tbk_budget *tbk_peer_memory(const struct tbk_peer *peer)
{
    return tbk_streams_settings(peer->streams)->memory;
}

/* For an operation that must end at a time of the monotonic clock; INT64_MAX: none. */
static inline nng_duration tbk_peer_timeout(int64_t end_us)
{
    if (end_us == INT64_MAX)
        return NNG_DURATION_INFINITE;
    int64_t left_ms = (end_us - tbk_monotonic_us()) / 1000;
    return left_ms > 0 ? (nng_duration)left_ms + 1 : 1;
}

/* peer_read.c */
/* False when memory is exhausted. */
bool tbk_peer_reader_init(struct tbk_peer *peer) TBK_MUST_CHECK;
/* Begins the reading chain, which takes over a reference, or goes on with it. */
void tbk_peer_read(struct tbk_peer *peer);
/* Lets the reading chain, which rests, go on on a thread of nng: the caller may be
 * deep in another peer's. */
void tbk_peer_wake_reader(struct tbk_peer *peer);

/* peer_request.c */
/* A request of length bytes, of which as many are kept as there is memory for. NULL
 * when there is none even to refuse it. */
struct tbk_peer_request *tbk_peer_request_create(struct tbk_peer *peer, size_t length);
/* Accepts NULL. */
void tbk_peer_request_free(struct tbk_peer_request *request);
/* Hands a request that was read whole to dispatch, and the slot it has with it. */
void tbk_peer_request_submit(struct tbk_peer_request *request);

/* peer_write.c */
/* False when memory is exhausted. */
bool tbk_peer_writer_init(struct tbk_peer *peer) TBK_MUST_CHECK;
/* A frame of length bytes of its own; NULL when memory is exhausted. */
struct tbk_peer_frame *tbk_peer_frame_create(size_t length);
/* Accepts NULL. */
void tbk_peer_frame_free(const struct tbk_peer *peer, struct tbk_peer_frame *frame);
/* Queues a frame and takes it over. more: tbk_peers_write follows on this thread and
 * begins to write. */
void tbk_peer_write(struct tbk_peer *peer, struct tbk_peer_frame *frame, bool more);
/* Under the lock. Whether the peer leaves so many frames unread that it must wait. */
bool tbk_peer_is_behind(const struct tbk_peer *peer);

#endif
