/* tradebook bench: the mix of operations, runs and medians. */
#include <stdlib.h>

#include "cli/bench_alternate.h"
#include "client_support.h"
#include "cmocka_all.h"

static void test_mix_shares_are_read(void **state)
{
    (void)state;
    struct tbk_bench_mix mix;
    assert_null(tbk_bench_mix_parse("get=80,create=20", &mix));
    assert_int_equal(mix.weights[TBK_BENCH_GET], 80);
    assert_int_equal(mix.weights[TBK_BENCH_CREATE], 20);
    assert_int_equal(mix.weights[TBK_BENCH_ECHO], 0);
    assert_null(tbk_bench_mix_parse("list", &mix));
    assert_int_equal(mix.weights[TBK_BENCH_LIST], 1);
    assert_int_equal(mix.weights[TBK_BENCH_GET], 0);
}

static void test_mix_wrong_text_is_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"",       ",",    "get=",  "get=x",     "get=-1",
                                 "get=1x", "gets", "get=0", "get,,echo", "get=1000001"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tbk_bench_mix mix;
        assert_non_null(tbk_bench_mix_parse(wrong[i], &mix));
    }
}

static void test_choose_follows_the_shares(void **state)
{
    (void)state;
    const struct tbk_bench_mix mix = {{[TBK_BENCH_GET] = 3, [TBK_BENCH_LIST] = 1}};
    unsigned counts[TBK_BENCH_OP_COUNT] = {0};
    uint64_t random_state = 1;
    for (int i = 0; i < 40000; i++) {
        counts[tbk_bench_choose(&mix, &random_state)]++;
    }
    assert_in_range(counts[TBK_BENCH_GET], 29000, 31000);
    assert_int_equal(counts[TBK_BENCH_GET] + counts[TBK_BENCH_LIST], 40000);
}

static void test_median_of_odd_and_even_counts(void **state)
{
    (void)state;
    double odd[] = {9, 1, 5};
    double even[] = {4, 1, 9, 2};
    assert_true(tbk_bench_median(odd, 3) == 5);
    assert_true(tbk_bench_median(even, 4) == 3);
}

static void test_summary_is_median_spread_and_ratio_to_echo(void **state)
{
    (void)state;
    struct tbk_bench_sample samples[] = {{100, 1, 2, 0}, {300, 3, 4, 0}, {200, 2, 3, 0},
                                         {20, 9, 9, 1},  {50, 7, 7, 0},  {100, 8, 8, 2}};
    const struct tbk_bench_alternation plan = {.ops = {TBK_BENCH_ECHO, TBK_BENCH_GET},
                                               .op_count = 2,
                                               .levels = {1},
                                               .level_count = 1,
                                               .rounds = 3,
                                               .samples = samples};
    struct tbk_bench_summary summary = tbk_bench_summarise(&plan, 0, 1);
    assert_true(summary.calls_per_second == 50);
    assert_true(summary.calls_per_second_min == 20);
    assert_true(summary.calls_per_second_max == 100);
    assert_true(summary.p50_us == 8);
    assert_true(summary.ratio_to_echo == 0.25);
    assert_int_equal(summary.errors, 3);
}

static void run_echoes(struct script *script, struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, script);
    struct tradebook_client *clients[] = {open_client(address, NULL), open_client(address, NULL)};
    struct tbk_bench_workload *workload =
        tbk_bench_workload_create(&(struct tbk_bench_workload_config){.echo_bytes = 10, .batch_signals = 1});
    assert_non_null(workload);
    config->clients = clients;
    config->client_count = 2;
    config->workload = workload;
    config->mix.weights[TBK_BENCH_ECHO] = 1;
    config->in_flight = 8;
    assert_true(tbk_bench_run(config, result));
    tradebook_client_close(clients[0]);
    tradebook_client_close(clients[1]);
    tbk_bench_workload_destroy(workload);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_run_of_a_count_makes_exactly_these_calls(void **state)
{
    (void)state;
    struct script script = {.first_count = 3,
                            .first_action = TBK_REP_ANSWER,
                            .first_code = TRADEBOOK__V1__CODE__CODE_RESOURCE_EXHAUSTED};
    struct tbk_bench_run_config config = {.count = 1000};
    struct tbk_bench_result *result = calloc(1, sizeof *result);
    run_echoes(&script, &config, result);
    assert_int_equal(script.seen, 1000);
    assert_int_equal(result->calls, 997);
    assert_int_equal(result->error_count, 3);
    assert_int_equal(result->ops[TBK_BENCH_ECHO].errors[TRADEBOOK_RESOURCE_EXHAUSTED], 3);
    assert_int_equal(result->first_error.code, TRADEBOOK_RESOURCE_EXHAUSTED);
    assert_true(result->seconds > 0);
    free(result);
}

static void test_run_of_a_duration_measures_after_the_warmup_only(void **state)
{
    (void)state;
    struct script script = {0};
    struct tbk_bench_run_config config = {.warmup_ms = 100, .duration_ms = 100};
    struct tbk_bench_result *result = calloc(1, sizeof *result);
    run_echoes(&script, &config, result);
    assert_int_equal(result->error_count, 0);
    assert_in_range(result->calls, 1, script.seen - 1);
    assert_true(result->seconds >= 0.1);
    free(result);
}

static void test_rate_counts_latency_from_when_a_call_was_due(void **state)
{
    (void)state;
    /* The first calls take all slots and time out; the others were due long before. */
    struct script script = {.first_count = 8, .first_action = TBK_REP_IGNORE};
    struct tbk_bench_run_config config = {.rate = 10000, .count = 40, .timeout_ms = 400};
    struct tbk_bench_result *result = calloc(1, sizeof *result);
    run_echoes(&script, &config, result);
    const struct tbk_bench_op_result *echo = &result->ops[TBK_BENCH_ECHO];
    assert_int_equal(script.seen, 40);
    assert_int_equal(result->calls, 32);
    assert_int_equal(echo->errors[TRADEBOOK_DEADLINE_EXCEEDED], 8);
    assert_true(tbk_histogram_percentile(&echo->latency_ns, 0) > 300000000);
    assert_true(tbk_histogram_percentile(&echo->error_latency_ns, 0) > 300000000);
    free(result);
}

static void test_rate_sets_how_many_calls_start(void **state)
{
    (void)state;
    struct script script = {0};
    struct tbk_bench_run_config config = {.rate = 500, .warmup_ms = 100, .duration_ms = 200};
    struct tbk_bench_result *result = calloc(1, sizeof *result);
    run_echoes(&script, &config, result);
    assert_int_equal(result->error_count, 0);
    /* One each 2 ms, the first and the last millisecond included. */
    assert_in_range(result->calls, 1, 101);
    assert_in_range(script.seen, result->calls, 151);
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_shares_are_read),
        cmocka_unit_test(test_mix_wrong_text_is_refused),
        cmocka_unit_test(test_choose_follows_the_shares),
        cmocka_unit_test(test_median_of_odd_and_even_counts),
        cmocka_unit_test(test_summary_is_median_spread_and_ratio_to_echo),
        cmocka_unit_test(test_run_of_a_count_makes_exactly_these_calls),
        cmocka_unit_test(test_run_of_a_duration_measures_after_the_warmup_only),
        cmocka_unit_test(test_rate_counts_latency_from_when_a_call_was_due),
        cmocka_unit_test(test_rate_sets_how_many_calls_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
