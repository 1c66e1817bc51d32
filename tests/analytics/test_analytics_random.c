/* Every query against the plain computation, while another program changes the
 * file at random. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/calendar.h"
#include "analytics/internal.h"
#include "base/timestamp.h"
#include "plain.h"
#include "random_book.h"
#include "sqlite_store.h"

enum { FIRST_TRADES = 150, ROUNDS = 12, CHANGES = 25, QUERIES = 6 };
#define DEADLINE_US 20000000
#define US_PER_DAY  (INT64_C(86400) * 1000000)

/* Tiny blocks, so that every way to cut and join them occurs. */
static const struct tbk_analytics_options sizes[] = {
    {.limits = {.rows_min = 3, .rows_max = 6, .values_max = 3, .days_max = 2, .run_blocks = 2},
     .chunk_rows = 7,
     .changes_max = 5,
     .poll_us = 1000},
    {.limits = {.rows_min = 8, .rows_max = 32, .values_max = 16, .days_max = 32, .run_blocks = 3},
     .chunk_rows = 50,
     .changes_max = 1000,
     .poll_us = 50000},
};

struct bench {
    struct tbk_store *store;
    struct tbk_analytics *analytics;
    struct random_book book;
};

static struct tbk_analytics_query random_query(struct bench *bench, bool with_slice)
{
    struct random_book *book = &bench->book;
    struct tbk_analytics_query query = {
        .start_us = random_below(book, 3) == 0 ? TBK_NO_TIME : random_time(book),
        .end_us = random_below(book, 3) == 0 ? TBK_NO_TIME : random_time(book),
        .risk_free_percent = random_below(book, 2) * 0.01,
        .now_us = random_time(book),
        .deadline_us = tbk_monotonic_us() + DEADLINE_US,
    };
    if (random_below(book, 3) == 0 && query.start_us != TBK_NO_TIME) { /* whole days */
        query.start_us -= query.start_us % US_PER_DAY;
    }
    if (query.start_us != TBK_NO_TIME && query.end_us != TBK_NO_TIME && query.end_us < query.start_us) {
        const int64_t start = query.start_us;
        query.start_us = query.end_us;
        query.end_us = start;
    }
    if (with_slice && random_below(book, 2) == 0) {
        const int dimension = random_below(book, 7);
        query.dimension = (enum tbk_dimension)(dimension + 1);
        query.value = random_below(book, 12) == 0 ? "unheard of" : random_text(book, dimension);
    }
    return query;
}

static void assert_basis(const struct tbk_basis *actual, const struct tbk_basis *expected)
{
    assert_int_equal(actual->trades, expected->trades);
    assert_int_equal(actual->undated_trades, expected->undated_trades);
    assert_int_equal(actual->days, expected->days);
}

static void check_groups(const struct plain_trades *all, const struct tbk_analytics_query *query,
                         enum tbk_dimension dimension, int64_t days, const struct tbk_performance_group *groups,
                         size_t count, size_t left_out, int64_t total)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct tbk_analytics_query slice = *query;
        slice.dimension = dimension;
        slice.value = groups[i].value;
        struct plain_trades selected = plain_select(all, &slice);
        const struct tbk_performance expected = plain_performance(&selected, days, query->risk_free_percent);
        plain_assert_performance(&groups[i].figures, &expected);
        free(selected.items);
        sum += expected.n;
        if (i > 0 && groups[i].figures.n == groups[i - 1].figures.n) { /* ties by value, NULL last */
            assert_non_null(groups[i - 1].value);
            assert_true(groups[i].value == NULL || strcmp(groups[i - 1].value, groups[i].value) < 0);
        } else if (i > 0) {
            assert_true(groups[i].figures.n < groups[i - 1].figures.n);
        }
    }
    assert_true(left_out > 0 ? sum < total : sum == total);
}

static void check_performance(struct bench *bench, const struct plain_trades *all)
{
    struct tbk_store *store = bench->store;
    const enum tbk_dimension breakdown = (enum tbk_dimension)random_below(&bench->book, 8);
    const struct tbk_analytics_query query = random_query(bench, breakdown == TBK_DIMENSION_NONE);
    const size_t groups_max = random_below(&bench->book, 3) == 0 ? 2 : 100;
    struct tbk_basis basis;
    struct tbk_performance figures;
    struct tbk_performance_group *groups;
    size_t count;
    size_t left_out;
    expect_ok(store, tbk_analytics_performance(bench->analytics, store->reader, &query, breakdown, groups_max,
                                               store->arena, &basis, &figures, &groups, &count, &left_out,
                                               &store->error));
    const struct tbk_basis expected_basis = plain_basis(all, &query);
    assert_basis(&basis, &expected_basis);
    struct plain_trades selected = plain_select(all, &query);
    const struct tbk_performance expected = plain_performance(&selected, basis.days, query.risk_free_percent);
    plain_assert_performance(&figures, &expected);
    if (breakdown == TBK_DIMENSION_NONE) {
        assert_int_equal(count, 0);
    } else {
        assert_true(count <= groups_max);
        check_groups(all, &query, breakdown, basis.days, groups, count, left_out, basis.trades);
    }
    free(selected.items);
}

/* Whole UTC days from day on, as far as the window goes. */
static struct tbk_analytics_query window_of(const struct tbk_analytics_query *query, int64_t first_day,
                                            int64_t next_day)
{
    struct tbk_analytics_query window = *query;
    const int64_t start = first_day * US_PER_DAY;
    const int64_t end = next_day * US_PER_DAY;
    window.start_us = query->start_us == TBK_NO_TIME || query->start_us < start ? start : query->start_us;
    window.end_us = query->end_us == TBK_NO_TIME || query->end_us > end ? end : query->end_us;
    return window;
}

static void check_period(const struct plain_trades *all, const struct tbk_analytics_query *query,
                         enum tbk_period period, const struct tbk_performance_period *actual, int64_t first,
                         int64_t last)
{
    const int64_t number = tbk_period_of(period, plain_day(actual->start_us));
    const int64_t first_day = tbk_period_first_day(period, number);
    const int64_t next_day = tbk_period_first_day(period, number + 1);
    const struct tbk_analytics_query window = window_of(query, first_day, next_day);
    assert_int_equal(actual->start_us, window.start_us);
    assert_int_equal(actual->end_us, window.end_us);
    int64_t days = 0;
    for (int64_t day = first_day; day < next_day; day++) {
        days += day >= first && day <= last;
    }
    struct plain_trades selected = plain_select(all, &window);
    const struct tbk_performance expected = plain_performance(&selected, days, query->risk_free_percent);
    plain_assert_performance(&actual->figures, &expected);
    free(selected.items);
}

static void check_periods(struct bench *bench, const struct plain_trades *all)
{
    struct tbk_store *store = bench->store;
    const struct tbk_analytics_query query = random_query(bench, true);
    const enum tbk_period period = (enum tbk_period)random_below(&bench->book, 3);
    struct plain_trades selected = plain_select(all, &query);
    int64_t first = 0;
    int64_t last = 0;
    if (selected.count > 0) {
        plain_days(&selected, &query, &first, &last);
    }
    int64_t before = TBK_NO_TIME;
    int64_t trades = 0;
    bool has_more = true;
    for (int64_t expected_next = INT64_MAX; has_more;) {
        struct tbk_basis basis;
        struct tbk_performance_period *periods;
        size_t count;
        expect_ok(store, tbk_analytics_periods(bench->analytics, store->reader, &query, period, before, 9,
                                               store->arena, &basis, &periods, &count, &has_more, &store->error));
        const struct tbk_basis expected = plain_basis(all, &query);
        assert_basis(&basis, &expected);
        assert_true(count == 9 || !has_more);
        for (size_t i = 0; i < count; i++) {
            const int64_t number = tbk_period_of(period, plain_day(periods[i].start_us));
            assert_true(expected_next == INT64_MAX || number == expected_next);
            expected_next = number - 1;
            check_period(all, &query, period, &periods[i], first, last);
            trades += periods[i].figures.n;
            before = periods[i].start_us;
        }
    }
    assert_int_equal(trades, selected.count);
    free(selected.items);
}

/* What a point shows of the trades up to end, those from begin on being its own. */
static void check_point(const struct plain_trades *trades, size_t begin, size_t end,
                        const struct tbk_equity_point *point)
{
    _Float128 total[2] = {0, 0};
    _Float128 high[2] = {0, 0};
    _Float128 depth[2] = {0, 0};
    bool has_moved[2] = {false, false};
    for (size_t i = 0; i < end; i++) {
        for (int v = 0; v < 2; v++) {
            const double value = trades->items[i].values[v];
            total[v] += isnan(value) ? 0 : value;
            high[v] = total[v] > high[v] ? total[v] : high[v];
            has_moved[v] |= i >= begin && !isnan(value);
            if (i >= begin && !isnan(value) && high[v] - total[v] > depth[v]) {
                depth[v] = high[v] - total[v];
            }
        }
    }
    for (int v = 0; v < 2; v++) {
        depth[v] = has_moved[v] ? depth[v] : high[v] - total[v];
    }
    assert_int_equal(point->time_us, trades->items[end - 1].time_us);
    assert_int_equal(point->trades, end);
    plain_assert_near(point->equity_percent, (double)total[0]);
    plain_assert_near(point->equity_usd, (double)total[1]);
    plain_assert_near(point->drawdown_percent, (double)depth[0]);
    plain_assert_near(point->drawdown_usd, (double)depth[1]);
}

static void check_equity(struct bench *bench, const struct plain_trades *all)
{
    struct tbk_store *store = bench->store;
    const struct tbk_analytics_query query = random_query(bench, true);
    const size_t points_max = 1 + (size_t)random_below(&bench->book, 60);
    struct tbk_basis basis;
    struct tbk_equity_curve curve;
    expect_ok(store, tbk_analytics_equity(bench->analytics, store->reader, &query, points_max, store->arena,
                                          &basis, &curve, &store->error));
    const struct tbk_basis expected_basis = plain_basis(all, &query);
    assert_basis(&basis, &expected_basis);
    struct plain_trades selected = plain_select(all, &query);
    const struct tbk_performance expected = plain_performance(&selected, basis.days, 0);
    plain_assert_drawdown(&curve.percent, &expected.percent.drawdown);
    plain_assert_drawdown(&curve.usd, &expected.usd.drawdown);
    assert_true(curve.count <= points_max);
    if (selected.count <= points_max) {
        assert_int_equal(curve.span_days, 0);
        assert_int_equal(curve.count, selected.count);
    } else {
        const int64_t days =
            plain_day(selected.items[selected.count - 1].time_us) - plain_day(selected.items[0].time_us) + 1;
        assert_true(curve.span_days * (int64_t)points_max >= days);
        assert_true((curve.span_days - 1) * (int64_t)points_max < days);
    }
    size_t end = 0;
    for (size_t i = 0; i < curve.count; i++) {
        const size_t begin = end;
        const int64_t first = selected.count > 0 ? plain_day(selected.items[0].time_us) : 0;
        for (end++; curve.span_days > 0 && end < selected.count; end++) {
            const int64_t span = (plain_day(selected.items[begin].time_us) - first) / curve.span_days;
            if ((plain_day(selected.items[end].time_us) - first) / curve.span_days != span) {
                break;
            }
        }
        check_point(&selected, begin, end, &curve.points[i]);
    }
    assert_int_equal(end, selected.count);
    free(selected.items);
}

static void check_calibration(struct bench *bench, const struct plain_trades *all,
                              const struct tbk_analytics_query *query)
{
    struct tbk_store *store = bench->store;
    struct tbk_basis basis;
    struct tbk_calibration actual;
    expect_ok(store,
              tbk_analytics_calibration(bench->analytics, store->reader, query, &basis, &actual, &store->error));
    const struct tbk_basis expected_basis = plain_basis(all, query);
    assert_basis(&basis, &expected_basis);
    struct plain_trades selected = plain_select(all, query);
    const struct tbk_calibration expected = plain_calibration(&selected);
    plain_assert_calibration(&actual, &expected);
    free(selected.items);
}

/* Every dimension, because each has its own sums in a block; with a value that
 * only some blocks have, all time and a part of it. */
static void check_calibration_of_values(struct bench *bench, const struct plain_trades *all)
{
    for (int dimension = 0; dimension < TBK_SERIES_DIMENSIONS_MAX; dimension++) {
        struct tbk_analytics_query query = random_query(bench, false);
        query.dimension = (enum tbk_dimension)(dimension + 1);
        query.value = random_text(&bench->book, dimension);
        check_calibration(bench, all, &query);
        query.start_us = query.end_us = TBK_NO_TIME;
        check_calibration(bench, all, &query);
    }
}

/* The window of a query over a column that is compared as text, which all of the
 * book's readable times of signals and theories allow. */
static char *window_sql(const struct tbk_analytics_query *query, const char *column)
{
    char start[TBK_TIMESTAMP_CHARS + 1] = "0-";
    char end[TBK_TIMESTAMP_CHARS + 1] = "9999-";
    if (query->start_us != TBK_NO_TIME) {
        tbk_timestamp_format(query->start_us, start);
    }
    if (query->end_us != TBK_NO_TIME) {
        tbk_timestamp_format(query->end_us, end);
    }
    return sqlite3_mprintf("%s>=%Q AND %s<%Q", column, start, column, end);
}

static void check_rankings(struct bench *bench, const struct plain_trades *all)
{
    struct tbk_store *store = bench->store;
    const struct tbk_analytics_query query = random_query(bench, false);
    struct tbk_theory_sums *theories;
    struct tbk_strategies strategies;
    size_t count;
    sqlite3_stmt *statement;
    expect_ok(store, tbk_analytics_theories(bench->analytics, store->reader, &query, store->arena, &theories,
                                            &count, &store->error));
    char *window = window_sql(&query, "created_at");
    char *sql = sqlite3_mprintf("SELECT theory_name, count(*), sum(was_correct), sum(contribution_score) FROM "
                                "theory_performance WHERE was_correct IS NOT NULL AND %s GROUP BY 1 ORDER BY 1",
                                window);
    assert_int_equal(sqlite3_prepare_v2(bench->book.db, sql, -1, &statement, NULL), SQLITE_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_string_equal(theories[i].name, (const char *)sqlite3_column_text(statement, 0));
        assert_int_equal(theories[i].n, sqlite3_column_int64(statement, 1));
        assert_int_equal(theories[i].correct, sqlite3_column_int64(statement, 2));
        plain_assert_near(theories[i].contribution, sqlite3_column_double(statement, 3));
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    sqlite3_free(window);

    expect_ok(store, tbk_analytics_strategies(bench->analytics, store->reader, &query, store->arena, &strategies,
                                              &store->error));
    const struct tbk_basis expected_basis = plain_basis(all, &query);
    assert_basis(&strategies.basis, &expected_basis);
    check_groups(all, &query, TBK_DIMENSION_STRATEGY, strategies.basis.days, strategies.groups,
                 strategies.groups_count, 0, strategies.basis.trades);
    window = window_sql(&query, "timestamp");
    sql = sqlite3_mprintf("SELECT strategy, count(*) FROM signals WHERE timestamp<>'never' AND %s GROUP BY 1 "
                          "ORDER BY 2 DESC, strategy IS NULL, 1",
                          window);
    assert_int_equal(sqlite3_prepare_v2(bench->book.db, sql, -1, &statement, NULL), SQLITE_OK);
    for (size_t i = 0; i < strategies.signals_count; i++) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        const char *strategy = (const char *)sqlite3_column_text(statement, 0);
        assert_int_equal(strategies.signals[i].strategy == NULL, strategy == NULL);
        if (strategy != NULL) {
            assert_string_equal(strategies.signals[i].strategy, strategy);
        }
        assert_int_equal(strategies.signals[i].signals, sqlite3_column_int64(statement, 1));
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    sqlite3_free(window);
}

static void check_everything(struct bench *bench)
{
    struct plain_trades all = plain_read(bench->book.db);
    for (int i = 0; i < QUERIES; i++) {
        check_performance(bench, &all);
        check_periods(bench, &all);
        check_equity(bench, &all);
        const struct tbk_analytics_query query = random_query(bench, true);
        check_calibration(bench, &all, &query);
        check_rankings(bench, &all);
        tbk_arena_reset(bench->store->arena);
    }
    check_calibration_of_values(bench, &all);
    plain_free(&all);
}

static void try_distribution(struct tbk_store *store, enum random_times times,
                             const struct tbk_analytics_options *options, unsigned seed)
{
    struct bench bench = {.store = store, .book = {.seed = seed, .times = times}};
    print_message("times %d, blocks of %u, seed %u\n", (int)times, options->limits.rows_max, seed);
    tbk_store_open(store);
    bench.book.db = tbk_raw_open(store->location);
    random_book_fill(&bench.book, FIRST_TRADES);
    expect_ok(store,
              tbk_analytics_create_with(store->ops, store->storage, options, &bench.analytics, &store->error));
    for (int round = 0; round < ROUNDS; round++) {
        check_everything(&bench);
        tbk_raw_exec(bench.book.db, "BEGIN");
        for (int i = random_below(&bench.book, CHANGES); i >= 0; i--) {
            random_book_change(&bench.book);
        }
        tbk_raw_exec(bench.book.db, "COMMIT");
    }
    check_everything(&bench);
    tbk_analytics_destroy(bench.analytics);
    tbk_raw_close(bench.book.db);
    tbk_store_close(store);
}

/* A file that a bot made gives the ids of deleted rows again; one of ours does
 * not. */
static void try_sizes(void **state, enum random_times times, unsigned seed)
{
    struct tbk_store *store = *state;
    if (times % 2 == 0) {
        tbk_raw_run(store->location, tbk_legacy_schema);
    }
    try_distribution(store, times, &sizes[0], seed);
    try_distribution(store, times, &sizes[1], seed + 1); /* on the same file */
}

static void test_random_sparse_times_like_sql(void **state)
{
    try_sizes(state, RANDOM_TIMES_SPARSE, 11);
}

static void test_random_dense_times_like_sql(void **state)
{
    try_sizes(state, RANDOM_TIMES_DENSE, 21);
}

static void test_random_times_in_one_day_like_sql(void **state)
{
    try_sizes(state, RANDOM_TIMES_ONE_DAY, 31);
}

static void test_random_equal_times_like_sql(void **state)
{
    try_sizes(state, RANDOM_TIMES_EQUAL, 41);
}

static void test_random_growing_times_like_sql(void **state)
{
    try_sizes(state, RANDOM_TIMES_GROWING, 51);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sqlite_test(test_random_sparse_times_like_sql),     sqlite_test(test_random_dense_times_like_sql),
        sqlite_test(test_random_times_in_one_day_like_sql), sqlite_test(test_random_equal_times_like_sql),
        sqlite_test(test_random_growing_times_like_sql),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
