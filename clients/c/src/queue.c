/*
 * The lists of a client: calls kept for reuse, free lanes, and the calls that
 * wait for a lane.
 */
#include <stdlib.h>

#include "internal.h"

enum {
    /* A kept call does not keep a larger buffer than this. */
    PAYLOAD_BYTES_KEPT_MAX = 64 * 1024,
    /* How late a waiting call may be told that its time is over. */
    QUEUE_TICK_MS = 20,
};

void tbk_client_call_free(struct tbk_client_call *call)
{
    if (call != NULL) {
        free(call->payload);
        free(call);
    }
}

void tbk_client_call_keep(struct tradebook_client *client, struct tbk_client_call *call)
{
    if (call == NULL) {
        return;
    }
    if (client->free_call_count >= client->options.in_flight_max ||
        call->payload_bytes_allocated > PAYLOAD_BYTES_KEPT_MAX) {
        tbk_client_call_free(call);
        return;
    }
    call->next = client->free_calls;
    client->free_calls = call;
    client->free_call_count++;
}

struct tbk_client_call *tbk_client_call_take(struct tradebook_client *client)
{
    struct tbk_client_call *call = client->free_calls;
    if (call == NULL) {
        return calloc(1, sizeof *call);
    }
    client->free_calls = call->next;
    client->free_call_count--;
    return call;
}

struct tbk_client_lane *tbk_client_lane_take(struct tradebook_client *client)
{
    struct tbk_client_lane *lane = client->free_lanes;
    if (lane == NULL) {
        return tbk_client_lane_create(client);
    }
    client->free_lanes = lane->next_free;
    return lane;
}

void tbk_client_lane_keep(struct tradebook_client *client, struct tbk_client_lane *lane)
{
    lane->call = NULL;
    lane->next_free = client->free_lanes;
    client->free_lanes = lane;
}

struct tbk_client_call *tbk_client_dequeue(struct tradebook_client *client)
{
    struct tbk_client_call *call = client->queue_head;
    if (call != NULL) {
        client->queue_head = call->next;
        client->queue_length--;
        if (client->queue_head == NULL) {
            client->queue_tail = &client->queue_head;
        }
    }
    return call;
}

void tbk_client_enqueue(struct tradebook_client *client, struct tbk_client_call *call)
{
    call->next = NULL;
    *client->queue_tail = call;
    client->queue_tail = &call->next;
    client->queue_length++;
    if (client->queue_length == 1 || call->deadline_ms < client->queue_deadline_ms) {
        client->queue_deadline_ms = call->deadline_ms;
    }
    if (!client->queue_timer_runs) {
        client->queue_timer_runs = true;
        nng_sleep_aio(QUEUE_TICK_MS, client->queue_timer);
    }
}

/* Takes the calls out of the queue that are to be ended, as a list. */
static struct tbk_client_call *take_ended(struct tradebook_client *client, bool all)
{
    int64_t now_ms = (int64_t)nng_clock();
    struct tbk_client_call *ended = NULL;
    struct tbk_client_call **ended_tail = &ended;
    if (!all && now_ms < client->queue_deadline_ms) {
        return NULL;
    }
    client->queue_deadline_ms = INT64_MAX;
    struct tbk_client_call **link = &client->queue_head;
    while (*link != NULL) {
        struct tbk_client_call *call = *link;
        if (all || call->is_cancelled || call->deadline_ms <= now_ms) {
            *link = call->next;
            call->next = NULL;
            *ended_tail = call;
            ended_tail = &call->next;
            client->queue_length--;
        } else {
            if (call->deadline_ms < client->queue_deadline_ms) {
                client->queue_deadline_ms = call->deadline_ms;
            }
            link = &call->next;
        }
    }
    client->queue_tail = link;
    return ended;
}

void tbk_client_queue_end(struct tradebook_client *client, bool all)
{
    pthread_mutex_lock(&client->mutex);
    struct tbk_client_call *ended = take_ended(client, all);
    pthread_mutex_unlock(&client->mutex);
    while (ended != NULL) {
        struct tbk_client_call *call = ended;
        ended = call->next;
        struct tbk_client_listener listener = call->listener;
        struct tradebook_error error;
        if (all) {
            tbk_client_error_set(&error, TRADEBOOK_CANCELLED, "%s: the client was closed", call->method->name);
        } else if (call->is_cancelled) {
            tbk_client_error_set(&error, TRADEBOOK_CANCELLED, "%s: cancelled by its caller; not sent",
                                 call->method->name);
        } else {
            tbk_client_error_set(&error, TRADEBOOK_DEADLINE_EXCEEDED,
                                 "%s: waited %lld ms for an earlier call to end (in_flight_max is %u); not sent",
                                 call->method->name, (long long)call->timeout_ms, client->options.in_flight_max);
        }
        tbk_client_call_free(call);
        tbk_client_tell(client, listener, error.code, NULL, &error);
    }
}

void tbk_client_queue_tick(void *argument)
{
    struct tradebook_client *client = argument;
    tbk_client_queue_end(client, false);
    pthread_mutex_lock(&client->mutex);
    client->queue_timer_runs = client->queue_length > 0;
    if (client->queue_timer_runs) {
        nng_sleep_aio(QUEUE_TICK_MS, client->queue_timer);
    }
    pthread_mutex_unlock(&client->mutex);
}
