/* The terms of trades, and the grading of theories. */
#include "contract.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/types.pb-c.h"

static const struct tbk_terms opened = {
    .signal_id = 1, .quantity = 0.125, .fees_usd = 1.5, .mode = TRADEBOOK__V1__MODE__MODE_LIVE, .publish = true};

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

int tbk_contract_run_trades(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_terms_get_without_put_not_found),
        contract_test(test_terms_put_read_back),
        contract_test(test_terms_put_again_replaces_everything),
        contract_test(test_theories_grade_only_ungraded_of_the_signal),
        contract_test(test_theories_grade_without_records_none),
    };
    return cmocka_run_group_tests_name("contract: trades", tests, NULL, NULL);
}
