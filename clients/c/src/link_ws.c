/*
 * Links over ws: a raw REQ socket, which adds and removes nothing, with one dialer
 * that connects again by itself. nng keeps the number of a request in the header
 * of its message.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/transport/ws/websocket.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

enum { RECONNECT_MS_MIN = 50, SEND_MESSAGES_MAX = 1024 };

struct ws_link {
    struct tbk_link base;
    nng_socket socket;
    nng_aio *receive_aio;
    pthread_mutex_t callbacks; /* one at a time */
    pthread_mutex_t mutex;     /* for what follows */
    nng_pipe connection;       /* id 0: none */
    bool is_closing;           /* nothing is received any more */
};

static struct ws_link *ws_of(struct tbk_link *link)
{
    return (struct ws_link *)link;
}

static void note_connection(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct ws_link *link = argument;
    bool is_connected = event == NNG_PIPE_EV_ADD_POST;
    pthread_mutex_lock(&link->mutex);
    /* The next connection may be there before the last one is told to be lost. */
    bool is_told = is_connected || link->connection.id == pipe.id;
    if (is_told) {
        link->connection.id = is_connected ? pipe.id : 0;
    }
    pthread_mutex_unlock(&link->mutex);
    if (is_told) {
        pthread_mutex_lock(&link->callbacks);
        link->base.config.on_connection(link->base.config.argument, is_connected);
        pthread_mutex_unlock(&link->callbacks);
    }
}

/* Hands out number and body in one piece. */
static void hand_out(struct ws_link *link, nng_msg *message)
{
    size_t length = TBK_LINK_ID_BYTES + nng_msg_len(message);
    uint8_t *bytes = nng_msg_header_len(message) == TBK_LINK_ID_BYTES ? malloc(length) : NULL;
    if (bytes == NULL) {
        return;
    }
    memcpy(bytes, nng_msg_header(message), TBK_LINK_ID_BYTES);
    memcpy(bytes + TBK_LINK_ID_BYTES, nng_msg_body(message), nng_msg_len(message));
    pthread_mutex_lock(&link->callbacks);
    link->base.config.on_frame(link->base.config.argument, bytes, length);
    pthread_mutex_unlock(&link->callbacks);
    free(bytes);
}

/* An operation that begins while its aio is being stopped may outlive it. */
static void receive(struct ws_link *link)
{
    pthread_mutex_lock(&link->mutex);
    if (!link->is_closing) {
        nng_recv_aio(link->socket, link->receive_aio);
    }
    pthread_mutex_unlock(&link->mutex);
}

static void on_received(void *argument)
{
    struct ws_link *link = argument;
    if (nng_aio_result(link->receive_aio) != 0) {
        return;
    }
    nng_msg *message = nng_aio_get_msg(link->receive_aio);
    hand_out(link, message);
    nng_msg_free(message);
    receive(link);
}

static bool ws_send(struct tbk_link *base, struct tbk_link_frame *frame)
{
    struct ws_link *link = ws_of(base);
    pthread_mutex_lock(&link->mutex);
    bool is_connected = link->connection.id != 0;
    pthread_mutex_unlock(&link->mutex);
    nng_msg *message = NULL;
    if (!is_connected || nng_msg_alloc(&message, 0) != 0) {
        return false;
    }
    bool ok =
        nng_msg_header_append(message, frame->payload, TBK_LINK_ID_BYTES) == 0 &&
        nng_msg_append(message, frame->payload + TBK_LINK_ID_BYTES, frame->length - TBK_LINK_ID_BYTES) == 0 &&
        nng_sendmsg(link->socket, message, NNG_FLAG_NONBLOCK) == 0;
    if (ok) {
        free(frame);
    } else {
        nng_msg_free(message);
    }
    return ok;
}

static void ws_resume(struct tbk_link *base)
{
    (void)base; /* never rests */
}

static void ws_drop(struct tbk_link *base)
{
    struct ws_link *link = ws_of(base);
    pthread_mutex_lock(&link->mutex);
    nng_pipe connection = link->connection;
    pthread_mutex_unlock(&link->mutex);
    if (connection.id != 0) {
        nng_pipe_close(connection);
    }
}

static void free_link(struct ws_link *link)
{
    nng_aio_free(link->receive_aio);
    pthread_mutex_destroy(&link->callbacks);
    pthread_mutex_destroy(&link->mutex);
    free(link);
}

static void ws_close(struct tbk_link *base)
{
    struct ws_link *link = ws_of(base);
    pthread_mutex_lock(&link->mutex);
    link->is_closing = true;
    pthread_mutex_unlock(&link->mutex);
    nng_close(link->socket);
    nng_aio_stop(link->receive_aio);
    free_link(link);
}

static const struct tbk_link_ops ws_ops = {
    .send = ws_send, .resume = ws_resume, .drop = ws_drop, .close = ws_close};

static int set_dialer_options(nng_dialer dialer, const struct tbk_link_config *config)
{
    int64_t longest_ms = config->pause_ms_max > RECONNECT_MS_MIN ? config->pause_ms_max : RECONNECT_MS_MIN;
    int result = nng_dialer_set_size(dialer, NNG_OPT_RECVMAXSZ, config->frame_bytes_max);
    if (result == 0) {
        result = nng_dialer_set_size(dialer, NNG_OPT_WS_RECVMAXFRAME, config->frame_bytes_max);
    }
    if (result == 0) {
        result = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMINT, RECONNECT_MS_MIN);
    }
    return result != 0 ? result : nng_dialer_set_ms(dialer, NNG_OPT_RECONNMAXT, (nng_duration)longest_ms);
}

static int dial(struct ws_link *link, const char *address)
{
    nng_dialer dialer = NNG_DIALER_INITIALIZER;
    int result = nng_socket_set_int(link->socket, NNG_OPT_SENDBUF, SEND_MESSAGES_MAX);
    if (result == 0) {
        result = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, note_connection, link);
    }
    if (result == 0) {
        result = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, note_connection, link);
    }
    if (result == 0) {
        result = nng_dialer_create(&dialer, link->socket, address);
    }
    if (result == 0) {
        result = set_dialer_options(dialer, &link->base.config);
    }
    return result != 0 ? result : nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
}

int tbk_link_ws_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link)
{
    struct ws_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return NNG_ENOMEM;
    }
    link->base = (struct tbk_link){.ops = &ws_ops, .config = *config};
    pthread_mutex_init(&link->callbacks, NULL);
    pthread_mutex_init(&link->mutex, NULL);
    int result = nng_aio_alloc(&link->receive_aio, on_received, link);
    if (result == 0) {
        result = nng_req0_open_raw(&link->socket);
    }
    if (result != 0) {
        free_link(link);
        return result;
    }
    result = dial(link, address);
    if (result != 0) {
        ws_close(&link->base);
        return result;
    }
    *ret_link = &link->base;
    receive(link);
    return 0;
}
