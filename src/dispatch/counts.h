/*
 * What dispatch counts for the operator: requests by method and status, and what
 * the writer does. Counting is a few atomic additions; any thread, while others
 * read.
 */
#ifndef TBK_DISPATCH_COUNTS_H
#define TBK_DISPATCH_COUNTS_H

#include "metrics/distribution.h"
#include "services/service.h"

enum { TBK_STATUS_COUNT = TBK_UNAUTHENTICATED + 1 };

struct tbk_method_counts {
    atomic_uint_fast64_t by_status[TBK_STATUS_COUNT];
    struct tbk_distribution durations;
};

struct tbk_counts {
    struct tbk_method_counts *methods; /* by position, then those of requests that name none */
    size_t method_count;
    struct tbk_distribution batches; /* requests in a transaction of the writer */
    struct tbk_distribution commits; /* durations */
    atomic_uint_fast64_t commit_failures;
    atomic_int_fast64_t busy_since_us; /* monotonic, when the writer began what it is at; 0: it waits */
};

enum tbk_status tbk_counts_init(struct tbk_counts *counts, size_t method_count,
                                struct tbk_error *error) TBK_MUST_CHECK;
void tbk_counts_fini(struct tbk_counts *counts);

/* A request was answered. method may be NULL. */
void tbk_counts_request(struct tbk_counts *counts, const struct tbk_method *method, enum tbk_status status,
                        int64_t took_us);

#endif
