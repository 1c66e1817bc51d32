#include <math.h>

#include "analytics/statistics.h"
#include "cmocka_all.h"

/* Published values are given with few digits; everything else in
 * integration/test_statistics.py. */
static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%.17g is not %.17g", value, expected);
    }
}

/* Newcombe 1998, "Two-sided confidence intervals for the single proportion",
 * table I, method 3. */
static void test_statistics_wilson_published_examples(void **state)
{
    (void)state;
    static const struct {
        int64_t successes, n;
        double lower, upper;
    } cases[] = {
        {81, 263, 0.2553, 0.3662},
        {15, 148, 0.0624, 0.1605},
        {0, 20, 0, 0.1611},
        {1, 29, 0.0061, 0.1718},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_interval interval = tbk_wilson(cases[i].successes, cases[i].n);
        assert_near(interval.lower, cases[i].lower, 5e-5);
        assert_near(interval.upper, cases[i].upper, 5e-5);
    }
}

static void test_statistics_wilson_extremes_are_0_and_1(void **state)
{
    (void)state;
    assert_true(tbk_wilson(0, 7).lower == 0);
    assert_true(tbk_wilson(7, 7).upper == 1);
    assert_true(isnan(tbk_wilson(0, 0).lower));
    assert_true(isnan(tbk_wilson(0, 0).upper));
}

/* Newcombe 1998, "Interval estimation for the difference between independent
 * proportions", table II, method 10. */
static void test_statistics_newcombe_published_examples(void **state)
{
    (void)state;
    static const struct {
        struct tbk_share a, b;
        double lower, upper;
    } cases[] = {
        {{56, 70}, {48, 80}, 0.0524, 0.3339}, {{9, 10}, {3, 10}, 0.1705, 0.8090},
        {{6, 7}, {2, 7}, 0.0582, 0.8062},     {{5, 56}, {0, 29}, -0.0381, 0.1926},
        {{0, 10}, {0, 20}, -0.1611, 0.2775},  {{0, 10}, {0, 10}, -0.2775, 0.2775},
        {{10, 10}, {0, 20}, 0.6791, 1.0000},  {{10, 10}, {0, 10}, 0.6075, 1.0000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_interval interval = tbk_newcombe(cases[i].a, cases[i].b);
        assert_near(interval.lower, cases[i].lower, 5.1e-5);
        assert_near(interval.upper, cases[i].upper, 5.1e-5);
    }
    assert_true(isnan(tbk_newcombe((struct tbk_share){0, 0}, (struct tbk_share){1, 2}).lower));
}

/* The lady and her tea (Fisher 1935); convictions of twins (Fisher 1962). */
static void test_statistics_fisher_published_examples(void **state)
{
    (void)state;
    assert_near(tbk_fisher_exact((struct tbk_share){3, 4}, (struct tbk_share){1, 4}), 34.0 / 70, 1e-15);
    assert_near(tbk_fisher_exact((struct tbk_share){2, 12}, (struct tbk_share){15, 18}), 0.0005367, 5e-8);
    assert_near(tbk_fisher_exact((struct tbk_share){0, 5}, (struct tbk_share){0, 9}), 1, 0);
}

static void test_statistics_compare_shares_small_expected_cell_is_fishers(void **state)
{
    (void)state;
    /* Smallest expected cells of 5, 5.2 and 4.7. */
    struct tbk_proportion_test large = tbk_compare_shares((struct tbk_share){8, 20}, (struct tbk_share){2, 20});
    assert_false(large.is_exact);
    assert_near(large.statistic, 0.3 / sqrt(0.25 * 0.75 * 0.1), 1e-14);
    struct tbk_proportion_test small = tbk_compare_shares((struct tbk_share){8, 20}, (struct tbk_share){3, 22});
    assert_false(small.is_exact);
    small = tbk_compare_shares((struct tbk_share){8, 18}, (struct tbk_share){2, 20});
    assert_true(small.is_exact);
    assert_true(isnan(small.statistic));
    assert_near(small.p_value, tbk_fisher_exact((struct tbk_share){8, 18}, (struct tbk_share){2, 20}), 0);
}

static void test_statistics_compare_shares_without_observations_is_undefined(void **state)
{
    (void)state;
    struct tbk_proportion_test test = tbk_compare_shares((struct tbk_share){0, 0}, (struct tbk_share){3, 5});
    assert_true(isnan(test.p_value));
    assert_true(isnan(tbk_detectable_share((struct tbk_share){0, 0}, (struct tbk_share){3, 5})));
    assert_true(isnan(tbk_detectable_share((struct tbk_share){5, 5}, (struct tbk_share){3, 3})));
    assert_near(tbk_detectable_share((struct tbk_share){50, 100}, (struct tbk_share){50, 100}), 0.198102, 5e-7);
}

/* Student's sleep data (1908), as R's t.test prints them. */
static void test_statistics_welch_published_example(void **state)
{
    (void)state;
    struct tbk_sample a = {.n = 10, .mean = 0.75, .standard_deviation = 1.7890096577592568};
    struct tbk_sample b = {.n = 10, .mean = 2.33, .standard_deviation = 2.0022487079727225};
    struct tbk_mean_test test = tbk_compare_means(a, b);
    assert_near(test.difference, -1.58, 1e-15);
    assert_near(test.statistic, -1.8608, 5e-5);
    assert_near(test.degrees_of_freedom, 17.776, 5e-4);
    assert_near(test.p_value, 0.07939, 5e-6);
    assert_near(test.interval.lower, -3.3654832, 5e-8);
    assert_near(test.interval.upper, 0.2054832, 5e-8);
}

static void test_statistics_welch_without_variance_has_a_difference_only(void **state)
{
    (void)state;
    struct tbk_mean_test test = tbk_compare_means((struct tbk_sample){3, 2, 0}, (struct tbk_sample){4, 1, 0});
    assert_true(test.difference == 1);
    assert_true(isnan(test.p_value) && isnan(test.interval.lower) && isnan(test.statistic));
    test = tbk_compare_means((struct tbk_sample){1, 2, NAN}, (struct tbk_sample){4, 1, 3});
    assert_true(test.difference == 1);
    assert_true(isnan(test.p_value));
    test = tbk_compare_means((struct tbk_sample){0, NAN, NAN}, (struct tbk_sample){4, 1, 3});
    assert_true(isnan(test.difference));
}

static void assert_no_test(struct tbk_sample a, struct tbk_sample b)
{
    const struct tbk_mean_test test = tbk_compare_means(a, b);
    assert_true(isnan(test.p_value) && isnan(test.statistic) && isnan(test.degrees_of_freedom));
    assert_true(isnan(test.standard_error) && isnan(test.interval.lower) && isnan(test.interval.upper));
}

/* The same values up to their last bit are no sample that varies. */
static void test_statistics_welch_of_rounding_is_undefined(void **state)
{
    (void)state;
    const double mean = 0.1 + 0.2;
    assert_no_test((struct tbk_sample){40, mean, 5e-17}, (struct tbk_sample){40, 0.3, 0});
    assert_no_test((struct tbk_sample){40, mean, 0}, (struct tbk_sample){40, 1e-3, 1e-12});
    assert_true(tbk_compare_means((struct tbk_sample){40, 0.3, 1e-9}, (struct tbk_sample){40, 0.3, 0}).p_value ==
                1);
}

static void test_statistics_welch_beyond_a_double_is_undefined(void **state)
{
    (void)state;
    assert_no_test((struct tbk_sample){40, 1, INFINITY}, (struct tbk_sample){40, 2, 1});
    assert_no_test((struct tbk_sample){40, 1, NAN}, (struct tbk_sample){40, 2, 1});
    assert_no_test((struct tbk_sample){40, 1e308, 1e300}, (struct tbk_sample){40, -1e308, 1e300});
    assert_no_test((struct tbk_sample){40, INFINITY, 1}, (struct tbk_sample){40, 1, 1});
}

/* Tables of Student's t, of chi-squared and of the normal distribution. */
static void test_statistics_quantiles_are_the_tables(void **state)
{
    (void)state;
    assert_near(tbk_student_975(1), tan(0.475 * M_PI), 1e-12);
    assert_near(tbk_student_975(2), 0.95 / sqrt(2 * 0.975 * 0.025), 1e-14);
    static const struct {
        double degrees_of_freedom, t;
    } cases[] = {{5, 2.570582}, {10, 2.228139}, {30, 2.042272}, {100, 1.983972}, {1e6, 1.959966}, {1e9, 1.959964}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double t = tbk_student_975(cases[i].degrees_of_freedom);
        assert_near(t, cases[i].t, 5e-7);
        assert_near(tbk_student_p_value(t, cases[i].degrees_of_freedom), 0.05, 1e-14);
    }
    assert_near(tbk_chi_squared_p_value(3.841458820694124), 0.05, 1e-15);
    assert_near(tbk_chi_squared_p_value(0), 1, 0);
    assert_near(tbk_normal_p_value(TBK_NORMAL_975), 0.05, 1e-15);
    assert_near(tbk_normal_p_value(-TBK_NORMAL_800), 0.4, 1e-15);
    assert_near(tbk_student_p_value(0, 7), 1, 0);
    assert_near(tbk_student_p_value(INFINITY, 7), 0, 0);
    assert_true(isnan(tbk_student_p_value(NAN, 7)));
}

static void test_statistics_holm_steps_down_and_stays_ordered(void **state)
{
    (void)state;
    static const double p_values[] = {0.01, 0.04, NAN, 0.03, 0.005};
    static const double expected[] = {0.03, 0.06, NAN, 0.06, 0.02};
    double corrected[5];
    size_t order[5];
    tbk_holm(5, p_values, order, corrected);
    for (size_t i = 0; i < 5; i++) {
        if (isnan(expected[i])) {
            assert_true(isnan(corrected[i]));
        } else {
            assert_near(corrected[i], expected[i], 1e-15);
        }
    }
    tbk_holm(2, (const double[]){0.7, 0.8}, order, corrected);
    assert_true(corrected[0] == 1 && corrected[1] == 1);
    tbk_holm(0, p_values, order, corrected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_wilson_published_examples),
        cmocka_unit_test(test_statistics_wilson_extremes_are_0_and_1),
        cmocka_unit_test(test_statistics_newcombe_published_examples),
        cmocka_unit_test(test_statistics_fisher_published_examples),
        cmocka_unit_test(test_statistics_compare_shares_small_expected_cell_is_fishers),
        cmocka_unit_test(test_statistics_compare_shares_without_observations_is_undefined),
        cmocka_unit_test(test_statistics_welch_published_example),
        cmocka_unit_test(test_statistics_welch_without_variance_has_a_difference_only),
        cmocka_unit_test(test_statistics_welch_of_rounding_is_undefined),
        cmocka_unit_test(test_statistics_welch_beyond_a_double_is_undefined),
        cmocka_unit_test(test_statistics_quantiles_are_the_tables),
        cmocka_unit_test(test_statistics_holm_steps_down_and_stays_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
