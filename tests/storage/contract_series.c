/* The rows that figures are made of, and the reports of their changes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"
#include "tradebook/v1/types.pb-c.h"

enum { ROWS_MAX = 16 };

/* What a sink was given. */
struct taken {
    size_t count;
    struct tbk_series_row rows[ROWS_MAX];
    char strategies[ROWS_MAX][32]; /* the first dimension */
};

static enum tbk_status take(void *argument, const struct tbk_series_row *row, struct tbk_error *error)
{
    struct taken *taken = argument;
    if (taken->count == ROWS_MAX) {
        return tbk_error_set(error, TBK_INTERNAL, "More rows than were made.");
    }
    taken->rows[taken->count] = *row;
    const char *text = row->dimensions[0] != NULL ? row->dimensions[0] : "NULL";
    snprintf(taken->strategies[taken->count], sizeof taken->strategies[0], "%s", text);
    taken->count++;
    return TBK_OK;
}

/* Closes the trade of a signal; exit_s 0: without a time. */
static int64_t insert_trade(struct tbk_store *store, int64_t signal_id, Tradebook__V1__Outcome outcome,
                            int64_t exit_s)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNAL_RESULTS);
    ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNAL_RESULTS, TBK_FILL_MANDATORY, signal_id - 1);
    tbk_store_set(store, message, tbk_store_column(table, "signal_id"), tbk_value_integer(signal_id));
    tbk_store_set(store, message, tbk_store_column(table, "outcome"), tbk_value_integer(outcome));
    if (exit_s != 0) {
        tbk_store_set(store, message, tbk_store_column(table, "exit_timestamp"),
                      tbk_value_timestamp(exit_s * 1000000));
        tbk_store_set(store, message, tbk_store_column(table, "pnl_percent"), tbk_value_real((double)exit_s));
    }
    return tbk_store_insert(store, TBK_SIGNAL_RESULTS, message);
}

static void scan(struct tbk_store *store, enum tbk_series_id series, size_t chunk, struct taken *taken)
{
    size_t rows = chunk;
    taken->count = 0;
    for (bool first = true; rows == chunk; first = false) {
        expect_ok(store,
                  store->ops->series_scan(store->reader, series, first, chunk, take, taken, &rows, &store->error));
    }
}

static void test_series_scan_closed_trades_undated_first_then_by_time(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 6);
    tbk_store_begin(store);
    const int64_t late = insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 300);
    const int64_t undated = insert_trade(store, 2, TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN, 0);
    insert_trade(store, 3, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 0);
    const int64_t early = insert_trade(store, 4, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS, 100);
    const int64_t same = insert_trade(store, 5, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS, 100);
    tbk_store_commit(store);
    for (size_t chunk = 1; chunk <= 5; chunk++) {
        struct taken taken;
        scan(store, TBK_SERIES_TRADES, chunk, &taken);
        assert_int_equal(taken.count, 4);
        const int64_t ids[] = {undated, early, same, late};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(taken.rows[i].id, ids[i]);
        }
        assert_true(taken.rows[0].time_us == TBK_UNDATED);
        assert_int_equal(taken.rows[0].kind, TBK_KIND_OTHER);
        assert_true(isnan(taken.rows[0].values[TBK_TRADE_PERCENT]));
        assert_int_equal(taken.rows[1].time_us, 100000000);
        assert_int_equal(taken.rows[1].kind, TBK_KIND_LOSS);
        assert_true(taken.rows[3].values[TBK_TRADE_PERCENT] == 300.0);
        assert_int_equal(taken.rows[3].kind, TBK_KIND_WIN);
    }
}

static void test_series_scan_only_graded_theories(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_THEORY_PERFORMANCE);
    tbk_store_insert_signals(store, 1);
    tbk_store_begin(store);
    for (int64_t i = 0; i < 3; i++) {
        ProtobufCMessage *message = tbk_store_message(store, TBK_THEORY_PERFORMANCE, TBK_FILL_MANDATORY, 0);
        tbk_store_set(store, message, tbk_store_column(table, "theory_name"), tbk_value_text("entropy"));
        if (i > 0) {
            tbk_store_set(store, message, tbk_store_column(table, "was_correct"), tbk_value_integer(i - 1));
        }
        tbk_store_insert(store, TBK_THEORY_PERFORMANCE, message);
    }
    tbk_store_commit(store);
    struct taken taken;
    scan(store, TBK_SERIES_THEORIES, 1, &taken);
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.rows[0].kind, TBK_KIND_LOSS);
    assert_int_equal(taken.rows[1].kind, TBK_KIND_WIN);
    assert_string_equal(taken.strategies[1], "entropy");
    scan(store, TBK_SERIES_SIGNALS, 7, &taken);
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.rows[0].kind, TBK_KIND_OTHER);
}

static struct tbk_series_position position_now(struct tbk_store *store)
{
    struct tbk_series_position position;
    expect_ok(store, store->ops->series_position(store->reader, &position, &store->error));
    return position;
}

static size_t changes(struct tbk_store *store, struct tbk_series_position *position, size_t changes_max,
                      struct tbk_series_change *ret_changes)
{
    size_t count;
    expect_ok(store, store->ops->series_changes(store->reader, position, ret_changes, changes_max, &count,
                                                &store->error));
    return count;
}

static void test_series_changes_new_closed_and_changed_rows(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_series_change found[8];
    tbk_store_insert_signals(store, 1);
    struct tbk_series_position position = position_now(store);
    assert_int_equal(changes(store, &position, 8, found), 0);

    tbk_store_begin(store);
    const int64_t trade = insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 100);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_MANDATORY, 1));
    tbk_store_commit(store);
    assert_int_equal(changes(store, &position, 1, found), 1);
    assert_int_equal(found[0].series, TBK_SERIES_TRADES);
    assert_int_equal(found[0].id, trade);
    assert_int_equal(changes(store, &position, 8, found), 1);
    assert_int_equal(found[0].series, TBK_SERIES_SIGNALS);
    assert_int_equal(found[0].id, 2);
    assert_int_equal(changes(store, &position, 8, found), 0);

    Tradebook__V1__SignalResult *result =
        (Tradebook__V1__SignalResult *)tbk_store_get_id(store, store->reader, TBK_SIGNAL_RESULTS, trade);
    result->pnl_percent = 7;
    tbk_store_begin(store);
    expect_ok(store,
              store->ops->update(
                  store->writer, tbk_store_table(store, TBK_SIGNAL_RESULTS),
                  1U << tbk_store_column(tbk_store_table(store, TBK_SIGNAL_RESULTS), "pnl_percent")->position,
                  &result->base, &store->error));
    tbk_store_commit(store);
    assert_int_equal(changes(store, &position, 8, found), 1);
    assert_int_equal(found[0].id, trade);
    assert_int_equal(found[0].filed_us, 100000000);
    struct taken taken = {0};
    expect_ok(store,
              store->ops->series_get(store->reader, TBK_SERIES_TRADES, trade, trade, take, &taken, &store->error));
    assert_true(taken.count == 1 && taken.rows[0].values[TBK_TRADE_PERCENT] == 7.0);
}

static void test_series_get_row_that_does_not_belong_nothing(void **state)
{
    struct tbk_store *store = *state;
    struct taken taken = {0};
    tbk_store_insert_signals(store, 1);
    tbk_store_begin(store);
    const int64_t open = insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 0);
    tbk_store_commit(store);
    expect_ok(store,
              store->ops->series_get(store->reader, TBK_SERIES_TRADES, open, open, take, &taken, &store->error));
    expect_ok(store,
              store->ops->series_get(store->reader, TBK_SERIES_SIGNALS, 2, 99, take, &taken, &store->error));
    assert_int_equal(taken.count, 0);
}

static void test_series_get_gives_the_rows_of_a_range_and_no_others(void **state)
{
    struct tbk_store *store = *state;
    struct taken taken = {0};
    tbk_store_insert_signals(store, 4);
    expect_ok(store, store->ops->series_get(store->reader, TBK_SERIES_SIGNALS, 2, 3, take, &taken, &store->error));
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.rows[0].id, 2);
    assert_int_equal(taken.rows[1].id, 3);
}

static void test_series_get_trades_of_gives_the_closed_ones_of_these_signals(void **state)
{
    struct tbk_store *store = *state;
    struct taken taken = {0};
    tbk_store_insert_signals(store, 4);
    tbk_store_begin(store);
    insert_trade(store, 4, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 100);
    const int64_t of_3 = insert_trade(store, 3, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS, 200);
    insert_trade(store, 2, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 0);
    insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 400);
    tbk_store_commit(store);
    expect_ok(store, store->ops->series_get_trades_of(store->reader, 2, 3, take, &taken, &store->error));
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.rows[0].id, of_3);
    assert_int_equal(taken.rows[0].time_us, 200000000);
    assert_int_equal(taken.rows[0].kind, TBK_KIND_LOSS);
}

/* Each graded theory is one report. */
static void report(struct tbk_store *store, int count)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_THEORY_PERFORMANCE);
    tbk_store_begin(store);
    for (int i = 0; i < count; i++) {
        ProtobufCMessage *message = tbk_store_message(store, TBK_THEORY_PERFORMANCE, TBK_FILL_MANDATORY, 0);
        tbk_store_set(store, message, tbk_store_column(table, "was_correct"), tbk_value_integer(1));
        tbk_store_insert(store, TBK_THEORY_PERFORMANCE, message);
    }
    tbk_store_commit(store);
}

static void prune(struct tbk_store *store, int64_t rows_kept, unsigned rows_max)
{
    tbk_store_begin(store);
    expect_ok(store, store->ops->series_prune(store->writer, rows_kept, rows_max, &store->error));
    tbk_store_commit(store);
}

static void test_series_changes_after_prune_out_of_range_for_who_missed_them(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_series_change found[8];
    tbk_store_insert_signals(store, 1);
    struct tbk_series_position at_start = position_now(store);
    report(store, 5);
    struct tbk_series_position kept = at_start;
    assert_int_equal(changes(store, &kept, 3, found), 3);
    prune(store, 2, 100);
    assert_int_equal(changes(store, &kept, 8, found), 2);
    size_t count;
    expect_status(store, store->ops->series_changes(store->reader, &at_start, found, 8, &count, &store->error),
                  TBK_OUT_OF_RANGE);
}

static void test_series_prune_a_little_and_never_the_newest(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_series_change found[8];
    tbk_store_insert_signals(store, 1);
    report(store, 6);
    struct tbk_series_position position = position_now(store);
    const int64_t newest = position.changes;
    prune(store, 1, 2);
    position.changes = newest - 4;
    assert_int_equal(changes(store, &position, 8, found), 4);
    prune(store, 1, 100);
    prune(store, 1, 100);
    position.changes = newest - 1;
    assert_int_equal(changes(store, &position, 8, found), 1);
    report(store, 1);
    assert_int_equal(changes(store, &position, 8, found), 1);
    assert_int_equal(position.changes, newest + 1);
}

int tbk_contract_run_series(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_series_scan_closed_trades_undated_first_then_by_time),
        contract_test(test_series_scan_only_graded_theories),
        contract_test(test_series_changes_new_closed_and_changed_rows),
        contract_test(test_series_get_row_that_does_not_belong_nothing),
        contract_test(test_series_get_gives_the_rows_of_a_range_and_no_others),
        contract_test(test_series_get_trades_of_gives_the_closed_ones_of_these_signals),
        contract_test(test_series_changes_after_prune_out_of_range_for_who_missed_them),
        contract_test(test_series_prune_a_little_and_never_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
