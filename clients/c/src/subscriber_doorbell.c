/*
 * The server's events address. Frames that are not taken in time fill the ring,
 * then the buffers of the connection; then the server drops, which the subscriber
 * sees as a gap.
 */
#include <stdlib.h>
#include <string.h>

#include "subscriber_internal.h"

enum {
    FRAME_BYTES_MAX = 16 * 1024,
    PAUSE_MS_MAX = 500,
    SILENCE_MS_MAX = 120 * 1000, /* twice the longest time between heartbeats */
};

static void note_connection(void *argument, bool is_connected)
{
    struct tbk_doorbell *doorbell = argument;
    pthread_mutex_lock(&doorbell->waker->mutex);
    doorbell->is_connected = is_connected;
    doorbell->is_connected_new = is_connected;
    doorbell->heard_ms = tbk_subscriber_now_ms();
    tbk_waker_ring(doorbell->waker);
    pthread_mutex_unlock(&doorbell->waker->mutex);
}

static bool has_prefix(const uint8_t *bytes, size_t length, const char *prefix)
{
    size_t prefix_bytes = strlen(prefix);
    return length >= prefix_bytes && memcmp(bytes, prefix, prefix_bytes) == 0;
}

/* NULL when there is no memory, which the subscriber sees as a gap. */
static struct tbk_doorbell_frame *copy_frame(const uint8_t *bytes, size_t length)
{
    struct tbk_doorbell_frame *frame = malloc(sizeof *frame + length);
    if (frame != NULL) {
        frame->length = length;
        memcpy(frame->bytes, bytes, length);
    }
    return frame;
}

static bool hear(void *argument, const uint8_t *bytes, size_t length)
{
    struct tbk_doorbell *doorbell = argument;
    bool is_wanted =
        has_prefix(bytes, length, doorbell->topic) || has_prefix(bytes, length, TBK_DOORBELL_HEARTBEAT);
    struct tbk_doorbell_frame *frame = is_wanted ? copy_frame(bytes, length) : NULL;
    pthread_mutex_lock(&doorbell->waker->mutex);
    doorbell->heard_ms = tbk_subscriber_now_ms();
    if (frame != NULL) {
        doorbell->frames[(doorbell->first + doorbell->count) % TBK_DOORBELL_FRAMES_MAX] = frame;
        doorbell->count++;
        tbk_waker_ring(doorbell->waker);
    }
    bool is_full = doorbell->is_full = doorbell->count == TBK_DOORBELL_FRAMES_MAX;
    pthread_mutex_unlock(&doorbell->waker->mutex);
    return !is_full;
}

enum tradebook_code tbk_doorbell_open(struct tbk_doorbell *doorbell, const char *address, char *topic,
                                      struct tbk_waker *waker, struct tradebook_error *error)
{
    doorbell->waker = waker;
    doorbell->topic = topic;
    int result = tbk_link_open(address,
                               &(struct tbk_link_config){.protocol = TBK_LINK_SUB,
                                                         .peer_protocol = TBK_LINK_PUB,
                                                         .frame_bytes_max = FRAME_BYTES_MAX,
                                                         .silence_ms_max = SILENCE_MS_MAX,
                                                         .pause_ms_max = PAUSE_MS_MAX,
                                                         .argument = doorbell,
                                                         .on_connection = note_connection,
                                                         .on_frame = hear},
                               &doorbell->link);
    if (result == 0) {
        return TRADEBOOK_OK;
    }
    return tbk_client_error_set(error,
                                result == NNG_ENOMEM ? TRADEBOOK_RESOURCE_EXHAUSTED : TRADEBOOK_INVALID_ARGUMENT,
                                "cannot connect to the events address \"%s\": %s; write it as tcp://HOST:PORT or "
                                "ipc:///PATH",
                                address, nng_strerror(result));
}

void tbk_doorbell_close(struct tbk_doorbell *doorbell)
{
    tbk_link_close(doorbell->link);
    doorbell->link = NULL;
    for (; doorbell->count > 0; doorbell->count--) {
        free(doorbell->frames[doorbell->first]);
        doorbell->first = (doorbell->first + 1) % TBK_DOORBELL_FRAMES_MAX;
    }
    free(doorbell->topic);
}

struct tbk_doorbell_frame *tbk_doorbell_take(struct tbk_doorbell *doorbell)
{
    if (doorbell->link == NULL) {
        return NULL;
    }
    struct tbk_doorbell_frame *frame = NULL;
    bool resumes = false;
    pthread_mutex_lock(&doorbell->waker->mutex);
    if (doorbell->count > 0) {
        frame = doorbell->frames[doorbell->first];
        doorbell->first = (doorbell->first + 1) % TBK_DOORBELL_FRAMES_MAX;
        doorbell->count--;
        resumes = doorbell->is_full;
        doorbell->is_full = false;
    }
    pthread_mutex_unlock(&doorbell->waker->mutex);
    if (resumes) {
        tbk_link_resume(doorbell->link);
    }
    return frame;
}

bool tbk_doorbell_take_connected(struct tbk_doorbell *doorbell)
{
    if (doorbell->link == NULL) {
        return false;
    }
    pthread_mutex_lock(&doorbell->waker->mutex);
    bool is_connected_new = doorbell->is_connected_new;
    doorbell->is_connected_new = false;
    pthread_mutex_unlock(&doorbell->waker->mutex);
    return is_connected_new;
}

int64_t tbk_doorbell_alive_until_ms(struct tbk_doorbell *doorbell, int64_t silence_ms)
{
    if (doorbell->link == NULL) {
        return 0;
    }
    pthread_mutex_lock(&doorbell->waker->mutex);
    int64_t until_ms = doorbell->is_connected ? doorbell->heard_ms + silence_ms : 0;
    pthread_mutex_unlock(&doorbell->waker->mutex);
    return until_ms;
}
