#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "cmocka_all.h"

#define DAY_US INT64_C(86400000000)

static bool parse(const char *text, int64_t *ret_us)
{
    return tbk_timestamp_parse(text, strlen(text), ret_us);
}

static void test_timestamp_format_limits_and_epoch(void **state)
{
    (void)state;
    char text[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(TBK_TIMESTAMP_MIN, text);
    assert_string_equal(text, "0001-01-01 00:00:00.000000");
    tbk_timestamp_format(TBK_TIMESTAMP_MAX, text);
    assert_string_equal(text, "9999-12-31 23:59:59.999999");
    tbk_timestamp_format(0, text);
    assert_string_equal(text, "1970-01-01 00:00:00.000000");
    tbk_timestamp_format(-1, text);
    assert_string_equal(text, "1969-12-31 23:59:59.999999");
}

/* Every day of the calendar, against the C library's. */
static void test_timestamp_format_every_day_is_the_c_librarys(void **state)
{
    (void)state;
    int64_t in_day = INT64_C(45296123456); /* 12:34:56.123456 */
    for (int64_t us = TBK_TIMESTAMP_MIN + in_day; us <= TBK_TIMESTAMP_MAX; us += DAY_US) {
        time_t seconds = (time_t)((us - 123456) / 1000000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        char expected[64];
        snprintf(expected, sizeof expected, "%04d-%02d-%02d 12:34:56.123456", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        char text[TBK_TIMESTAMP_CHARS + 1];
        tbk_timestamp_format(us, text);
        if (strcmp(text, expected) != 0) {
            assert_string_equal(text, expected);
        }
        int64_t parsed = 0;
        if (!parse(text, &parsed) || parsed != us) {
            fail_msg("%s does not read back", text);
        }
    }
}

static void test_timestamp_parse_accepted_forms_are_the_same_moment(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"2026-03-01", INT64_C(1772323200000000)},
        {"2026-03-01 10:20:30", INT64_C(1772360430000000)},
        {"2026-03-01T10:20:30", INT64_C(1772360430000000)},
        {"2026-03-01t10:20:30z", INT64_C(1772360430000000)},
        {"2026-03-01 10:20:30.5", INT64_C(1772360430500000)},
        {"2026-03-01 10:20:30.123456Z", INT64_C(1772360430123456)},
        {"2026-03-01 10:20:30.123456999", INT64_C(1772360430123456)},
        {"2026-03-01T12:20:30+02:00", INT64_C(1772360430000000)},
        {"2026-03-01T12:20:30+0200", INT64_C(1772360430000000)},
        {"2026-03-01T12:20:30+02", INT64_C(1772360430000000)},
        {"2026-03-01T04:50:30.25-05:30", INT64_C(1772360430250000)},
        {"2026-03-01 10:20:30-00:00", INT64_C(1772360430000000)},
        {"2024-02-29", INT64_C(1709164800000000)},
        {"2000-02-29", INT64_C(951782400000000)},
        {"0001-01-01T00:00:00Z", TBK_TIMESTAMP_MIN},
        {"9999-12-31T23:59:59.999999Z", TBK_TIMESTAMP_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = 0;
        if (!parse(cases[i].text, &us)) {
            fail_msg("%s is refused", cases[i].text);
        }
        assert_int_equal(us, cases[i].us);
    }
}

static void test_timestamp_parse_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "now",
        "2026",
        "2026-3-1",
        "2026-03-01 ",
        "2026-03-01T",
        "2026-03-01 10",
        "2026-03-01 10:20",
        "2026-03-01 10:20:3",
        "2026-03-01 10:20:30.",
        "2026-03-01 10:20:30.1234567890",
        "2026-03-01 10:20:30,5",
        "2026-03-01 10:20:30 Z",
        "2026-03-01 10:20:30ZZ",
        "2026-03-01Z",
        "2026-03-01  10:20:30",
        "2026-03-01 10:20:30+2",
        "2026-03-01 10:20:30+02:",
        "2026-03-01 10:20:30+02:0",
        "2026-03-01 10:20:30+24:00",
        "2026-03-01 10:20:30+02:60",
        "2026-03-01 10:20:30+",
        "2026-03-01 24:00:00",
        "2026-03-01 23:60:00",
        "2026-03-01 23:59:60",
        "2026-00-01",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32",
        "2026-04-31",
        "2026-02-29",
        "1900-02-29",
        "0000-01-01",
        "+026-03-01",
        "-026-03-01",
        "2026/03/01",
        " 2026-03-01",
        "12026-03-01",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\xB2\x30\x32\x36-03-01",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = 42;
        if (parse(cases[i], &us)) {
            fail_msg("%s is accepted", cases[i]);
        }
        assert_int_equal(us, 42);
    }
}

static void test_timestamp_parse_reads_no_further_than_length(void **state)
{
    (void)state;
    int64_t us = 0;
    assert_true(tbk_timestamp_parse("2026-03-01XYZ", 10, &us));
    assert_false(tbk_timestamp_parse("2026-03-01\0", 11, &us));
}

static void test_timestamp_proto_round_trip(void **state)
{
    (void)state;
    static const int64_t cases[] = {TBK_TIMESTAMP_MIN, -1000001, -1000000, -999999, -1, 0, 1, 999999,
                                    TBK_TIMESTAMP_MAX};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds;
        int32_t nanos;
        int64_t us = 42;
        tbk_timestamp_to_proto(cases[i], &seconds, &nanos);
        assert_in_range(nanos, 0, 999999999);
        assert_true(tbk_timestamp_from_proto(seconds, nanos, &us));
        assert_int_equal(us, cases[i]);
    }
}

static void test_timestamp_from_proto_out_of_range_is_refused(void **state)
{
    (void)state;
    int64_t us = 42;
    assert_true(tbk_timestamp_from_proto(1, 1999, &us));
    assert_int_equal(us, 1000001);
    us = 42;
    assert_false(tbk_timestamp_from_proto(0, -1, &us));
    assert_false(tbk_timestamp_from_proto(0, 1000000000, &us));
    assert_false(tbk_timestamp_from_proto(INT64_C(-62135596801), 999999999, &us));
    assert_false(tbk_timestamp_from_proto(INT64_C(253402300800), 0, &us));
    assert_false(tbk_timestamp_from_proto(INT64_MAX, 0, &us));
    assert_false(tbk_timestamp_from_proto(INT64_MIN, 0, &us));
    assert_int_equal(us, 42);
}

static void test_timestamp_clocks_go_forward(void **state)
{
    (void)state;
    int64_t before = tbk_monotonic_us();
    assert_true(tbk_monotonic_us() >= before);
    assert_in_range(tbk_now_us(), INT64_C(1700000000000000), TBK_TIMESTAMP_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timestamp_format_limits_and_epoch),
        cmocka_unit_test(test_timestamp_format_every_day_is_the_c_librarys),
        cmocka_unit_test(test_timestamp_parse_accepted_forms_are_the_same_moment),
        cmocka_unit_test(test_timestamp_parse_other_text_is_refused),
        cmocka_unit_test(test_timestamp_parse_reads_no_further_than_length),
        cmocka_unit_test(test_timestamp_proto_round_trip),
        cmocka_unit_test(test_timestamp_from_proto_out_of_range_is_refused),
        cmocka_unit_test(test_timestamp_clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
