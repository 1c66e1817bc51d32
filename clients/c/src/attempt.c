/*
 * What a lane does with its call: send, wait for the reply, and when that fails
 * pause and send again with the same request id, until the call's time is over.
 *
 * nng's own resending is off, so that a lost connection is seen here and the
 * call is sent again with the time that is left.
 */
#include "internal.h"

enum {
    /* The envelope says how much time is left, so a request must not lie in
     * nng's queue for long while there is no connection. */
    SEND_MS_MAX = 100,
    /* A connection that delivers nothing for this long although a request waits
     * is given up when the attempt ends: its peer may be gone without a word. */
    QUIET_MS_MAX = 1000,
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Ends the call from a callback of nng, wherever this is called, so that the
 * caller's callback never runs inside the function that started the call. */
static void fail(struct tbk_client_lane *lane, enum tradebook_code code)
{
    lane->failure = code;
    nng_sleep_aio(0, lane->pause_aio);
}

static void finish_failed(struct tbk_client_lane *lane)
{
    const char *method = lane->call->method->name;
    const char *address = lane->client->address;
    long long timeout_ms = lane->call->timeout_ms;
    struct tradebook_error error;
    switch (lane->failure) {
    case TRADEBOOK_CANCELLED:
        tbk_client_error_set(&error, TRADEBOOK_CANCELLED, "%s: the client was closed", method);
        break;
    case TRADEBOOK_UNAVAILABLE:
        tbk_client_error_set(&error, TRADEBOOK_UNAVAILABLE,
                             "%s: no connection to %s within %lld ms; is the server running there?", method,
                             address, timeout_ms);
        break;
    case TRADEBOOK_DEADLINE_EXCEEDED:
        tbk_client_error_set(&error, TRADEBOOK_DEADLINE_EXCEEDED,
                             "%s: no answer from %s within %lld ms; whether a write took effect is open, calling "
                             "again with the same request id is safe and tells",
                             method, address, timeout_ms);
        break;
    default:
        tbk_client_error_set(&error, lane->failure, "%s: out of memory", method);
        break;
    }
    tbk_client_call_finish(lane, error.code, NULL, &error);
}

static void wait_for_reply(struct tbk_client_lane *lane, int64_t now_ms)
{
    long long none = 0;
    if (atomic_load_explicit(&lane->client->waiting_since, memory_order_relaxed) == 0) {
        atomic_compare_exchange_strong(&lane->client->waiting_since, &none, now_ms);
    }
    /* Half of the time, so that the other half is left for a second attempt. */
    int64_t left_ms = lane->call->deadline_ms - now_ms;
    int64_t attempt_ms = left_ms / 2 < QUIET_MS_MAX ? smaller(left_ms, QUIET_MS_MAX) : left_ms / 2;
    nng_aio_set_timeout(lane->receive_aio, (nng_duration)(attempt_ms > 0 ? attempt_ms : 1));
    nng_ctx_recv(lane->context, lane->receive_aio);
}

static void send_request(struct tbk_client_lane *lane)
{
    struct tradebook_client *client = lane->client;
    int64_t now_ms = (int64_t)nng_clock();
    int64_t left_ms = lane->call->deadline_ms - now_ms;
    if (atomic_load(&client->closing)) {
        fail(lane, TRADEBOOK_CANCELLED);
        return;
    }
    if (left_ms <= 0) {
        fail(lane, atomic_load(&client->connection) == 0 ? TRADEBOOK_UNAVAILABLE : TRADEBOOK_DEADLINE_EXCEEDED);
        return;
    }
    nng_msg *message = tbk_client_envelope_pack(lane->call, left_ms);
    if (message == NULL) {
        fail(lane, TRADEBOOK_RESOURCE_EXHAUSTED);
        return;
    }
    /* A send with a timeout of zero is over when nng_ctx_send returns. When the
     * connection is free this spares the call a trip through another thread: a
     * third of its context switches with one call in flight. */
    nng_aio_set_msg(lane->try_aio, message);
    nng_ctx_send(lane->context, lane->try_aio);
    nng_aio_wait(lane->try_aio);
    if (nng_aio_result(lane->try_aio) == 0) {
        wait_for_reply(lane, now_ms);
        return;
    }
    nng_aio_set_msg(lane->try_aio, NULL);
    nng_msg_header_clear(message);
    nng_aio_set_timeout(lane->send_aio, (nng_duration)smaller(left_ms, SEND_MS_MAX));
    nng_aio_set_msg(lane->send_aio, message);
    nng_ctx_send(lane->context, lane->send_aio);
}

static void pause_before_sending(struct tbk_client_lane *lane)
{
    int64_t pause_ms = lane->pause_ms;
    lane->pause_ms = smaller(pause_ms * 2, lane->client->options.retry_ms_max);
    nng_sleep_aio((nng_duration)pause_ms, lane->pause_aio);
}

void tbk_client_attempt_sent(void *argument)
{
    struct tbk_client_lane *lane = argument;
    int result = nng_aio_result(lane->send_aio);
    if (result == 0) {
        wait_for_reply(lane, (int64_t)nng_clock());
        return;
    }
    nng_msg_free(nng_aio_get_msg(lane->send_aio));
    nng_aio_set_msg(lane->send_aio, NULL);
    if (result == NNG_ETIMEDOUT) {
        send_request(lane);
    } else {
        pause_before_sending(lane);
    }
}

static void give_up_quiet_connection(struct tradebook_client *client)
{
    long long since = atomic_load(&client->waiting_since);
    if (since == 0 || (long long)nng_clock() - since < QUIET_MS_MAX ||
        !atomic_compare_exchange_strong(&client->waiting_since, &since, 0)) {
        return;
    }
    nng_pipe connection = {.id = atomic_load(&client->connection)};
    if (connection.id != 0) {
        nng_pipe_close(connection);
    }
}

static void take_reply(struct tbk_client_lane *lane)
{
    struct tradebook_client *client = lane->client;
    if (atomic_load_explicit(&client->waiting_since, memory_order_relaxed) != 0) {
        atomic_store(&client->waiting_since, 0);
    }
    nng_msg *message = nng_aio_get_msg(lane->receive_aio);
    nng_aio_set_msg(lane->receive_aio, NULL);
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    enum tradebook_code code =
        tbk_client_envelope_unpack(lane->call, nng_msg_body(message), nng_msg_len(message), &reply, &error);
    nng_msg_free(message);
    if (code == TRADEBOOK_UNAVAILABLE && lane->call->deadline_ms - (int64_t)nng_clock() > lane->pause_ms) {
        pause_before_sending(lane);
    } else {
        tbk_client_call_finish(lane, code, reply, &error);
    }
}

void tbk_client_attempt_received(void *argument)
{
    struct tbk_client_lane *lane = argument;
    int result = nng_aio_result(lane->receive_aio);
    if (result == 0) {
        take_reply(lane);
    } else if (result == NNG_ETIMEDOUT) {
        give_up_quiet_connection(lane->client);
        send_request(lane);
    } else {
        pause_before_sending(lane);
    }
}

void tbk_client_attempt_paused(void *argument)
{
    struct tbk_client_lane *lane = argument;
    if (lane->failure != TRADEBOOK_OK) {
        finish_failed(lane);
    } else {
        send_request(lane);
    }
}

void tbk_client_attempt_start(struct tbk_client_lane *lane)
{
    lane->failure = TRADEBOOK_OK;
    lane->pause_ms = lane->client->options.retry_ms_min;
    send_request(lane);
}
