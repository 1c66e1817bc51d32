/* Reads: any number of threads, each with a connection of its own. A thread that
 * finds several point reads waiting answers them from one snapshot, which
 * begins after the last of them arrived: opening one costs as much as a read. */
#include <stdlib.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "dispatch/reply.h"

/* Point reads that share a snapshot at most. */
enum { SNAPSHOT_READS_MAX = 16 };

static void execute(struct tbk_job *job, struct tbk_session *session)
{
    const uint8_t *payload;
    size_t bytes;
    ProtobufCMessage *response = NULL;
    job->call.session = session;
    job->call.wait = (struct tbk_wait){0};
    if (tbk_job_expired(job, tbk_monotonic_us()) ||
        job->method->run(&job->call, job->method, job->request, &response) != TBK_OK ||
        tbk_reply_response(job, response, &payload, &bytes) != TBK_OK) {
        job->call.wait.ms = 0;
        tbk_reply_error(job);
    }
}

struct reader_argument {
    struct tbk_readers *readers;
    struct tbk_session *session;
};

static bool is_point_read(const struct tbk_job *job)
{
    return job->method->is_point_read;
}

/* Executes jobs from one snapshot. Without one, for lack of memory or because
 * the disk failed, each read fails or succeeds by itself. */
static void execute_all(struct reader_argument *reader, struct tbk_job *first)
{
    const struct tbk_storage_ops *ops = reader->readers->dispatch->config.context->ops;
    struct tbk_error ignored;
    tbk_error_init(&ignored);
    const bool shared = first->next != NULL && ops->begin(reader->session, &ignored) == TBK_OK;
    for (struct tbk_job *job = first; job != NULL; job = job->next) {
        execute(job, reader->session);
    }
    if (shared && ops->commit(reader->session, &ignored) != TBK_OK) {
        ops->rollback(reader->session);
    }
    for (struct tbk_job *job = first; job != NULL;) {
        struct tbk_job *next = job->next;
        if (job->call.wait.ms > 0) { /* alone, as whatever is no point read */
            tbk_waiters_park(&reader->readers->dispatch->waiters, job);
        } else {
            tbk_dispatch_finish(reader->readers->dispatch, job, next != NULL);
        }
        job = next;
    }
}

static void *run(void *argument)
{
    struct reader_argument reader = *(struct reader_argument *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), "tbk-reader");
    struct tbk_job *jobs;
    while ((jobs = tbk_queue_pop(&reader.readers->queue, SNAPSHOT_READS_MAX, is_point_read)) != NULL) {
        execute_all(&reader, jobs);
    }
    return NULL;
}

static enum tbk_status start_one(struct tbk_readers *readers, struct tbk_error *error)
{
    const struct tbk_service_context *context = readers->dispatch->config.context;
    struct tbk_session *session = NULL;
    const enum tbk_status status = context->ops->session_open(context->storage, TBK_SESSION_READ, &session, error);
    if (status != TBK_OK) {
        return status;
    }
    struct reader_argument *argument = malloc(sizeof *argument);
    if (argument != NULL) {
        *argument = (struct reader_argument){readers, session};
    }
    if (argument == NULL || pthread_create(&readers->threads[readers->count], NULL, run, argument) != 0) {
        free(argument);
        context->ops->session_close(session);
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "A reader thread cannot be started.");
    }
    readers->sessions[readers->count++] = session;
    return TBK_OK;
}

enum tbk_status tbk_readers_start(struct tbk_readers *readers, struct tbk_dispatch *dispatch,
                                  struct tbk_error *error)
{
    const unsigned count = dispatch->config.reader_threads;
    readers->dispatch = dispatch;
    tbk_queue_init(&readers->queue, TBK_QUEUE_READ, dispatch->config.queue_max);
    readers->threads = calloc(count, sizeof *readers->threads);
    readers->sessions = calloc(count, sizeof(void *));
    if (readers->threads == NULL || readers->sessions == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting the readers.");
    }
    enum tbk_status status = TBK_OK;
    while (status == TBK_OK && readers->count < count) {
        status = start_one(readers, error);
    }
    return status;
}

void tbk_readers_stop(struct tbk_readers *readers)
{
    tbk_queue_close(&readers->queue);
    for (unsigned i = 0; i < readers->count; i++) {
        pthread_join(readers->threads[i], NULL);
        readers->dispatch->config.context->ops->session_close(readers->sessions[i]);
    }
    tbk_queue_fini(&readers->queue);
    free(readers->threads);
    free(readers->sessions);
}
