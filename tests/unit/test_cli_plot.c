#include <string.h>

#include "cli/plot.h"
#include "cmocka_all.h"

static void check_sparkline(const double *values, size_t count, bool utf8, const char *expected)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 1000);
    tbk_sparkline(values, count, utf8, &text);
    assert_string_equal(tbk_dynbuf_text(&text), expected);
    tbk_dynbuf_fini(&text);
}

static void test_sparkline_fills_the_height_from_lowest_to_highest(void **state)
{
    (void)state;
    static const double values[] = {-7, -6, -5, -4, -3, -2, -1, 0};
    check_sparkline(values, 8, true, "▁▂▃▄▅▆▇█");
    check_sparkline(values, 8, false, "...::||#");
    check_sparkline(values, 0, true, "");
}

static void test_sparkline_of_equal_values_is_level(void **state)
{
    (void)state;
    static const double values[] = {3, 3, 3};
    check_sparkline(values, 3, true, "▅▅▅");
}

static void check_plot(const double *values, size_t count, size_t width, const char *expected)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 1000);
    tbk_plot(values, count, width, 2, TBK_UNIT_PERCENT, true, &text);
    assert_string_equal(tbk_dynbuf_text(&text), expected);
    tbk_dynbuf_fini(&text);
}

static void test_plot_names_highest_and_lowest(void **state)
{
    (void)state;
    static const double values[] = {0, 7.5, 15, -1};
    check_plot(values, 4, 80,
               "+15.00 %  ▁█\n"
               " -1.00 % ▂██▁\n");
}

static void test_plot_with_more_values_than_columns_shows_the_last_of_each_share(void **state)
{
    (void)state;
    double values[100];
    for (size_t i = 0; i < 100; i++)
        values[i] = i == 99 ? 1 : i % 5 == 4 ? 0 : 5;
    /* 8 characters of label and space, hence 20 columns of 5 values. */
    check_plot(values, 100, 28,
               "+5.00 %\n"
               " 0.00 % ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▄\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sparkline_fills_the_height_from_lowest_to_highest),
        cmocka_unit_test(test_sparkline_of_equal_values_is_level),
        cmocka_unit_test(test_plot_names_highest_and_lowest),
        cmocka_unit_test(test_plot_with_more_values_than_columns_shows_the_last_of_each_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
