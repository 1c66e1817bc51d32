/*
 * Reads that wait for events. They are parked here, each with the answer it gets
 * if none comes, and cost no thread. Those whose topic has a new event go back to
 * the readers; the others are answered when their time is over, which the relay
 * looks after, or when the server stops.
 */
#ifndef TBK_DISPATCH_WAITERS_H
#define TBK_DISPATCH_WAITERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct tbk_dispatch;
struct tbk_job;

struct tbk_waiters {
    struct tbk_dispatch *dispatch;
    pthread_mutex_t mutex;
    struct tbk_job *first;
    unsigned count;
    unsigned count_max;
    int64_t announced; /* the newest event that was told of */
    bool closed;
};

void tbk_waiters_init(struct tbk_waiters *waiters, struct tbk_dispatch *dispatch, unsigned count_max);
void tbk_waiters_fini(struct tbk_waiters *waiters);

/* Takes over a job whose run has set call.wait and whose reply is reserved. It is
 * answered at once when its time is over or no more may wait. */
void tbk_waiters_park(struct tbk_waiters *waiters, struct tbk_job *job);

/* How many wait now. */
unsigned tbk_waiters_count(struct tbk_waiters *waiters);

/* There is a committed event with this number and topic. */
void tbk_waiters_announce(struct tbk_waiters *waiters, int64_t sequence, const char *topic);

/* Answers those whose time is over; returns when the next one's is, on the
 * monotonic clock, INT64_MAX for none. */
int64_t tbk_waiters_expire(struct tbk_waiters *waiters, int64_t now_us);

/* Answers all; nobody waits any more. */
void tbk_waiters_close(struct tbk_waiters *waiters);

#endif
