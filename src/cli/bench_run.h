/*
 * One run of tradebook bench. A closed loop: a number of calls is always under
 * way, the callback of each starts the next. Or an open loop: calls start at a
 * rate, whether or not earlier ones were answered; latency counts from the moment
 * at which a call was due.
 */
#ifndef TBK_CLI_BENCH_RUN_H
#define TBK_CLI_BENCH_RUN_H

#include "cli/bench_ops.h"
#include "cli/histogram.h"

enum { TBK_BENCH_CODE_COUNT = TRADEBOOK_UNAUTHENTICATED + 1 };

struct tbk_bench_run_config {
    struct tradebook_client *const *clients; /* one for each connection; calls are spread over them */
    unsigned client_count;
    struct tbk_bench_workload *workload;
    struct tbk_bench_mix mix;
    unsigned in_flight;  /* over all clients; of an open loop the most, calls that are due then wait */
    unsigned rate;       /* calls due each second; 0: a closed loop */
    int64_t warmup_ms;   /* not measured */
    int64_t duration_ms; /* used when count is 0 */
    int64_t count;       /* calls to measure */
    int64_t timeout_ms;  /* of a call; 0: the client's default */
    uint64_t seed;
    bool progress; /* one line on stderr, rewritten every second */
};

struct tbk_bench_op_result {
    struct tbk_histogram latency_ns;       /* of calls that succeeded */
    struct tbk_histogram error_latency_ns; /* of calls that failed */
    atomic_uint_fast64_t errors[TBK_BENCH_CODE_COUNT];
};

struct tbk_bench_result {
    double seconds; /* measured */
    uint64_t calls; /* that succeeded */
    uint64_t error_count;
    struct tradebook_error first_error; /* when there was any */
    struct tbk_histogram late_ns;       /* of an open loop: how long after they were due calls started */
    struct tbk_bench_op_result ops[TBK_BENCH_OP_COUNT];
};

/* Runs and fills result, which may be reused. What the run needs in stock is made
 * first, not measured; the run ends early when it is used up. False when memory is
 * exhausted. */
bool tbk_bench_run(const struct tbk_bench_run_config *config, struct tbk_bench_result *result);

#endif
