/*
 * Prints what tradebook bench measured, for people or as JSON.
 */
#ifndef TBK_CLI_BENCH_REPORT_H
#define TBK_CLI_BENCH_REPORT_H

#include "cli/bench_alternate.h"
#include "cli/bench_run.h"

/* What was measured, for the heading. */
struct tbk_bench_subject {
    const char *address;
    unsigned connections;
    const struct tbk_bench_workload *workload;
};

/* All of these write to stdout. False when memory is exhausted. */
bool tbk_bench_print_run(const struct tbk_bench_subject *subject, const struct tbk_bench_run_config *config,
                         const struct tbk_bench_result *result, bool as_json);
bool tbk_bench_print_alternation(const struct tbk_bench_subject *subject, const struct tbk_bench_alternation *plan,
                                 bool as_json);

#endif
