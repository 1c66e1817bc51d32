#include "cli/bench_report.h"

#include <jansson.h>
#include <stdio.h>

static double rate(uint64_t calls, double seconds)
{
    return seconds > 0 ? (double)calls / seconds : 0;
}

static double percentile_us(const struct tbk_histogram *latency, double percent)
{
    return (double)tbk_histogram_percentile(latency, percent) / 1000.0;
}

static uint64_t errors_of(const struct tbk_bench_op_result *op)
{
    uint64_t errors = 0;
    for (unsigned code = 0; code < TBK_BENCH_CODE_COUNT; code++) {
        errors += op->errors[code];
    }
    return errors;
}

/* Prints and frees. */
static bool print_json(json_t *document)
{
    bool printed = document != NULL && json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) == 0;
    if (printed) {
        putchar('\n');
    }
    json_decref(document);
    return printed;
}

/* --- one run --- */

static void print_run_row(const struct tbk_bench_subject *subject, enum tbk_bench_op op,
                          const struct tbk_bench_result *result)
{
    const struct tbk_histogram *latency = &result->ops[op].latency_ns;
    uint64_t calls = tbk_histogram_count(latency);
    double calls_per_second = rate(calls, result->seconds);
    printf("%-9s %10llu %8llu %10.0f %10.0f %9.1f %9.1f %9.1f %9.1f %10.1f\n", tbk_bench_op_name(op),
           (unsigned long long)calls, (unsigned long long)errors_of(&result->ops[op]), calls_per_second,
           calls_per_second * tbk_bench_op_records(subject->workload, op), percentile_us(latency, 50),
           percentile_us(latency, 90), percentile_us(latency, 99), percentile_us(latency, 99.9),
           (double)tbk_histogram_max(latency) / 1000.0);
}

static void print_run_errors(enum tbk_bench_op op, const struct tbk_bench_op_result *result)
{
    for (unsigned code = 0; code < TBK_BENCH_CODE_COUNT; code++) {
        if (result->errors[code] > 0) {
            printf("%s: %llu times %s\n", tbk_bench_op_name(op), (unsigned long long)result->errors[code],
                   tradebook_code_name((enum tradebook_code)code));
        }
    }
    if (tbk_histogram_count(&result->error_latency_ns) > 0) {
        printf("%s: told so after p50 %.1f, p99 %.1f, max %.1f\n", tbk_bench_op_name(op),
               percentile_us(&result->error_latency_ns, 50), percentile_us(&result->error_latency_ns, 99),
               percentile_us(&result->error_latency_ns, 100));
    }
}

static bool print_run_table(const struct tbk_bench_subject *subject, const struct tbk_bench_run_config *config,
                            const struct tbk_bench_result *result)
{
    if (config->rate > 0) {
        printf("%s, %u calls due each second", subject->address, config->rate);
    } else {
        printf("%s, %u in flight", subject->address, config->in_flight);
    }
    printf(" over %u connection%s, %.2f s, latency in microseconds\n\n", subject->connections,
           subject->connections == 1 ? "" : "s", result->seconds);
    printf("%-9s %10s %8s %10s %10s %9s %9s %9s %9s %10s\n", "operation", "calls", "errors", "calls/s",
           "records/s", "p50", "p90", "p99", "p99.9", "max");
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        if (config->mix.weights[op] > 0) {
            print_run_row(subject, (enum tbk_bench_op)op, result);
        }
    }
    printf("%-9s %10llu %8llu %10.0f\n", "total", (unsigned long long)result->calls,
           (unsigned long long)result->error_count, rate(result->calls, result->seconds));
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        print_run_errors((enum tbk_bench_op)op, &result->ops[op]);
    }
    if (config->rate > 0) { /* far from 0: it is bench that is too slow */
        printf("calls started late by p50 %.1f, p99 %.1f, max %.1f\n", percentile_us(&result->late_ns, 50),
               percentile_us(&result->late_ns, 99), percentile_us(&result->late_ns, 100));
    }
    return true;
}

static json_t *latency_json(const struct tbk_histogram *latency)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "p50", percentile_us(latency, 50), "p90",
                     percentile_us(latency, 90), "p99", percentile_us(latency, 99), "p99.9",
                     percentile_us(latency, 99.9), "max", percentile_us(latency, 100));
}

static json_t *op_json(const struct tbk_bench_subject *subject, enum tbk_bench_op op,
                       const struct tbk_bench_result *result)
{
    const struct tbk_histogram *latency = &result->ops[op].latency_ns;
    uint64_t calls = tbk_histogram_count(latency);
    double calls_per_second = rate(calls, result->seconds);
    json_t *errors = json_object();
    for (unsigned code = 0; code < TBK_BENCH_CODE_COUNT; code++) {
        uint64_t count = result->ops[op].errors[code];
        if (count > 0) {
            json_object_set_new(errors, tradebook_code_name((enum tradebook_code)code),
                                json_integer((json_int_t)count));
        }
    }
    return json_pack("{s:s, s:I, s:f, s:f, s:o, s:o, s:o}", "operation", tbk_bench_op_name(op), "calls",
                     (json_int_t)calls, "calls_per_second", calls_per_second, "records_per_second",
                     calls_per_second * tbk_bench_op_records(subject->workload, op), "latency_us",
                     latency_json(latency), "errors", errors, "error_latency_us",
                     latency_json(&result->ops[op].error_latency_ns));
}

static bool print_run_json(const struct tbk_bench_subject *subject, const struct tbk_bench_run_config *config,
                           const struct tbk_bench_result *result)
{
    json_t *operations = json_array();
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        if (config->mix.weights[op] > 0) {
            json_array_append_new(operations, op_json(subject, (enum tbk_bench_op)op, result));
        }
    }
    return print_json(json_pack("{s:s, s:i, s:i, s:i, s:f, s:I, s:I, s:f, s:o, s:o}", "address", subject->address,
                                "in_flight", (int)config->in_flight, "rate", (int)config->rate, "connections",
                                (int)subject->connections, "seconds", result->seconds, "calls",
                                (json_int_t)result->calls, "errors", (json_int_t)result->error_count,
                                "calls_per_second", rate(result->calls, result->seconds), "started_late_us",
                                latency_json(&result->late_ns), "operations", operations));
}

bool tbk_bench_print_run(const struct tbk_bench_subject *subject, const struct tbk_bench_run_config *config,
                         const struct tbk_bench_result *result, bool as_json)
{
    return as_json ? print_run_json(subject, config, result) : print_run_table(subject, config, result);
}

/* --- an alternation --- */

static bool has_echo(const struct tbk_bench_alternation *plan)
{
    for (unsigned op = 0; op < plan->op_count; op++) {
        if (plan->ops[op] == TBK_BENCH_ECHO) {
            return true;
        }
    }
    return false;
}

static void print_summary_row(const struct tbk_bench_subject *subject, const struct tbk_bench_alternation *plan,
                              unsigned level, unsigned op)
{
    struct tbk_bench_summary summary = tbk_bench_summarise(plan, level, op);
    printf("%9u %-9s %10.0f %10.0f %10.0f", plan->levels[level], tbk_bench_op_name(plan->ops[op]),
           summary.calls_per_second, summary.calls_per_second_min, summary.calls_per_second_max);
    if (has_echo(plan)) {
        printf(" %6.1f %%", summary.ratio_to_echo * 100);
    }
    printf(" %10.0f %9.1f %9.1f %8llu\n",
           summary.calls_per_second * tbk_bench_op_records(subject->workload, plan->ops[op]), summary.p50_us,
           summary.p99_us, (unsigned long long)summary.errors);
}

static bool print_alternation_table(const struct tbk_bench_subject *subject,
                                    const struct tbk_bench_alternation *plan)
{
    printf("%s, %u connection%s, medians of %u rounds, latency in microseconds\n\n", subject->address,
           subject->connections, subject->connections == 1 ? "" : "s", plan->rounds);
    printf("%9s %-9s %10s %10s %10s%s %10s %9s %9s %8s\n", "in flight", "operation", "calls/s", "least", "most",
           has_echo(plan) ? "  of echo" : "", "records/s", "p50", "p99", "errors");
    for (unsigned level = 0; level < plan->level_count; level++) {
        for (unsigned op = 0; op < plan->op_count; op++) {
            print_summary_row(subject, plan, level, op);
        }
    }
    return true;
}

static json_t *summary_json(const struct tbk_bench_subject *subject, const struct tbk_bench_alternation *plan,
                            unsigned level, unsigned op)
{
    struct tbk_bench_summary summary = tbk_bench_summarise(plan, level, op);
    json_t *entry = json_pack(
        "{s:s, s:i, s:{s:f, s:f, s:f}, s:f, s:{s:f, s:f}, s:I}", "operation", tbk_bench_op_name(plan->ops[op]),
        "in_flight", (int)plan->levels[level], "calls_per_second", "median", summary.calls_per_second, "min",
        summary.calls_per_second_min, "max", summary.calls_per_second_max, "records_per_second",
        summary.calls_per_second * tbk_bench_op_records(subject->workload, plan->ops[op]), "latency_us", "p50",
        summary.p50_us, "p99", summary.p99_us, "errors", (json_int_t)summary.errors);
    if (has_echo(plan)) {
        json_object_set_new(entry, "ratio_to_echo", json_real(summary.ratio_to_echo));
    }
    return entry;
}

static bool print_alternation_json(const struct tbk_bench_subject *subject,
                                   const struct tbk_bench_alternation *plan)
{
    json_t *results = json_array();
    for (unsigned level = 0; level < plan->level_count; level++) {
        for (unsigned op = 0; op < plan->op_count; op++) {
            json_array_append_new(results, summary_json(subject, plan, level, op));
        }
    }
    return print_json(json_pack("{s:s, s:i, s:i, s:o}", "address", subject->address, "connections",
                                (int)subject->connections, "rounds", (int)plan->rounds, "results", results));
}

bool tbk_bench_print_alternation(const struct tbk_bench_subject *subject, const struct tbk_bench_alternation *plan,
                                 bool as_json)
{
    return as_json ? print_alternation_json(subject, plan) : print_alternation_table(subject, plan);
}
