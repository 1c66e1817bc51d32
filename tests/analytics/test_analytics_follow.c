/* How the series come to be, stay true to the tables, and come back after a
 * failure. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "analytics/internal.h"
#include "base/timestamp.h"
#include "plain.h"
#include "random_book.h"
#include "sqlite_store.h"

#define LONG_US INT64_C(30000000)

static const struct tbk_analytics_options small = {
    .limits = {.rows_min = 8, .rows_max = 32, .values_max = 16, .days_max = 32, .run_blocks = 4},
    .chunk_rows = 50,
    .changes_max = 64,
    .poll_us = 10000,
};

static void start(struct tbk_store *store, const struct tbk_analytics_options *options,
                  struct tbk_analytics **ret_analytics)
{
    expect_ok(store, tbk_analytics_create_with(store->ops, store->storage, options, ret_analytics, &store->error));
}

static enum tbk_status count_trades(struct tbk_store *store, struct tbk_session *session,
                                    struct tbk_analytics *analytics, const struct tbk_analytics_query *query,
                                    int64_t *ret_trades, struct tbk_error *error)
{
    struct tbk_basis basis;
    struct tbk_performance figures;
    struct tbk_performance_group *groups;
    size_t count;
    size_t left_out;
    const enum tbk_status status =
        tbk_analytics_performance(analytics, session, query, TBK_DIMENSION_NONE, 0, store->arena, &basis, &figures,
                                  &groups, &count, &left_out, error);
    if (status == TBK_OK) {
        *ret_trades = basis.trades;
    }
    return status;
}

static enum tbk_status query(struct tbk_store *store, struct tbk_session *session, struct tbk_analytics *analytics,
                             int64_t timeout_us, int64_t *ret_trades, struct tbk_error *error)
{
    const struct tbk_analytics_query everything = {
        .start_us = TBK_NO_TIME, .end_us = TBK_NO_TIME, .deadline_us = tbk_monotonic_us() + timeout_us};
    return count_trades(store, session, analytics, &everything, ret_trades, error);
}

static int64_t trades(struct tbk_store *store, struct tbk_analytics *analytics)
{
    int64_t count = -1;
    expect_ok(store, query(store, store->reader, analytics, LONG_US, &count, &store->error));
    return count;
}

/* Those of a strategy; NULL: of none. */
static int64_t trades_of(struct tbk_store *store, struct tbk_analytics *analytics, const char *strategy)
{
    const struct tbk_analytics_query query = {.start_us = TBK_NO_TIME,
                                              .end_us = TBK_NO_TIME,
                                              .dimension = TBK_DIMENSION_STRATEGY,
                                              .value = strategy,
                                              .deadline_us = tbk_monotonic_us() + LONG_US};
    int64_t count = -1;
    expect_ok(store, count_trades(store, store->reader, analytics, &query, &count, &store->error));
    return count;
}

static int64_t trades_by_sql(sqlite3 *db)
{
    return tbk_raw_integer(db, "SELECT count(*) FROM signal_results WHERE lower(outcome) IN "
                               "('win','loss','breakeven') AND exit_timestamp LIKE '2%'");
}

static struct random_book open_book(struct tbk_store *store, unsigned seed)
{
    tbk_store_open(store);
    return (struct random_book){.db = tbk_raw_open(store->location), .seed = seed, .times = RANDOM_TIMES_SPARSE};
}

static void test_follow_empty_database_no_trades(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    tbk_store_open(store);
    start(store, &tbk_analytics_default_options, &analytics);
    assert_int_equal(trades(store, analytics), 0);
    tbk_analytics_destroy(analytics);
}

static void test_follow_reports_gone_read_anew(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct tbk_analytics_options idle = small;
    idle.poll_us = LONG_US; /* the query itself must notice */
    struct random_book book = open_book(store, 1);
    random_book_fill(&book, 100);
    start(store, &idle, &analytics);
    assert_int_equal(trades(store, analytics), trades_by_sql(book.db));
    random_book_fill(&book, 100);
    tbk_raw_exec(book.db, "DELETE FROM tb_changes WHERE sequence<(SELECT max(sequence) FROM tb_changes);"
                          "DELETE FROM tb_events WHERE sequence<(SELECT max(sequence) FROM tb_events);");
    assert_int_equal(trades(store, analytics), trades_by_sql(book.db));
    tbk_raw_exec(book.db, "DELETE FROM tb_changes; DELETE FROM tb_events; DELETE FROM signal_results WHERE id<20");
    assert_int_equal(trades(store, analytics), trades_by_sql(book.db));
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

static void test_follow_scratch_disk_full_says_so_and_recovers(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct rlimit limit;
    struct random_book book = open_book(store, 2);
    random_book_fill(&book, 300);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    start(store, &small, &analytics);
    int64_t count;
    const enum tbk_status status = query(store, store->reader, analytics, LONG_US, &count, &store->error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(status, TBK_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(store->error.message, "scratch file"));
    /* The thread tries again by itself; until then the failure is the answer. */
    const int64_t until_us = tbk_monotonic_us() + LONG_US;
    while (query(store, store->reader, analytics, LONG_US, &count, &store->error) != TBK_OK &&
           tbk_monotonic_us() < until_us) {
        sched_yield();
    }
    tbk_error_init(&store->error);
    assert_int_equal(trades(store, analytics), trades_by_sql(book.db));
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

static void test_follow_deadline_during_first_reading_unavailable(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct tbk_analytics_options slow = small;
    slow.chunk_rows = 1;
    struct random_book book = open_book(store, 3);
    random_book_fill(&book, 2000);
    start(store, &slow, &analytics);
    int64_t count;
    expect_status(store, query(store, store->reader, analytics, 0, &count, &store->error), TBK_UNAVAILABLE);
    tbk_analytics_destroy(analytics); /* and stops in the middle of it */
    tbk_raw_close(book.db);
}

struct asking {
    struct tbk_store *store;
    struct tbk_analytics *analytics;
    struct tbk_session *session;
    atomic_bool *is_over;
    int answers;
    enum tbk_status status;
};

static void *ask(void *argument)
{
    struct asking *asking = argument;
    struct tbk_error error;
    int64_t before = 0;
    tbk_error_init(&error);
    while (asking->status == TBK_OK && !atomic_load(asking->is_over)) {
        int64_t count = 0;
        asking->status = query(asking->store, asking->session, asking->analytics, LONG_US, &count, &error);
        if (asking->status == TBK_OK && count < before) { /* trades are only added */
            asking->status = TBK_INTERNAL;
        }
        before = count;
        asking->answers++;
    }
    return NULL;
}

static void test_follow_many_threads_ask_while_trades_come(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct asking asking[3];
    pthread_t threads[3];
    atomic_bool is_over = false;
    struct random_book book = open_book(store, 4);
    random_book_fill(&book, 500);
    start(store, &small, &analytics);
    for (int i = 0; i < 3; i++) {
        asking[i] = (struct asking){.store = store, .analytics = analytics, .is_over = &is_over};
        expect_ok(store,
                  store->ops->session_open(store->storage, TBK_SESSION_READ, &asking[i].session, &store->error));
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        random_book_fill(&book, 20);
    }
    const int64_t expected = trades_by_sql(book.db);
    assert_int_equal(trades(store, analytics), expected);
    atomic_store(&is_over, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(asking[i].status, TBK_OK);
        store->ops->session_close(asking[i].session);
    }
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

#define INSERT_SIGNAL(id, strategy)                                                                               \
    "INSERT INTO signals (id,symbol,direction,confidence,tier,ensemble_prediction,strategy) "                     \
    "VALUES (" id ",'BTC-USD','long',0.5,'high',0.5,'" strategy "');"
#define INSERT_TRADE(signal_id, outcome)                                                                          \
    "INSERT INTO signal_results (signal_id,entry_price,entry_timestamp,exit_timestamp,outcome) "                  \
    "VALUES (" signal_id ",1,'2025-01-01 00:00:00.000000','2025-01-01 01:00:00.000000'," outcome ");"

static void test_follow_trade_is_told_apart_by_the_signal_that_comes_later(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct random_book book = open_book(store, 5);
    start(store, &small, &analytics);
    tbk_raw_exec(book.db, INSERT_TRADE("7", "'win'") INSERT_TRADE("8", "'loss'"));
    assert_int_equal(trades_of(store, analytics, NULL), 2);
    tbk_raw_exec(book.db, INSERT_SIGNAL("7", "late"));
    assert_int_equal(trades_of(store, analytics, NULL), 1);
    assert_int_equal(trades_of(store, analytics, "late"), 1);
    tbk_raw_exec(book.db, "DELETE FROM signals WHERE id=7;" INSERT_SIGNAL("7", "again"));
    assert_int_equal(trades_of(store, analytics, "late"), 0);
    assert_int_equal(trades_of(store, analytics, "again"), 1);
    tbk_raw_exec(book.db, "UPDATE signals SET id=8");
    assert_int_equal(trades_of(store, analytics, "again"), 1);
    assert_int_equal(trades_of(store, analytics, NULL), 1);
    tbk_raw_exec(book.db, "DELETE FROM signal_results WHERE signal_id=7");
    assert_int_equal(trades_of(store, analytics, "again"), 1);
    assert_int_equal(trades(store, analytics), 1);
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

/* More than one batch of changes, so that a batch ends among the signals. */
static void test_follow_many_signals_that_come_later(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct random_book book = open_book(store, 6);
    start(store, &small, &analytics);
    tbk_raw_exec(book.db,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) "
                 "INSERT INTO signal_results (signal_id,entry_price,entry_timestamp,exit_timestamp,outcome) "
                 "SELECT i,1,'2025-01-01 00:00:00.000000','2025-01-01 01:00:00.000000','win' FROM n");
    assert_int_equal(trades_of(store, analytics, NULL), 500);
    tbk_raw_exec(book.db, "INSERT INTO signals (id,symbol,direction,confidence,tier,ensemble_prediction,strategy) "
                          "SELECT signal_id,'BTC-USD','long',0.5,'high',0.5,'late' FROM signal_results");
    assert_int_equal(trades_of(store, analytics, NULL), 0);
    assert_int_equal(trades_of(store, analytics, "late"), 500);
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

/* Seen at the start and while it happens. */
static void test_follow_an_outcome_that_is_no_text_is_none(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_analytics *analytics;
    struct random_book book = open_book(store, 7);
    tbk_raw_exec(book.db, INSERT_TRADE("1", "CAST('win' AS BLOB)") INSERT_TRADE("2", "'Win'"));
    start(store, &small, &analytics);
    assert_int_equal(trades(store, analytics), 1);
    tbk_raw_exec(book.db, INSERT_TRADE("3", "CAST('win' AS BLOB)") INSERT_TRADE("4", "'LOSS'"));
    assert_int_equal(trades(store, analytics), 2);
    tbk_raw_exec(book.db, "UPDATE signal_results SET outcome=CAST(outcome AS BLOB) WHERE signal_id=4");
    assert_int_equal(trades(store, analytics), 1);
    tbk_analytics_destroy(analytics);
    tbk_raw_close(book.db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sqlite_test(test_follow_empty_database_no_trades),
        sqlite_test(test_follow_reports_gone_read_anew),
        sqlite_test(test_follow_scratch_disk_full_says_so_and_recovers),
        sqlite_test(test_follow_deadline_during_first_reading_unavailable),
        sqlite_test(test_follow_many_threads_ask_while_trades_come),
        sqlite_test(test_follow_trade_is_told_apart_by_the_signal_that_comes_later),
        sqlite_test(test_follow_many_signals_that_come_later),
        sqlite_test(test_follow_an_outcome_that_is_no_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
