/*
 * How often values of which size occurred, in the few fixed buckets of a metric.
 * Recording costs two atomic additions and no lock.
 *
 * Threads: any number may record while others read. A reader sees each value in
 * its bucket or not yet; the sum may be ahead of the buckets or behind by those
 * that are being recorded.
 */
#ifndef TBK_METRICS_DISTRIBUTION_H
#define TBK_METRICS_DISTRIBUTION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { TBK_BOUNDS_MAX = 16 };

/* The upper ends of the buckets, ascending; what is above the last goes into one
 * more. */
struct tbk_bounds {
    unsigned count;
    double unit; /* what a value of 1 is in the unit that is told */
    uint64_t ends[TBK_BOUNDS_MAX];
};

/* Values in microseconds, told in seconds: 50 µs to 10 s. */
extern const struct tbk_bounds tbk_bounds_durations;
/* Values that are told as they are: 1, 2, 4 ... 512. */
extern const struct tbk_bounds tbk_bounds_counts;

struct tbk_distribution {
    const struct tbk_bounds *bounds;
    atomic_uint_fast64_t counts[TBK_BOUNDS_MAX + 1];
    atomic_uint_fast64_t sum;
};

/* Makes it empty. bounds outlives it. */
void tbk_distribution_init(struct tbk_distribution *distribution, const struct tbk_bounds *bounds);
/* A negative value counts as 0: the clock of durations never goes back. */
void tbk_distribution_record(struct tbk_distribution *distribution, int64_t value);

#endif
