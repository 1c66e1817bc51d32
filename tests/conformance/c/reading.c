#include "reading.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "cmocka_all.h"
#include "messages.h"
#include "tradebook/subscriber.h"

enum { AWAIT_SECONDS_MAX = 60, ARENA_BYTES = 1024, EVENTS_BYTES_MAX = 64 * 1024 * 1024 };

struct reading {
    const char *address;
    struct tradebook_subscriber_options options;
    struct tbk_arena *arena; /* has the texts of the options */
    int64_t deadline_ms;     /* INT64_MAX: none */
    pthread_t thread;
    bool is_joined;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    /* Guarded by the mutex until it has ended: */
    struct tradebook_subscriber *subscriber; /* NULL: it is not open yet, or not at all */
    bool is_stopping;
    bool has_ended;
    size_t event_count;
    struct tbk_dynbuf events; /* a list in JSON but for the last bracket */
    struct tradebook_error error;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the reading thread --- */

/* Time that is left, as tradebook_subscriber_next takes it. */
static int64_t left_ms(const struct reading *reading)
{
    if (reading->deadline_ms == INT64_MAX) {
        return -1;
    }
    int64_t left = reading->deadline_ms - now_ms();
    return left > 0 ? left : 0;
}

/* A server that is away or silent does not end a stream. */
static bool is_passing(enum tradebook_code code)
{
    return code == TRADEBOOK_UNAVAILABLE || code == TRADEBOOK_DEADLINE_EXCEEDED;
}

static bool goes_on(const struct reading *reading, enum tradebook_code code)
{
    return is_passing(code) && left_ms(reading) != 0;
}

static enum tradebook_code open_subscriber(struct reading *reading)
{
    struct tradebook_subscriber *subscriber = NULL;
    enum tradebook_code code = TRADEBOOK_UNAVAILABLE;
    while (goes_on(reading, code)) {
        const struct tradebook_client_options client = {.timeout_ms = left_ms(reading) > 0 ? left_ms(reading) : 0};
        struct tradebook_subscriber_options options = reading->options;
        options.client = &client;
        code = tradebook_subscriber_open(reading->address, &options, &subscriber, &reading->error);
    }
    pthread_mutex_lock(&reading->mutex);
    reading->subscriber = subscriber;
    if (reading->is_stopping && subscriber != NULL) {
        tradebook_subscriber_stop(subscriber);
    }
    pthread_mutex_unlock(&reading->mutex);
    return code;
}

static void keep_event(struct reading *reading, const Tradebook__V1__Event *event)
{
    pthread_mutex_lock(&reading->mutex);
    tbk_dynbuf_putc(&reading->events, reading->event_count++ == 0 ? '[' : ',');
    append_json(&event->base, &reading->events);
    pthread_cond_signal(&reading->changed);
    pthread_mutex_unlock(&reading->mutex);
}

/* Waits for the next event, and moves the cursor while none is there. */
static enum tradebook_code next_event(struct reading *reading, const Tradebook__V1__Event **ret_event)
{
    enum tradebook_code code = tradebook_subscriber_next(reading->subscriber, 0, ret_event, &reading->error);
    if (code != TRADEBOOK_DEADLINE_EXCEEDED) {
        return code;
    }
    if (reading->options.cursor != NULL) {
        code = tradebook_subscriber_commit(reading->subscriber, &reading->error);
        if (code != TRADEBOOK_OK) {
            return code;
        }
    }
    return tradebook_subscriber_next(reading->subscriber, left_ms(reading), ret_event, &reading->error);
}

static void *read_all(void *argument)
{
    struct reading *reading = argument;
    enum tradebook_code code = open_subscriber(reading);
    while (code == TRADEBOOK_OK || goes_on(reading, code)) {
        const Tradebook__V1__Event *event = NULL;
        code = next_event(reading, &event);
        if (code == TRADEBOOK_OK) {
            keep_event(reading, event);
        }
    }
    pthread_mutex_lock(&reading->mutex);
    if (is_passing(code)) {
        reading->error.code = TRADEBOOK_DEADLINE_EXCEEDED; /* the stream's */
    }
    reading->has_ended = true;
    pthread_cond_signal(&reading->changed);
    pthread_mutex_unlock(&reading->mutex);
    return NULL;
}

/* --- the other thread --- */

static struct tradebook_subscriber_options options_of(const json_t *request, const char *events_address,
                                                      struct tbk_arena *arena)
{
    const Tradebook__V1__SubscribeRequest *subscribe = (const Tradebook__V1__SubscribeRequest *)message_of_json(
        request, &tradebook__v1__subscribe_request__descriptor, arena);
    return (struct tradebook_subscriber_options){
        .events_address = events_address,
        .cursor = subscribe->cursor,
        .start = subscribe->from_oldest          ? TRADEBOOK_START_OLDEST
                 : subscribe->has_after_sequence ? TRADEBOOK_START_AFTER
                                                 : TRADEBOOK_START_NEWEST,
        .after_sequence = subscribe->after_sequence,
        .symbol = subscribe->symbol,
    };
}

struct reading *reading_start(const char *address, const char *events_address, const json_t *request,
                              int64_t timeout_ms)
{
    struct reading *reading = calloc(1, sizeof *reading);
    assert_non_null(reading);
    reading->address = address;
    reading->arena = tbk_arena_create(ARENA_BYTES, ARENA_BYTES);
    reading->options = options_of(request, events_address, reading->arena);
    reading->deadline_ms = timeout_ms > 0 ? now_ms() + timeout_ms : INT64_MAX;
    tbk_dynbuf_init(&reading->events, EVENTS_BYTES_MAX);
    pthread_mutex_init(&reading->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reading->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    assert_int_equal(pthread_create(&reading->thread, NULL, read_all, reading), 0);
    return reading;
}

/* Waits until the stream has ended or so many events have come, but not for ever. */
static void await(struct reading *reading, size_t count)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += AWAIT_SECONDS_MAX;
    int result = 0;
    while (!reading->has_ended && reading->event_count < count && result == 0) {
        result = pthread_cond_timedwait(&reading->changed, &reading->mutex, &until);
    }
}

bool reading_await(struct reading *reading, size_t count)
{
    pthread_mutex_lock(&reading->mutex);
    await(reading, count);
    bool have_come = reading->event_count >= count;
    pthread_mutex_unlock(&reading->mutex);
    return have_come;
}

bool reading_await_end(struct reading *reading)
{
    pthread_mutex_lock(&reading->mutex);
    await(reading, SIZE_MAX);
    bool has_ended = reading->has_ended;
    pthread_mutex_unlock(&reading->mutex);
    return has_ended;
}

void reading_stop(struct reading *reading)
{
    if (reading->is_joined) {
        return;
    }
    pthread_mutex_lock(&reading->mutex);
    reading->is_stopping = true;
    if (reading->subscriber != NULL) {
        tradebook_subscriber_stop(reading->subscriber);
    }
    pthread_mutex_unlock(&reading->mutex);
    pthread_join(reading->thread, NULL);
    reading->is_joined = true;
}

void reading_end(struct reading *reading)
{
    if (reading == NULL) {
        return;
    }
    reading_stop(reading);
    tradebook_subscriber_close(reading->subscriber);
    pthread_cond_destroy(&reading->changed);
    pthread_mutex_destroy(&reading->mutex);
    tbk_dynbuf_fini(&reading->events);
    tbk_arena_destroy(reading->arena);
    free(reading);
}

const struct tradebook_error *reading_error(const struct reading *reading)
{
    return &reading->error;
}

json_t *reading_events(const struct reading *reading)
{
    if (reading->event_count == 0) {
        return json_array();
    }
    struct tbk_dynbuf list;
    tbk_dynbuf_init(&list, EVENTS_BYTES_MAX);
    tbk_dynbuf_puts(&list, tbk_dynbuf_text(&reading->events));
    tbk_dynbuf_putc(&list, ']');
    json_t *events = json_loads(tbk_dynbuf_text(&list), 0, NULL);
    tbk_dynbuf_fini(&list);
    return events;
}
