/*
 * Lanes that wait, for the reply to their request or for a connection. A request
 * has a number on the wire which its reply repeats: the high bit, which SP wants,
 * 15 bits that count the requests of a lane, 16 bits for the lane.
 */
#include <stdlib.h>

#include "internal.h"

enum { LANE_BITS = 16 };

#define SP_LAST_NUMBER UINT32_C(0x80000000)

/* --- the timer; with the mutex --- */

/* Lets the timer end at this time at the latest. */
static void wake_at(struct tradebook_client *client, int64_t end_ms)
{
    if (client->wait_timer_ms != 0 && client->wait_timer_ms <= end_ms) {
        return;
    }
    bool runs = client->wait_timer_ms != 0;
    client->wait_timer_ms = end_ms;
    if (runs) {
        /* Its callback looks when to end next. */
        nng_aio_cancel(client->wait_timer);
        return;
    }
    int64_t left_ms = end_ms - (int64_t)nng_clock();
    nng_sleep_aio((nng_duration)(left_ms > 0 ? left_ms : 0), client->wait_timer);
}

/* --- beginning to wait --- */

static uint32_t next_number(const struct tbk_client_lane *lane)
{
    uint32_t next = (lane->request_number & ~SP_LAST_NUMBER) + (UINT32_C(1) << LANE_BITS);
    return SP_LAST_NUMBER | (next & ~UINT32_C(0xffff)) | (uint32_t)lane->index;
}

static void write_number(uint8_t out[TBK_LINK_ID_BYTES], uint32_t number)
{
    for (int i = 0; i < TBK_LINK_ID_BYTES; i++) {
        out[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static uint32_t read_number(const uint8_t *bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < TBK_LINK_ID_BYTES; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

bool tbk_client_wait(struct tbk_client_lane *lane, struct tbk_link_frame *frame, int64_t reply_end_ms,
                     int64_t connection_end_ms)
{
    struct tradebook_client *client = lane->client;
    pthread_mutex_lock(&client->mutex);
    if (lane->call->is_cancelled) {
        pthread_mutex_unlock(&client->mutex);
        free(frame);
        return false;
    }
    lane->cancellable = lane->call;
    lane->request_number = next_number(lane);
    write_number(frame->payload, lane->request_number);
    bool is_sent = tbk_link_send(client->link, frame);
    lane->waits = is_sent ? TBK_WAIT_REPLY : TBK_WAIT_CONNECTION;
    lane->wait_end_ms = is_sent ? reply_end_ms : connection_end_ms;
    if (!is_sent && atomic_load(&client->is_connected)) { /* no room: nobody tells when there is */
        lane->wait_end_ms = tbk_client_smaller((int64_t)nng_clock() + lane->pause_ms, connection_end_ms);
        lane->pause_ms = tbk_client_smaller(lane->pause_ms * 2, client->options.retry_ms_max);
    }
    wake_at(client, lane->wait_end_ms);
    pthread_mutex_unlock(&client->mutex);
    if (!is_sent) {
        free(frame);
    }
    return true;
}

/* --- the end of waiting --- */

/* Ends the waiting of lanes that wait for this and, if now_ms is given, whose time
 * is over; answers them as a list. With the mutex. */
static struct tbk_client_lane *take_ended(struct tradebook_client *client, enum tbk_client_wait waits,
                                          int64_t now_ms)
{
    struct tbk_client_lane *ended = NULL;
    for (size_t i = 0; i < client->lane_count; i++) {
        struct tbk_client_lane *lane = client->lanes[i];
        if (lane->waits == waits && (now_ms == 0 || lane->wait_end_ms <= now_ms)) {
            lane->waits = TBK_WAIT_NONE;
            lane->next_ended = ended;
            ended = lane;
        }
    }
    return ended;
}

void tbk_client_go_on(struct tbk_client_lane *ended, void (*attempt)(struct tbk_client_lane *lane))
{
    while (ended != NULL) {
        struct tbk_client_lane *lane = ended;
        ended = lane->next_ended;
        attempt(lane);
    }
}

void tbk_client_wait_end(struct tradebook_client *client)
{
    pthread_mutex_lock(&client->mutex);
    struct tbk_client_lane *with_request = take_ended(client, TBK_WAIT_REPLY, 0);
    struct tbk_client_lane *without = take_ended(client, TBK_WAIT_CONNECTION, 0);
    pthread_mutex_unlock(&client->mutex);
    tbk_client_go_on(with_request, tbk_client_attempt_resumed);
    tbk_client_go_on(without, tbk_client_attempt_resumed);
}

static int64_t next_end_ms(const struct tradebook_client *client)
{
    int64_t end_ms = INT64_MAX;
    for (size_t i = 0; i < client->lane_count; i++) {
        const struct tbk_client_lane *lane = client->lanes[i];
        if (lane->waits != TBK_WAIT_NONE && lane->wait_end_ms < end_ms) {
            end_ms = lane->wait_end_ms;
        }
    }
    return end_ms;
}

void tbk_client_wait_tick(void *argument)
{
    struct tradebook_client *client = argument;
    int64_t now_ms = (int64_t)nng_clock();
    pthread_mutex_lock(&client->mutex);
    client->wait_timer_ms = 0;
    struct tbk_client_lane *unanswered = take_ended(client, TBK_WAIT_REPLY, now_ms);
    struct tbk_client_lane *unconnected = take_ended(client, TBK_WAIT_CONNECTION, now_ms);
    int64_t end_ms = next_end_ms(client);
    if (end_ms != INT64_MAX) {
        wake_at(client, end_ms);
    }
    pthread_mutex_unlock(&client->mutex);
    tbk_client_go_on(unanswered, tbk_client_attempt_expired);
    tbk_client_go_on(unconnected, tbk_client_attempt_resumed);
}

void tbk_client_wait_connection(void *argument, bool is_connected)
{
    struct tradebook_client *client = argument;
    atomic_store(&client->is_connected, is_connected);
    atomic_store(&client->waiting_since, 0);
    pthread_mutex_lock(&client->mutex);
    struct tbk_client_lane *ended = take_ended(client, is_connected ? TBK_WAIT_CONNECTION : TBK_WAIT_REPLY, 0);
    pthread_mutex_unlock(&client->mutex);
    tbk_client_go_on(ended, is_connected ? tbk_client_attempt_resumed : tbk_client_attempt_lost);
}

/* The lane whose reply this is; NULL when it waits no more. */
static struct tbk_client_lane *take_lane(struct tradebook_client *client, uint32_t number)
{
    size_t index = number & 0xffff;
    pthread_mutex_lock(&client->mutex);
    struct tbk_client_lane *lane = index < client->lane_count ? client->lanes[index] : NULL;
    if (lane != NULL && lane->waits == TBK_WAIT_REPLY && lane->request_number == number) {
        lane->waits = TBK_WAIT_NONE;
    } else {
        lane = NULL;
    }
    pthread_mutex_unlock(&client->mutex);
    return lane;
}

bool tbk_client_wait_frame(void *argument, const uint8_t *bytes, size_t length)
{
    struct tradebook_client *client = argument;
    if (length >= TBK_LINK_ID_BYTES) {
        struct tbk_client_lane *lane = take_lane(client, read_number(bytes));
        if (lane != NULL) {
            tbk_client_attempt_replied(lane, bytes + TBK_LINK_ID_BYTES, length - TBK_LINK_ID_BYTES);
        }
    }
    return true;
}
