/* The way of a request: submit below, top to bottom. */
#include "dispatch/dispatch.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "dispatch/reply.h"
#include "dispatch/wire.h"

static enum tbk_status check_size(const struct tbk_dispatch *dispatch, struct tbk_job *job, size_t length)
{
    if (length <= dispatch->config.request_bytes_max) {
        return TBK_OK;
    }
    return tbk_error_set(&job->error, TBK_RESOURCE_EXHAUSTED,
                         "The request has %zu bytes, at most %zu are accepted. Send less at once.", length,
                         dispatch->config.request_bytes_max);
}

static enum tbk_status route(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    job->method = tbk_methods_find(dispatch->methods, job->envelope.method);
    if (job->method == NULL) {
        return tbk_error_set(&job->error, TBK_UNIMPLEMENTED,
                             "There is no method '%.100s'. A full name looks like "
                             "/tradebook.v1.SignalService/GetSignal.",
                             job->envelope.method);
    }
    if (job->method->run == NULL) {
        return tbk_error_set(&job->error, TBK_UNIMPLEMENTED, "The method %s is not served by this version.",
                             job->method->name);
    }
    if (job->method->kind == TBK_METHOD_WRITE && !job->envelope.has_request_id) {
        tbk_error_violation(&job->error, "request_id",
                            "is required for methods that write: 16 bytes, the same for "
                            "every retry");
        return tbk_error_finish(&job->error);
    }
    return TBK_OK;
}

static void set_times(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    int64_t timeout_ms = job->envelope.timeout_ms;
    if (timeout_ms == 0) {
        timeout_ms = dispatch->config.timeout_default_ms;
    } else if (timeout_ms > dispatch->config.timeout_max_ms) {
        timeout_ms = dispatch->config.timeout_max_ms;
    }
    job->deadline_us = job->received_us + timeout_ms * 1000;
}

static enum tbk_status check_request(const struct tbk_dispatch *dispatch, struct tbk_job *job,
                                     struct tbk_error *error)
{
    job->call = (struct tbk_call){
        .context = dispatch->config.context,
        .arena = job->arena,
        .now_us = tbk_now_us(),
        .deadline_us = job->deadline_us,
        .client = job->envelope.client,
        .error = error,
    };
    return job->method->check == NULL ? TBK_OK : job->method->check(&job->call, job->method, job->request);
}

static bool names_field(const struct tbk_error *error, size_t violations, const char *field)
{
    size_t i = 0;
    while (i < violations && strcmp(error->violations[i].field, field) != 0) {
        i++;
    }
    return i < violations;
}

/* Text that is not UTF-8 and unknown enumeration numbers must not hide what else
 * is wrong: adds the violations of fields that have none yet. */
static void check_the_rest(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    struct tbk_error *rest = tbk_arena_alloc(job->arena, sizeof *rest);
    if (rest == NULL) {
        return;
    }
    tbk_error_init(rest);
    if (check_request(dispatch, job, rest) != TBK_INVALID_ARGUMENT) {
        return;
    }
    const size_t before = tbk_error_violations_kept(&job->error);
    for (size_t i = 0; i < tbk_error_violations_kept(rest); i++) {
        const struct tbk_violation *violation = &rest->violations[i];
        if (!names_field(&job->error, before, violation->field)) {
            tbk_error_violation(&job->error, violation->field, "%s", violation->description);
        }
    }
}

static enum tbk_status no_memory(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    return tbk_error_set(
        &job->error, TBK_RESOURCE_EXHAUSTED,
        "The requests under way have all the memory that they may (--memory, %zu MiB) or that there is. Try again "
        "after a pause, or send less at once.",
        dispatch->config.memory->bytes_max >> 20);
}

static enum tbk_status decode_payload(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    const struct tbk_envelope *envelope = &job->envelope;
    const enum tbk_status status =
        tbk_wire_check(job->method->request, envelope->payload, envelope->payload_bytes, &job->error);
    job->request = protobuf_c_message_unpack(job->method->request, tbk_arena_allocator(job->arena),
                                             envelope->payload_bytes, envelope->payload);
    if (status != TBK_OK) {
        if (job->request != NULL) {
            check_the_rest(dispatch, job);
        }
        return status;
    }
    if (job->request != NULL) {
        return TBK_OK;
    }
    if (tbk_arena_starved(job->arena)) {
        return no_memory(dispatch, job);
    }
    if (tbk_arena_overflowed(job->arena)) {
        return tbk_error_set(&job->error, TBK_INVALID_ARGUMENT,
                             "The request unpacks to more memory than one request may have. Send less at once.");
    }
    return tbk_error_set(&job->error, TBK_INVALID_ARGUMENT, "The payload is not a %s.",
                         job->method->request->name);
}

/* Identifies the request beside its id: the same id with another method or
 * payload is refused. */
static uint64_t fingerprint(const struct tbk_job *job)
{
    return XXH3_64bits_withSeed(job->envelope.payload, job->envelope.payload_bytes,
                                XXH3_64bits(job->method->name, sizeof job->method->name));
}

static enum tbk_status run_inline(struct tbk_job *job)
{
    ProtobufCMessage *response = NULL;
    const uint8_t *payload;
    size_t bytes;
    const enum tbk_status status = job->method->run(&job->call, job->method, job->request, &response);
    return status == TBK_OK ? tbk_reply_response(job, response, &payload, &bytes) : status;
}

/* One job less is pending; the last one wakes tbk_dispatch_drain. */
static void leave(struct tbk_dispatch *dispatch)
{
    if (atomic_fetch_sub(&dispatch->pending, 1) == 1 && atomic_load(&dispatch->draining)) {
        pthread_mutex_lock(&dispatch->drain_mutex);
        pthread_cond_broadcast(&dispatch->drained);
        pthread_mutex_unlock(&dispatch->drain_mutex);
    }
}

static struct tbk_queue *queue_of(struct tbk_dispatch *dispatch, const struct tbk_job *job)
{
    return job->method->kind == TBK_METHOD_WRITE ? &dispatch->writer.queue : &dispatch->readers.queue;
}

static enum tbk_status busy(const struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    return tbk_error_set(
        &job->error, TBK_RESOURCE_EXHAUSTED,
        "The server is busy: its queue of %u requests has no room for more from this connection. Try "
        "again after a pause.",
        dispatch->config.queue_max);
}

/* Refuses early what would find no room: in overload refusals must cost little, or
 * they take the time of the work. */
static enum tbk_status check_room(struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    const bool has_room = job->method->kind == TBK_METHOD_INLINE || atomic_load(&dispatch->draining) ||
                          tbk_queue_has_room(queue_of(dispatch, job), job);
    return has_room ? TBK_OK : busy(dispatch, job);
}

static enum tbk_status enqueue(struct tbk_dispatch *dispatch, struct tbk_job *job)
{
    if (job->method->kind == TBK_METHOD_WRITE) {
        job->fingerprint = fingerprint(job);
    }
    atomic_fetch_add(&dispatch->pending, 1);
    if (!atomic_load(&dispatch->draining) && tbk_queue_push(queue_of(dispatch, job), job)) {
        return TBK_OK;
    }
    leave(dispatch);
    if (atomic_load(&dispatch->draining)) {
        return tbk_error_set(&job->error, TBK_UNAVAILABLE, "The server is stopping. Try again later.");
    }
    return busy(dispatch, job);
}

void tbk_dispatch_submit(struct tbk_dispatch *dispatch, struct tbk_responder *responder, const uint8_t *data,
                         size_t length)
{
    struct tbk_job *job = tbk_job_take(&dispatch->pool, responder);
    if (job == NULL) {
        responder->discard(responder, false);
        return;
    }
    job->envelope = (struct tbk_envelope){.method = "", .client = ""};
    bool queued = false;
    enum tbk_status status = check_size(dispatch, job, length);
    if (status == TBK_OK) {
        status = tbk_envelope_decode(data, length, job->arena, &job->envelope, &job->error);
    }
    if (status == TBK_OK) {
        status = route(dispatch, job);
    }
    if (status == TBK_OK) {
        status = check_room(dispatch, job);
    }
    if (status == TBK_OK) {
        set_times(dispatch, job);
        status = decode_payload(dispatch, job);
    }
    if (status == TBK_OK) {
        status = check_request(dispatch, job, &job->error);
    }
    if (status == TBK_OK && job->method->kind == TBK_METHOD_INLINE) {
        status = run_inline(job);
    } else if (status == TBK_OK) {
        status = enqueue(dispatch, job);
        queued = status == TBK_OK;
    }
    if (queued) {
        return; /* the job is another thread's now */
    }
    if (status != TBK_OK) {
        tbk_reply_error(job);
    }
    tbk_reply_send(dispatch, job, false);
}

void tbk_dispatch_refuse(struct tbk_dispatch *dispatch, struct tbk_responder *responder)
{
    struct tbk_job *job = tbk_job_take(&dispatch->pool, responder);
    if (job == NULL) {
        responder->discard(responder, false);
        return;
    }
    job->envelope = (struct tbk_envelope){.method = "", .client = ""};
    no_memory(dispatch, job);
    tbk_reply_error(job);
    tbk_reply_send(dispatch, job, false);
}

void tbk_dispatch_finish(struct tbk_dispatch *dispatch, struct tbk_job *job, bool more)
{
    tbk_reply_send(dispatch, job, more);
    leave(dispatch);
}

enum tbk_status tbk_dispatch_create(const struct tbk_dispatch_config *config, struct tbk_dispatch **ret_dispatch,
                                    struct tbk_error *error)
{
    struct tbk_dispatch *dispatch = calloc(1, sizeof *dispatch);
    if (dispatch == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting.");
    }
    dispatch->config = *config;
    tbk_job_pool_init(&dispatch->pool, config->arena_bytes_max, config->memory);
    pthread_mutex_init(&dispatch->drain_mutex, NULL);
    pthread_cond_init(&dispatch->drained, NULL);
    tbk_waiters_init(&dispatch->waiters, dispatch, config->waiting_max);
    enum tbk_status status = tbk_methods_create(config->context->schema, &dispatch->methods, error);
    if (status == TBK_OK) {
        status = tbk_counts_init(&dispatch->counts, tbk_methods_count(dispatch->methods), error);
    }
    if (status == TBK_OK) {
        status = tbk_relay_start(&dispatch->relay, dispatch, error);
    }
    if (status == TBK_OK) {
        status = tbk_writer_start(&dispatch->writer, dispatch, error);
    }
    if (status == TBK_OK) {
        status = tbk_readers_start(&dispatch->readers, dispatch, error);
    }
    if (status != TBK_OK) {
        tbk_dispatch_destroy(dispatch);
        return status;
    }
    *ret_dispatch = dispatch;
    return TBK_OK;
}

void tbk_dispatch_drain(struct tbk_dispatch *dispatch)
{
    atomic_store(&dispatch->draining, true);
    tbk_waiters_close(&dispatch->waiters);
    pthread_mutex_lock(&dispatch->drain_mutex);
    while (atomic_load(&dispatch->pending) > 0) {
        pthread_cond_wait(&dispatch->drained, &dispatch->drain_mutex);
    }
    pthread_mutex_unlock(&dispatch->drain_mutex);
}

void tbk_dispatch_destroy(struct tbk_dispatch *dispatch)
{
    if (dispatch == NULL) {
        return;
    }
    if (dispatch->relay.dispatch !=
        NULL) { /* first: it puts jobs back to the readers; nothing wakes it after drain */
        tbk_relay_stop(&dispatch->relay);
    }
    if (dispatch->readers.dispatch != NULL) {
        tbk_readers_stop(&dispatch->readers);
    }
    if (dispatch->writer.dispatch != NULL) { /* last: its closing ends the write-ahead log */
        tbk_writer_stop(&dispatch->writer);
    }
    tbk_counts_fini(&dispatch->counts);
    tbk_methods_destroy(dispatch->methods);
    tbk_waiters_fini(&dispatch->waiters);
    tbk_job_pool_fini(&dispatch->pool);
    pthread_cond_destroy(&dispatch->drained);
    pthread_mutex_destroy(&dispatch->drain_mutex);
    free(dispatch);
}
