#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "transport/frame.h"
#include "transport/peer_internal.h"

enum {
    FRAMES_PER_WRITE = 8,                      /* as many buffers as nng takes at once */
    JOINED_BYTES_MAX = TBK_BUDGET_SMALL_BYTES, /* copied sooner than written twice; none of them is counted */
    UNREAD_FRAMES_MAX = 64,
    UNREAD_BYTES_MAX = 1 << 20,
    SUBSCRIBERS_PER_TURN = 24, /* written to before other threads have their turn */
};

/* Peers whose frames this thread holds back; each holds a reference. */
static _Thread_local struct tbk_peer *held_peers;

struct tbk_peer_frame *tbk_peer_frame_create(size_t length)
{
    struct tbk_peer_frame *frame = malloc(sizeof *frame + length);
    if (frame != NULL)
        *frame = (struct tbk_peer_frame){.bytes = frame->own, .length = length, .frames = 1};
    return frame;
}

void tbk_peer_frame_free(const struct tbk_peer *peer, struct tbk_peer_frame *frame)
{
    if (frame == NULL)
        return;
    tbk_budget_give(tbk_peer_memory(peer), frame->counted);
    tbk_shared_frame_release(frame->shared);
    free(frame);
}

/* The queue ---------------------------------------------------------------- */

bool tbk_peer_is_behind(const struct tbk_peer *peer)
{
    return peer->writer.unread_frames >= UNREAD_FRAMES_MAX || peer->writer.unread_bytes >= UNREAD_BYTES_MAX;
}

/* Under the lock. Takes the frame over. */
static void append(struct tbk_peer *peer, struct tbk_peer_frame *frame)
{
    struct tbk_peer_writer *writer = &peer->writer;
    tbk_streams_owe(peer->streams);
    *writer->last = frame;
    writer->last = &frame->next;
    writer->unread_frames += frame->frames;
    writer->unread_bytes += frame->length;
}

/* Under the lock. Takes the frame out of the list and frees it. */
static void drop(struct tbk_peer *peer, struct tbk_peer_frame **link)
{
    struct tbk_peer_writer *writer = &peer->writer;
    struct tbk_peer_frame *frame = *link;
    *link = frame->next;
    if (*link == NULL)
        writer->last = link;
    writer->unread_frames -= frame->frames;
    writer->unread_bytes -= frame->length;
    tbk_peer_frame_free(peer, frame);
    tbk_streams_paid(peer->streams);
}

/* Under the lock, no write runs. */
static void drop_all(struct tbk_peer *peer)
{
    while (peer->writer.first != NULL)
        drop(peer, &peer->writer.first);
}

/* Under the lock. Makes room for a frame of a publisher: the oldest that are not
 * being written go. */
static void drop_oldest(struct tbk_peer *peer, size_t length)
{
    struct tbk_peer_writer *writer = &peer->writer;
    struct tbk_peer_frame **link = &writer->first;
    for (unsigned i = 0; i < writer->writing; i++)
        link = &(*link)->next;
    while (*link != NULL && (writer->unread_frames >= TBK_SUBSCRIBER_FRAMES_MAX ||
                             writer->unread_bytes + length > TBK_SUBSCRIBER_BYTES_MAX))
        drop(peer, link);
}

/* Under the lock. How many of the first replies to join: none if one write takes all. */
static unsigned replies_to_join(const struct tbk_peer_writer *writer, size_t *ret_bytes)
{
    unsigned count = 0;
    size_t bytes = 0;
    for (const struct tbk_peer_frame *frame = writer->first;
         frame != NULL && frame->shared == NULL && bytes + frame->length <= JOINED_BYTES_MAX;
         frame = frame->next) {
        bytes += frame->length;
        count++;
    }
    *ret_bytes = bytes;
    return count > FRAMES_PER_WRITE ? count : 0;
}

/* Under the lock, no write runs. Many small replies become one, to leave in one write.
 * Without memory they stay as they are. */
static void join_replies(struct tbk_peer *peer)
{
    struct tbk_peer_writer *writer = &peer->writer;
    size_t bytes;
    const unsigned count = replies_to_join(writer, &bytes);
    struct tbk_peer_frame *joined = count > 0 ? tbk_peer_frame_create(bytes) : NULL;
    if (joined == NULL)
        return;
    joined->frames = 0;
    uint8_t *end = joined->own;
    tbk_streams_owe(peer->streams);
    for (unsigned i = 0; i < count; i++) {
        struct tbk_peer_frame *frame = writer->first;
        memcpy(end, frame->bytes, frame->length);
        end += frame->length;
        joined->frames += frame->frames;
        writer->first = frame->next;
        tbk_peer_frame_free(peer, frame);
        tbk_streams_paid(peer->streams);
    }
    joined->next = writer->first;
    writer->first = joined;
    if (joined->next == NULL)
        writer->last = &joined->next;
}

/* The chain ---------------------------------------------------------------- */

/* Under the lock, not closed. Writes the rest of the running frames. */
static void continue_write(struct tbk_peer *peer)
{
    struct tbk_peer_writer *writer = &peer->writer;
    nng_iov parts[FRAMES_PER_WRITE];
    unsigned count = 0;
    size_t skip = writer->write_offset;
    struct tbk_peer_frame *frame = writer->first;
    for (unsigned i = 0; i < writer->writing; i++, frame = frame->next) {
        size_t begin = skip < frame->length ? skip : frame->length;
        skip -= begin;
        if (begin < frame->length)
            parts[count++] =
                (nng_iov){.iov_buf = (void *)(uintptr_t)(frame->bytes + begin), .iov_len = frame->length - begin};
    }
    nng_aio_set_iov(writer->aio, count, parts);
    nng_aio_set_timeout(writer->aio, tbk_peer_timeout(writer->write_end_us));
    nng_stream_send(peer->stream, writer->aio);
}

/* Under the lock, not closed, with something to write and no write running. */
static void start_write(struct tbk_peer *peer)
{
    struct tbk_peer_writer *writer = &peer->writer;
    join_replies(peer);
    writer->writing = 0;
    for (struct tbk_peer_frame *frame = writer->first; frame != NULL && writer->writing < FRAMES_PER_WRITE;
         frame = frame->next)
        writer->writing++;
    writer->write_offset = 0;
    /* A slow subscriber loses frames, not its connection. */
    writer->write_end_us = tbk_peer_publishes(peer)
                               ? INT64_MAX
                               : tbk_monotonic_us() + tbk_streams_settings(peer->streams)->send_timeout_ms * 1000;
    continue_write(peer);
}

/* Under the lock. True while a write runs. */
static bool go_on_writing(struct tbk_peer *peer, int failure, size_t written)
{
    struct tbk_peer_writer *writer = &peer->writer;
    writer->write_offset += written;
    while (writer->writing > 0 && writer->write_offset >= writer->first->length) {
        writer->write_offset -= writer->first->length;
        writer->writing--;
        drop(peer, &writer->first);
    }
    if (failure != 0)
        tbk_peer_close_locked(peer);
    if (peer->closed) {
        writer->writing = 0;
        drop_all(peer);
        return false;
    }
    if (peer->paused && !tbk_peer_is_behind(peer)) {
        peer->paused = false;
        tbk_peer_wake_reader(peer);
    }
    if (writer->writing > 0)
        continue_write(peer);
    else if (writer->first != NULL)
        start_write(peer);
    return writer->writing > 0;
}

/* nng's thread; holds the reference of the running write. */
static void on_written(void *argument)
{
    struct tbk_peer *peer = argument;
    pthread_mutex_lock(&peer->lock);
    int failure = nng_aio_result(peer->writer.aio);
    bool running = go_on_writing(peer, failure, failure == 0 ? nng_aio_count(peer->writer.aio) : 0);
    pthread_mutex_unlock(&peer->lock);
    if (!running)
        tbk_peer_release(peer);
}

bool tbk_peer_writer_init(struct tbk_peer *peer)
{
    peer->writer.last = &peer->writer.first;
    return nng_aio_alloc(&peer->writer.aio, on_written, peer) == 0;
}

/* Under the lock. Writes what is queued unless a write runs and will. */
static void write_queued(struct tbk_peer *peer)
{
    if (peer->writer.writing > 0 || peer->writer.first == NULL)
        return;
    if (peer->closed) {
        drop_all(peer);
        return;
    }
    tbk_peer_hold(peer);
    start_write(peer);
}

/* What is to be written ---------------------------------------------------- */

/* Under the lock. Leaves the writing to tbk_peers_write. */
static void hold_back(struct tbk_peer *peer)
{
    if (peer->writer.held)
        return;
    peer->writer.held = true;
    tbk_peer_hold(peer);
    peer->writer.next_held = held_peers;
    held_peers = peer;
}

void tbk_peer_write(struct tbk_peer *peer, struct tbk_peer_frame *frame, bool more)
{
    pthread_mutex_lock(&peer->lock);
    append(peer, frame);
    if (more)
        hold_back(peer);
    else
        write_queued(peer);
    pthread_mutex_unlock(&peer->lock);
}

void tbk_peer_offer(struct tbk_peer *peer, struct tbk_shared_frame *shared)
{
    pthread_mutex_lock(&peer->lock);
    /* A peer that is not closed has its reading chain, hence a reference. */
    struct tbk_peer_frame *frame = peer->writer.subscribed && !peer->closed ? malloc(sizeof *frame) : NULL;
    if (frame != NULL) {
        *frame = (struct tbk_peer_frame){.shared = shared, .frames = 1};
        frame->bytes = tbk_shared_frame_bytes(shared, peer->ipc, &frame->length);
        tbk_shared_frame_hold(shared);
        drop_oldest(peer, frame->length);
        append(peer, frame);
        hold_back(peer);
    }
    pthread_mutex_unlock(&peer->lock);
}

/* Under no lock, and there is one. */
static void write_next_held(void)
{
    struct tbk_peer *peer = held_peers;
    held_peers = peer->writer.next_held;
    pthread_mutex_lock(&peer->lock);
    peer->writer.held = false;
    write_queued(peer);
    pthread_mutex_unlock(&peer->lock);
    tbk_peer_release(peer);
}

void tbk_peers_write(void)
{
    while (held_peers != NULL)
        write_next_held();
}

void tbk_peers_write_published(void)
{
    for (unsigned written = 1; held_peers != NULL; written++) {
        write_next_held();
        if (written % SUBSCRIBERS_PER_TURN == 0)
            sched_yield();
    }
}
