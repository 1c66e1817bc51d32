#include "dispatch/counts.h"

#include <stdlib.h>

enum tbk_status tbk_counts_init(struct tbk_counts *counts, size_t method_count, struct tbk_error *error)
{
    counts->methods = calloc(method_count + 1, sizeof counts->methods[0]);
    if (counts->methods == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory for the counts of requests.");
    counts->method_count = method_count;
    for (size_t i = 0; i <= method_count; i++)
        tbk_distribution_init(&counts->methods[i].durations, &tbk_bounds_durations);
    tbk_distribution_init(&counts->batches, &tbk_bounds_counts);
    tbk_distribution_init(&counts->commits, &tbk_bounds_durations);
    return TBK_OK;
}

void tbk_counts_fini(struct tbk_counts *counts)
{
    free(counts->methods);
}

void tbk_counts_request(struct tbk_counts *counts, const struct tbk_method *method, enum tbk_status status,
                        int64_t took_us)
{
    struct tbk_method_counts *of = &counts->methods[method != NULL ? method->position : counts->method_count];
    atomic_fetch_add_explicit(&of->by_status[status], 1, memory_order_relaxed);
    tbk_distribution_record(&of->durations, took_us);
}
