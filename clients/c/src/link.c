/*
 * One chain of operations, each started by the callback of the one before: dial,
 * write the handshake, read, read, ... and after a failure pause and dial again.
 * Each has an aio of its own, see internal.h.
 */
#include "link.h"

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    HANDSHAKE_BYTES = 8,
    INPUT_BYTES = 64 * 1024,
    DIAL_MS_MAX = 10000,
    PAUSE_MS_MIN = 20,
    PAUSE_MS_MAX = 500,
};

struct tbk_link {
    struct tbk_link_config config;
    bool is_ipc;
    nng_stream_dialer *dialer;
    nng_aio *dial_aio;
    nng_aio *write_aio;
    nng_aio *read_aio;
    nng_aio *pause_aio;
    /* Of the chain: */
    uint8_t handshake[HANDSHAKE_BYTES];
    bool is_connected; /* the other side has shaken hands */
    nng_duration pause_ms;
    uint8_t *input;
    size_t input_size;
    size_t input_begin;
    size_t input_end;

    pthread_mutex_t mutex; /* for what follows */
    nng_stream *stream;
    bool closes;
    bool rests;   /* the chain waits for resume */
    bool resumed; /* before it rested */
};

static const uint8_t handshake_of[HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0, 0, 0};

static bool is_closing(struct tbk_link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool closes = link->closes;
    pthread_mutex_unlock(&link->mutex);
    return closes;
}

/* --- the chain: connecting --- */

/* Ends the connection, if there is one; the chain goes on with a pause. */
static void reconnect(struct tbk_link *link)
{
    pthread_mutex_lock(&link->mutex);
    nng_stream *stream = link->stream;
    link->stream = NULL;
    bool closes = link->closes;
    pthread_mutex_unlock(&link->mutex);
    nng_stream_free(stream);
    if (link->is_connected) {
        link->is_connected = false;
        link->config.on_connection(link->config.argument, false);
    }
    link->input_begin = link->input_end = 0;
    if (!closes) {
        nng_duration pause_ms = link->pause_ms;
        link->pause_ms = pause_ms * 2 < PAUSE_MS_MAX ? pause_ms * 2 : PAUSE_MS_MAX;
        nng_sleep_aio(pause_ms, link->pause_aio);
    }
}

static void on_paused(void *argument)
{
    struct tbk_link *link = argument;
    if (nng_aio_result(link->pause_aio) == 0 && !is_closing(link)) {
        nng_stream_dialer_dial(link->dialer, link->dial_aio);
    }
}

/* Keeps the stream, so that close finds it; false when it is not wanted any more. */
static bool keep_stream(struct tbk_link *link, nng_stream *stream)
{
    pthread_mutex_lock(&link->mutex);
    bool closes = link->closes;
    link->stream = closes ? NULL : stream;
    pthread_mutex_unlock(&link->mutex);
    if (closes) {
        nng_stream_free(stream);
    }
    return !closes;
}

static void on_dialed(void *argument)
{
    struct tbk_link *link = argument;
    if (nng_aio_result(link->dial_aio) != 0) {
        reconnect(link);
        return;
    }
    nng_stream *stream = nng_aio_get_output(link->dial_aio, 0);
    if (keep_stream(link, stream)) {
        nng_iov part = {.iov_buf = link->handshake, .iov_len = HANDSHAKE_BYTES};
        nng_aio_set_iov(link->write_aio, 1, &part);
        nng_stream_send(stream, link->write_aio);
    }
}

/* --- the chain: reading --- */

static size_t input_bytes(const struct tbk_link *link)
{
    return link->input_end - link->input_begin;
}

/* Makes room for so many bytes from input_begin on. */
static bool make_room(struct tbk_link *link, size_t bytes)
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

static enum step read_handshake(struct tbk_link *link)
{
    if (input_bytes(link) < HANDSHAKE_BYTES) {
        return STEP_READ;
    }
    uint8_t expected[HANDSHAKE_BYTES];
    memcpy(expected, handshake_of, sizeof expected);
    expected[5] = link->config.peer_protocol;
    if (memcmp(link->input, expected, sizeof expected) != 0) {
        return STEP_CLOSE;
    }
    link->input_begin += HANDSHAKE_BYTES;
    link->is_connected = true;
    link->pause_ms = PAUSE_MS_MIN;
    link->config.on_connection(link->config.argument, true);
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
static enum step read_frame(struct tbk_link *link)
{
    size_t head_bytes = link->is_ipc ? 9 : 8;
    if (input_bytes(link) < head_bytes) {
        return make_room(link, head_bytes) ? STEP_READ : STEP_CLOSE;
    }
    const uint8_t *head = link->input + link->input_begin;
    uint64_t length = read_length(head + head_bytes - 8);
    if ((link->is_ipc && head[0] != 1) || length > link->config.frame_bytes_max) {
        return STEP_CLOSE;
    }
    if (input_bytes(link) < head_bytes + length) {
        return make_room(link, head_bytes + (size_t)length) ? STEP_READ : STEP_CLOSE;
    }
    link->input_begin += head_bytes + (size_t)length;
    return link->config.on_frame(link->config.argument, head + head_bytes, (size_t)length) ? STEP_AGAIN
                                                                                           : STEP_REST;
}

/* Answers whether the chain waits for resume now. */
static bool rest(struct tbk_link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->rests = !link->resumed;
    link->resumed = false;
    bool rests = link->rests;
    pthread_mutex_unlock(&link->mutex);
    return rests;
}

static void start_read(struct tbk_link *link)
{
    nng_iov part = {.iov_buf = link->input + link->input_end, .iov_len = link->input_size - link->input_end};
    nng_aio_set_iov(link->read_aio, 1, &part);
    nng_aio_set_timeout(link->read_aio, (nng_duration)link->config.silence_ms_max);
    nng_stream_recv(link->stream, link->read_aio);
}

static void read_on(struct tbk_link *link)
{
    enum step step = STEP_AGAIN;
    while (step == STEP_AGAIN) {
        step = link->is_connected ? read_frame(link) : read_handshake(link);
        if (step == STEP_REST) {
            if (rest(link)) {
                return;
            }
            step = STEP_AGAIN;
        }
    }
    if (step == STEP_READ) {
        start_read(link);
    } else {
        reconnect(link);
    }
}

static void on_written(void *argument)
{
    struct tbk_link *link = argument;
    if (nng_aio_result(link->write_aio) == 0 && nng_aio_count(link->write_aio) == HANDSHAKE_BYTES) {
        read_on(link);
    } else {
        reconnect(link);
    }
}

static void on_read(void *argument)
{
    struct tbk_link *link = argument;
    if (nng_aio_result(link->read_aio) != 0) {
        reconnect(link);
        return;
    }
    link->input_end += nng_aio_count(link->read_aio);
    read_on(link);
}

/* --- open and close --- */

static int prepare(struct tbk_link *link, const char *address)
{
    int result = NNG_EADDRINVAL;
    link->is_ipc = strncmp(address, "ipc://", 6) == 0;
    if (link->is_ipc || strncmp(address, "tcp://", 6) == 0) {
        result = nng_stream_dialer_alloc(&link->dialer, address);
    }
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

static void free_link(struct tbk_link *link)
{
    nng_aio_free(link->dial_aio);
    nng_aio_free(link->write_aio);
    nng_aio_free(link->read_aio);
    nng_aio_free(link->pause_aio);
    nng_stream_free(link->stream);
    nng_stream_dialer_free(link->dialer);
    pthread_mutex_destroy(&link->mutex);
    free(link->input);
    free(link);
}

int tbk_link_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link)
{
    struct tbk_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return NNG_ENOMEM;
    }
    link->config = *config;
    link->pause_ms = PAUSE_MS_MIN;
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
    nng_aio_set_timeout(link->write_aio, DIAL_MS_MAX);
    *ret_link = link;
    nng_stream_dialer_dial(link->dialer, link->dial_aio);
    return 0;
}

void tbk_link_resume(struct tbk_link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool goes_on = link->rests && !link->closes;
    link->resumed = !link->rests;
    link->rests = false;
    pthread_mutex_unlock(&link->mutex);
    if (goes_on) {
        read_on(link);
    }
}

void tbk_link_close(struct tbk_link *link)
{
    if (link == NULL) {
        return;
    }
    pthread_mutex_lock(&link->mutex);
    link->closes = true;
    if (link->stream != NULL) {
        nng_stream_close(link->stream);
    }
    pthread_mutex_unlock(&link->mutex);
    nng_stream_dialer_close(link->dialer);
    nng_aio_stop(link->dial_aio);
    nng_aio_stop(link->write_aio);
    nng_aio_stop(link->read_aio);
    nng_aio_stop(link->pause_aio);
    free_link(link);
}
