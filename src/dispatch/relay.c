/*
 * Tells of events once they are committed, in order, each once since the start:
 * reads what is new in the outbox and publishes it. Woken by our writer; for
 * other programs, which nobody tells of, it looks from time to time whether
 * anybody has committed.
 */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "tradebook/v1/event.pb-c.h"

/* How often to look for commits of other programs; a batch of events. */
enum {
    LOOK_US = 200 * 1000,
    BATCH_EVENTS_MAX = 256,
    BATCH_BYTES_MAX = 1 << 20,
    ARENA_FIRST_BYTES = 1 << 16,
    ARENA_BYTES_MAX = 1 << 26,
};

static const char heartbeat_topic[] = "heartbeat/";

static const struct tbk_storage_ops *ops_of(const struct tbk_relay *relay)
{
    return relay->dispatch->config.context->ops;
}

/* Topic, NUL and message, for the publisher. */
struct frame {
    uint8_t *bytes;
    size_t length;
};

/* False when memory is exhausted. */
static bool pack(struct tbk_relay *relay, const char *topic, const ProtobufCMessage *message,
                 struct frame *ret_frame)
{
    const size_t topic_bytes = strlen(topic) + 1;
    const size_t length = topic_bytes + protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = tbk_arena_alloc(relay->arena, length);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, topic, topic_bytes);
    protobuf_c_message_pack(message, bytes + topic_bytes);
    *ret_frame = (struct frame){bytes, length};
    return true;
}

static void publish(struct tbk_relay *relay, const struct frame *frame, bool more)
{
    struct tbk_publisher *publisher = relay->dispatch->config.publisher;
    publisher->publish(publisher, frame->bytes, frame->length, more);
}

/* Publishes the next events; *ret_more: others follow. */
static enum tbk_status publish_batch(struct tbk_relay *relay, bool *ret_more, struct tbk_error *error)
{
    const struct tbk_event_query query = {.after = relay->published,
                                          .limit = BATCH_EVENTS_MAX,
                                          .scan_max = BATCH_EVENTS_MAX,
                                          .bytes_max = BATCH_BYTES_MAX};
    struct tbk_event_page page;
    tbk_arena_reset(relay->arena);
    const enum tbk_status status = ops_of(relay)->event_list(relay->session, &query, relay->arena, &page, error);
    if (status != TBK_OK) {
        return status;
    }
    /* All of them first: "more" is a promise. */
    struct frame frames[BATCH_EVENTS_MAX];
    for (size_t i = 0; i < page.count; i++) {
        if (!pack(relay, page.events[i]->topic, &page.events[i]->base, &frames[i])) {
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while publishing.");
        }
    }
    for (size_t i = 0; i < page.count; i++) {
        publish(relay, &frames[i], i + 1 < page.count);
        relay->published = page.events[i]->sequence;
        tbk_waiters_announce(&relay->dispatch->waiters, relay->published, page.events[i]->topic);
    }
    *ret_more = relay->published < page.range.newest;
    return TBK_OK;
}

/* Publishes all that is new. What fails is tried again at the next look; it is
 * logged once. */
static void publish_new(struct tbk_relay *relay)
{
    struct tbk_error error;
    tbk_error_init(&error);
    enum tbk_status status = TBK_OK;
    bool more = true;
    while (status == TBK_OK && more) {
        status = publish_batch(relay, &more, &error);
    }
    if (status != TBK_OK && !relay->failing) {
        tbk_log(TBK_LOG_ERROR, "events cannot be read; trying on", TBK_LOG_STR("error", error.message));
    }
    relay->failing = status != TBK_OK;
}

static bool has_changed(struct tbk_relay *relay)
{
    struct tbk_error ignored;
    tbk_error_init(&ignored);
    bool changed;
    return ops_of(relay)->changed(relay->session, &changed, &ignored) != TBK_OK || changed;
}

static void publish_heartbeat(struct tbk_relay *relay)
{
    const int64_t interval_ms = relay->dispatch->config.heartbeat_ms;
    Google__Protobuf__Timestamp sent_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    tbk_timestamp_to_proto(tbk_now_us(), &sent_at.seconds, &sent_at.nanos);
    Tradebook__V1__Heartbeat heartbeat = TRADEBOOK__V1__HEARTBEAT__INIT;
    heartbeat.has_newest_sequence = 1;
    heartbeat.newest_sequence = relay->published;
    heartbeat.sent_at = &sent_at;
    heartbeat.has_interval_ms = 1;
    heartbeat.interval_ms = interval_ms;
    tbk_arena_reset(relay->arena);
    struct frame frame;
    if (pack(relay, heartbeat_topic, &heartbeat.base, &frame)) {
        publish(relay, &frame, false);
    }
    relay->heartbeat_us = tbk_monotonic_us() + interval_ms * 1000;
}

/* Waits until this time, until there are new events, which *ret_awake tells, or
 * until a job begins to wait. False: the relay is to stop. */
static bool wait(struct tbk_relay *relay, int64_t until_us, bool *ret_awake)
{
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_mutex_lock(&relay->mutex);
    int failure = 0;
    while (failure == 0 && !relay->awake && !relay->minding && !relay->stopping) {
        failure = pthread_cond_timedwait(&relay->woken, &relay->mutex, &until);
    }
    *ret_awake = relay->awake;
    relay->awake = false;
    relay->minding = false;
    const bool stopping = relay->stopping;
    pthread_mutex_unlock(&relay->mutex);
    return !stopping;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void *run(void *argument)
{
    struct tbk_relay *relay = argument;
    pthread_setname_np(pthread_self(), "tbk-relay");
    int64_t look_us = tbk_monotonic_us();
    int64_t expire_us = INT64_MAX;
    bool awake;
    while (wait(relay, earliest(earliest(look_us, relay->heartbeat_us), expire_us), &awake)) {
        const bool looks = tbk_monotonic_us() >= look_us;
        if (awake || (looks && (has_changed(relay) || relay->failing))) {
            publish_new(relay);
        }
        const int64_t now_us = tbk_monotonic_us();
        look_us = looks ? now_us + LOOK_US : look_us;
        if (now_us >= relay->heartbeat_us) {
            publish_heartbeat(relay);
        }
        expire_us = tbk_waiters_expire(&relay->dispatch->waiters, now_us);
    }
    return NULL;
}

/* What happened before the start is for ListEvents. */
static enum tbk_status find_start(struct tbk_relay *relay, struct tbk_error *error)
{
    struct tbk_event_range range;
    const enum tbk_status status = ops_of(relay)->event_range(relay->session, &range, error);
    if (status == TBK_OK) {
        relay->published = range.newest;
        relay->dispatch->writer.newest_event = range.newest;
        relay->dispatch->waiters.announced = range.newest;
    }
    return status;
}

static void release(struct tbk_relay *relay)
{
    if (relay->session != NULL) {
        ops_of(relay)->session_close(relay->session);
    }
    tbk_arena_destroy(relay->arena);
    pthread_cond_destroy(&relay->woken);
    pthread_mutex_destroy(&relay->mutex);
    relay->dispatch = NULL;
}

enum tbk_status tbk_relay_start(struct tbk_relay *relay, struct tbk_dispatch *dispatch, struct tbk_error *error)
{
    const struct tbk_service_context *context = dispatch->config.context;
    relay->dispatch = dispatch;
    relay->heartbeat_us = tbk_monotonic_us() + dispatch->config.heartbeat_ms * 1000;
    pthread_mutex_init(&relay->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&relay->woken, &attributes);
    pthread_condattr_destroy(&attributes);
    relay->arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    enum tbk_status status = relay->arena != NULL ? TBK_OK
                                                  : tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                                                                  "Out of memory while starting the relay.");
    if (status == TBK_OK) {
        status = context->ops->session_open(context->storage, TBK_SESSION_READ, &relay->session, error);
    }
    if (status == TBK_OK) {
        status = find_start(relay, error);
    }
    if (status == TBK_OK && pthread_create(&relay->thread, NULL, run, relay) != 0) {
        status = tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The relay thread cannot be started.");
    }
    if (status != TBK_OK) {
        release(relay);
    }
    return status;
}

static void signal_relay(struct tbk_relay *relay, bool *flag)
{
    pthread_mutex_lock(&relay->mutex);
    *flag = true;
    pthread_cond_signal(&relay->woken);
    pthread_mutex_unlock(&relay->mutex);
}

void tbk_relay_wake(struct tbk_relay *relay)
{
    signal_relay(relay, &relay->awake);
}

void tbk_relay_mind(struct tbk_relay *relay)
{
    signal_relay(relay, &relay->minding);
}

void tbk_relay_stop(struct tbk_relay *relay)
{
    signal_relay(relay, &relay->stopping);
    pthread_join(relay->thread, NULL);
    release(relay);
}
