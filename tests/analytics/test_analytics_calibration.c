/* What calibration for one value reads of the scratch file. That its figures are
 * right is for test_analytics_random.c. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/internal.h"
#include "base/timestamp.h"
#include "plain.h"
#include "random_book.h"
#include "sqlite_store.h"

enum { TRADES = 300 };
#define LONG_US INT64_C(30000000)

/* Only queries work on the series once they are read. */
static const struct tbk_analytics_options idle = {
    .limits = {.rows_min = 8, .rows_max = 32, .values_max = 16, .days_max = 32, .run_blocks = 4},
    .chunk_rows = 50,
    .changes_max = 64,
    .poll_us = LONG_US,
};

struct bench {
    struct tbk_store *store;
    struct tbk_analytics *analytics;
    struct plain_trades all;
};

static enum tbk_status query(struct bench *bench, enum tbk_dimension dimension, const char *value,
                             struct tbk_calibration *ret_calibration)
{
    const struct tbk_analytics_query query = {.start_us = TBK_NO_TIME,
                                              .end_us = TBK_NO_TIME,
                                              .dimension = dimension,
                                              .value = value,
                                              .deadline_us = tbk_monotonic_us() + LONG_US};
    struct tbk_basis basis;
    return tbk_analytics_calibration(bench->analytics, bench->store->reader, &query, &basis, ret_calibration,
                                     &bench->store->error);
}

/* The figures of one value; there are some. */
static void check(struct bench *bench, enum tbk_dimension dimension, const char *value)
{
    const struct tbk_analytics_query slice = {
        .start_us = TBK_NO_TIME, .end_us = TBK_NO_TIME, .dimension = dimension, .value = value};
    struct plain_trades selected = plain_select(&bench->all, &slice);
    const struct tbk_calibration expected = plain_calibration(&selected);
    struct tbk_calibration actual;
    assert_true(expected.wins > 0 && expected.losses > 0);
    expect_ok(bench->store, query(bench, dimension, value, &actual));
    plain_assert_calibration(&actual, &expected);
    free(selected.items);
}

/* Without undated trades: the block in which they end is cut by every window. */
static struct bench open_bench(struct tbk_store *store)
{
    tbk_store_open(store);
    struct bench bench = {.store = store};
    struct random_book book = {.db = tbk_raw_open(store->location), .seed = 61, .times = RANDOM_TIMES_GROWING};
    random_book_fill(&book, TRADES);
    tbk_raw_exec(book.db, "DELETE FROM signal_results WHERE exit_timestamp IS NULL OR exit_timestamp='soon'");
    bench.all = plain_read(book.db);
    tbk_raw_close(book.db);
    expect_ok(store,
              tbk_analytics_create_with(store->ops, store->storage, &idle, &bench.analytics, &store->error));
    check(&bench, TBK_DIMENSION_SYMBOL, "BTC-USD");
    return bench;
}

static void close_bench(struct bench *bench)
{
    tbk_analytics_destroy(bench->analytics);
    plain_free(&bench->all);
}

/* Writes over the columns of every block in the scratch file. Returns how many
 * there are. */
static size_t spoil_rows(const struct tbk_series *series)
{
    const size_t bytes = series->work.offsets[TBK_SERIES_COLUMNS];
    char *nothing = calloc(1, bytes);
    size_t count = 0;
    assert_non_null(nothing);
    for (size_t i = 0; i < series->block_count; i++) {
        if (series->blocks[i]->slot >= 0) {
            const off_t offset = series->blocks[i]->slot * series->slot_bytes;
            assert_int_equal(pwrite(series->fd, nothing, bytes, offset), bytes);
            count++;
        }
    }
    free(nothing);
    return count;
}

static void test_calibration_of_value_reads_no_row_of_whole_blocks(void **state)
{
    struct bench bench = open_bench(*state);
    assert_true(spoil_rows(&bench.analytics->series[TBK_SERIES_TRADES]) > 5);
    check(&bench, TBK_DIMENSION_STRATEGY, "v7");
    check(&bench, TBK_DIMENSION_SYMBOL, "BTC-USD");
    check(&bench, TBK_DIMENSION_SYMBOL, "XRP-USD");
    check(&bench, TBK_DIMENSION_MODEL_VERSION, NULL);
    check(&bench, TBK_DIMENSION_MODEL_VERSION, "3");
    close_bench(&bench);
}

static void test_calibration_of_value_that_cannot_be_read_is_an_error(void **state)
{
    struct bench bench = open_bench(*state);
    struct tbk_store *store = bench.store;
    struct tbk_calibration calibration;
    struct tbk_block *first = bench.analytics->series[TBK_SERIES_TRADES].blocks[0];
    assert_true(first->slot >= 0);
    first->slot += 1000; /* beyond the end of the file; those of later blocks can be read */
    assert_int_equal(query(&bench, TBK_DIMENSION_SYMBOL, "BTC-USD", &calibration), TBK_INTERNAL);
    assert_non_null(strstr(store->error.message, "scratch file"));
    tbk_error_init(&store->error);
    expect_ok(store, query(&bench, TBK_DIMENSION_NONE, NULL, &calibration)); /* from memory alone */
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sqlite_test(test_calibration_of_value_reads_no_row_of_whole_blocks),
        sqlite_test(test_calibration_of_value_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
