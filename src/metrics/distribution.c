#include "metrics/distribution.h"

const struct tbk_bounds tbk_bounds_durations = {
    .count = 16,
    .unit = 1e-6,
    .ends = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
             10000000},
};

const struct tbk_bounds tbk_bounds_counts = {
    .count = 10,
    .unit = 1,
    .ends = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
};

void tbk_distribution_init(struct tbk_distribution *distribution, const struct tbk_bounds *bounds)
{
    distribution->bounds = bounds;
    for (unsigned i = 0; i <= TBK_BOUNDS_MAX; i++)
        atomic_init(&distribution->counts[i], 0);
    atomic_init(&distribution->sum, 0);
}

void tbk_distribution_record(struct tbk_distribution *distribution, int64_t value)
{
    const struct tbk_bounds *bounds = distribution->bounds;
    uint64_t size = value > 0 ? (uint64_t)value : 0;
    unsigned bucket = 0;
    while (bucket < bounds->count && size > bounds->ends[bucket])
        bucket++;
    atomic_fetch_add_explicit(&distribution->counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&distribution->sum, size, memory_order_relaxed);
}
