#include "cli/bench_alternate.h"

#include <stdio.h>
#include <stdlib.h>

static struct tbk_bench_sample *samples_of(const struct tbk_bench_alternation *plan, unsigned level, unsigned op)
{
    return &plan->samples[(level * plan->op_count + op) * plan->rounds];
}

static struct tbk_bench_sample take_sample(const struct tbk_bench_result *result, enum tbk_bench_op op)
{
    const struct tbk_histogram *latency = &result->ops[op].latency_ns;
    return (struct tbk_bench_sample){
        .calls_per_second = result->seconds > 0 ? (double)result->calls / result->seconds : 0,
        .p50_us = (double)tbk_histogram_percentile(latency, 50) / 1000.0,
        .p99_us = (double)tbk_histogram_percentile(latency, 99) / 1000.0,
        .errors = result->error_count,
    };
}

static void keep_first_error(struct tradebook_error *kept, const struct tbk_bench_result *result)
{
    if (kept->code == TRADEBOOK_OK && result->error_count > 0) {
        *kept = result->first_error;
    }
}

bool tbk_bench_alternate(struct tbk_bench_alternation *plan, const struct tbk_bench_run_config *run,
                         struct tbk_bench_result *result)
{
    unsigned run_count = plan->level_count * plan->op_count * plan->rounds;
    struct tbk_bench_run_config config = *run;
    struct tradebook_error first_error = {.code = TRADEBOOK_OK};
    config.progress = false;
    plan->samples = calloc(run_count, sizeof *plan->samples);
    if (plan->samples == NULL) {
        return false;
    }
    unsigned done = 0;
    for (unsigned round = 0; round < plan->rounds; round++) {
        for (unsigned level = 0; level < plan->level_count; level++) {
            for (unsigned op = 0; op < plan->op_count; op++) {
                if (run->progress) {
                    fprintf(stderr, "\rrun %u of %u: %s, %u in flight\x1b[K", ++done, run_count,
                            tbk_bench_op_name(plan->ops[op]), plan->levels[level]);
                }
                config.in_flight = plan->levels[level];
                config.mix = (struct tbk_bench_mix){{0}};
                config.mix.weights[plan->ops[op]] = 1;
                config.seed++;
                if (!tbk_bench_run(&config, result)) {
                    return false;
                }
                samples_of(plan, level, op)[round] = take_sample(result, plan->ops[op]);
                keep_first_error(&first_error, result);
            }
        }
    }
    if (run->progress) {
        fputs("\r\x1b[K", stderr);
    }
    result->first_error = first_error;
    return true;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double tbk_bench_median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static struct tbk_bench_summary summarise(const struct tbk_bench_alternation *plan, unsigned level, unsigned op)
{
    const struct tbk_bench_sample *samples = samples_of(plan, level, op);
    double rates[TBK_BENCH_ROUNDS_MAX];
    double p50s[TBK_BENCH_ROUNDS_MAX];
    double p99s[TBK_BENCH_ROUNDS_MAX];
    struct tbk_bench_summary summary = {0};
    for (unsigned round = 0; round < plan->rounds; round++) {
        rates[round] = samples[round].calls_per_second;
        p50s[round] = samples[round].p50_us;
        p99s[round] = samples[round].p99_us;
        summary.errors += samples[round].errors;
    }
    summary.calls_per_second = tbk_bench_median(rates, plan->rounds);
    summary.calls_per_second_min = rates[0];
    summary.calls_per_second_max = rates[plan->rounds - 1];
    summary.p50_us = tbk_bench_median(p50s, plan->rounds);
    summary.p99_us = tbk_bench_median(p99s, plan->rounds);
    return summary;
}

struct tbk_bench_summary tbk_bench_summarise(const struct tbk_bench_alternation *plan, unsigned level, unsigned op)
{
    struct tbk_bench_summary summary = summarise(plan, level, op);
    for (unsigned i = 0; i < plan->op_count; i++) {
        if (plan->ops[i] == TBK_BENCH_ECHO) {
            double echo = summarise(plan, level, i).calls_per_second;
            summary.ratio_to_echo = echo > 0 ? summary.calls_per_second / echo : 0;
        }
    }
    return summary;
}
