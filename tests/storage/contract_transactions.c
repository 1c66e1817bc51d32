/* Transactions, the nested unit inside them, and who sees what when. */
#include "contract.h"

static void insert_signal(struct tbk_store *store, int64_t number)
{
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, number));
}

static void insert_pattern(struct tbk_store *store, int64_t number)
{
    tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, number));
}

static void savepoint(struct tbk_store *store)
{
    expect_ok(store, store->ops->savepoint(store->writer, &store->error));
}

static void release(struct tbk_store *store)
{
    expect_ok(store, store->ops->release(store->writer, &store->error));
}

static bool pattern_exists(struct tbk_store *store, struct tbk_session *session, int64_t number)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_PATTERNS);
    const struct tbk_column *hash = tbk_store_column(table, "pattern_hash");
    ProtobufCMessage *row;
    const enum tbk_status status = store->ops->get(session, table, hash, tbk_store_value(store, hash, number),
                                                   store->arena, &row, &store->error);
    assert_true(status == TBK_OK || status == TBK_NOT_FOUND);
    tbk_error_init(&store->error);
    return status == TBK_OK;
}

static void test_commit_makes_rows_visible_and_not_before(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    insert_signal(store, 0);
    insert_pattern(store, 0);
    assert_int_equal(tbk_store_count(store, store->writer, TBK_SIGNALS), 1);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 0);
    assert_false(pattern_exists(store, store->reader, 0));
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
    assert_true(pattern_exists(store, store->reader, 0));
}

static void test_rollback_leaves_nothing(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_insert_signals(store, 1);
    tbk_store_begin(store);
    insert_signal(store, 1);
    ProtobufCMessage *changed = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 5);
    tbk_store_set(store, changed, table->key, tbk_value_integer(1));
    expect_ok(store,
              store->ops->update(store->writer, table, UINT32_C(1) << tbk_store_column(table, "notes")->position,
                                 changed, &store->error));
    store->ops->rollback(store->writer);
    assert_int_equal(tbk_store_count(store, store->writer, TBK_SIGNALS), 1);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
    tbk_store_assert_equal(table, tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1),
                           tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0));
    tbk_store_begin(store);
    insert_signal(store, 2);
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

static void test_in_transaction_follows_begin_commit_and_rollback(void **state)
{
    struct tbk_store *store = *state;
    assert_false(store->ops->in_transaction(store->writer));
    tbk_store_begin(store);
    assert_true(store->ops->in_transaction(store->writer));
    savepoint(store);
    assert_true(store->ops->in_transaction(store->writer));
    release(store);
    assert_true(store->ops->in_transaction(store->writer));
    tbk_store_commit(store);
    assert_false(store->ops->in_transaction(store->writer));
    tbk_store_begin(store);
    store->ops->rollback(store->writer);
    assert_false(store->ops->in_transaction(store->writer));
}

static void test_commit_of_nothing_is_ok(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    tbk_store_commit(store);
    tbk_store_begin(store);
    tbk_store_commit(store);
}

static void test_commit_without_transaction_fails(void **state)
{
    struct tbk_store *store = *state;
    const enum tbk_status status = store->ops->commit(store->writer, &store->error);
    assert_int_not_equal(status, TBK_OK);
    assert_int_not_equal(status, TBK_UNKNOWN);
    tbk_error_init(&store->error);
    tbk_store_insert_signals(store, 1);
}

static void test_savepoint_without_transaction_fails_and_opens_none(void **state)
{
    struct tbk_store *store = *state;
    assert_int_not_equal(store->ops->savepoint(store->writer, &store->error), TBK_OK);
    assert_false(store->ops->in_transaction(store->writer));
    tbk_error_init(&store->error);
    tbk_store_insert_signals(store, 1);
}

static void test_rollback_to_undoes_only_the_nested_unit(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    savepoint(store);
    insert_pattern(store, 0);
    release(store);
    savepoint(store);
    insert_pattern(store, 1);
    insert_signal(store, 1);
    store->ops->rollback_to(store->writer);
    assert_true(store->ops->in_transaction(store->writer));
    assert_false(pattern_exists(store, store->writer, 1));
    savepoint(store);
    insert_pattern(store, 2);
    release(store);
    insert_pattern(store, 3); /* outside of any nested unit */
    tbk_store_commit(store);

    assert_true(pattern_exists(store, store->reader, 0));
    assert_false(pattern_exists(store, store->reader, 1));
    assert_true(pattern_exists(store, store->reader, 2));
    assert_true(pattern_exists(store, store->reader, 3));
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 3);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 0);
}

static void test_failed_insert_in_nested_unit_spares_the_others(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_PATTERNS);
    tbk_store_begin(store);
    savepoint(store);
    insert_pattern(store, 0);
    release(store);
    savepoint(store);
    insert_pattern(store, 1);
    int64_t id;
    expect_status(store,
                  store->ops->insert(store->writer, table, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0),
                                     &id, &store->error),
                  TBK_ALREADY_EXISTS);
    store->ops->rollback_to(store->writer);
    savepoint(store);
    insert_pattern(store, 2);
    release(store);
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 2);
    assert_false(pattern_exists(store, store->reader, 1));
}

static void test_rollback_discards_released_units_too(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    savepoint(store);
    insert_pattern(store, 0);
    release(store);
    savepoint(store);
    insert_pattern(store, 1);
    store->ops->rollback(store->writer);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 0);
    tbk_store_begin(store);
    savepoint(store);
    release(store);
    tbk_store_commit(store);
}

static void test_many_nested_units_commit_together(void **state)
{
    enum { UNITS = 256 };
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    for (int i = 0; i < UNITS; i++) {
        savepoint(store);
        insert_pattern(store, i);
        if (i % 4 == 0) {
            store->ops->rollback_to(store->writer);
        } else {
            release(store);
        }
    }
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), 0);
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), UNITS - UNITS / 4);
}

static void test_read_transaction_sees_one_snapshot(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    expect_ok(store, store->ops->begin(store->reader, &store->error));
    assert_true(store->ops->in_transaction(store->reader));
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);

    tbk_store_begin(store);
    insert_signal(store, 1);
    insert_pattern(store, 0);
    tbk_store_commit(store);
    assert_int_equal(store->ops->maintain(store->writer, &store->error), TBK_OK);

    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
    assert_false(pattern_exists(store, store->reader, 0));
    expect_ok(store, store->ops->commit(store->reader, &store->error));
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
    assert_true(pattern_exists(store, store->reader, 0));

    expect_ok(store, store->ops->begin(store->reader, &store->error));
    store->ops->rollback(store->reader);
    assert_false(store->ops->in_transaction(store->reader));
}

static void test_writer_reopened_goes_on(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    store->ops->session_close(store->writer);
    store->writer = NULL;
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
    expect_ok(store, store->ops->session_open(store->storage, TBK_SESSION_WRITE, &store->writer, &store->error));
    tbk_store_begin(store);
    insert_signal(store, 1);
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

int tbk_contract_run_transactions(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_commit_makes_rows_visible_and_not_before),
        contract_test(test_rollback_leaves_nothing),
        contract_test(test_in_transaction_follows_begin_commit_and_rollback),
        contract_test(test_commit_of_nothing_is_ok),
        contract_test(test_commit_without_transaction_fails),
        contract_test(test_savepoint_without_transaction_fails_and_opens_none),
        contract_test(test_rollback_to_undoes_only_the_nested_unit),
        contract_test(test_failed_insert_in_nested_unit_spares_the_others),
        contract_test(test_rollback_discards_released_units_too),
        contract_test(test_many_nested_units_commit_together),
        contract_test(test_read_transaction_sees_one_snapshot),
        contract_test(test_writer_reopened_goes_on),
    };
    return cmocka_run_group_tests_name("contract: transactions", tests, NULL, NULL);
}
