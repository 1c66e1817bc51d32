#include "cmocka_all.h"

#include <string.h>

#include "metrics/exposition.h"

enum { TEXT_BYTES_MAX = 4096 };

static const struct tbk_metric counter = {"book_reads", TBK_METRIC_COUNTER, NULL, "Reads."};
static const struct tbk_metric seconds = {"book_busy_seconds", TBK_METRIC_COUNTER, "seconds", "Time."};
static const struct tbk_metric gauge = {"book_size_bytes", TBK_METRIC_GAUGE, "bytes", "Size."};
static const struct tbk_metric info = {"book_build", TBK_METRIC_INFO, NULL, "Build."};
static const struct tbk_metric histogram = {"book_wait_seconds", TBK_METRIC_HISTOGRAM, "seconds", "Waits."};
static const struct tbk_bounds bounds = {.count = 3, .unit = 1e-3, .ends = {1, 50, 1000}};

struct page {
    struct tbk_dynbuf text;
    struct tbk_exposition exposition;
};

static struct tbk_exposition *begin(struct page *page, enum tbk_exposition_format format, size_t bytes_max)
{
    tbk_dynbuf_init(&page->text, bytes_max);
    page->exposition = (struct tbk_exposition){.out = &page->text, .format = format, .created_s = 1700000000.25};
    return &page->exposition;
}

static void expect(struct page *page, const char *expected)
{
    assert_false(tbk_dynbuf_failed(&page->text));
    assert_string_equal(tbk_dynbuf_text(&page->text), expected);
    tbk_dynbuf_fini(&page->text);
}

static void test_counter_in_both_formats(void **state)
{
    (void)state;
    struct page page;
    tbk_exposition_single(begin(&page, TBK_FORMAT_OPENMETRICS, TEXT_BYTES_MAX), &seconds, 0.5);
    expect(&page, "# TYPE book_busy_seconds counter\n"
                  "# UNIT book_busy_seconds seconds\n"
                  "# HELP book_busy_seconds Time.\n"
                  "book_busy_seconds_total 0.5\n"
                  "book_busy_seconds_created 1700000000.25\n");
    tbk_exposition_single(begin(&page, TBK_FORMAT_TEXT, TEXT_BYTES_MAX), &seconds, 0.5);
    expect(&page, "# TYPE book_busy_seconds_total counter\n"
                  "# HELP book_busy_seconds_total Time.\n"
                  "book_busy_seconds_total 0.5\n");
}

static void test_gauge_in_both_formats(void **state)
{
    (void)state;
    struct page page;
    tbk_exposition_single(begin(&page, TBK_FORMAT_OPENMETRICS, TEXT_BYTES_MAX), &gauge, 281474976710655.0);
    expect(&page, "# TYPE book_size_bytes gauge\n"
                  "# UNIT book_size_bytes bytes\n"
                  "# HELP book_size_bytes Size.\n"
                  "book_size_bytes 281474976710655\n");
    tbk_exposition_single(begin(&page, TBK_FORMAT_TEXT, TEXT_BYTES_MAX), &gauge, -1);
    expect(&page, "# TYPE book_size_bytes gauge\n"
                  "# HELP book_size_bytes Size.\n"
                  "book_size_bytes -1\n");
}

static void test_info_is_a_gauge_in_the_older_format(void **state)
{
    (void)state;
    const struct tbk_label version = {"version", "1.0"};
    struct page page;
    struct tbk_exposition *exposition = begin(&page, TBK_FORMAT_OPENMETRICS, TEXT_BYTES_MAX);
    tbk_exposition_family(exposition, &info);
    tbk_exposition_value(exposition, &version, 1, 1);
    expect(&page, "# TYPE book_build info\n"
                  "# HELP book_build Build.\n"
                  "book_build_info{version=\"1.0\"} 1\n");
    exposition = begin(&page, TBK_FORMAT_TEXT, TEXT_BYTES_MAX);
    tbk_exposition_family(exposition, &info);
    tbk_exposition_value(exposition, &version, 1, 1);
    expect(&page, "# TYPE book_build_info gauge\n"
                  "# HELP book_build_info Build.\n"
                  "book_build_info{version=\"1.0\"} 1\n");
}

static void test_label_values_are_escaped(void **state)
{
    (void)state;
    const struct tbk_label labels[] = {{"a", "say \"x\\y\"\nand \xc3\xa4"}, {"b", ""}};
    struct page page;
    struct tbk_exposition *exposition = begin(&page, TBK_FORMAT_TEXT, TEXT_BYTES_MAX);
    tbk_exposition_family(exposition, &counter);
    tbk_exposition_value(exposition, labels, 2, 3);
    expect(&page, "# TYPE book_reads_total counter\n"
                  "# HELP book_reads_total Reads.\n"
                  "book_reads_total{a=\"say \\\"x\\\\y\\\"\\nand \xc3\xa4\",b=\"\"} 3\n");
}

static void test_histogram_buckets_add_up_and_end_in_infinity(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, 2, 50, 51, 1000, 1001, 9000};
    const struct tbk_label label = {"method", "Get"};
    struct tbk_distribution distribution;
    tbk_distribution_init(&distribution, &bounds);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        tbk_distribution_record(&distribution, values[i]);
    struct page page;
    struct tbk_exposition *exposition = begin(&page, TBK_FORMAT_OPENMETRICS, TEXT_BYTES_MAX);
    tbk_exposition_family(exposition, &histogram);
    tbk_exposition_distribution(exposition, &label, 1, &distribution);
    tbk_exposition_end(exposition);
    expect(&page, "# TYPE book_wait_seconds histogram\n"
                  "# UNIT book_wait_seconds seconds\n"
                  "# HELP book_wait_seconds Waits.\n"
                  "book_wait_seconds_bucket{method=\"Get\",le=\"0.001\"} 2\n"
                  "book_wait_seconds_bucket{method=\"Get\",le=\"0.05\"} 4\n"
                  "book_wait_seconds_bucket{method=\"Get\",le=\"1.0\"} 6\n"
                  "book_wait_seconds_bucket{method=\"Get\",le=\"+Inf\"} 8\n"
                  "book_wait_seconds_count{method=\"Get\"} 8\n"
                  "book_wait_seconds_sum{method=\"Get\"} 11.105\n"
                  "book_wait_seconds_created{method=\"Get\"} 1700000000.25\n"
                  "# EOF\n");
}

static void test_histogram_without_labels_has_no_empty_braces(void **state)
{
    (void)state;
    struct tbk_distribution distribution;
    tbk_distribution_init(&distribution, &bounds);
    struct page page;
    struct tbk_exposition *exposition = begin(&page, TBK_FORMAT_TEXT, TEXT_BYTES_MAX);
    tbk_exposition_family(exposition, &histogram);
    tbk_exposition_distribution(exposition, NULL, 0, &distribution);
    tbk_exposition_end(exposition);
    expect(&page, "# TYPE book_wait_seconds histogram\n"
                  "# HELP book_wait_seconds Waits.\n"
                  "book_wait_seconds_bucket{le=\"0.001\"} 0\n"
                  "book_wait_seconds_bucket{le=\"0.05\"} 0\n"
                  "book_wait_seconds_bucket{le=\"1.0\"} 0\n"
                  "book_wait_seconds_bucket{le=\"+Inf\"} 0\n"
                  "book_wait_seconds_count 0\n"
                  "book_wait_seconds_sum 0\n");
}

static void test_page_that_is_full_is_marked(void **state)
{
    (void)state;
    struct page page;
    tbk_exposition_single(begin(&page, TBK_FORMAT_OPENMETRICS, 40), &gauge, 1);
    assert_true(tbk_dynbuf_failed(&page.text));
    tbk_dynbuf_fini(&page.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_in_both_formats),
        cmocka_unit_test(test_gauge_in_both_formats),
        cmocka_unit_test(test_info_is_a_gauge_in_the_older_format),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_histogram_buckets_add_up_and_end_in_infinity),
        cmocka_unit_test(test_histogram_without_labels_has_no_empty_braces),
        cmocka_unit_test(test_page_that_is_full_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
