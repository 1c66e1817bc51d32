/*
 * Links over tcp and ipc. One chain of operations, each started by the callback of
 * the one before: dial, write the handshake, read, read, ... and after a failure
 * pause and dial again. While it reads, a second chain writes the frames that are
 * sent. Each kind of operation has an aio of its own: nng 1.5.2 mixes up the ends
 * of different operations that share one.
 *
 * The stream is freed by the first chain, when the second rests.
 */
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

enum {
    HANDSHAKE_BYTES = 8,
    INPUT_BYTES = 64 * 1024,
    DIAL_MS_MAX = 10000,
    PAUSE_MS_MIN = 20,
    FRAMES_PER_WRITE = 8, /* as many buffers as nng takes at once */
};

struct stream_link {
    struct tbk_link base;
    bool is_ipc;
    nng_stream_dialer *dialer;
    nng_aio *dial_aio;
    nng_aio *write_aio;
    nng_aio *read_aio;
    nng_aio *pause_aio;
    /* Of the first chain: */
    uint8_t handshake[HANDSHAKE_BYTES];
    int64_t pause_ms;
    uint8_t *input;
    size_t input_size;
    size_t input_begin;
    size_t input_end;

    pthread_mutex_t mutex; /* for what follows */
    nng_stream *stream;
    bool is_connected; /* the other side has shaken hands */
    bool closes;
    bool is_dropped;               /* closed: what is started on it now would never end */
    bool rests;                    /* the chain waits for resume */
    bool resumed;                  /* before it rested */
    bool writes;                   /* the second chain runs */
    bool ends;                     /* and the first waits for it */
    struct tbk_link_frame *frames; /* to write, oldest first */
    struct tbk_link_frame **frames_end;
    size_t written; /* bytes of the first frame */
};

static const uint8_t handshake_of[HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0, 0, 0};

static struct stream_link *stream_of(struct tbk_link *link)
{
    return (struct stream_link *)link;
}

static bool is_closing(struct stream_link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool closes = link->closes;
    pthread_mutex_unlock(&link->mutex);
    return closes;
}

static size_t head_bytes(const struct stream_link *link)
{
    return link->is_ipc ? TBK_LINK_HEAD_BYTES : TBK_LINK_HEAD_BYTES - 1;
}

/* --- writing; with the mutex --- */

static const uint8_t *frame_begin(const struct stream_link *link, const struct tbk_link_frame *frame)
{
    return frame->payload - head_bytes(link);
}

static size_t frame_bytes(const struct stream_link *link, const struct tbk_link_frame *frame)
{
    return head_bytes(link) + frame->length;
}

static void drop_first_frame(struct stream_link *link)
{
    struct tbk_link_frame *frame = link->frames;
    link->frames = frame->next;
    if (link->frames == NULL) {
        link->frames_end = &link->frames;
    }
    link->written = 0;
    free(frame);
}

static void drop_frames(struct stream_link *link)
{
    while (link->frames != NULL) {
        drop_first_frame(link);
    }
}

static void start_write(struct stream_link *link)
{
    nng_iov parts[FRAMES_PER_WRITE];
    unsigned count = 0;
    size_t written = link->written;
    for (struct tbk_link_frame *frame = link->frames; frame != NULL && count < FRAMES_PER_WRITE;
         frame = frame->next) {
        parts[count].iov_buf = (uint8_t *)frame_begin(link, frame) + written;
        parts[count].iov_len = frame_bytes(link, frame) - written;
        written = 0;
        count++;
    }
    link->writes = true;
    nng_aio_set_iov(link->write_aio, count, parts);
    nng_stream_send(link->stream, link->write_aio);
}

static void note_written(struct stream_link *link, size_t bytes)
{
    while (link->frames != NULL && bytes >= frame_bytes(link, link->frames) - link->written) {
        bytes -= frame_bytes(link, link->frames) - link->written;
        drop_first_frame(link);
    }
    link->written += bytes;
}

static void write_head(const struct stream_link *link, struct tbk_link_frame *frame)
{
    uint8_t *head = (uint8_t *)frame_begin(link, frame);
    if (link->is_ipc) {
        *head++ = 1;
    }
    for (int i = 0; i < 8; i++) {
        head[i] = (uint8_t)((uint64_t)frame->length >> (56 - 8 * i));
    }
}

/* Closes the stream; its operations fail. */
static void drop_stream(struct stream_link *link)
{
    if (link->stream != NULL && !link->is_dropped) {
        link->is_dropped = true;
        nng_stream_close(link->stream);
    }
}

static bool stream_send(struct tbk_link *base, struct tbk_link_frame *frame)
{
    struct stream_link *link = stream_of(base);
    pthread_mutex_lock(&link->mutex);
    bool is_connected = link->is_connected && !link->is_dropped;
    if (is_connected) {
        write_head(link, frame);
        *link->frames_end = frame;
        link->frames_end = &frame->next;
        if (!link->writes) {
            start_write(link);
        }
    }
    pthread_mutex_unlock(&link->mutex);
    return is_connected;
}

/* --- the chain: connecting --- */

/* Frees the connection, if there is one; the chain goes on with a pause. When the
 * link is being closed, it is left to that. */
static void free_connection(struct stream_link *link, bool was_connected)
{
    pthread_mutex_lock(&link->mutex);
    bool closes = link->closes;
    nng_stream *stream = closes ? NULL : link->stream;
    link->stream = closes ? link->stream : NULL;
    drop_frames(link);
    pthread_mutex_unlock(&link->mutex);
    nng_stream_free(stream);
    if (was_connected) {
        link->base.config.on_connection(link->base.config.argument, false);
    }
    link->input_begin = link->input_end = 0;
    if (!closes) {
        int64_t pause_ms = link->pause_ms;
        int64_t pause_ms_max = link->base.config.pause_ms_max;
        link->pause_ms = pause_ms * 2 < pause_ms_max ? pause_ms * 2 : pause_ms_max;
        nng_sleep_aio((nng_duration)pause_ms, link->pause_aio);
    }
}

/* Ends the connection, at once or when the write that runs has ended. */
static void reconnect(struct stream_link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool was_connected = link->is_connected;
    link->is_connected = false;
    link->ends = link->writes;
    bool waits = link->ends;
    if (waits) {
        drop_stream(link);
    }
    pthread_mutex_unlock(&link->mutex);
    if (!waits) {
        free_connection(link, was_connected);
    }
}

static void on_paused(void *argument)
{
    struct stream_link *link = argument;
    if (nng_aio_result(link->pause_aio) == 0 && !is_closing(link)) {
        nng_stream_dialer_dial(link->dialer, link->dial_aio);
    }
}

/* Keeps the stream and writes the handshake, unless the link is being closed. */
static void keep_stream(struct stream_link *link, nng_stream *stream)
{
    pthread_mutex_lock(&link->mutex);
    link->stream = stream;
    if (!link->closes) {
        nng_iov part = {.iov_buf = link->handshake, .iov_len = HANDSHAKE_BYTES};
        link->ends = false;
        link->is_dropped = false;
        nng_aio_set_iov(link->write_aio, 1, &part);
        nng_stream_send(stream, link->write_aio);
    }
    pthread_mutex_unlock(&link->mutex);
}

static void on_dialed(void *argument)
{
    struct stream_link *link = argument;
    if (nng_aio_result(link->dial_aio) == 0) {
        keep_stream(link, nng_aio_get_output(link->dial_aio, 0));
    } else {
        reconnect(link);
    }
}

/* --- the chain: reading --- */

static size_t input_bytes(const struct stream_link *link)
{
    return link->input_end - link->input_begin;
}

/* Makes room for so many bytes from input_begin on. */
static bool make_room(struct stream_link *link, size_t bytes)
{
    memmove(link->input, link->input + link->input_begin, input_bytes(link));
    link->input_end = input_bytes(link);
    link->input_begin = 0;
    if (bytes <= link->input_size) {
        return true;
    }
    uint8_t *larger = realloc(link->input, bytes);
    if (larger != NULL) {
        link->input = larger;
        link->input_size = bytes;
    }
    return larger != NULL;
}

enum step { STEP_AGAIN, STEP_READ, STEP_REST, STEP_CLOSE };

static enum step read_handshake(struct stream_link *link)
{
    if (input_bytes(link) < HANDSHAKE_BYTES) {
        return STEP_READ;
    }
    uint8_t expected[HANDSHAKE_BYTES];
    memcpy(expected, handshake_of, sizeof expected);
    expected[5] = link->base.config.peer_protocol;
    if (memcmp(link->input, expected, sizeof expected) != 0) {
        return STEP_CLOSE;
    }
    link->input_begin += HANDSHAKE_BYTES;
    link->pause_ms = PAUSE_MS_MIN;
    pthread_mutex_lock(&link->mutex);
    link->is_connected = true;
    pthread_mutex_unlock(&link->mutex);
    link->base.config.on_connection(link->base.config.argument, true);
    return STEP_AGAIN;
}

static uint64_t read_length(const uint8_t *bytes)
{
    uint64_t length = 0;
    for (int i = 0; i < 8; i++) {
        length = length << 8 | bytes[i];
    }
    return length;
}

/* A frame is its length in eight bytes, on ipc after a byte 01, and its payload. */
static enum step read_frame(struct stream_link *link)
{
    const size_t before = head_bytes(link);
    if (input_bytes(link) < before) {
        return make_room(link, before) ? STEP_READ : STEP_CLOSE;
    }
    const uint8_t *head = link->input + link->input_begin;
    uint64_t length = read_length(head + before - 8);
    if ((link->is_ipc && head[0] != 1) || length > link->base.config.frame_bytes_max) {
        return STEP_CLOSE;
    }
    if (input_bytes(link) < before + length) {
        return make_room(link, before + (size_t)length) ? STEP_READ : STEP_CLOSE;
    }
    link->input_begin += before + (size_t)length;
    return link->base.config.on_frame(link->base.config.argument, head + before, (size_t)length) ? STEP_AGAIN
                                                                                                 : STEP_REST;
}

/* Answers whether the chain waits for resume now. */
static bool rest(struct stream_link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->rests = !link->resumed;
    link->resumed = false;
    bool rests = link->rests;
    pthread_mutex_unlock(&link->mutex);
    return rests;
}

/* False: the connection was given up. */
static bool start_read(struct stream_link *link)
{
    nng_iov part = {.iov_buf = link->input + link->input_end, .iov_len = link->input_size - link->input_end};
    pthread_mutex_lock(&link->mutex);
    bool reads = !link->is_dropped;
    if (reads) {
        nng_aio_set_iov(link->read_aio, 1, &part);
        nng_stream_recv(link->stream, link->read_aio);
    }
    pthread_mutex_unlock(&link->mutex);
    return reads;
}

static void read_on(struct stream_link *link)
{
    enum step step = STEP_AGAIN;
    while (step == STEP_AGAIN) {
        /* Only this chain sets it. */
        step = link->is_connected ? read_frame(link) : read_handshake(link);
        if (step == STEP_REST) {
            if (rest(link)) {
                return;
            }
            step = STEP_AGAIN;
        }
    }
    if (step == STEP_CLOSE || !start_read(link)) {
        reconnect(link);
    }
}

/* The handshake is out, or frames are. */
static void on_written(void *argument)
{
    struct stream_link *link = argument;
    bool ok = nng_aio_result(link->write_aio) == 0;
    size_t bytes = ok ? nng_aio_count(link->write_aio) : 0;
    pthread_mutex_lock(&link->mutex);
    bool was_handshake = !link->writes;
    bool ends = link->ends;
    if (!was_handshake) {
        link->writes = false;
        note_written(link, bytes);
        if (!ok) {
            /* The first chain sees it and ends the connection. */
            drop_stream(link);
        } else if (!link->is_dropped && link->frames != NULL) {
            start_write(link);
        }
    }
    pthread_mutex_unlock(&link->mutex);
    if (was_handshake && bytes == HANDSHAKE_BYTES) {
        read_on(link);
    } else if (was_handshake) {
        reconnect(link);
    } else if (ends) {
        free_connection(link, true);
    }
}

static void on_read(void *argument)
{
    struct stream_link *link = argument;
    if (nng_aio_result(link->read_aio) != 0) {
        reconnect(link);
        return;
    }
    link->input_end += nng_aio_count(link->read_aio);
    read_on(link);
}

/* --- open and close --- */

static void stream_resume(struct tbk_link *base)
{
    struct stream_link *link = stream_of(base);
    pthread_mutex_lock(&link->mutex);
    bool goes_on = link->rests && !link->closes;
    link->resumed = !link->rests;
    link->rests = false;
    pthread_mutex_unlock(&link->mutex);
    if (goes_on) {
        read_on(link);
    }
}

static void stream_drop(struct tbk_link *base)
{
    struct stream_link *link = stream_of(base);
    pthread_mutex_lock(&link->mutex);
    drop_stream(link);
    pthread_mutex_unlock(&link->mutex);
}

static void free_link(struct stream_link *link)
{
    nng_aio_free(link->dial_aio);
    nng_aio_free(link->write_aio);
    nng_aio_free(link->read_aio);
    nng_aio_free(link->pause_aio);
    /* In this order: nng frees both when the stream is gone. */
    nng_stream_dialer_free(link->dialer);
    nng_stream_free(link->stream);
    drop_frames(link);
    pthread_mutex_destroy(&link->mutex);
    free(link->input);
    free(link);
}

static void stream_close(struct tbk_link *base)
{
    struct stream_link *link = stream_of(base);
    pthread_mutex_lock(&link->mutex);
    link->closes = true;
    drop_stream(link);
    pthread_mutex_unlock(&link->mutex);
    nng_stream_dialer_close(link->dialer);
    nng_aio_stop(link->dial_aio);
    nng_aio_stop(link->write_aio);
    nng_aio_stop(link->read_aio);
    nng_aio_stop(link->pause_aio);
    free_link(link);
}

static const struct tbk_link_ops stream_ops = {
    .send = stream_send, .resume = stream_resume, .drop = stream_drop, .close = stream_close};

static int prepare(struct stream_link *link, const char *address)
{
    int result = nng_stream_dialer_alloc(&link->dialer, address);
    if (result == 0) {
        result = nng_aio_alloc(&link->dial_aio, on_dialed, link);
    }
    if (result == 0) {
        result = nng_aio_alloc(&link->write_aio, on_written, link);
    }
    if (result == 0) {
        result = nng_aio_alloc(&link->read_aio, on_read, link);
    }
    return result != 0 ? result : nng_aio_alloc(&link->pause_aio, on_paused, link);
}

int tbk_link_stream_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link)
{
    struct stream_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return NNG_ENOMEM;
    }
    link->base = (struct tbk_link){.ops = &stream_ops, .config = *config};
    link->is_ipc = strncmp(address, "ipc://", 6) == 0;
    link->pause_ms = PAUSE_MS_MIN;
    link->frames_end = &link->frames;
    memcpy(link->handshake, handshake_of, sizeof handshake_of);
    link->handshake[5] = config->protocol;
    pthread_mutex_init(&link->mutex, NULL);
    link->input = malloc(INPUT_BYTES);
    link->input_size = INPUT_BYTES;
    int result = link->input != NULL ? prepare(link, address) : NNG_ENOMEM;
    if (result != 0) {
        free_link(link);
        return result;
    }
    nng_aio_set_timeout(link->dial_aio, DIAL_MS_MAX);
    nng_aio_set_timeout(link->write_aio, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(link->read_aio,
                        config->silence_ms_max > 0 ? (nng_duration)config->silence_ms_max : NNG_DURATION_INFINITE);
    *ret_link = &link->base;
    nng_stream_dialer_dial(link->dialer, link->dial_aio);
    return 0;
}
