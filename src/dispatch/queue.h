/*
 * A bounded queue of jobs between threads, of which no client gets more than a fair
 * share: a connection may have as many jobs waiting as four times the room that is
 * left. So one alone gets four fifths of the queue, and many that ask for all they
 * can get leave room for who comes with a request now and then (the dynamic
 * thresholds of Choudhury and Hahne, 1998, with alpha = 4).
 */
#ifndef TBK_DISPATCH_QUEUE_H
#define TBK_DISPATCH_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

struct tbk_job;

/* The two queues of dispatch. */
enum tbk_queue_id { TBK_QUEUE_READ, TBK_QUEUE_WRITE };

struct tbk_queue {
    enum tbk_queue_id id;
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    struct tbk_job *first;
    struct tbk_job *last;
    unsigned length;
    unsigned length_max;
    unsigned waiting; /* threads in pop */
    bool closed;
};

void tbk_queue_init(struct tbk_queue *queue, enum tbk_queue_id id, unsigned length_max);
void tbk_queue_fini(struct tbk_queue *queue);

/* Appends a job; false when there is no room for it or the queue is closed, the job
 * then stays the caller's. Never blocks for long. */
bool tbk_queue_push(struct tbk_queue *queue, struct tbk_job *job);

/* Whether a push would find room now. */
bool tbk_queue_has_room(struct tbk_queue *queue, const struct tbk_job *job);

/* Jobs that wait now. */
unsigned tbk_queue_length(struct tbk_queue *queue);

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
