/*
 * Counts how often which latency occurred, in fixed memory: buckets grow with
 * the value so that each is known to 1/64 (1.6 %).
 *
 * Threads: any number may record at once; read when they are done.
 */
#ifndef TBK_CLI_HISTOGRAM_H
#define TBK_CLI_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    TBK_HISTOGRAM_PRECISION_BITS = 6,
    /* Values from 2^42 on (73 minutes in nanoseconds) count as 2^42 - 1. */
    TBK_HISTOGRAM_VALUE_BITS = 42,
    TBK_HISTOGRAM_BUCKETS = (TBK_HISTOGRAM_VALUE_BITS - TBK_HISTOGRAM_PRECISION_BITS + 1)
                            << TBK_HISTOGRAM_PRECISION_BITS,
};

/* Zero is empty. */
struct tbk_histogram {
    atomic_uint_fast64_t counts[TBK_HISTOGRAM_BUCKETS];
    atomic_uint_fast64_t max;
};

void tbk_histogram_clear(struct tbk_histogram *histogram);
void tbk_histogram_record(struct tbk_histogram *histogram, uint64_t value);
uint64_t tbk_histogram_count(const struct tbk_histogram *histogram);
/* The largest value recorded, exactly; 0 when empty. */
uint64_t tbk_histogram_max(const struct tbk_histogram *histogram);
/* The smallest bucket's upper end that percent (0 to 100) of the values do not
 * exceed, at most the maximum; 0 when empty. */
uint64_t tbk_histogram_percentile(const struct tbk_histogram *histogram, double percent);

#endif
