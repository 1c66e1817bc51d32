/*
 * Several operations measured in turn, round after round, so that whatever else
 * the machine does meets all of them alike.
 */
#ifndef TBK_CLI_BENCH_ALTERNATE_H
#define TBK_CLI_BENCH_ALTERNATE_H

#include "cli/bench_run.h"

enum { TBK_BENCH_LEVELS_MAX = 16, TBK_BENCH_ROUNDS_MAX = 1000 };

/* One run of one operation at one level. */
struct tbk_bench_sample {
    double calls_per_second;
    double p50_us;
    double p99_us;
    uint64_t errors;
};

/* Medians over the rounds. */
struct tbk_bench_summary {
    double calls_per_second;
    double calls_per_second_min;
    double calls_per_second_max;
    double p50_us;
    double p99_us;
    double ratio_to_echo; /* of calls_per_second at the same level; 0 without echo */
    uint64_t errors;
};

struct tbk_bench_alternation {
    enum tbk_bench_op ops[TBK_BENCH_OP_COUNT];
    unsigned op_count;
    unsigned levels[TBK_BENCH_LEVELS_MAX]; /* calls in flight */
    unsigned level_count;
    unsigned rounds;
    struct tbk_bench_sample *samples; /* of level, operation and round, in this order */
};

/* Runs everything; run is what all runs have in common. Fills plan->samples, to
 * be freed by the caller. result is space for one run and holds the first error
 * afterwards. False when memory is exhausted. */
bool tbk_bench_alternate(struct tbk_bench_alternation *plan, const struct tbk_bench_run_config *run,
                         struct tbk_bench_result *result);

struct tbk_bench_summary tbk_bench_summarise(const struct tbk_bench_alternation *plan, unsigned level,
                                             unsigned op);

/* The middle of count values, which are sorted by this; count is above 0. */
double tbk_bench_median(double *values, unsigned count);

#endif
