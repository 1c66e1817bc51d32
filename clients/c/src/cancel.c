/*
 * Calls that their caller gives up. A call is found by its request id, in a lane
 * or in the queue, and marked; it ends in the way of its place: at the end of the
 * lane's waiting or pause, or at the next tick of the queue.
 */
#include <string.h>

#include "internal.h"

static bool has_id(const struct tbk_client_call *call, const uint8_t *request_id)
{
    return memcmp(call->request_id, request_id, sizeof call->request_id) == 0;
}

/* Answers the lanes that have waited, as a list. With the mutex. */
static struct tbk_client_lane *cancel_in_lanes(struct tradebook_client *client, const uint8_t *request_id)
{
    struct tbk_client_lane *ended = NULL;
    for (size_t i = 0; i < client->lane_count; i++) {
        struct tbk_client_lane *lane = client->lanes[i];
        if (lane->cancellable == NULL || !has_id(lane->cancellable, request_id)) {
            continue;
        }
        lane->cancellable->is_cancelled = true;
        if (lane->waits == TBK_WAIT_NONE) {
            nng_aio_cancel(lane->pause_aio);
        } else {
            lane->waits = TBK_WAIT_NONE;
            lane->next_ended = ended;
            ended = lane;
        }
    }
    return ended;
}

void tradebook_cancel(struct tradebook_client *client, const uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES])
{
    pthread_mutex_lock(&client->mutex);
    struct tbk_client_lane *ended = cancel_in_lanes(client, request_id);
    for (struct tbk_client_call *call = client->queue_head; call != NULL; call = call->next) {
        if (has_id(call, request_id)) {
            call->is_cancelled = true;
            client->queue_deadline_ms = 0;
        }
    }
    pthread_mutex_unlock(&client->mutex);
    tbk_client_go_on(ended, tbk_client_attempt_resumed);
}
