#include "dispatch/queue.h"

#include <stddef.h>
#include <stdint.h>

#include "dispatch/job.h"

enum { SHARE_OF_ROOM = 4 };

void tbk_queue_init(struct tbk_queue *queue, enum tbk_queue_id id, unsigned length_max)
{
    *queue = (struct tbk_queue){.id = id, .length_max = length_max};
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
}

void tbk_queue_fini(struct tbk_queue *queue)
{
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->mutex);
}

/* The jobs of the same connection that wait here. */
static unsigned *waiting_of(const struct tbk_queue *queue, const struct tbk_job *job)
{
    return &job->responder->share->waiting[queue->id];
}

/* Under the mutex. */
static bool has_room(const struct tbk_queue *queue, const struct tbk_job *job)
{
    return queue->length < queue->length_max &&
           *waiting_of(queue, job) < SHARE_OF_ROOM * (uint64_t)(queue->length_max - queue->length);
}

static bool append(struct tbk_queue *queue, struct tbk_job *job, bool whatever_the_length)
{
    pthread_mutex_lock(&queue->mutex);
    const bool accepted = !queue->closed && (whatever_the_length || has_room(queue, job));
    bool wake = false;
    if (accepted) {
        ++*waiting_of(queue, job);
        job->next = NULL;
        if (queue->last != NULL) {
            queue->last->next = job;
        } else {
            queue->first = job;
        }
        queue->last = job;
        queue->length++;
        wake = queue->waiting > 0;
    }
    pthread_mutex_unlock(&queue->mutex);
    if (wake) { /* a system call saved while all poppers are busy */
        pthread_cond_signal(&queue->not_empty);
    }
    return accepted;
}

bool tbk_queue_push(struct tbk_queue *queue, struct tbk_job *job)
{
    return append(queue, job, false);
}

bool tbk_queue_has_room(struct tbk_queue *queue, const struct tbk_job *job)
{
    pthread_mutex_lock(&queue->mutex);
    const bool found = has_room(queue, job);
    pthread_mutex_unlock(&queue->mutex);
    return found;
}

unsigned tbk_queue_length(struct tbk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    const unsigned length = queue->length;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}

void tbk_queue_put_back(struct tbk_queue *queue, struct tbk_job *job)
{
    append(queue, job, true);
}

/* Cuts the front of the queue off, up to the last job that goes with the first. */
static struct tbk_job *take_front(struct tbk_queue *queue, unsigned count_max, tbk_queue_together *together)
{
    struct tbk_job *first = queue->first;
    if (first == NULL) {
        return NULL;
    }
    struct tbk_job *last = first;
    unsigned count = 1;
    --*waiting_of(queue, first);
    if (together == NULL || together(first)) {
        while (count < count_max && last->next != NULL && (together == NULL || together(last->next))) {
            last = last->next;
            --*waiting_of(queue, last);
            count++;
        }
    }
    queue->length -= count;
    queue->first = last->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    last->next = NULL;
    return first;
}

struct tbk_job *tbk_queue_pop(struct tbk_queue *queue, unsigned count_max, tbk_queue_together *together)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->first == NULL && !queue->closed) {
        queue->waiting++;
        pthread_cond_wait(&queue->not_empty, &queue->mutex);
        queue->waiting--;
    }
    struct tbk_job *first = take_front(queue, count_max, together);
    pthread_mutex_unlock(&queue->mutex);
    return first;
}

void tbk_queue_close(struct tbk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->mutex);
}
