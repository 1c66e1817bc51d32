/*
 * What a lane does with its call: send, wait for the reply, and when that fails
 * pause and send again with the same request id, until the call's time is over.
 */
#include "internal.h"

/* A connection that delivers nothing for this long although a request waits is
 * given up when the attempt ends: its peer may be gone without a word. */
enum { QUIET_MS_MAX = 1000 };

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
        tbk_client_error_set(&error, TRADEBOOK_CANCELLED, "%s: %s", method,
                             atomic_load(&lane->client->closing) ? "the client was closed"
                                                                 : "cancelled by its caller");
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

static void send_request(struct tbk_client_lane *lane)
{
    struct tradebook_client *client = lane->client;
    int64_t deadline_ms = lane->call->deadline_ms;
    int64_t now_ms = (int64_t)nng_clock();
    int64_t left_ms = deadline_ms - now_ms;
    if (atomic_load(&client->closing)) {
        fail(lane, TRADEBOOK_CANCELLED);
        return;
    }
    if (left_ms <= 0) {
        fail(lane, atomic_load(&client->is_connected) ? TRADEBOOK_DEADLINE_EXCEEDED : TRADEBOOK_UNAVAILABLE);
        return;
    }
    struct tbk_link_frame *frame = tbk_client_envelope_pack(lane->call, left_ms);
    if (frame == NULL) {
        fail(lane, TRADEBOOK_RESOURCE_EXHAUSTED);
        return;
    }
    long long none = 0;
    if (atomic_load_explicit(&client->waiting_since, memory_order_relaxed) == 0) {
        atomic_compare_exchange_strong(&client->waiting_since, &none, now_ms);
    }
    /* Half of the time, so that the other half is left for a second attempt. */
    int64_t attempt_ms = left_ms / 2 < QUIET_MS_MAX ? tbk_client_smaller(left_ms, QUIET_MS_MAX) : left_ms / 2;
    if (!tbk_client_wait(lane, frame, now_ms + attempt_ms, deadline_ms)) {
        fail(lane, TRADEBOOK_CANCELLED);
    }
}

static void pause_before_sending(struct tbk_client_lane *lane)
{
    struct tradebook_client *client = lane->client;
    pthread_mutex_lock(&client->mutex);
    int64_t pause_ms = lane->call->is_cancelled ? 0 : lane->pause_ms;
    lane->pause_ms = tbk_client_smaller(lane->pause_ms * 2, client->options.retry_ms_max);
    nng_sleep_aio((nng_duration)pause_ms, lane->pause_aio);
    pthread_mutex_unlock(&client->mutex);
}

static void give_up_quiet_connection(struct tradebook_client *client)
{
    long long since = atomic_load(&client->waiting_since);
    if (since == 0 || (long long)nng_clock() - since < QUIET_MS_MAX ||
        !atomic_compare_exchange_strong(&client->waiting_since, &since, 0)) {
        return;
    }
    tbk_link_drop(client->link);
}

void tbk_client_attempt_replied(struct tbk_client_lane *lane, const uint8_t *bytes, size_t length)
{
    struct tradebook_client *client = lane->client;
    if (atomic_load_explicit(&client->waiting_since, memory_order_relaxed) != 0) {
        atomic_store(&client->waiting_since, 0);
    }
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    enum tradebook_code code = tbk_client_envelope_unpack(lane->call, bytes, length, &reply, &error);
    if (code == TRADEBOOK_UNAVAILABLE && lane->call->deadline_ms - (int64_t)nng_clock() > lane->pause_ms) {
        pause_before_sending(lane);
    } else {
        tbk_client_call_finish(lane, code, reply, &error);
    }
}

void tbk_client_attempt_lost(struct tbk_client_lane *lane)
{
    pause_before_sending(lane);
}

void tbk_client_attempt_resumed(struct tbk_client_lane *lane)
{
    send_request(lane);
}

void tbk_client_attempt_expired(struct tbk_client_lane *lane)
{
    give_up_quiet_connection(lane->client);
    send_request(lane);
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
