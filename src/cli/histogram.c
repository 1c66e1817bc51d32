#include "cli/histogram.h"

#include <math.h>

enum { SUB_BUCKETS = 1 << TBK_HISTOGRAM_PRECISION_BITS };

/* Values below 2 * SUB_BUCKETS have a bucket each; from there on every doubling
 * has SUB_BUCKETS. */
static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_BUCKETS) {
        return (unsigned)value;
    }
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(value);
    unsigned shift = highest_bit - TBK_HISTOGRAM_PRECISION_BITS;
    return (shift + 1) * SUB_BUCKETS + (unsigned)(value >> shift) - SUB_BUCKETS;
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < SUB_BUCKETS) {
        return bucket;
    }
    unsigned shift = bucket / SUB_BUCKETS - 1;
    uint64_t first = (uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void tbk_histogram_clear(struct tbk_histogram *histogram)
{
    for (unsigned i = 0; i < TBK_HISTOGRAM_BUCKETS; i++) {
        atomic_store_explicit(&histogram->counts[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&histogram->max, 0, memory_order_relaxed);
}

void tbk_histogram_record(struct tbk_histogram *histogram, uint64_t value)
{
    const uint64_t largest = (UINT64_C(1) << TBK_HISTOGRAM_VALUE_BITS) - 1;
    value = value < largest ? value : largest;
    atomic_fetch_add_explicit(&histogram->counts[bucket_of(value)], 1, memory_order_relaxed);
    uint_fast64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (value > max && !atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
                                                                 memory_order_relaxed, memory_order_relaxed)) {
    }
}

uint64_t tbk_histogram_count(const struct tbk_histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < TBK_HISTOGRAM_BUCKETS; i++) {
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    }
    return count;
}

uint64_t tbk_histogram_max(const struct tbk_histogram *histogram)
{
    return atomic_load_explicit(&histogram->max, memory_order_relaxed);
}

uint64_t tbk_histogram_percentile(const struct tbk_histogram *histogram, double percent)
{
    uint64_t count = tbk_histogram_count(histogram);
    uint64_t rank = (uint64_t)ceil((double)count * percent / 100.0);
    uint64_t max = tbk_histogram_max(histogram);
    uint64_t seen = 0;
    for (unsigned i = 0; i < TBK_HISTOGRAM_BUCKETS && count > 0; i++) {
        seen += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (seen >= rank && seen > 0) {
            return bucket_end(i) < max ? bucket_end(i) : max;
        }
    }
    return max;
}
