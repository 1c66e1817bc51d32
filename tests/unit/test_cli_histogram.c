#include <stdlib.h>

#include "cli/histogram.h"
#include "cmocka_all.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct tbk_histogram));
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_histogram_empty_answers_zero(void **state)
{
    struct tbk_histogram *histogram = *state;
    assert_int_equal(tbk_histogram_count(histogram), 0);
    assert_int_equal(tbk_histogram_max(histogram), 0);
    assert_int_equal(tbk_histogram_percentile(histogram, 99), 0);
}

static void test_histogram_small_values_are_exact(void **state)
{
    struct tbk_histogram *histogram = *state;
    for (uint64_t value = 1; value <= 100; value++) {
        tbk_histogram_record(histogram, value);
    }
    assert_int_equal(tbk_histogram_count(histogram), 100);
    assert_int_equal(tbk_histogram_percentile(histogram, 0), 1);
    assert_int_equal(tbk_histogram_percentile(histogram, 50), 50);
    assert_int_equal(tbk_histogram_percentile(histogram, 99), 99);
    assert_int_equal(tbk_histogram_percentile(histogram, 100), 100);
}

/* Every value is answered as itself or up to 1/64 more. */
static void test_histogram_any_value_is_within_its_precision(void **state)
{
    struct tbk_histogram *histogram = *state;
    for (unsigned bit = 0; bit < TBK_HISTOGRAM_VALUE_BITS; bit++) {
        for (int around = -1; around <= 1; around++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)around;
            tbk_histogram_clear(histogram);
            tbk_histogram_record(histogram, value);
            tbk_histogram_record(histogram, (UINT64_C(1) << TBK_HISTOGRAM_VALUE_BITS) - 1);
            uint64_t answered = tbk_histogram_percentile(histogram, 50);
            assert_true(answered >= value);
            assert_true(answered - value <= value / 64);
        }
    }
}

static void test_histogram_percentile_is_monotonic_and_ends_at_the_maximum(void **state)
{
    struct tbk_histogram *histogram = *state;
    for (uint64_t value = 1; value < 5000000; value += 997) {
        tbk_histogram_record(histogram, value);
    }
    uint64_t before = 0;
    for (double percent = 0; percent <= 100; percent += 0.5) {
        uint64_t value = tbk_histogram_percentile(histogram, percent);
        assert_true(value >= before);
        before = value;
    }
    assert_int_equal(before, tbk_histogram_max(histogram));
}

static void test_histogram_huge_value_counts_as_the_largest(void **state)
{
    struct tbk_histogram *histogram = *state;
    tbk_histogram_record(histogram, UINT64_MAX);
    assert_int_equal(tbk_histogram_count(histogram), 1);
    assert_int_equal(tbk_histogram_max(histogram), (UINT64_C(1) << TBK_HISTOGRAM_VALUE_BITS) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_histogram_empty_answers_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram_small_values_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram_any_value_is_within_its_precision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram_percentile_is_monotonic_and_ends_at_the_maximum, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_histogram_huge_value_counts_as_the_largest, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
