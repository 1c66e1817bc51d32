/*
 * Opens subscribers at their place, closes them, and keeps their cursors.
 */
#include <stdlib.h>
#include <string.h>

#include "subscriber_internal.h"

#define EVENT_SERVICE "/tradebook.v1.EventService/"
#define TOPIC         "trade.closed/"

/* TOPIC and the symbol with '/', each byte but letters, digits, "-._~" as %XX. NULL
 * when memory is exhausted. */
static char *topic_of(const char *symbol)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    char *topic = malloc(sizeof TOPIC + (symbol != NULL ? 3 * strlen(symbol) + 1 : 0));
    if (topic == NULL) {
        return NULL;
    }
    char *end = stpcpy(topic, TOPIC);
    for (; symbol != NULL && *symbol != '\0'; symbol++) {
        unsigned byte = (unsigned char)*symbol;
        if (strchr(unreserved, (int)byte) != NULL) {
            *end++ = *symbol;
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    if (symbol != NULL) {
        *end++ = '/';
    }
    *end = '\0';
    return topic;
}

static enum tradebook_code commit(struct tradebook_subscriber *subscriber, struct tradebook_error *error)
{
    Tradebook__V1__CommitCursorRequest request = TRADEBOOK__V1__COMMIT_CURSOR_REQUEST__INIT;
    request.name = subscriber->cursor;
    request.has_sequence = 1;
    request.sequence = subscriber->position;
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code =
        tradebook_call(subscriber->client, EVENT_SERVICE "CommitCursor", &request.base, NULL, &reply, error);
    if (code == TRADEBOOK_OK) {
        subscriber->committed = subscriber->position;
        tradebook_message_free(reply);
    }
    return code;
}

/* Asks the server which events it has. */
static enum tradebook_code find_end(struct tradebook_subscriber *subscriber, bool oldest,
                                    struct tradebook_error *error)
{
    Tradebook__V1__ListEventsRequest request = TRADEBOOK__V1__LIST_EVENTS_REQUEST__INIT;
    request.has_after_sequence = request.has_page_size = 1;
    request.after_sequence = INT64_MAX;
    request.page_size = 1;
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code =
        tradebook_call(subscriber->client, EVENT_SERVICE "ListEvents", &request.base, NULL, &reply, error);
    if (code == TRADEBOOK_OK) {
        const Tradebook__V1__ListEventsResponse *page = (const Tradebook__V1__ListEventsResponse *)reply;
        subscriber->position =
            oldest && page->has_oldest_sequence ? page->oldest_sequence - 1 : page->newest_sequence;
        tradebook_message_free(reply);
    }
    return code;
}

static enum tradebook_code find_start(struct tradebook_subscriber *subscriber,
                                      const struct tradebook_subscriber_options *options,
                                      struct tradebook_error *error)
{
    if (options->start == TRADEBOOK_START_AFTER) {
        subscriber->position = options->after_sequence;
        return TRADEBOOK_OK;
    }
    return find_end(subscriber, options->start == TRADEBOOK_START_OLDEST, error);
}

/* NOT_FOUND: there is no such cursor. */
static enum tradebook_code find_cursor(struct tradebook_subscriber *subscriber, struct tradebook_error *error)
{
    Tradebook__V1__GetCursorRequest request = TRADEBOOK__V1__GET_CURSOR_REQUEST__INIT;
    request.name = subscriber->cursor;
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code =
        tradebook_call(subscriber->client, EVENT_SERVICE "GetCursor", &request.base, NULL, &reply, error);
    if (code == TRADEBOOK_OK) {
        subscriber->position = subscriber->committed = ((const Tradebook__V1__Cursor *)reply)->sequence;
        tradebook_message_free(reply);
    }
    return code;
}

/* A new cursor is stored at once, so that a restart before the first commit misses
 * nothing. */
static enum tradebook_code find_place(struct tradebook_subscriber *subscriber,
                                      const struct tradebook_subscriber_options *options,
                                      struct tradebook_error *error)
{
    enum tradebook_code code = TRADEBOOK_NOT_FOUND;
    if (subscriber->cursor != NULL) {
        code = find_cursor(subscriber, error);
    }
    if (code != TRADEBOOK_NOT_FOUND) {
        return code;
    }
    code = find_start(subscriber, options, error);
    return code == TRADEBOOK_OK && subscriber->cursor != NULL ? commit(subscriber, error) : code;
}

static enum tradebook_code check(const struct tradebook_subscriber_options *options, struct tradebook_error *error)
{
    if (options->start < TRADEBOOK_START_NEWEST || options->start > TRADEBOOK_START_AFTER) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "start is %d; it must be TRADEBOOK_START_NEWEST, _OLDEST or _AFTER",
                                    (int)options->start);
    }
    if (options->after_sequence < 0) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "after_sequence is %lld; it must not be negative",
                                    (long long)options->after_sequence);
    }
    if (options->after_sequence > 0 && options->start != TRADEBOOK_START_AFTER) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "after_sequence is %lld; it belongs to TRADEBOOK_START_AFTER",
                                    (long long)options->after_sequence);
    }
    return TRADEBOOK_OK;
}

static enum tradebook_code copy_text(char **to, const char *from, struct tradebook_error *error)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from != NULL && *to == NULL ? tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "out of memory")
                                       : TRADEBOOK_OK;
}

static enum tradebook_code open_doorbell(struct tradebook_subscriber *subscriber, const char *address,
                                         struct tradebook_error *error)
{
    char *topic = topic_of(subscriber->symbol);
    if (topic == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "out of memory");
    }
    return tbk_doorbell_open(&subscriber->doorbell, address, topic, &subscriber->waker, error);
}

static struct tradebook_subscriber *create(void)
{
    struct tradebook_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (subscriber == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&subscriber->waker.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&subscriber->waker.mutex, NULL);
    subscriber->call.waker = &subscriber->waker;
    subscriber->is_behind = true;
    subscriber->heartbeat_ms = TBK_SUBSCRIBER_HEARTBEAT_MS;
    subscriber->pause_ms = TBK_SUBSCRIBER_PAUSE_MS;
    return subscriber;
}

static enum tradebook_code start(struct tradebook_subscriber *subscriber, const char *address,
                                 const struct tradebook_subscriber_options *options, struct tradebook_error *error)
{
    enum tradebook_code code = copy_text(&subscriber->symbol, options->symbol, error);
    if (code == TRADEBOOK_OK) {
        code = copy_text(&subscriber->cursor, options->cursor, error);
    }
    if (code == TRADEBOOK_OK) {
        code = tradebook_client_open(address, options->client, &subscriber->client, error);
    }
    if (code == TRADEBOOK_OK && options->events_address != NULL) {
        code = open_doorbell(subscriber, options->events_address, error);
    }
    return code == TRADEBOOK_OK ? find_place(subscriber, options, error) : code;
}

enum tradebook_code tradebook_subscriber_open(const char *address,
                                              const struct tradebook_subscriber_options *options,
                                              struct tradebook_subscriber **ret_subscriber,
                                              struct tradebook_error *error)
{
    static const struct tradebook_subscriber_options defaults = {0};
    options = options != NULL ? options : &defaults;
    enum tradebook_code code = check(options, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    struct tradebook_subscriber *subscriber = create();
    if (subscriber == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "out of memory");
    }
    code = start(subscriber, address, options, error);
    if (code != TRADEBOOK_OK) {
        tradebook_subscriber_close(subscriber);
        return code;
    }
    *ret_subscriber = subscriber;
    return TRADEBOOK_OK;
}

enum tradebook_code tradebook_subscriber_commit(struct tradebook_subscriber *subscriber,
                                                struct tradebook_error *error)
{
    if (subscriber->cursor == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_FAILED_PRECONDITION,
                                    "the subscriber was opened without a cursor; name one in its options");
    }
    return subscriber->committed == subscriber->position ? TRADEBOOK_OK : commit(subscriber, error);
}

void tradebook_subscriber_close(struct tradebook_subscriber *subscriber)
{
    if (subscriber == NULL) {
        return;
    }
    /* Both wait for their callbacks. */
    tbk_doorbell_close(&subscriber->doorbell);
    tradebook_client_close(subscriber->client);
    tbk_subscriber_drop_events(subscriber);
    pthread_cond_destroy(&subscriber->waker.changed);
    pthread_mutex_destroy(&subscriber->waker.mutex);
    free(subscriber->symbol);
    free(subscriber->cursor);
    free(subscriber);
}
