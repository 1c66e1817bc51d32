#include "event_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka_all.h"
#include "tradebook/v1/event.pb-c.h"

enum { EVENTS_MAX = 1000, SCAN_MAX = 1000, FRAME_BYTES = 512, TAKE_MS = 60000 };

/* --- events --- */

static const char *symbol_of(int64_t sequence)
{
    return sequence % 2 != 0 ? "A/A" : "B";
}

struct event {
    Tradebook__V1__Event base;
    Tradebook__V1__TradeClosed trade;
};

static void fill_event(struct event *event, int64_t sequence)
{
    tradebook__v1__event__init(&event->base);
    tradebook__v1__trade_closed__init(&event->trade);
    event->base.has_sequence = 1;
    event->base.sequence = sequence;
    event->base.has_previous_sequence = sequence > 2;
    event->base.previous_sequence = sequence > 2 ? sequence - 2 : 0;
    event->base.topic = (char *)(sequence % 2 != 0 ? "trade.closed/A%2FA/" : "trade.closed/B/");
    event->base.trade_closed = &event->trade;
    event->trade.symbol = (char *)symbol_of(sequence);
}

/* --- REP --- */

static void append_ok(nng_msg *to, const ProtobufCMessage *payload)
{
    uint8_t *packed = malloc(protobuf_c_message_get_packed_size(payload) + 1);
    Tradebook__V1__Reply reply = TRADEBOOK__V1__REPLY__INIT;
    reply.has_payload = 1;
    reply.payload.data = packed;
    reply.payload.len = protobuf_c_message_pack(payload, packed);
    uint8_t *bytes = malloc(tradebook__v1__reply__get_packed_size(&reply));
    nng_msg_append(to, bytes, tradebook__v1__reply__pack(&reply, bytes));
    free(bytes);
    free(packed);
}

static void wait_for_event(struct event_log *log, const Tradebook__V1__ListEventsRequest *request)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (request->wait_ms % 1000) * 1000000L;
    until.tv_sec += request->wait_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int result = 0;
    while (log->newest <= request->after_sequence && !log->is_stopping && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&log->changed, &log->mutex, &until);
    }
}

static void list(struct event_log *log, const Tradebook__V1__ListEventsRequest *request, nng_msg *reply)
{
    struct event *events = malloc(EVENTS_MAX * sizeof *events);
    Tradebook__V1__Event *pointers[EVENTS_MAX];
    Tradebook__V1__ListEventsResponse response = TRADEBOOK__V1__LIST_EVENTS_RESPONSE__INIT;
    int64_t sequence = request->after_sequence;
    response.events = pointers;
    int64_t end = log->newest - sequence > SCAN_MAX ? sequence + SCAN_MAX : log->newest;
    while (sequence < end && response.n_events < (size_t)request->page_size) {
        sequence++;
        bool wanted = request->symbol == NULL || strcmp(request->symbol, symbol_of(sequence)) == 0;
        if (wanted && sequence != log->hole) {
            fill_event(&events[response.n_events], sequence);
            pointers[response.n_events] = &events[response.n_events].base;
            response.n_events++;
        }
    }
    response.has_next_after_sequence = response.has_newest_sequence = response.has_oldest_sequence = 1;
    response.next_after_sequence = sequence;
    response.newest_sequence = log->newest;
    response.oldest_sequence = log->oldest;
    append_ok(reply, &response.base);
    free(events);
}

static void list_events(struct event_log *log, const Tradebook__V1__Request *envelope, nng_msg *reply)
{
    Tradebook__V1__ListEventsRequest *request =
        tradebook__v1__list_events_request__unpack(NULL, envelope->payload.len, envelope->payload.data);
    pthread_mutex_lock(&log->mutex);
    wait_for_event(log, request);
    if (log->refusals > 0) {
        log->refusals--;
        append_reply(reply, log->refusal, "refused by the script", NULL);
    } else if (request->after_sequence < log->oldest - 1) {
        append_reply(reply, TRADEBOOK__V1__CODE__CODE_OUT_OF_RANGE, "the oldest event kept is 4", NULL);
    } else {
        list(log, request, reply);
    }
    pthread_mutex_unlock(&log->mutex);
    atomic_fetch_add(&log->lists, 1);
    tradebook__v1__list_events_request__free_unpacked(request, NULL);
}

static void append_cursor(const struct event_log *log, nng_msg *reply)
{
    Tradebook__V1__Cursor cursor = TRADEBOOK__V1__CURSOR__INIT;
    cursor.has_sequence = 1;
    cursor.sequence = log->cursor;
    append_ok(reply, &cursor.base);
}

static void get_cursor(struct event_log *log, nng_msg *reply)
{
    pthread_mutex_lock(&log->mutex);
    if (log->has_cursor) {
        append_cursor(log, reply);
    } else {
        append_reply(reply, TRADEBOOK__V1__CODE__CODE_NOT_FOUND, "no such cursor", NULL);
    }
    pthread_mutex_unlock(&log->mutex);
}

static void commit_cursor(struct event_log *log, const Tradebook__V1__Request *envelope, nng_msg *reply)
{
    Tradebook__V1__CommitCursorRequest *request =
        tradebook__v1__commit_cursor_request__unpack(NULL, envelope->payload.len, envelope->payload.data);
    pthread_mutex_lock(&log->mutex);
    log->has_cursor = true;
    log->cursor = request->sequence;
    append_cursor(log, reply);
    pthread_mutex_unlock(&log->mutex);
    atomic_fetch_add(&log->commits, 1);
    tradebook__v1__commit_cursor_request__free_unpacked(request, NULL);
}

static enum tbk_rep_action answer(void *argument, int connection, const uint8_t *bytes, size_t length,
                                  nng_msg *reply)
{
    (void)connection;
    struct event_log *log = argument;
    Tradebook__V1__Request *request = tradebook__v1__request__unpack(NULL, length, bytes);
    const char *method = strrchr(request->method, '/') + 1;
    if (strcmp(method, "ListEvents") == 0) {
        list_events(log, request, reply);
    } else if (strcmp(method, "GetCursor") == 0) {
        get_cursor(log, reply);
    } else if (strcmp(method, "CommitCursor") == 0) {
        commit_cursor(log, request, reply);
    } else {
        abort();
    }
    tradebook__v1__request__free_unpacked(request, NULL);
    return TBK_REP_ANSWER;
}

/* --- the log --- */

void event_log_init(struct event_log *log, int64_t newest)
{
    memset(log, 0, sizeof *log);
    new_address(log->rpc_address);
    new_address(log->events_address);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_cond_init(&log->changed, NULL);
    log->newest = newest;
    log->oldest = 1;
    event_log_restart(log);
}

void event_log_restart(struct event_log *log)
{
    log->is_stopping = false;
    log->rep = tbk_rep_server_start(log->rpc_address, answer, log);
    log->pub = tbk_pub_server_start(log->events_address);
}

void event_log_stop(struct event_log *log)
{
    pthread_mutex_lock(&log->mutex);
    log->is_stopping = true;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    tbk_rep_server_stop(log->rep);
    tbk_pub_server_stop(log->pub);
}

void event_log_fini(struct event_log *log)
{
    event_log_stop(log);
    remove_address(log->rpc_address);
    remove_address(log->events_address);
    pthread_cond_destroy(&log->changed);
    pthread_mutex_destroy(&log->mutex);
}

void event_log_record(struct event_log *log, int64_t newest)
{
    pthread_mutex_lock(&log->mutex);
    log->newest = newest;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

void event_log_delete_before(struct event_log *log, int64_t oldest)
{
    pthread_mutex_lock(&log->mutex);
    log->oldest = oldest;
    pthread_mutex_unlock(&log->mutex);
}

void event_log_refuse(struct event_log *log, Tradebook__V1__Code code, unsigned calls)
{
    pthread_mutex_lock(&log->mutex);
    log->refusal = code;
    log->refusals = calls;
    pthread_mutex_unlock(&log->mutex);
}

int64_t event_log_cursor(struct event_log *log)
{
    pthread_mutex_lock(&log->mutex);
    int64_t cursor = log->has_cursor ? log->cursor : -1;
    pthread_mutex_unlock(&log->mutex);
    return cursor;
}

/* --- PUB --- */

static void publish(struct event_log *log, const char *topic, const ProtobufCMessage *message)
{
    uint8_t frame[FRAME_BYTES];
    size_t topic_bytes = strlen(topic) + 1;
    memcpy(frame, topic, topic_bytes);
    size_t length = topic_bytes + protobuf_c_message_pack(message, frame + topic_bytes);
    tbk_pub_server_send(log->pub, frame, length);
}

void event_log_publish(struct event_log *log, int64_t sequence)
{
    struct event event;
    fill_event(&event, sequence);
    publish(log, event.base.topic, &event.base.base);
}

void event_log_beat(struct event_log *log, int64_t newest, int64_t interval_ms)
{
    Tradebook__V1__Heartbeat heartbeat = TRADEBOOK__V1__HEARTBEAT__INIT;
    heartbeat.has_newest_sequence = heartbeat.has_interval_ms = 1;
    heartbeat.newest_sequence = newest;
    heartbeat.interval_ms = interval_ms;
    publish(log, "heartbeat/", &heartbeat.base);
}

/* --- subscribers --- */

struct tradebook_subscriber *event_log_subscribe(const struct event_log *log, bool is_rung,
                                                 struct tradebook_subscriber_options options)
{
    struct tradebook_subscriber *subscriber = NULL;
    struct tradebook_error error;
    options.events_address = is_rung ? log->events_address : NULL;
    if (tradebook_subscriber_open(log->rpc_address, &options, &subscriber, &error) != TRADEBOOK_OK) {
        fail_msg("%s: %s", tradebook_code_name(error.code), error.message);
    }
    return subscriber;
}

void expect_events(struct tradebook_subscriber *subscriber, int64_t from, int64_t to, int64_t step)
{
    for (int64_t sequence = from; sequence <= to; sequence += step) {
        const Tradebook__V1__Event *event = NULL;
        struct tradebook_error error;
        if (tradebook_subscriber_next(subscriber, TAKE_MS, &event, &error) != TRADEBOOK_OK) {
            fail_msg("instead of event %lld: %s: %s", (long long)sequence, tradebook_code_name(error.code),
                     error.message);
        }
        assert_int_equal(event->sequence, sequence);
        assert_string_equal(event->trade_closed->symbol, symbol_of(sequence));
        assert_int_equal(tradebook_subscriber_position(subscriber), sequence);
    }
}

void expect_none(struct tradebook_subscriber *subscriber)
{
    const Tradebook__V1__Event *event = NULL;
    struct tradebook_error error;
    assert_int_equal(tradebook_subscriber_next(subscriber, 0, &event, &error), TRADEBOOK_DEADLINE_EXCEEDED);
    assert_null(event);
}
