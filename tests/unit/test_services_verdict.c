#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "cmocka_all.h"
#include "services/analytics_verdict.h"

static struct tbk_ab_arm arm(const char *strategy, int64_t n, int64_t wins, double mean, double deviation)
{
    return (struct tbk_ab_arm){
        .strategy = strategy,
        .signals = 1000,
        .figures = {.n = n, .wins = wins, .percent = {.n = n, .mean = mean, .standard_deviation = deviation}},
    };
}

static struct tbk_ab tested(struct tbk_ab_arm a, struct tbk_ab_arm b)
{
    struct tbk_ab comparison = {.a = a, .b = b, .expected_share_a = 0.5};
    tbk_ab_test(&comparison);
    return comparison;
}

/* The verdict is this one and its reason says all of these. */
static void assert_verdict(const struct tbk_ab *comparison, Tradebook__V1__Verdict expected,
                           const char *const *texts)
{
    struct tbk_arena *arena = tbk_arena_create(4096, 4096);
    char *reason = NULL;
    assert_int_equal(tbk_ab_verdict(comparison, arena, &reason), expected);
    for (; *texts != NULL; texts++) {
        if (strstr(reason, *texts) == NULL) {
            fail_msg("'%s' does not say '%s'", reason, *texts);
        }
    }
    tbk_arena_destroy(arena);
}

#define assert_a(comparison, ...)                                                                                 \
    assert_verdict(comparison, TRADEBOOK__V1__VERDICT__VERDICT_A, (const char *const[]){__VA_ARGS__, NULL})
#define assert_b(comparison, ...)                                                                                 \
    assert_verdict(comparison, TRADEBOOK__V1__VERDICT__VERDICT_B, (const char *const[]){__VA_ARGS__, NULL})
#define assert_neither(comparison, ...)                                                                           \
    assert_verdict(comparison, TRADEBOOK__V1__VERDICT__VERDICT_NOT_ENOUGH_DATA,                                   \
                   (const char *const[]){"Not enough data", __VA_ARGS__, NULL})

static void test_verdict_better_in_both_wins_and_says_the_figures(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 400, 260, 0.5, 1), arm("beta", 500, 225, 0.1, 1));
    assert_a(&comparison, "alpha is better than beta", "65.0 % of 400", "45.0 % of 500", "0.500 %", "0.100 %");
    comparison = tested(arm("alpha", 500, 225, 0.1, 1), arm("beta", 400, 260, 0.5, 1));
    assert_b(&comparison, "beta is better than alpha", "65.0 % of 400");
}

static void test_verdict_one_significant_difference_is_enough_when_the_other_agrees(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 400, 200, 0.9, 1), arm("beta", 400, 199, 0.1, 1));
    assert_a(&comparison, "alpha is better");
    comparison = tested(arm("alpha", 400, 200, 0.11, 5), arm("beta", 400, 120, 0.1, 5));
    assert_a(&comparison, "alpha is better");
}

static void test_verdict_differences_that_disagree_are_not_enough(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 400, 260, 0.1, 1), arm("beta", 400, 180, 0.5, 1));
    assert_neither(&comparison, "win rates (65.0 % to 45.0 %) favour alpha", "favour beta");
    comparison = tested(arm("alpha", 400, 180, 0.11, 5), arm("beta", 400, 260, 0.1, 5));
    assert_neither(&comparison, "favour beta", "favour alpha");
}

/* 0.03 alone is significant; of two tests it is not. */
static void test_verdict_p_values_are_corrected_for_two_tests(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 1000, 548, 0.1, 1), arm("beta", 1000, 500, 0.1, 1));
    assert_in_range((int64_t)(comparison.rates.p_value * 1000), 25, 49);
    assert_neither(&comparison, "chance alone", "54.8 % of 1000", "0.063");
}

static void test_verdict_below_30_trades_is_not_enough(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 29, 29, 5, 1), arm("beta", 400, 4, -5, 1));
    assert_neither(&comparison, "alpha has 29 closed trades and beta has 400", "at least 30");
    comparison = tested(arm("alpha", 30, 30, 5, 1), arm("beta", 400, 4, -5, 1));
    assert_a(&comparison, "alpha is better");
    comparison = tested(arm("alpha", 0, 0, NAN, NAN), arm("beta", 0, 0, NAN, NAN));
    assert_neither(&comparison, "alpha has 0 closed trades");
}

static void test_verdict_sample_ratio_alarm_is_not_enough(void **state)
{
    (void)state;
    struct tbk_ab comparison = {
        .a = arm("alpha", 400, 260, 0.5, 1), .b = arm("beta", 500, 225, 0.1, 1), .expected_share_a = 0.5};
    comparison.a.signals = 1576;
    comparison.b.signals = 54;
    tbk_ab_test(&comparison);
    assert_true(comparison.alarm);
    assert_neither(&comparison, "1576 to 54", "96.7 %", "50.0 %");
    comparison.expected_share_a = 0.97;
    tbk_ab_test(&comparison);
    assert_false(comparison.alarm);
    assert_a(&comparison, "alpha is better");
}

static void test_verdict_without_signals_has_no_alarm(void **state)
{
    (void)state;
    struct tbk_ab comparison = {
        .a = arm("alpha", 400, 260, 0.5, 1), .b = arm("beta", 500, 225, 0.1, 1), .expected_share_a = 0.5};
    comparison.a.signals = comparison.b.signals = 0;
    tbk_ab_test(&comparison);
    assert_false(comparison.alarm);
    assert_true(isnan(comparison.chi_squared) && isnan(comparison.split_p_value));
}

static void test_verdict_without_variance_says_not_defined(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 40, 20, 0.5, 0), arm("beta", 40, 20, 0.1, 0));
    assert_neither(&comparison, "p-value not defined");
}

static void test_verdict_rounding_is_no_difference_of_means(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 40, 20, 0.1 + 0.2, 5e-17), arm("beta", 40, 20, 0.3, 0));
    assert_neither(&comparison, "chance alone", "0.300 %");
    comparison = tested(arm("alpha", 400, 260, 0.3, 1), arm("beta", 400, 180, 0.1 + 0.2, 1));
    assert_a(&comparison, "alpha is better");
}

/* Their product would be 0. */
static void test_verdict_tiny_differences_that_disagree_are_not_enough(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 400, 260, 1e-320, 1), arm("beta", 400, 180, 4e-320, 1));
    assert_neither(&comparison, "favour alpha", "favour beta");
}

static void test_verdict_without_profits_says_not_defined(void **state)
{
    (void)state;
    struct tbk_ab comparison = tested(arm("alpha", 400, 260, NAN, NAN), arm("beta", 400, 180, INFINITY, NAN));
    assert_a(&comparison, "mean profit is not defined against not defined (p-value not defined)");
    comparison = tested(arm("alpha", 400, 200, NAN, NAN), arm("beta", 400, 200, 0.25, 1));
    assert_neither(&comparison, "mean profits (not defined to 0.250 %, p-value not defined)");
    comparison = tested(arm("alpha", 400, 260, -1e308, 1), arm("beta", 400, 180, 1e308, 1));
    assert_neither(&comparison, "favour beta");
}

static void test_verdict_profits_of_few_trades_do_not_count(void **state)
{
    (void)state;
    struct tbk_ab comparison = {
        .a = arm("alpha", 400, 200, 9, 1), .b = arm("beta", 400, 200, 0.1, 1), .expected_share_a = 0.5};
    comparison.a.figures.percent.n = 29;
    tbk_ab_test(&comparison);
    assert_neither(&comparison, "chance alone", "9.000 % to 0.100 %, p-value not defined");
    comparison.a.figures.percent.n = 30;
    tbk_ab_test(&comparison);
    assert_a(&comparison, "alpha is better");
    comparison = (struct tbk_ab){
        .a = arm("alpha", 400, 260, 0.1, 1), .b = arm("beta", 400, 180, 9, 1), .expected_share_a = 0.5};
    comparison.b.figures.percent.n = 2;
    tbk_ab_test(&comparison);
    assert_a(&comparison, "alpha is better");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_better_in_both_wins_and_says_the_figures),
        cmocka_unit_test(test_verdict_one_significant_difference_is_enough_when_the_other_agrees),
        cmocka_unit_test(test_verdict_differences_that_disagree_are_not_enough),
        cmocka_unit_test(test_verdict_p_values_are_corrected_for_two_tests),
        cmocka_unit_test(test_verdict_below_30_trades_is_not_enough),
        cmocka_unit_test(test_verdict_sample_ratio_alarm_is_not_enough),
        cmocka_unit_test(test_verdict_without_signals_has_no_alarm),
        cmocka_unit_test(test_verdict_without_variance_says_not_defined),
        cmocka_unit_test(test_verdict_rounding_is_no_difference_of_means),
        cmocka_unit_test(test_verdict_tiny_differences_that_disagree_are_not_enough),
        cmocka_unit_test(test_verdict_without_profits_says_not_defined),
        cmocka_unit_test(test_verdict_profits_of_few_trades_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
