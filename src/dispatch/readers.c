/* Reads: any number of threads, each with a connection of its own, one request
 * at a time. */
#include <stdlib.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "dispatch/reply.h"

static void execute(struct tbk_job *job, struct tbk_session *session)
{
    const uint8_t *payload;
    size_t bytes;
    ProtobufCMessage *response = NULL;
    job->call.session = session;
    if (tbk_job_expired(job, tbk_monotonic_us()) ||
        job->method->run(&job->call, job->method, job->request, &response) != TBK_OK ||
        tbk_reply_response(job, response, &payload, &bytes) != TBK_OK) {
        tbk_reply_error(job);
    }
}

struct reader_argument {
    struct tbk_readers *readers;
    struct tbk_session *session;
};

static void *run(void *argument)
{
    const struct reader_argument reader = *(struct reader_argument *)argument;
    free(argument);
    struct tbk_job *job;
    while ((job = tbk_queue_pop(&reader.readers->queue, 1)) != NULL) {
        execute(job, reader.session);
        tbk_dispatch_finish(reader.readers->dispatch, job);
    }
    return NULL;
}

static enum tbk_status start_one(struct tbk_readers *readers, struct tbk_error *error)
{
    const struct tbk_service_context *context = readers->dispatch->config.context;
    struct tbk_session *session = NULL;
    const enum tbk_status status =
        context->ops->session_open(context->storage, TBK_SESSION_READ, &session, error);
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

enum tbk_status tbk_readers_start(struct tbk_readers *readers, struct tbk_dispatch *dispatch, struct tbk_error *error)
{
    const unsigned count = dispatch->config.reader_threads;
    readers->dispatch = dispatch;
    tbk_queue_init(&readers->queue, dispatch->config.queue_max);
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
