/*
 * Opens and closes clients: one link each.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

enum {
    RECONNECT_MS_MIN = 50,
    CLOSE_RETRY_MS = 10,
    LANES_MAX = 65536,
};

static enum tradebook_code fill_options(struct tradebook_client_options *options, struct tradebook_error *error)
{
    if (options->timeout_ms < 0 || options->retry_ms_min < 0 || options->retry_ms_max < 0) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "timeout_ms, retry_ms_min and retry_ms_max must not be negative");
    }
    if (options->in_flight_max > LANES_MAX) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "in_flight_max is %u; at most %d are possible", options->in_flight_max,
                                    (int)LANES_MAX);
    }
    options->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TRADEBOOK_TIMEOUT_MS_DEFAULT;
    options->retry_ms_min = options->retry_ms_min != 0 ? options->retry_ms_min : 5;
    options->retry_ms_max = options->retry_ms_max != 0 ? options->retry_ms_max : 500;
    options->reply_bytes_max = options->reply_bytes_max != 0 ? options->reply_bytes_max : 16 * 1024 * 1024;
    options->in_flight_max = options->in_flight_max != 0 ? options->in_flight_max : 1024;
    options->queue_max = options->queue_max != 0 ? options->queue_max : 65536;
    if (options->retry_ms_max > INT32_MAX || options->retry_ms_min > options->retry_ms_max) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "retry_ms_min (%lld) must not exceed retry_ms_max (%lld)",
                                    (long long)options->retry_ms_min, (long long)options->retry_ms_max);
    }
    return TRADEBOOK_OK;
}

static int connect_link(struct tradebook_client *client)
{
    const struct tradebook_client_options *options = &client->options;
    return tbk_link_open(
        client->address,
        &(struct tbk_link_config){
            .protocol = TBK_LINK_REQ,
            .peer_protocol = TBK_LINK_REP,
            .frame_bytes_max = TBK_LINK_ID_BYTES + options->reply_bytes_max,
            .pause_ms_max = options->retry_ms_max > RECONNECT_MS_MIN ? options->retry_ms_max : RECONNECT_MS_MIN,
            .argument = client,
            .on_connection = tbk_client_wait_connection,
            .on_frame = tbk_client_wait_frame,
        },
        &client->link);
}

/* Waits for callbacks that have not returned yet. */
static void free_lane(struct tbk_client_lane *lane)
{
    nng_aio_stop(lane->pause_aio);
    nng_aio_free(lane->pause_aio);
    free(lane);
}

struct tbk_client_lane *tbk_client_lane_create(struct tradebook_client *client)
{
    if (client->lane_count == client->options.in_flight_max) {
        return NULL;
    }
    struct tbk_client_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    lane->client = client;
    lane->index = client->lane_count;
    if (nng_aio_alloc(&lane->pause_aio, tbk_client_attempt_paused, lane) != 0) {
        free(lane);
        return NULL;
    }
    client->lanes[client->lane_count++] = lane;
    return lane;
}

static void free_client(struct tradebook_client *client)
{
    tbk_link_close(client->link);
    nng_aio_free(client->queue_timer);
    nng_aio_free(client->wait_timer);
    for (size_t i = 0; i < client->lane_count; i++) {
        free_lane(client->lanes[i]);
    }
    while (client->free_calls != NULL) {
        struct tbk_client_call *call = client->free_calls;
        client->free_calls = call->next;
        tbk_client_call_free(call);
    }
    pthread_cond_destroy(&client->idle);
    pthread_mutex_destroy(&client->mutex);
    free(client->lanes);
    free(client->address);
    free(client->client_id.value.data);
    free(client);
}

static void init_locks(struct tradebook_client *client)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&client->mutex, NULL);
}

/* False when memory is exhausted. */
static bool keep_client_id(struct tradebook_client *client)
{
    const char *text = client->options.client_id;
    client->options.client_id = NULL;
    client->client_id = (Tradebook__V1__Metadata)TRADEBOOK__V1__METADATA__INIT;
    if (text == NULL) {
        return true;
    }
    client->client_id.key = (char *)"client-id";
    client->client_id.has_value = 1;
    client->client_id.value = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)strdup(text)};
    return client->client_id.value.data != NULL;
}

enum tradebook_code tradebook_client_open(const char *address, const struct tradebook_client_options *options,
                                          struct tradebook_client **ret_client, struct tradebook_error *error)
{
    struct tradebook_client_options filled = {0};
    if (options != NULL) {
        filled = *options;
    }
    enum tradebook_code code = fill_options(&filled, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    struct tradebook_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "out of memory");
    }
    client->options = filled;
    client->queue_tail = &client->queue_head;
    client->address = strdup(address);
    client->lanes = calloc(filled.in_flight_max, sizeof(struct tbk_client_lane *));
    init_locks(client);
    if (!keep_client_id(client) || client->address == NULL || client->lanes == NULL ||
        nng_aio_alloc(&client->queue_timer, tbk_client_queue_tick, client) != 0 ||
        nng_aio_alloc(&client->wait_timer, tbk_client_wait_tick, client) != 0) {
        free_client(client);
        return tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "out of memory");
    }
    int result = connect_link(client);
    if (result != 0) {
        free_client(client);
        bool bad_address = result == NNG_EADDRINVAL || result == NNG_ENOTSUP || result == NNG_EINVAL;
        return tbk_client_error_set(error, bad_address ? TRADEBOOK_INVALID_ARGUMENT : TRADEBOOK_RESOURCE_EXHAUSTED,
                                    "cannot connect to \"%s\": %s; write the address as tcp://HOST:PORT, "
                                    "ipc:///PATH or ws://HOST:PORT/PATH",
                                    address, nng_strerror(result));
    }
    *ret_client = client;
    return TRADEBOOK_OK;
}

static struct timespec soon(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += CLOSE_RETRY_MS * 1000000L;
    if (time.tv_nsec >= 1000000000L) {
        time.tv_nsec -= 1000000000L;
        time.tv_sec++;
    }
    return time;
}

/* Cancels what runs until nothing is left. A lane that is between two operations
 * is missed by one round and caught by the next. */
static void end_calls(struct tradebook_client *client)
{
    pthread_mutex_lock(&client->mutex);
    while (client->pending > 0) {
        size_t lane_count = client->lane_count;
        pthread_mutex_unlock(&client->mutex);
        tbk_client_queue_end(client, true);
        tbk_client_wait_end(client);
        for (size_t i = 0; i < lane_count; i++) {
            nng_aio_cancel(client->lanes[i]->pause_aio);
        }
        struct timespec until = soon();
        pthread_mutex_lock(&client->mutex);
        if (client->pending > 0) {
            pthread_cond_timedwait(&client->idle, &client->mutex, &until);
        }
    }
    pthread_mutex_unlock(&client->mutex);
}

void tradebook_client_close(struct tradebook_client *client)
{
    if (client == NULL) {
        return;
    }
    pthread_mutex_lock(&client->mutex);
    atomic_store(&client->closing, true);
    pthread_mutex_unlock(&client->mutex);
    end_calls(client);
    nng_aio_stop(client->queue_timer);
    nng_aio_stop(client->wait_timer);
    free_client(client);
}
