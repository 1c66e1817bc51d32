/*
 * A bounded queue of jobs between threads.
 */
#ifndef TBK_DISPATCH_QUEUE_H
#define TBK_DISPATCH_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

struct tbk_job;

struct tbk_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    struct tbk_job *first;
    struct tbk_job *last;
    unsigned length;
    unsigned length_max;
    unsigned waiting; /* threads in pop */
    bool closed;
};

void tbk_queue_init(struct tbk_queue *queue, unsigned length_max);
void tbk_queue_fini(struct tbk_queue *queue);

/* Appends a job; false when the queue is full or closed, the job then stays the
 * caller's. Never blocks for long. */
bool tbk_queue_push(struct tbk_queue *queue, struct tbk_job *job);

/* Whether a push would fail now for want of room. */
bool tbk_queue_is_full(struct tbk_queue *queue);

/* Appends a job that was popped before, whatever the queue's length: how many such
 * jobs there are is bounded by the caller. The queue is not closed. */
void tbk_queue_put_back(struct tbk_queue *queue, struct tbk_job *job);

/* Whether a job may be taken together with others. */
typedef bool tbk_queue_together(const struct tbk_job *job);

/* Takes the first job and, while together says so of all of them, the next ones
 * up to count_max, as a list linked by next; waits while the queue is empty.
 * together may be NULL: any jobs. NULL when the queue is closed and empty. */
struct tbk_job *tbk_queue_pop(struct tbk_queue *queue, unsigned count_max, tbk_queue_together *together);

/* Wakes all poppers; pushes fail from now on. */
void tbk_queue_close(struct tbk_queue *queue);

#endif
