#include "dispatch/waiters.h"

#include <string.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "dispatch/reply.h"

/* The answer leaves so long before the request's own time ends, for the way back;
 * at most half of that time. */
enum { MARGIN_US = 100 * 1000 };

void tbk_waiters_init(struct tbk_waiters *waiters, struct tbk_dispatch *dispatch, unsigned count_max)
{
    *waiters = (struct tbk_waiters){.dispatch = dispatch, .count_max = count_max};
    pthread_mutex_init(&waiters->mutex, NULL);
}

void tbk_waiters_fini(struct tbk_waiters *waiters)
{
    pthread_mutex_destroy(&waiters->mutex);
}

unsigned tbk_waiters_count(struct tbk_waiters *waiters)
{
    pthread_mutex_lock(&waiters->mutex);
    const unsigned count = waiters->count;
    pthread_mutex_unlock(&waiters->mutex);
    return count;
}

static int64_t end_of(const struct tbk_job *job)
{
    const int64_t half_us = (job->deadline_us - job->received_us) / 2;
    const int64_t latest_us = job->deadline_us - (half_us < MARGIN_US ? half_us : MARGIN_US);
    const int64_t end_us = job->received_us + job->call.wait.ms * 1000;
    return end_us < latest_us ? end_us : latest_us;
}

/* Back to the readers, whose queue has counted it once before. */
static void run_again(struct tbk_waiters *waiters, struct tbk_job *job)
{
    tbk_queue_put_back(&waiters->dispatch->readers.queue, job);
}

static void answer_all(struct tbk_waiters *waiters, struct tbk_job *job)
{
    while (job != NULL) {
        struct tbk_job *next = job->next;
        tbk_dispatch_finish(waiters->dispatch, job, next != NULL);
        job = next;
    }
}

void tbk_waiters_park(struct tbk_waiters *waiters, struct tbk_job *job)
{
    enum { ANSWER, REFUSE, RUN_AGAIN, PARK } step = PARK;
    job->wait_end_us = end_of(job);
    pthread_mutex_lock(&waiters->mutex);
    if (waiters->closed || job->wait_end_us <= tbk_monotonic_us()) {
        step = ANSWER;
    } else if (waiters->announced > job->call.wait.seen) { /* since it ran */
        step = RUN_AGAIN;
    } else if (waiters->count == waiters->count_max) {
        step = REFUSE;
    } else {
        job->next = waiters->first;
        waiters->first = job;
        waiters->count++;
        /* Under the lock: the job cannot end before, so the relay is still there. */
        tbk_relay_mind(&waiters->dispatch->relay);
    }
    pthread_mutex_unlock(&waiters->mutex);
    switch (step) {
    case PARK: /* the job may be gone already */
        return;
    case RUN_AGAIN:
        run_again(waiters, job);
        return;
    case REFUSE:
        tbk_error_set(&job->error, TBK_RESOURCE_EXHAUSTED,
                      "%u requests wait for events already. Try again later, or without wait_ms.",
                      waiters->count_max);
        tbk_reply_error(job);
        break;
    case ANSWER:
        break;
    }
    tbk_dispatch_finish(waiters->dispatch, job, false);
}

/* Under the lock. Takes those out that are chosen, as a list. */
typedef bool choice(const struct tbk_job *job, const void *argument);
static struct tbk_job *take(struct tbk_waiters *waiters, choice *is_chosen, const void *argument)
{
    struct tbk_job *taken = NULL;
    for (struct tbk_job **link = &waiters->first; *link != NULL;) {
        struct tbk_job *job = *link;
        if (is_chosen(job, argument)) {
            *link = job->next;
            job->next = taken;
            taken = job;
            waiters->count--;
        } else {
            link = &job->next;
        }
    }
    return taken;
}

static bool hears(const struct tbk_job *job, const void *topic)
{
    const char *prefix = job->call.wait.topic;
    return strncmp(prefix, topic, strlen(prefix)) == 0;
}

void tbk_waiters_announce(struct tbk_waiters *waiters, int64_t sequence, const char *topic)
{
    pthread_mutex_lock(&waiters->mutex);
    waiters->announced = sequence;
    struct tbk_job *job = take(waiters, hears, topic);
    pthread_mutex_unlock(&waiters->mutex);
    while (job != NULL) {
        struct tbk_job *next = job->next;
        run_again(waiters, job);
        job = next;
    }
}

static bool is_over(const struct tbk_job *job, const void *now_us)
{
    return job->wait_end_us <= *(const int64_t *)now_us;
}

int64_t tbk_waiters_expire(struct tbk_waiters *waiters, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    pthread_mutex_lock(&waiters->mutex);
    struct tbk_job *over = take(waiters, is_over, &now_us);
    for (const struct tbk_job *job = waiters->first; job != NULL; job = job->next) {
        next_us = job->wait_end_us < next_us ? job->wait_end_us : next_us;
    }
    pthread_mutex_unlock(&waiters->mutex);
    answer_all(waiters, over);
    return next_us;
}

void tbk_waiters_close(struct tbk_waiters *waiters)
{
    pthread_mutex_lock(&waiters->mutex);
    struct tbk_job *all = waiters->first;
    waiters->first = NULL;
    waiters->count = 0;
    waiters->closed = true;
    pthread_mutex_unlock(&waiters->mutex);
    answer_all(waiters, all);
}
