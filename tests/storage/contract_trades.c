/* The terms of trades, open positions, and the grading of theories. */
#include "contract.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"
#include "tradebook/v1/types.pb-c.h"

static const struct tbk_terms opened = {.signal_id = 1,
                                        .quantity = 0.125,
                                        .open_fees_usd = 0.5,
                                        .fees_usd = 1.5,
                                        .mode = TRADEBOOK__V1__MODE__MODE_LIVE,
                                        .publish = true};

static void put(struct tbk_store *store, const struct tbk_terms *terms)
{
    expect_ok(store, store->ops->terms_put(store->writer, terms, &store->error));
}

static void assert_terms(struct tbk_store *store, struct tbk_session *session, const struct tbk_terms *expected)
{
    struct tbk_terms terms;
    expect_ok(store, store->ops->terms_get(session, expected->signal_id, &terms, &store->error));
    assert_int_equal(terms.signal_id, expected->signal_id);
    assert_true(terms.quantity == expected->quantity);
    assert_true(terms.fees_usd == expected->fees_usd);
    assert_true(terms.open_fees_usd == expected->open_fees_usd);
    assert_int_equal(terms.mode, expected->mode);
    assert_int_equal(terms.has_breakeven_band, expected->has_breakeven_band);
    assert_true(!terms.has_breakeven_band || terms.breakeven_band_percent == expected->breakeven_band_percent);
    assert_int_equal(terms.publish, expected->publish);
}

static void expect_no_terms(struct tbk_store *store, int64_t signal_id)
{
    struct tbk_terms terms;
    assert_int_equal(store->ops->terms_get(store->writer, signal_id, &terms, &store->error), TBK_NOT_FOUND);
    assert_string_equal(store->error.message, "");
}

static void test_terms_get_without_put_not_found(void **state)
{
    expect_no_terms(*state, 1);
}

static void test_terms_put_read_back(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    put(store, &opened);
    assert_terms(store, store->writer, &opened);
    tbk_store_commit(store);
    assert_terms(store, store->reader, &opened);
    tbk_store_begin(store);
    expect_no_terms(store, 2);
    tbk_store_commit(store);
}

static void test_terms_put_again_replaces_everything(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_terms closed = {.signal_id = 1,
                                     .quantity = 2,
                                     .fees_usd = 0,
                                     .has_breakeven_band = true,
                                     .breakeven_band_percent = 0.5,
                                     .publish = false};
    tbk_store_begin(store);
    put(store, &opened);
    put(store, &closed);
    assert_terms(store, store->writer, &closed);
    put(store, &opened);
    assert_terms(store, store->writer, &opened);
    tbk_store_commit(store);
}

static Tradebook__V1__TheoryRecord *theory(struct tbk_store *store, int64_t id)
{
    return (Tradebook__V1__TheoryRecord *)tbk_store_get_id(store, store->writer, TBK_THEORY_PERFORMANCE, id);
}

static int64_t insert_theory(struct tbk_store *store, int64_t signal_id)
{
    ProtobufCMessage *message = tbk_store_message(store, TBK_THEORY_PERFORMANCE, TBK_FILL_MANDATORY, signal_id);
    const struct tbk_table *table = tbk_store_table(store, TBK_THEORY_PERFORMANCE);
    tbk_store_set(store, message, tbk_store_column(table, "signal_id"), tbk_value_integer(signal_id));
    return tbk_store_insert(store, TBK_THEORY_PERFORMANCE, message);
}

static int64_t grade(struct tbk_store *store, int64_t signal_id, bool was_correct)
{
    int64_t graded = -1;
    expect_ok(store, store->ops->theories_grade(store->writer, signal_id, was_correct, &graded, &store->error));
    return graded;
}

static void test_theories_grade_only_ungraded_of_the_signal(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 2);
    tbk_store_begin(store);
    const int64_t first = insert_theory(store, 1);
    const int64_t other = insert_theory(store, 2);
    assert_int_equal(grade(store, 1, true), 1);
    const int64_t later = insert_theory(store, 1);
    assert_int_equal(grade(store, 1, false), 1);
    assert_int_equal(grade(store, 1, true), 0);
    assert_true(theory(store, first)->has_was_correct && theory(store, first)->was_correct);
    assert_true(theory(store, later)->has_was_correct && !theory(store, later)->was_correct);
    assert_false(theory(store, other)->has_was_correct);
    tbk_store_commit(store);
}

static void test_theories_grade_without_records_none(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    assert_int_equal(grade(store, 1, true), 0);
    tbk_store_commit(store);
}

/* A trade on this signal with this outcome, opened so many seconds after 1970. */
static int64_t insert_trade(struct tbk_store *store, int64_t signal_id, Tradebook__V1__Outcome outcome,
                            int64_t second)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNAL_RESULTS);
    ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNAL_RESULTS, TBK_FILL_MANDATORY, signal_id - 1);
    tbk_store_set(store, message, tbk_store_column(table, "outcome"), tbk_value_integer(outcome));
    tbk_store_set(store, message, tbk_store_column(table, "entry_timestamp"),
                  tbk_value_timestamp(second * 1000000));
    return tbk_store_insert(store, TBK_SIGNAL_RESULTS, message);
}

struct positions {
    struct tbk_open_position *list;
    size_t count;
    bool more;
};

static struct positions list(struct tbk_store *store, struct tbk_open_positions_query query)
{
    struct positions positions = {.list = NULL};
    expect_ok(store, store->ops->open_positions(store->reader, &query, store->arena, &positions.list,
                                                &positions.count, &positions.more, &store->error));
    return positions;
}

static const Tradebook__V1__SignalResult *result_at(struct positions positions, size_t index)
{
    assert_true(index < positions.count);
    return (const Tradebook__V1__SignalResult *)positions.list[index].result;
}

static void assert_open_count(struct tbk_store *store, int64_t expected)
{
    int64_t trades = -1;
    expect_ok(store, store->ops->open_count(store->reader, &trades, &store->error));
    assert_int_equal(trades, expected);
}

static void test_open_count_counts_open_trades_only(void **state)
{
    struct tbk_store *store = *state;
    assert_open_count(store, 0);
    tbk_store_insert_signals(store, 3);
    tbk_store_begin(store);
    insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 10);
    insert_trade(store, 2, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 20);
    insert_trade(store, 3, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 30);
    tbk_store_commit(store);
    assert_open_count(store, 2);
}

static void test_open_positions_none(void **state)
{
    const struct positions positions = list(*state, (struct tbk_open_positions_query){.limit = 10});
    assert_int_equal(positions.count, 0);
    assert_false(positions.more);
}

static void test_open_positions_only_open_newest_first(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 5);
    tbk_store_begin(store);
    insert_trade(store, 1, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 10);
    insert_trade(store, 2, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN, 40);
    insert_trade(store, 3, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 30);
    insert_trade(store, 4, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 10);
    insert_trade(store, 5, TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN, 20);
    tbk_store_commit(store);
    const struct positions positions = list(store, (struct tbk_open_positions_query){.limit = 3});
    assert_int_equal(positions.count, 3);
    assert_false(positions.more);
    assert_int_equal(result_at(positions, 0)->signal_id, 3);
    assert_int_equal(result_at(positions, 1)->signal_id, 4);
    assert_int_equal(result_at(positions, 2)->signal_id, 1);
}

static void test_open_positions_continue_where_they_ended(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 5);
    tbk_store_begin(store);
    for (int64_t signal = 1; signal <= 5; signal++) {
        insert_trade(store, signal, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 100 - signal / 2);
    }
    tbk_store_commit(store);
    struct tbk_open_positions_query query = {.limit = 1};
    const int64_t expected[] = {1, 3, 2, 5, 4};
    for (size_t i = 0; i < 5; i++) {
        const struct positions page = list(store, query);
        assert_int_equal(page.count, 1);
        assert_int_equal(result_at(page, 0)->signal_id, expected[i]);
        assert_int_equal(page.more, i < 4);
        query.continues = true;
        query.after_entry_us = (100 - expected[i] / 2) * 1000000;
        query.after_id = result_at(page, 0)->id;
    }
    /* After a trade that is gone: its place still counts. */
    query.after_entry_us = 99 * 1000000;
    query.after_id = 1000;
    assert_int_equal(result_at(list(store, query), 0)->signal_id, 3);
}

static void test_open_positions_say_what_signal_and_terms_say(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *signals = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_begin(store);
    ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0);
    tbk_store_set(store, message, tbk_store_column(signals, "symbol"), tbk_value_text("ETH-USD"));
    const Tradebook__V1__Signal *expected = (const Tradebook__V1__Signal *)message;
    const int64_t id = tbk_store_insert(store, TBK_SIGNALS, message);
    insert_trade(store, id, TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN, 10);
    tbk_store_commit(store);
    struct positions positions = list(store, (struct tbk_open_positions_query){.limit = 1});
    assert_true(positions.list[0].quantity == 1);
    const Tradebook__V1__Signal *signal = (const Tradebook__V1__Signal *)positions.list[0].signal;
    assert_string_equal(signal->symbol, "ETH-USD");
    assert_string_equal(signal->strategy, expected->strategy);
    assert_int_equal(signal->direction, expected->direction);
    assert_true(signal->has_tp_price && signal->tp_price == expected->tp_price);
    assert_true(signal->has_sl_price && signal->sl_price == expected->sl_price);
    assert_true(result_at(positions, 0)->has_entry_price);
    assert_non_null(result_at(positions, 0)->entry_timestamp);

    tbk_store_begin(store);
    put(store, &opened);
    tbk_store_commit(store);
    positions = list(store, (struct tbk_open_positions_query){.limit = 1, .symbol = "ETH-USD"});
    assert_true(positions.list[0].quantity == opened.quantity);
    assert_int_equal(list(store, (struct tbk_open_positions_query){.limit = 1, .symbol = "ETH"}).count, 0);
}

int tbk_contract_run_trades(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_terms_get_without_put_not_found),
        contract_test(test_terms_put_read_back),
        contract_test(test_terms_put_again_replaces_everything),
        contract_test(test_theories_grade_only_ungraded_of_the_signal),
        contract_test(test_theories_grade_without_records_none),
        contract_test(test_open_count_counts_open_trades_only),
        contract_test(test_open_positions_none),
        contract_test(test_open_positions_only_open_newest_first),
        contract_test(test_open_positions_continue_where_they_ended),
        contract_test(test_open_positions_say_what_signal_and_terms_say),
    };
    return cmocka_run_group_tests_name("contract: trades", tests, NULL, NULL);
}
