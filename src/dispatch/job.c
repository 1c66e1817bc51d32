#include "dispatch/job.h"

#include <stdlib.h>

#include "base/timestamp.h"

void tbk_job_pool_init(struct tbk_job_pool *pool, size_t arena_bytes_max, struct tbk_budget *memory)
{
    pthread_mutex_init(&pool->mutex, NULL);
    pool->free = NULL;
    pool->arena_bytes_max = arena_bytes_max;
    pool->memory = memory;
}

static void destroy(struct tbk_job *job)
{
    tbk_arena_destroy(job->arena);
    free(job);
}

void tbk_job_pool_fini(struct tbk_job_pool *pool)
{
    while (pool->free != NULL) {
        struct tbk_job *job = pool->free;
        pool->free = job->next;
        destroy(job);
    }
    pthread_mutex_destroy(&pool->mutex);
}

static struct tbk_job *create(const struct tbk_job_pool *pool)
{
    struct tbk_job *job = malloc(sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->arena = tbk_arena_create(TBK_JOB_ARENA_FIRST_BYTES, pool->arena_bytes_max);
    if (job->arena == NULL) {
        free(job);
        return NULL;
    }
    tbk_arena_set_budget(job->arena, pool->memory);
    job->memory = pool->memory;
    return job;
}

struct tbk_job *tbk_job_take(struct tbk_job_pool *pool, struct tbk_responder *responder)
{
    pthread_mutex_lock(&pool->mutex);
    struct tbk_job *job = pool->free;
    if (job != NULL) {
        pool->free = job->next;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (job == NULL) {
        job = create(pool);
    }
    if (job != NULL) {
        job->next = NULL;
        job->responder = responder;
        job->method = NULL;
        job->received_us = tbk_monotonic_us();
        job->status = TBK_OK;
        tbk_error_init(&job->error);
    }
    return job;
}

void tbk_job_give(struct tbk_job_pool *pool, struct tbk_job *job)
{
    tbk_arena_reset(job->arena);
    pthread_mutex_lock(&pool->mutex);
    job->next = pool->free;
    pool->free = job;
    pthread_mutex_unlock(&pool->mutex);
}

bool tbk_job_expired(struct tbk_job *job, int64_t now_us)
{
    if (now_us < job->deadline_us) {
        return false;
    }
    tbk_error_set(&job->error, TBK_DEADLINE_EXCEEDED,
                  "The request waited %lld ms, longer than its timeout; it was not executed.",
                  (long long)((now_us - job->received_us) / 1000));
    return true;
}
