/*
 * The order of events. Two sources bring them: the doorbell, which may lose, and
 * pages of ListEvents, which do not. An event is handed out when it follows the
 * position, whichever source it is from; one at or before the position was handed
 * out already. One that is ahead shows a gap and waits until pages have filled it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "subscriber_internal.h"

enum {
    HEARTBEAT_MS_MAX = 60000,
    SILENT_HEARTBEATS = 3, /* so many that did not come: the doorbell is dead */
    WAIT_MS_MAX = 5000,    /* of ListEvents, while the doorbell is dead */
    WAIT_TIMEOUT_PART = 4, /* and at most this part of a call's timeout */
    PAUSE_MS_MAX = 1000,
};

int64_t tbk_subscriber_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tbk_waker_ring(struct tbk_waker *waker)
{
    waker->changes++;
    pthread_cond_signal(&waker->changed);
}

/* --- the end of the stream --- */

/* Whether the stream goes on after a call has ended so. */
static bool is_passing(enum tradebook_code code)
{
    return code == TRADEBOOK_UNAVAILABLE || code == TRADEBOOK_DEADLINE_EXCEEDED ||
           code == TRADEBOOK_RESOURCE_EXHAUSTED;
}

static enum tradebook_code end_restored(struct tradebook_subscriber *subscriber, int64_t newest)
{
    return tbk_client_error_set(
        &subscriber->end, TRADEBOOK_DATA_LOSS,
        "the newest event of the server is %lld, before %lld where this subscriber is: its "
        "database was restored to an older state or is another one; check the server, then "
        "open a subscriber at the place where to go on",
        (long long)newest, (long long)subscriber->position);
}

static enum tradebook_code end_missing(struct tradebook_subscriber *subscriber, const Tradebook__V1__Event *event)
{
    return tbk_client_error_set(&subscriber->end, TRADEBOOK_DATA_LOSS,
                                "after event %lld the server answered event %lld: one between is missing from its "
                                "database",
                                (long long)subscriber->position, (long long)event->sequence);
}

/* --- order --- */

static bool is_stale(const struct tradebook_subscriber *subscriber, const Tradebook__V1__Event *event)
{
    return event->sequence <= subscriber->position;
}

/* Whether nothing is between the position and this event. */
static bool follows(const struct tradebook_subscriber *subscriber, const Tradebook__V1__Event *event)
{
    return subscriber->symbol != NULL ? event->previous_sequence <= subscriber->position
                                      : event->sequence == subscriber->position + 1;
}

/* --- pages --- */

static void drop_page(struct tradebook_subscriber *subscriber)
{
    if (subscriber->page != NULL) {
        tradebook__v1__list_events_response__free_unpacked(subscriber->page, NULL);
        subscriber->page = NULL;
    }
}

/* All of the page was handed out. */
static void finish_page(struct tradebook_subscriber *subscriber)
{
    const Tradebook__V1__ListEventsResponse *page = subscriber->page;
    if (subscriber->symbol != NULL && page->next_after_sequence > subscriber->position) {
        subscriber->position = page->next_after_sequence;
    }
    /* A page that leads nowhere is not asked for again at once. */
    bool leads_on = page->next_after_sequence > subscriber->call.after_sequence;
    if (leads_on && page->newest_sequence > subscriber->position) {
        subscriber->is_behind = true;
    }
    drop_page(subscriber);
}

/* The next event of the page, NULL when there is none. */
static enum tradebook_code next_of_page(struct tradebook_subscriber *subscriber, Tradebook__V1__Event **ret_event)
{
    Tradebook__V1__ListEventsResponse *page = subscriber->page;
    while (page != NULL && subscriber->page_next < page->n_events) {
        Tradebook__V1__Event *event = page->events[subscriber->page_next++];
        if (is_stale(subscriber, event)) {
            continue;
        }
        if (!follows(subscriber, event)) {
            return end_missing(subscriber, event);
        }
        *ret_event = event;
        return TRADEBOOK_OK;
    }
    if (page != NULL) {
        finish_page(subscriber);
    }
    return TRADEBOOK_OK;
}

static void pause_listing(struct tradebook_subscriber *subscriber, int64_t from_ms)
{
    subscriber->list_not_before_ms = from_ms + subscriber->pause_ms;
    subscriber->pause_ms *= 2;
    if (subscriber->pause_ms > PAUSE_MS_MAX) {
        subscriber->pause_ms = PAUSE_MS_MAX;
    }
}

static enum tradebook_code fail_page(struct tradebook_subscriber *subscriber)
{
    const struct tradebook_error *error = &subscriber->call.error;
    subscriber->is_behind = true;
    if (!is_passing(error->code)) {
        tbk_client_error_copy(&subscriber->end, error);
    } else if (error->code == TRADEBOOK_RESOURCE_EXHAUSTED) {
        pause_listing(subscriber, tbk_subscriber_now_ms());
        return TRADEBOOK_OK;
    }
    return error->code;
}

/* Takes the page that was asked for, if it has come. */
static enum tradebook_code take_page(struct tradebook_subscriber *subscriber)
{
    struct tbk_page_call *call = &subscriber->call;
    Tradebook__V1__ListEventsResponse *page = NULL;
    if (!call->runs || !tbk_page_call_take(call, &page)) {
        return TRADEBOOK_OK;
    }
    if (page == NULL) {
        return fail_page(subscriber);
    }
    subscriber->page = page;
    subscriber->page_next = 0;
    if (page->newest_sequence < call->after_sequence) {
        return end_restored(subscriber, page->newest_sequence);
    }
    subscriber->pause_ms = TBK_SUBSCRIBER_PAUSE_MS;
    if (page->n_events == 0 && call->wait_ms > 0) {
        /* A server that is about to stop answers at once. */
        subscriber->list_not_before_ms = call->started_ms + TBK_SUBSCRIBER_PAUSE_MS;
    }
    return TRADEBOOK_OK;
}

/* --- the doorbell --- */

static void hear_heartbeat(struct tradebook_subscriber *subscriber, const uint8_t *data, size_t length)
{
    Tradebook__V1__Heartbeat *heartbeat = tradebook__v1__heartbeat__unpack(NULL, length, data);
    if (heartbeat == NULL) {
        return;
    }
    if (heartbeat->interval_ms > 0 && heartbeat->interval_ms <= HEARTBEAT_MS_MAX) {
        subscriber->heartbeat_ms = heartbeat->interval_ms;
    }
    if (heartbeat->newest_sequence != subscriber->position) {
        /* Larger: an event was lost. Smaller: this heartbeat is late, or the database
         * an older one; the page tells. */
        subscriber->is_behind = true;
    }
    tradebook__v1__heartbeat__free_unpacked(heartbeat, NULL);
}

/* Answers the event of a frame; NULL when it is a heartbeat or cannot be read. */
static Tradebook__V1__Event *hear(struct tradebook_subscriber *subscriber, const struct tbk_doorbell_frame *frame)
{
    const uint8_t *nul = memchr(frame->bytes, '\0', frame->length);
    if (nul == NULL) {
        return NULL;
    }
    const uint8_t *data = nul + 1;
    size_t length = frame->length - (size_t)(data - frame->bytes);
    if (strcmp((const char *)frame->bytes, TBK_DOORBELL_HEARTBEAT) == 0) {
        hear_heartbeat(subscriber, data, length);
        return NULL;
    }
    return tradebook__v1__event__unpack(NULL, length, data);
}

static void drop_event(Tradebook__V1__Event **event)
{
    if (*event != NULL) {
        tradebook__v1__event__free_unpacked(*event, NULL);
        *event = NULL;
    }
}

/* Takes the next event from the doorbell; false when there is none. */
static bool take_ahead(struct tradebook_subscriber *subscriber)
{
    struct tbk_doorbell_frame *frame = NULL;
    while (subscriber->ahead == NULL && (frame = tbk_doorbell_take(&subscriber->doorbell)) != NULL) {
        subscriber->ahead = hear(subscriber, frame);
        subscriber->is_ahead_listed = false;
        free(frame);
    }
    return subscriber->ahead != NULL;
}

/* Answers whether to keep an event that is ahead until pages have filled the gap;
 * asks for one. An event that ListEvents does not know is of another server, or was
 * heard before the database was restored. */
static bool waits_for_page(struct tradebook_subscriber *subscriber)
{
    if (!subscriber->call.runs && !subscriber->is_behind && !subscriber->is_ahead_listed) {
        subscriber->is_ahead_listed = true;
        subscriber->is_behind = true;
    }
    return subscriber->call.runs || subscriber->is_behind;
}

/* The next event of the doorbell, which the caller takes; NULL when it is not
 * there. */
static Tradebook__V1__Event *next_of_doorbell(struct tradebook_subscriber *subscriber)
{
    while (take_ahead(subscriber)) {
        if (!is_stale(subscriber, subscriber->ahead)) {
            if (follows(subscriber, subscriber->ahead)) {
                Tradebook__V1__Event *event = subscriber->ahead;
                subscriber->ahead = NULL;
                return event;
            }
            if (waits_for_page(subscriber)) {
                return NULL;
            }
        }
        drop_event(&subscriber->ahead);
    }
    return NULL;
}

void tbk_subscriber_drop_events(struct tradebook_subscriber *subscriber)
{
    drop_page(subscriber);
    /* The page that came last and was not taken. */
    subscriber->page = subscriber->call.page;
    drop_page(subscriber);
    drop_event(&subscriber->published);
    drop_event(&subscriber->ahead);
}

/* --- waiting --- */

static int64_t alive_until_ms(struct tradebook_subscriber *subscriber)
{
    return tbk_doorbell_alive_until_ms(&subscriber->doorbell, subscriber->heartbeat_ms * SILENT_HEARTBEATS);
}

/* Asks for a page when one is needed: at once when events may be missing, and with
 * waiting while the doorbell is dead. */
static void list_if_needed(struct tradebook_subscriber *subscriber)
{
    int64_t now_ms = tbk_subscriber_now_ms();
    bool is_alive = now_ms < alive_until_ms(subscriber);
    if (subscriber->call.runs || now_ms < subscriber->list_not_before_ms || (is_alive && !subscriber->is_behind)) {
        return;
    }
    int64_t wait_ms = 0;
    if (!subscriber->is_behind) {
        wait_ms = subscriber->client->options.timeout_ms / WAIT_TIMEOUT_PART;
        wait_ms = wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
    }
    subscriber->is_behind = false;
    tbk_page_call_start(&subscriber->call, subscriber->client, subscriber->position, subscriber->symbol, wait_ms);
}

/* When to look again although nothing was heard. */
static int64_t wake_ms(struct tradebook_subscriber *subscriber, int64_t deadline_ms)
{
    if (subscriber->call.runs) {
        return deadline_ms;
    }
    int64_t until_ms = alive_until_ms(subscriber);
    if (subscriber->is_behind || until_ms < subscriber->list_not_before_ms) {
        until_ms = subscriber->list_not_before_ms;
    }
    return until_ms < deadline_ms ? until_ms : deadline_ms;
}

static struct timespec timespec_of_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
}

/* Returns when something has changed since seen, or at the time. */
static void wait_for_change(struct tbk_waker *waker, uint64_t seen, int64_t until_ms)
{
    struct timespec until = timespec_of_ms(until_ms);
    int result = 0;
    pthread_mutex_lock(&waker->mutex);
    while (waker->changes == seen && result == 0) {
        result = until_ms == INT64_MAX ? pthread_cond_wait(&waker->changed, &waker->mutex)
                                       : pthread_cond_timedwait(&waker->changed, &waker->mutex, &until);
    }
    pthread_mutex_unlock(&waker->mutex);
}

/* --- next --- */

/* Hands out what is there. *ret_event is NULL when nothing is. */
static enum tradebook_code step(struct tradebook_subscriber *subscriber, Tradebook__V1__Event **ret_event)
{
    if (tbk_doorbell_take_connected(&subscriber->doorbell)) {
        subscriber->is_behind = true;
    }
    enum tradebook_code code = TRADEBOOK_OK;
    if (subscriber->page == NULL) {
        code = take_page(subscriber);
    }
    if (code == TRADEBOOK_OK) {
        code = next_of_page(subscriber, ret_event);
    }
    if (code == TRADEBOOK_OK && *ret_event == NULL) {
        *ret_event = subscriber->published = next_of_doorbell(subscriber);
    }
    if (code == TRADEBOOK_OK && *ret_event == NULL) {
        list_if_needed(subscriber);
    }
    return code;
}

static enum tradebook_code fail_next(struct tradebook_subscriber *subscriber, enum tradebook_code code,
                                     struct tradebook_error *error)
{
    if (subscriber->end.code != TRADEBOOK_OK) {
        tbk_client_error_copy(error, &subscriber->end);
        return code;
    }
    /* DEADLINE_EXCEEDED of ListEvents is not the one of next. */
    return tbk_client_error_set(error, TRADEBOOK_UNAVAILABLE, "%s", subscriber->call.error.message);
}

/* Answers whether the subscriber was stopped, and how many changes there were. */
static bool look(struct tradebook_subscriber *subscriber, uint64_t *ret_changes)
{
    pthread_mutex_lock(&subscriber->waker.mutex);
    bool is_stopped = subscriber->is_stopped;
    *ret_changes = subscriber->waker.changes;
    pthread_mutex_unlock(&subscriber->waker.mutex);
    return is_stopped;
}

enum tradebook_code tradebook_subscriber_next(struct tradebook_subscriber *subscriber, int64_t timeout_ms,
                                              const Tradebook__V1__Event **ret_event,
                                              struct tradebook_error *error)
{
    int64_t now_ms = tbk_subscriber_now_ms();
    int64_t deadline_ms = timeout_ms < 0 || timeout_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + timeout_ms;
    drop_event(&subscriber->published);
    for (;;) {
        uint64_t seen = 0;
        if (look(subscriber, &seen)) {
            return tbk_client_error_set(error, TRADEBOOK_CANCELLED, "the subscriber was stopped");
        }
        Tradebook__V1__Event *event = NULL;
        enum tradebook_code code =
            subscriber->end.code != TRADEBOOK_OK ? subscriber->end.code : step(subscriber, &event);
        if (code != TRADEBOOK_OK) {
            return fail_next(subscriber, code, error);
        }
        if (event != NULL) {
            subscriber->position = event->sequence;
            *ret_event = event;
            return TRADEBOOK_OK;
        }
        if (tbk_subscriber_now_ms() >= deadline_ms) {
            return tbk_client_error_set(error, TRADEBOOK_DEADLINE_EXCEEDED, "no event within %lld ms",
                                        (long long)timeout_ms);
        }
        wait_for_change(&subscriber->waker, seen, wake_ms(subscriber, deadline_ms));
    }
}

int64_t tradebook_subscriber_position(const struct tradebook_subscriber *subscriber)
{
    return subscriber->position;
}

void tradebook_subscriber_stop(struct tradebook_subscriber *subscriber)
{
    pthread_mutex_lock(&subscriber->waker.mutex);
    subscriber->is_stopped = true;
    tbk_waker_ring(&subscriber->waker);
    pthread_mutex_unlock(&subscriber->waker.mutex);
}
