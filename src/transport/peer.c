#include "transport/peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "transport/frame.h"
#include "transport/streams.h"

enum {
    INPUT_BYTES = 4096,
    HANDSHAKE_MS_MAX = 10000,
    FRAME_MS_MAX = 10000,  /* from the first byte of a request to its last */
    REPLIES_PER_WRITE = 8, /* as many buffers as nng takes at once */
    UNREAD_REPLIES_MAX = 64,
    UNREAD_BYTES_MAX = 1 << 20,
};

/* One frame to write, whole: own, or shared with other peers. */
struct reply {
    struct reply *next;
    const uint8_t *bytes;
    size_t length;
    struct tbk_shared_frame *shared; /* what bytes are of, or NULL */
    size_t counted;                  /* in the budget */
    uint8_t own[];
};

/* One frame read, and the way back for its answer. */
struct request {
    struct tbk_responder responder; /* first: a responder is its request */
    struct tbk_peer *peer;
    struct reply *reply;
    size_t backtrace_bytes;
    size_t length;
    size_t got;
    size_t kept;    /* of length; the rest of a request that is refused is forgotten */
    size_t counted; /* in the budget */
    uint8_t payload[];
};

struct tbk_peer {
    struct tbk_peer_links links;
    struct tbk_streams *streams;
    nng_stream *stream;
    bool ipc;
    atomic_uint references;
    struct tbk_share share; /* of dispatch */

    /* Of the reading chain. */
    nng_aio *read_aio;
    bool shaken_hands;
    bool idle;               /* no request is begun */
    int64_t started_us;      /* when the handshake or the request that is being read began */
    struct request *request; /* being read, or waiting for a slot */
    bool has_slot;           /* for request */
    bool direct;             /* the running read goes into request, not input */
    size_t input_begin;
    size_t input_end;
    uint8_t input[INPUT_BYTES];

    pthread_mutex_t lock; /* for what follows */
    bool closed;
    bool subscribed; /* of a publisher: takes frames */
    bool paused;     /* reading waits for the peer to take replies */
    nng_aio *write_aio;
    struct reply *first_reply;
    struct reply **last_reply;
    unsigned unread_replies;
    size_t unread_bytes;
    bool held;                  /* in a thread's list of peers to write to */
    struct tbk_peer *next_held; /* in that list */
    unsigned writing;           /* replies of the running write */
    size_t write_offset;        /* of these already written */
    int64_t write_end_us;       /* when the peer must have taken them */
};

struct tbk_peer_links *tbk_peer_links(struct tbk_peer *peer)
{
    return &peer->links;
}

static struct tbk_budget *memory_of(const struct tbk_peer *peer)
{
    return tbk_streams_settings(peer->streams)->memory;
}

static void free_reply(const struct tbk_peer *peer, struct reply *reply)
{
    if (reply == NULL)
        return;
    tbk_budget_give(memory_of(peer), reply->counted);
    tbk_shared_frame_release(reply->shared);
    free(reply);
}

static void free_request(const struct tbk_peer *peer, struct request *request)
{
    if (request == NULL)
        return;
    tbk_budget_give(memory_of(peer), request->counted);
    free_reply(peer, request->reply);
    free(request);
}

static void hold(struct tbk_peer *peer)
{
    atomic_fetch_add(&peer->references, 1);
}

/* nng frees what its callbacks use after they have returned. */
static void release(struct tbk_peer *peer)
{
    if (atomic_fetch_sub(&peer->references, 1) != 1)
        return;
    struct tbk_streams *streams = peer->streams;
    free_request(peer, peer->request);
    tbk_streams_unlink(streams, peer);
    nng_aio_reap(peer->read_aio);
    nng_aio_reap(peer->write_aio);
    nng_stream_free(peer->stream);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
    tbk_streams_freed(streams);
}

/* Lets the reading chain go on, on a thread of nng: the caller may be deep in
 * another peer's. The chain must be at rest. */
static void wake_reader(struct tbk_peer *peer)
{
    if (nng_aio_begin(peer->read_aio))
        nng_aio_finish(peer->read_aio, 0);
}

void tbk_peer_resume(struct tbk_peer *peer)
{
    peer->has_slot = true;
    wake_reader(peer);
}

/* Under the lock. */
static void close_locked(struct tbk_peer *peer)
{
    if (peer->closed)
        return;
    peer->closed = true;
    nng_stream_close(peer->stream);
    if (peer->paused)
        wake_reader(peer);
    peer->paused = false;
}

void tbk_peer_close(struct tbk_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    close_locked(peer);
    pthread_mutex_unlock(&peer->lock);
}

/* Writing ------------------------------------------------------------------ */

static bool publishes(const struct tbk_peer *peer)
{
    return tbk_streams_settings(peer->streams)->dispatch == NULL;
}

static bool too_much_unread(const struct tbk_peer *peer)
{
    return peer->unread_replies >= UNREAD_REPLIES_MAX || peer->unread_bytes >= UNREAD_BYTES_MAX;
}

static nng_duration ms_until(int64_t end_us)
{
    if (end_us == INT64_MAX)
        return NNG_DURATION_INFINITE;
    int64_t left_ms = (end_us - tbk_monotonic_us()) / 1000;
    return left_ms > 0 ? (nng_duration)left_ms + 1 : 1;
}

/* Under the lock, not closed. Writes the rest of the running replies. */
static void continue_write(struct tbk_peer *peer)
{
    nng_iov parts[REPLIES_PER_WRITE];
    unsigned count = 0;
    size_t skip = peer->write_offset;
    struct reply *reply = peer->first_reply;
    for (unsigned i = 0; i < peer->writing; i++, reply = reply->next) {
        size_t begin = skip < reply->length ? skip : reply->length;
        skip -= begin;
        if (begin < reply->length)
            parts[count++] =
                (nng_iov){.iov_buf = (void *)(uintptr_t)(reply->bytes + begin), .iov_len = reply->length - begin};
    }
    nng_aio_set_iov(peer->write_aio, count, parts);
    nng_aio_set_timeout(peer->write_aio, ms_until(peer->write_end_us));
    nng_stream_send(peer->stream, peer->write_aio);
}

/* Under the lock, not closed, with something to write and no write running. */
static void start_write(struct tbk_peer *peer)
{
    peer->writing = 0;
    for (struct reply *reply = peer->first_reply; reply != NULL && peer->writing < REPLIES_PER_WRITE;
         reply = reply->next)
        peer->writing++;
    peer->write_offset = 0;
    /* A slow subscriber loses frames, not its connection. */
    peer->write_end_us = publishes(peer)
                             ? INT64_MAX
                             : tbk_monotonic_us() + tbk_streams_settings(peer->streams)->send_timeout_ms * 1000;
    continue_write(peer);
}

/* Under the lock. Takes the reply out of the list and frees it. */
static void drop_reply(struct tbk_peer *peer, struct reply **link)
{
    struct reply *reply = *link;
    *link = reply->next;
    if (*link == NULL)
        peer->last_reply = link;
    peer->unread_replies--;
    peer->unread_bytes -= reply->length;
    free_reply(peer, reply);
    tbk_streams_paid(peer->streams);
}

static void drop_first_reply(struct tbk_peer *peer)
{
    drop_reply(peer, &peer->first_reply);
}

/* Under the lock. Makes room for a frame of a publisher: the oldest that are not
 * being written go. */
static void drop_oldest(struct tbk_peer *peer, size_t length)
{
    struct reply **link = &peer->first_reply;
    for (unsigned i = 0; i < peer->writing; i++)
        link = &(*link)->next;
    while (*link != NULL && (peer->unread_replies >= TBK_SUBSCRIBER_FRAMES_MAX ||
                             peer->unread_bytes + length > TBK_SUBSCRIBER_BYTES_MAX))
        drop_reply(peer, link);
}

/* Under the lock. True while a write runs. */
static bool go_on_writing(struct tbk_peer *peer, int failure, size_t written)
{
    peer->write_offset += written;
    while (peer->writing > 0 && peer->write_offset >= peer->first_reply->length) {
        peer->write_offset -= peer->first_reply->length;
        peer->writing--;
        drop_first_reply(peer);
    }
    if (failure != 0)
        close_locked(peer);
    if (peer->closed) {
        peer->writing = 0;
        while (peer->first_reply != NULL)
            drop_first_reply(peer);
        return false;
    }
    if (peer->paused && !too_much_unread(peer)) {
        peer->paused = false;
        wake_reader(peer);
    }
    if (peer->writing > 0)
        continue_write(peer);
    else if (peer->first_reply != NULL)
        start_write(peer);
    return peer->writing > 0;
}

/* nng's thread; holds the reference of the running write. */
static void on_written(void *argument)
{
    struct tbk_peer *peer = argument;
    pthread_mutex_lock(&peer->lock);
    int failure = nng_aio_result(peer->write_aio);
    bool running = go_on_writing(peer, failure, failure == 0 ? nng_aio_count(peer->write_aio) : 0);
    pthread_mutex_unlock(&peer->lock);
    if (!running)
        release(peer);
}

/* Under the lock. Writes what is queued unless a write runs and will. */
static void write_queued(struct tbk_peer *peer)
{
    if (peer->writing > 0 || peer->first_reply == NULL)
        return;
    if (peer->closed) {
        while (peer->first_reply != NULL)
            drop_first_reply(peer);
        return;
    }
    hold(peer);
    start_write(peer);
}

/* Peers whose replies this thread holds back; each holds a reference. */
static _Thread_local struct tbk_peer *held_peers;

/* Under the lock. Takes reply over. more: write_held follows. */
static void queue_locked(struct tbk_peer *peer, struct reply *reply, bool more)
{
    tbk_streams_owe(peer->streams);
    *peer->last_reply = reply;
    peer->last_reply = &reply->next;
    peer->unread_replies++;
    peer->unread_bytes += reply->length;
    if (!more) {
        write_queued(peer);
    } else if (!peer->held) {
        peer->held = true;
        hold(peer);
        peer->next_held = held_peers;
        held_peers = peer;
    }
}

static void queue_reply(struct tbk_peer *peer, struct reply *reply, bool more)
{
    pthread_mutex_lock(&peer->lock);
    queue_locked(peer, reply, more);
    pthread_mutex_unlock(&peer->lock);
}

static void write_held(void)
{
    while (held_peers != NULL) {
        struct tbk_peer *peer = held_peers;
        held_peers = peer->next_held;
        pthread_mutex_lock(&peer->lock);
        peer->held = false;
        write_queued(peer);
        pthread_mutex_unlock(&peer->lock);
        release(peer);
    }
}

static struct reply *reply_create(size_t length)
{
    struct reply *reply = malloc(sizeof *reply + length);
    if (reply != NULL)
        *reply = (struct reply){.bytes = reply->own, .length = length};
    return reply;
}

/* Publishing --------------------------------------------------------------- */

void tbk_peer_offer(struct tbk_peer *peer, struct tbk_shared_frame *frame)
{
    pthread_mutex_lock(&peer->lock);
    /* A peer that is not closed has its reading chain, hence a reference. */
    struct reply *reply = peer->subscribed && !peer->closed ? malloc(sizeof *reply) : NULL;
    if (reply != NULL) {
        *reply = (struct reply){.shared = frame};
        reply->bytes = tbk_shared_frame_bytes(frame, peer->ipc, &reply->length);
        tbk_shared_frame_hold(frame);
        drop_oldest(peer, reply->length);
        queue_locked(peer, reply, true);
    }
    pthread_mutex_unlock(&peer->lock);
}

void tbk_peers_write(void)
{
    write_held();
}

/* Answering ---------------------------------------------------------------- */

static uint8_t *responder_reserve(struct tbk_responder *responder, size_t length)
{
    struct request *request = (struct request *)responder;
    bool ipc = request->peer->ipc;
    size_t head_bytes = tbk_frame_head_bytes(ipc);
    free_reply(request->peer, request->reply);
    request->reply = reply_create(head_bytes + request->backtrace_bytes + length);
    if (request->reply == NULL)
        return NULL;
    request->reply->counted = tbk_budget_counted(length);
    tbk_budget_owe(memory_of(request->peer), request->reply->counted);
    uint8_t *out = request->reply->own;
    tbk_frame_head_write(ipc, request->backtrace_bytes + length, out);
    memcpy(out + head_bytes, request->payload, request->backtrace_bytes);
    return out + head_bytes + request->backtrace_bytes;
}

static void finish(struct request *request)
{
    struct tbk_peer *peer = request->peer;
    struct tbk_streams *streams = peer->streams;
    free_request(peer, request);
    tbk_streams_give_slot(streams);
    tbk_streams_paid(streams);
    release(peer);
}

static void responder_send(struct tbk_responder *responder, bool more)
{
    struct request *request = (struct request *)responder;
    struct reply *reply = request->reply;
    request->reply = NULL;
    queue_reply(request->peer, reply, more);
    finish(request);
    if (!more)
        write_held();
}

static void responder_discard(struct tbk_responder *responder, bool more)
{
    struct request *request = (struct request *)responder;
    tbk_peer_close(request->peer); /* else the client would wait for nothing */
    finish(request);
    if (!more)
        write_held();
}

/* Reading ------------------------------------------------------------------ */

/* A large request that finds no memory keeps its backtrace alone, to be refused when
 * it is there. */
static struct request *request_create(struct tbk_peer *peer, size_t length)
{
    size_t counted = tbk_budget_counted(length);
    bool refused = !tbk_budget_take(memory_of(peer), counted);
    size_t kept = refused ? TBK_BACKTRACE_BYTES_MAX : length;
    struct request *request = malloc(sizeof *request + kept);
    if (request == NULL && !refused)
        tbk_budget_give(memory_of(peer), counted);
    if (request != NULL)
        *request = (struct request){
            .responder = {.reserve = responder_reserve,
                          .send = responder_send,
                          .discard = responder_discard,
                          .share = &peer->share},
            .peer = peer,
            .length = length,
            .kept = kept,
            .counted = refused ? 0 : counted,
        };
    return request;
}

static size_t input_bytes(const struct tbk_peer *peer)
{
    return peer->input_end - peer->input_begin;
}

/* Moves what was read ahead into the request. */
static void fill_request(struct tbk_peer *peer)
{
    struct request *request = peer->request;
    size_t missing = request->length - request->got;
    size_t bytes = missing < input_bytes(peer) ? missing : input_bytes(peer);
    size_t room = request->got < request->kept ? request->kept - request->got : 0;
    memcpy(request->payload + request->got, peer->input + peer->input_begin, bytes < room ? bytes : room);
    request->got += bytes;
    peer->input_begin += bytes;
}

enum step { STEP_AGAIN, STEP_READ, STEP_REST, STEP_CLOSE };

static enum step read_handshake(struct tbk_peer *peer)
{
    if (input_bytes(peer) < TBK_HANDSHAKE_BYTES)
        return STEP_READ;
    if (!tbk_is_handshake(publishes(peer) ? TBK_SP_SUB : TBK_SP_REQ, peer->input + peer->input_begin))
        return STEP_CLOSE;
    peer->input_begin += TBK_HANDSHAKE_BYTES;
    peer->shaken_hands = true;
    pthread_mutex_lock(&peer->lock);
    peer->subscribed = publishes(peer);
    pthread_mutex_unlock(&peer->lock);
    return STEP_AGAIN;
}

/* Subscribers choose among what they get; they have nothing to say. */
static enum step read_nothing(struct tbk_peer *peer)
{
    return input_bytes(peer) == 0 ? STEP_READ : STEP_CLOSE;
}

static enum step read_head(struct tbk_peer *peer)
{
    size_t head_bytes = tbk_frame_head_bytes(peer->ipc);
    uint64_t length = 0;
    if (input_bytes(peer) < head_bytes)
        return STEP_READ;
    if (!tbk_frame_head_read(peer->ipc, peer->input + peer->input_begin, &length) ||
        length < TBK_BACKTRACE_WORD_BYTES ||
        length > tbk_streams_settings(peer->streams)->message_bytes_max + TBK_BACKTRACE_BYTES_MAX)
        return STEP_CLOSE;
    peer->request = request_create(peer, (size_t)length);
    peer->input_begin += head_bytes;
    return peer->request != NULL ? STEP_AGAIN : STEP_CLOSE;
}

/* Whether replies of this peer pile up; sets paused if so. */
static bool pause_reading(struct tbk_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->paused = !peer->closed && too_much_unread(peer);
    bool paused = peer->paused;
    pthread_mutex_unlock(&peer->lock);
    return paused;
}

static enum step submit(struct tbk_peer *peer)
{
    struct request *request = peer->request;
    request->backtrace_bytes = tbk_backtrace_bytes(request->payload, request->kept);
    if (request->backtrace_bytes == 0)
        return STEP_CLOSE;
    if (!peer->has_slot) {
        if (pause_reading(peer) || !tbk_streams_take_slot(peer->streams, peer))
            return STEP_REST;
    }
    peer->has_slot = false;
    peer->request = NULL;
    peer->idle = true;
    hold(peer);
    tbk_streams_owe(peer->streams);
    struct tbk_dispatch *dispatch = tbk_streams_settings(peer->streams)->dispatch;
    if (request->kept < request->length)
        tbk_dispatch_refuse(dispatch, &request->responder);
    else
        tbk_dispatch_submit(dispatch, &request->responder, request->payload + request->backtrace_bytes,
                            request->length - request->backtrace_bytes);
    return STEP_AGAIN;
}

static enum step read_request(struct tbk_peer *peer)
{
    fill_request(peer);
    return peer->request->got < peer->request->length ? STEP_READ : submit(peer);
}

static enum step next_step(struct tbk_peer *peer)
{
    if (!peer->shaken_hands)
        return read_handshake(peer);
    if (publishes(peer))
        return read_nothing(peer);
    return peer->request == NULL ? read_head(peer) : read_request(peer);
}

/* How long the next bytes may take: forever between two requests, but neither a
 * handshake nor a request may be begun and left. */
static nng_duration read_timeout(struct tbk_peer *peer)
{
    const bool was_idle = peer->idle;
    peer->idle = peer->shaken_hands && peer->request == NULL && peer->input_end == 0;
    if (peer->idle)
        return NNG_DURATION_INFINITE;
    if (was_idle)
        peer->started_us = tbk_monotonic_us();
    return ms_until(peer->started_us + (peer->shaken_hands ? FRAME_MS_MAX : HANDSHAKE_MS_MAX) * INT64_C(1000));
}

/* Asks for more bytes: the rest of a long request directly into it, else into
 * the buffer. False when the peer is closed. */
static bool start_read(struct tbk_peer *peer)
{
    nng_iov part;
    peer->direct = peer->request != NULL && peer->request->kept == peer->request->length &&
                   peer->request->length - peer->request->got > INPUT_BYTES;
    if (peer->direct) {
        part.iov_buf = peer->request->payload + peer->request->got;
        part.iov_len = peer->request->length - peer->request->got;
    } else {
        memmove(peer->input, peer->input + peer->input_begin, input_bytes(peer));
        peer->input_end = input_bytes(peer);
        peer->input_begin = 0;
        part.iov_buf = peer->input + peer->input_end;
        part.iov_len = INPUT_BYTES - peer->input_end;
    }
    pthread_mutex_lock(&peer->lock);
    bool open = !peer->closed;
    if (open) {
        nng_aio_set_iov(peer->read_aio, 1, &part);
        nng_aio_set_timeout(peer->read_aio, read_timeout(peer));
        nng_stream_recv(peer->stream, peer->read_aio);
    }
    pthread_mutex_unlock(&peer->lock);
    return open;
}

/* The end of the reading chain. */
static void end_reading(struct tbk_peer *peer)
{
    tbk_peer_close(peer);
    release(peer);
}

/* The server takes no new requests: waits to be closed. A slot that was waited
 * for goes on to the next, who must come here too. */
static void rest_until_closed(struct tbk_peer *peer)
{
    if (peer->has_slot) {
        peer->has_slot = false;
        tbk_streams_give_slot(peer->streams);
    }
    pthread_mutex_lock(&peer->lock);
    bool closed = peer->closed;
    peer->paused = !closed;
    pthread_mutex_unlock(&peer->lock);
    if (closed)
        end_reading(peer);
}

static void read_on(struct tbk_peer *peer)
{
    enum step step = STEP_AGAIN;
    while (step == STEP_AGAIN) {
        if (tbk_streams_stopping(peer->streams)) {
            rest_until_closed(peer);
            return;
        }
        step = next_step(peer);
    }
    /* After STEP_REST the chain may already run again on another thread. */
    if (step == STEP_CLOSE || (step == STEP_READ && !start_read(peer)))
        end_reading(peer);
}

/* nng's thread; holds the reference of the reading chain. */
static void on_read(void *argument)
{
    struct tbk_peer *peer = argument;
    size_t bytes = nng_aio_count(peer->read_aio);
    if (nng_aio_result(peer->read_aio) != 0) {
        end_reading(peer);
        return;
    }
    if (peer->direct)
        peer->request->got += bytes;
    else
        peer->input_end += bytes;
    peer->direct = false;
    read_on(peer);
}

static bool queue_handshake(struct tbk_peer *peer)
{
    struct reply *handshake = reply_create(TBK_HANDSHAKE_BYTES);
    if (handshake == NULL)
        return false;
    tbk_handshake_write(publishes(peer) ? TBK_SP_PUB : TBK_SP_REP, handshake->own);
    queue_reply(peer, handshake, false);
    return true;
}

bool tbk_peer_start(struct tbk_streams *streams, nng_stream *stream, bool ipc)
{
    struct tbk_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return false;
    peer->streams = streams;
    peer->stream = stream;
    peer->ipc = ipc;
    atomic_init(&peer->references, 1);
    peer->last_reply = &peer->first_reply;
    peer->started_us = tbk_monotonic_us();
    if (nng_aio_alloc(&peer->read_aio, on_read, peer) != 0 ||
        nng_aio_alloc(&peer->write_aio, on_written, peer) != 0) {
        if (peer->read_aio != NULL)
            nng_aio_free(peer->read_aio);
        free(peer);
        return false;
    }
    pthread_mutex_init(&peer->lock, NULL);
    tbk_streams_link(streams, peer);
    if (queue_handshake(peer))
        read_on(peer);
    else
        end_reading(peer);
    return true;
}
