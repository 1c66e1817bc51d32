#include "cli/progress.h"

#include "cmocka_all.h"

static void test_bytes_any_size_has_three_digits(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.00 kB"},
        {4096, "4.10 kB"},
        {9994, "9.99 kB"},
        {9996, "10.0 kB"},
        {99960, "100 kB"},
        {999499, "999 kB"},
        {999500, "1.00 MB"},
        {1050000, "1.05 MB"},
        {1073741824, "1.07 GB"},
        {INT64_C(2500000000000), "2.50 TB"},
        {INT64_C(5000000000000000), "5000 TB"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[TBK_BYTES_CHARS_MAX];
        assert_string_equal(tbk_bytes_format(cases[i].bytes, out), cases[i].text);
    }
}

static void expect_line(enum tbk_upkeep_phase phase, int64_t done, int64_t total, double seconds,
                        const char *expected)
{
    char line[TBK_PROGRESS_CHARS_MAX];
    tbk_progress_format(phase, done, total, (int64_t)(seconds * 1e6), line);
    assert_string_equal(line, expected);
}

static void test_progress_copying_foretells_the_end(void **state)
{
    (void)state;
    expect_line(TBK_UPKEEP_COPY, 512000000, 1024000000, 4, "copying 512 MB of 1.02 GB, 50 %, 4 s left");
    expect_line(TBK_UPKEEP_COPY, 1000000, 1000000000, 1, "copying 1.00 MB of 1.00 GB, 0 %, 17 min left");
    expect_line(TBK_UPKEEP_COPY, 1000000000, 1000000000, 9, "copying 1.00 GB of 1.00 GB, 100 %, 0 s left");
}

static void test_progress_too_early_or_unknown_foretells_nothing(void **state)
{
    (void)state;
    expect_line(TBK_UPKEEP_COPY, 1000, 1000000, 0.1, "copying 1.00 kB of 1.00 MB, 0 %");
    expect_line(TBK_UPKEEP_COPY, 0, 1000000, 5, "copying 0 B of 1.00 MB, 0 %");
    expect_line(TBK_UPKEEP_COPY, 1000, 0, 5, "copying, 5 s");
    expect_line(TBK_UPKEEP_VERIFY, 0, 0, 2.9, "verifying, 2 s");
}

static void test_progress_beyond_the_total_is_100(void **state)
{
    (void)state;
    expect_line(TBK_UPKEEP_COPY, 1100, 1000, 1, "copying 1.10 kB of 1.00 kB, 100 %, 0 s left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_any_size_has_three_digits),
        cmocka_unit_test(test_progress_copying_foretells_the_end),
        cmocka_unit_test(test_progress_too_early_or_unknown_foretells_nothing),
        cmocka_unit_test(test_progress_beyond_the_total_is_100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
