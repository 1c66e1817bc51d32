/*
 * Writes: one thread drains the queue into one transaction, so that one fsync
 * serves all requests that came while the last one ran.
 *
 *   pop all -> BEGIN -> for each: replay or execute, remember -> COMMIT -> reply
 *
 * No reply leaves before COMMIT has returned; when it fails, every request of
 * the batch fails.
 */
#include <string.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "dispatch/reply.h"

/* Requests of one transaction at most; the sync is amortised long before. */
enum { BATCH_MAX = 512 };

/* Forgetting old request ids and events: how often, unless there are more than
 * these rows, and then with each batch, which adds fewer. */
enum { PRUNE_EVERY_US = 1000 * 1000, PRUNE_ROWS_MAX = 1000 };

/* Reports of changed rows: the analytics read them within a second, and read
 * everything anew should they fall behind by more. */
enum { CHANGES_KEPT = 200000 };

static const struct tbk_storage_ops *ops_of(const struct tbk_writer *writer)
{
    return writer->dispatch->config.context->ops;
}

/* Answers a request id that was executed before. NOT_FOUND: it was not. */
static enum tbk_status replay(struct tbk_writer *writer, struct tbk_job *job)
{
    struct tbk_request_record record;
    const enum tbk_status status = ops_of(writer)->request_find(
        writer->session, job->envelope.client, job->envelope.request_id, job->arena, &record, &job->error);
    if (status != TBK_OK) {
        return status;
    }
    if (record.fingerprint != job->fingerprint) {
        return tbk_error_set(
            &job->error, TBK_FAILED_PRECONDITION,
            "This request id was used before for another request. Use a new id for each new request.");
    }
    return tbk_reply_payload(job, record.response, record.response_bytes);
}

/* Runs the method; a failure leaves no partial effect. */
static enum tbk_status run_method(struct tbk_writer *writer, struct tbk_job *job, ProtobufCMessage **ret_response)
{
    const struct tbk_storage_ops *ops = ops_of(writer);
    job->call.session = writer->session;
    if (job->method->single_statement) {
        return job->method->run(&job->call, job->method, job->request, ret_response);
    }
    enum tbk_status status = ops->savepoint(writer->session, &job->error);
    if (status != TBK_OK) {
        return status;
    }
    status = job->method->run(&job->call, job->method, job->request, ret_response);
    if (status == TBK_OK) {
        status = ops->release(writer->session, &job->error);
    }
    if (status != TBK_OK) {
        ops->rollback_to(writer->session);
    }
    return status;
}

static enum tbk_status remember(struct tbk_writer *writer, struct tbk_job *job, const uint8_t *response,
                                size_t bytes)
{
    struct tbk_request_record record = {
        .client = job->envelope.client,
        .fingerprint = job->fingerprint,
        .created_us = job->call.now_us,
        .response = response,
        .response_bytes = bytes,
    };
    memcpy(record.id, job->envelope.request_id, sizeof record.id);
    return ops_of(writer)->request_save(writer->session, &record, &job->error);
}

/* Executes one request inside the transaction and reserves its reply. False when
 * the transaction as a whole cannot go on; job->error then says why. */
static bool execute(struct tbk_writer *writer, struct tbk_job *job)
{
    tbk_arena_ignore_budget(job->arena); /* what was accepted is finished */
    /* A late retry first: "not executed" must not be said of what was executed. */
    enum tbk_status status = replay(writer, job);
    if (status == TBK_NOT_FOUND && tbk_job_expired(job, tbk_monotonic_us())) {
        status = TBK_DEADLINE_EXCEEDED;
    }
    if (status == TBK_NOT_FOUND) {
        ProtobufCMessage *response = NULL;
        const uint8_t *payload;
        size_t bytes;
        status = run_method(writer, job, &response);
        /* From here on the request has had its effect: what fails now fails the
         * whole transaction, so that no effect stays without its record. */
        if (status == TBK_OK && (tbk_reply_response(job, response, &payload, &bytes) != TBK_OK ||
                                 remember(writer, job, payload, bytes) != TBK_OK)) {
            return false;
        }
    }
    if (status != TBK_OK) {
        tbk_reply_error(job);
    }
    if (ops_of(writer)->in_transaction(writer->session)) {
        return true;
    }
    if (status == TBK_OK) {
        tbk_error_set(&job->error, TBK_UNAVAILABLE, "The database gave up the transaction; nothing was stored.");
    }
    return false;
}

/* Forgets request ids, events and reports of changes, a little at a time. Part of
 * a batch's transaction: one of its own would cost a sync, and could wait for
 * another program's lock while requests wait for the writer. */
static enum tbk_status prune(struct tbk_writer *writer, struct tbk_error *error)
{
    const struct tbk_dispatch_config *config = &writer->dispatch->config;
    const int64_t now = tbk_monotonic_us();
    if (now - writer->pruned_us < PRUNE_EVERY_US) {
        return TBK_OK;
    }
    unsigned requests = 0;
    unsigned events = 0;
    const int64_t wall_us = tbk_now_us();
    enum tbk_status status =
        ops_of(writer)->request_prune(writer->session, wall_us - config->request_retention_s * 1000000, wall_us,
                                      PRUNE_ROWS_MAX, &requests, error);
    if (status == TBK_OK) {
        status = ops_of(writer)->event_prune(writer->session, wall_us - config->event_retention_s * 1000000,
                                             PRUNE_ROWS_MAX, &events, error);
    }
    const bool behind = requests == PRUNE_ROWS_MAX || events == PRUNE_ROWS_MAX;
    writer->pruned_us = behind ? now - PRUNE_EVERY_US : now;
    return status == TBK_OK ? ops_of(writer)->series_prune(writer->session, CHANGES_KEPT, PRUNE_ROWS_MAX, error)
                            : status;
}

/* Executes and commits; on failure *ret_error is what every request answers. */
static enum tbk_status commit_batch(struct tbk_writer *writer, struct tbk_job *first, struct tbk_error *error)
{
    const struct tbk_storage_ops *ops = ops_of(writer);
    if (writer->broken) {
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "The server is restarting after a disk failure. Try again with the same request id.");
    }
    const enum tbk_status status = ops->begin(writer->session, error);
    if (status != TBK_OK) {
        return status;
    }
    for (struct tbk_job *job = first; job != NULL; job = job->next) {
        if (!execute(writer, job)) {
            tbk_error_copy(error, &job->error);
            ops->rollback(writer->session);
            return error->status;
        }
    }
    struct tbk_event_range events;
    if (prune(writer, error) != TBK_OK || ops->event_range(writer->session, &events, error) != TBK_OK) {
        ops->rollback(writer->session);
        return error->status;
    }
    const int64_t commit_us = tbk_monotonic_us();
    const enum tbk_status committed = ops->commit(writer->session, error);
    tbk_distribution_record(&writer->dispatch->counts.commits, tbk_monotonic_us() - commit_us);
    if (committed == TBK_OK && events.newest != writer->newest_event) {
        writer->newest_event = events.newest;
        tbk_relay_wake(&writer->dispatch->relay);
    }
    return committed;
}

/* The outcome is unknown: nobody may be told OK or failed. */
static void give_up(struct tbk_writer *writer, struct tbk_error *error)
{
    const struct tbk_dispatch_config *config = &writer->dispatch->config;
    writer->broken = true;
    config->on_fatal(config->on_fatal_argument, error);
    error->status = TBK_UNAVAILABLE;
}

static void count_batch(struct tbk_writer *writer, const struct tbk_job *first, enum tbk_status status)
{
    int64_t requests = 0;
    for (const struct tbk_job *job = first; job != NULL; job = job->next) {
        requests++;
    }
    tbk_distribution_record(&writer->dispatch->counts.batches, requests);
    if (status != TBK_OK) {
        atomic_fetch_add_explicit(&writer->dispatch->counts.commit_failures, 1, memory_order_relaxed);
    }
}

static void process(struct tbk_writer *writer, struct tbk_job *first)
{
    struct tbk_error error;
    tbk_error_init(&error);
    const enum tbk_status status = commit_batch(writer, first, &error);
    count_batch(writer, first, status);
    if (status == TBK_UNKNOWN) {
        give_up(writer, &error);
    }
    for (struct tbk_job *job = first; job != NULL;) {
        struct tbk_job *next = job->next;
        if (status != TBK_OK) {
            tbk_error_copy(&job->error, &error);
            tbk_reply_error(job);
        }
        tbk_dispatch_finish(writer->dispatch, job, next != NULL);
        job = next;
    }
}

static void maintain(struct tbk_writer *writer)
{
    struct tbk_error error;
    tbk_error_init(&error);
    if (ops_of(writer)->maintain(writer->session, &error) != TBK_OK) {
        tbk_log(TBK_LOG_WARNING, "database", TBK_LOG_STR("reason", error.message));
    }
}

static void *run(void *argument)
{
    struct tbk_writer *writer = argument;
    struct tbk_job *jobs;
    atomic_int_fast64_t *busy_since = &writer->dispatch->counts.busy_since_us;
    pthread_setname_np(pthread_self(), "tbk-writer");
    while ((jobs = tbk_queue_pop(&writer->queue, BATCH_MAX, NULL)) != NULL) {
        atomic_store_explicit(busy_since, tbk_monotonic_us(), memory_order_relaxed);
        process(writer, jobs);
        maintain(writer);
        atomic_store_explicit(busy_since, 0, memory_order_relaxed);
    }
    return NULL;
}

enum tbk_status tbk_writer_start(struct tbk_writer *writer, struct tbk_dispatch *dispatch, struct tbk_error *error)
{
    const struct tbk_service_context *context = dispatch->config.context;
    writer->dispatch = dispatch;
    tbk_queue_init(&writer->queue, TBK_QUEUE_WRITE, dispatch->config.queue_max);
    const enum tbk_status status =
        context->ops->session_open(context->storage, TBK_SESSION_WRITE, &writer->session, error);
    if (status != TBK_OK) {
        return status;
    }
    if (pthread_create(&writer->thread, NULL, run, writer) != 0) {
        context->ops->session_close(writer->session);
        writer->session = NULL;
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The writer thread cannot be started.");
    }
    return TBK_OK;
}

void tbk_writer_stop(struct tbk_writer *writer)
{
    tbk_queue_close(&writer->queue);
    if (writer->session != NULL) {
        pthread_join(writer->thread, NULL);
        ops_of(writer)->session_close(writer->session);
    }
    tbk_queue_fini(&writer->queue);
}
