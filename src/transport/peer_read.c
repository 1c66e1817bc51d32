#include <string.h>

#include "transport/frame.h"
#include "transport/peer_internal.h"

enum {
    HANDSHAKE_MS_MAX = 10000,
    FRAME_MS_MAX = 10000, /* from the first byte of a request to its last */
};

/* What a step says about the next one. */
enum step { STEP_AGAIN, STEP_READ, STEP_REST, STEP_CLOSE };

void tbk_peer_wake_reader(struct tbk_peer *peer)
{
    if (nng_aio_begin(peer->reader.aio))
        nng_aio_finish(peer->reader.aio, 0);
}

void tbk_peer_resume(struct tbk_peer *peer)
{
    peer->reader.has_slot = true;
    tbk_peer_wake_reader(peer);
}

/* Steps -------------------------------------------------------------------- */

static const uint8_t *input(const struct tbk_peer_reader *reader)
{
    return reader->input + reader->input_begin;
}

static size_t input_bytes(const struct tbk_peer_reader *reader)
{
    return reader->input_end - reader->input_begin;
}

static enum step read_handshake(struct tbk_peer *peer)
{
    struct tbk_peer_reader *reader = &peer->reader;
    if (input_bytes(reader) < TBK_HANDSHAKE_BYTES)
        return STEP_READ;
    if (!tbk_is_handshake(tbk_peer_publishes(peer) ? TBK_SP_SUB : TBK_SP_REQ, input(reader)))
        return STEP_CLOSE;
    reader->input_begin += TBK_HANDSHAKE_BYTES;
    reader->shaken_hands = true;
    pthread_mutex_lock(&peer->lock);
    peer->writer.subscribed = tbk_peer_publishes(peer);
    pthread_mutex_unlock(&peer->lock);
    return STEP_AGAIN;
}

/* Subscribers choose among what they get; they have nothing to say. */
static enum step read_nothing(const struct tbk_peer *peer)
{
    return input_bytes(&peer->reader) == 0 ? STEP_READ : STEP_CLOSE;
}

static enum step read_head(struct tbk_peer *peer)
{
    struct tbk_peer_reader *reader = &peer->reader;
    size_t head_bytes = tbk_frame_head_bytes(peer->ipc);
    uint64_t length = 0;
    if (input_bytes(reader) < head_bytes)
        return STEP_READ;
    if (!tbk_frame_head_read(peer->ipc, input(reader), &length) || length < TBK_BACKTRACE_WORD_BYTES ||
        length > tbk_streams_settings(peer->streams)->message_bytes_max + TBK_BACKTRACE_BYTES_MAX)
        return STEP_CLOSE;
    reader->request = tbk_peer_request_create(peer, (size_t)length);
    reader->input_begin += head_bytes;
    return reader->request != NULL ? STEP_AGAIN : STEP_CLOSE;
}

/* Moves what was read ahead into the request. */
static void fill_request(struct tbk_peer_reader *reader)
{
    struct tbk_peer_request *request = reader->request;
    size_t missing = request->length - request->got;
    size_t bytes = missing < input_bytes(reader) ? missing : input_bytes(reader);
    size_t room = request->got < request->kept ? request->kept - request->got : 0;
    memcpy(request->payload + request->got, input(reader), bytes < room ? bytes : room);
    request->got += bytes;
    reader->input_begin += bytes;
}

/* Whether the peer must take replies first; sets paused if so. */
static bool pause_reading(struct tbk_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->paused = !peer->closed && tbk_peer_is_behind(peer);
    bool paused = peer->paused;
    pthread_mutex_unlock(&peer->lock);
    return paused;
}

static enum step submit(struct tbk_peer *peer)
{
    struct tbk_peer_reader *reader = &peer->reader;
    struct tbk_peer_request *request = reader->request;
    request->backtrace_bytes = tbk_backtrace_bytes(request->payload, request->kept);
    if (request->backtrace_bytes == 0)
        return STEP_CLOSE;
    if (!reader->has_slot) {
        if (pause_reading(peer) || !tbk_streams_take_slot(peer->streams, peer))
            return STEP_REST;
    }
    reader->has_slot = false;
    reader->request = NULL;
    reader->idle = true;
    tbk_peer_request_submit(request);
    return STEP_AGAIN;
}

static enum step read_request(struct tbk_peer *peer)
{
    const struct tbk_peer_request *request = peer->reader.request;
    fill_request(&peer->reader);
    return request->got < request->length ? STEP_READ : submit(peer);
}

static enum step next_step(struct tbk_peer *peer)
{
    if (!peer->reader.shaken_hands)
        return read_handshake(peer);
    if (tbk_peer_publishes(peer))
        return read_nothing(peer);
    return peer->reader.request == NULL ? read_head(peer) : read_request(peer);
}

/* The chain ---------------------------------------------------------------- */

/* How long the next bytes may take: forever between two requests, but neither a
 * handshake nor a request may be begun and left. */
static nng_duration read_timeout(struct tbk_peer_reader *reader)
{
    const bool was_idle = reader->idle;
    reader->idle = reader->shaken_hands && reader->request == NULL && reader->input_end == 0;
    if (reader->idle)
        return NNG_DURATION_INFINITE;
    if (was_idle)
        reader->started_us = tbk_monotonic_us();
    return tbk_peer_timeout(reader->started_us +
                            (reader->shaken_hands ? FRAME_MS_MAX : HANDSHAKE_MS_MAX) * INT64_C(1000));
}

/* Where the next bytes go: the rest of a long request directly into it, else into
 * the buffer. */
static nng_iov choose_room(struct tbk_peer_reader *reader)
{
    struct tbk_peer_request *request = reader->request;
    reader->direct = request != NULL && request->kept == request->length &&
                     request->length - request->got > TBK_PEER_INPUT_BYTES;
    if (reader->direct)
        return (nng_iov){.iov_buf = request->payload + request->got, .iov_len = request->length - request->got};
    memmove(reader->input, input(reader), input_bytes(reader));
    reader->input_end = input_bytes(reader);
    reader->input_begin = 0;
    return (nng_iov){.iov_buf = reader->input + reader->input_end,
                     .iov_len = TBK_PEER_INPUT_BYTES - reader->input_end};
}

/* Asks for more bytes. False when the peer is closed. */
static bool start_read(struct tbk_peer *peer)
{
    struct tbk_peer_reader *reader = &peer->reader;
    nng_iov room = choose_room(reader);
    pthread_mutex_lock(&peer->lock);
    bool open = !peer->closed;
    if (open) {
        nng_aio_set_iov(reader->aio, 1, &room);
        nng_aio_set_timeout(reader->aio, read_timeout(reader));
        nng_stream_recv(peer->stream, reader->aio);
    }
    pthread_mutex_unlock(&peer->lock);
    return open;
}

/* The end of the reading chain. */
static void end_reading(struct tbk_peer *peer)
{
    tbk_peer_close(peer);
    tbk_peer_release(peer);
}

/* The server takes no new requests: waits to be closed. A slot that was waited
 * for goes on to the next, who must come here too. */
static void rest_until_closed(struct tbk_peer *peer)
{
    if (peer->reader.has_slot) {
        peer->reader.has_slot = false;
        tbk_streams_give_slot(peer->streams);
    }
    pthread_mutex_lock(&peer->lock);
    bool closed = peer->closed;
    peer->paused = !closed;
    pthread_mutex_unlock(&peer->lock);
    if (closed)
        end_reading(peer);
}

void tbk_peer_read(struct tbk_peer *peer)
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
    struct tbk_peer_reader *reader = &peer->reader;
    size_t bytes = nng_aio_count(reader->aio);
    if (nng_aio_result(reader->aio) != 0) {
        end_reading(peer);
        return;
    }
    if (reader->direct)
        reader->request->got += bytes;
    else
        reader->input_end += bytes;
    reader->direct = false;
    tbk_peer_read(peer);
}

bool tbk_peer_reader_init(struct tbk_peer *peer)
{
    peer->reader.started_us = tbk_monotonic_us();
    return nng_aio_alloc(&peer->reader.aio, on_read, peer) == 0;
}
