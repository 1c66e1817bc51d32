/* One row at a time: insert, get, update, exists, count. */
#include <stdio.h>
#include <string.h>

#include "contract.h"

static enum tbk_status try_insert(struct tbk_store *store, enum tbk_table_id table,
                                  const ProtobufCMessage *message)
{
    int64_t id;
    return store->ops->insert(store->writer, tbk_store_table(store, table), message, &id, &store->error);
}

static enum tbk_status try_update(struct tbk_store *store, enum tbk_table_id table, uint32_t columns,
                                  const ProtobufCMessage *message)
{
    return store->ops->update(store->writer, tbk_store_table(store, table), columns, message, &store->error);
}

static enum tbk_status try_get(struct tbk_store *store, enum tbk_table_id id, const char *column,
                               struct tbk_value value, ProtobufCMessage **ret_row)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    return store->ops->get(store->reader, table, tbk_store_column(table, column), value, store->arena, ret_row,
                           &store->error);
}

static uint32_t bit(const struct tbk_table *table, const char *column)
{
    return UINT32_C(1) << tbk_store_column(table, column)->position;
}

/* Every column but the key. */
static uint32_t all_bits(const struct tbk_table *table)
{
    const uint32_t all = (uint32_t)((UINT64_C(1) << table->column_count) - 1);
    return all & ~(UINT32_C(1) << table->key->position);
}

static bool is_unique(const struct tbk_column *column)
{
    return column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_UNIQUE ||
           column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_PRIMARY_KEY;
}

static bool has_integer_key(const struct tbk_table *table)
{
    return table->key->kind == TBK_COLUMN_INTEGER;
}

/* Inserts a row, the number-th of its table, and makes its key known to it. */
static ProtobufCMessage *insert_row(struct tbk_store *store, enum tbk_table_id id, enum tbk_fill fill,
                                    int64_t number)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    ProtobufCMessage *message = tbk_store_message(store, id, fill, number);
    const int64_t key = tbk_store_insert(store, id, message);
    if (has_integer_key(table)) {
        tbk_store_set(store, message, table->key, tbk_value_integer(key));
    }
    return message;
}

/* Inserts a row into each table, reads it within the transaction and, after the
 * commit, with the read session. */
static void round_trip_of_each_table(struct tbk_store *store, enum tbk_fill fill)
{
    tbk_store_insert_signals(store, 1);
    for (int table = 0; table < TBK_TABLE_COUNT; table++) {
        const enum tbk_table_id id = (enum tbk_table_id)table;
        tbk_store_begin(store);
        const ProtobufCMessage *message = insert_row(store, id, fill, 0);
        tbk_store_assert_equal(tbk_store_table(store, id), tbk_store_get(store, store->writer, id, message),
                               message);
        tbk_store_commit(store);
        const ProtobufCMessage *row = tbk_store_get(store, store->reader, id, message);
        tbk_store_assert_equal(tbk_store_table(store, id), row, message);
        assert_true(tbk_column_present(tbk_store_table(store, id)->key, row));
    }
}

static void test_insert_all_fields_reads_back(void **state)
{
    round_trip_of_each_table(*state, TBK_FILL_ALL);
}

static void test_insert_mandatory_fields_leaves_the_others_absent(void **state)
{
    round_trip_of_each_table(*state, TBK_FILL_MANDATORY);
}

static void test_insert_zero_and_empty_are_not_absent(void **state)
{
    round_trip_of_each_table(*state, TBK_FILL_ZERO);
}

static void test_insert_without_key_assigns_growing_keys(void **state)
{
    struct tbk_store *store = *state;
    int64_t last = 0;
    tbk_store_begin(store);
    for (int i = 0; i < 20; i++) {
        const int64_t id =
            tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_MANDATORY, i));
        assert_true(id > last);
        last = id;
    }
    tbk_store_commit(store);
}

static void test_insert_with_key_keeps_it(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_PATTERNS);
    ProtobufCMessage *message = tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    tbk_store_set(store, message, table->key, tbk_value_integer(4711));
    tbk_store_begin(store);
    assert_int_equal(tbk_store_insert(store, TBK_PATTERNS, message), 4711);
    tbk_store_commit(store);
    tbk_store_assert_equal(table, tbk_store_get_id(store, store->reader, TBK_PATTERNS, 4711), message);
}

static void test_insert_without_mandatory_field_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        const int64_t before = tbk_store_count(store, store->reader, id);
        tbk_store_begin(store);
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            if (!column->not_null || column == table->key) {
                continue;
            }
            ProtobufCMessage *message = tbk_store_message(store, id, TBK_FILL_ALL, 0);
            tbk_store_set(store, message, column, tbk_value_null());
            assert_int_not_equal(try_insert(store, id, message), TBK_OK);
            assert_true(store->ops->in_transaction(store->writer));
            tbk_error_init(&store->error);
        }
        tbk_store_commit(store);
        assert_int_equal(tbk_store_count(store, store->reader, id), before);
    }
}

static void test_insert_reference_to_nothing_is_not_found(void **state)
{
    static const enum tbk_table_id tables[] = {TBK_SIGNAL_RESULTS, TBK_THEORY_PERFORMANCE};
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    tbk_store_begin(store);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        expect_status(store, try_insert(store, tables[i], tbk_store_message(store, tables[i], TBK_FILL_ALL, 1)),
                      TBK_NOT_FOUND);
    }
    tbk_store_commit(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNAL_RESULTS), 0);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_THEORY_PERFORMANCE), 0);
}

/* A row that differs from row 0 in everything unique but this column. */
static ProtobufCMessage *conflicting_row(struct tbk_store *store, enum tbk_table_id id,
                                         const struct tbk_column *column, const ProtobufCMessage *row)
{
    ProtobufCMessage *message = tbk_store_message(store, id, TBK_FILL_ALL, 1);
    tbk_store_set(store, message, column, tbk_column_get(column, row));
    return message;
}

static void test_insert_taken_unique_value_names_it_and_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 2);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        tbk_store_begin(store);
        const ProtobufCMessage *row = insert_row(store, id, TBK_FILL_ALL, 0);
        const int64_t before = tbk_store_count(store, store->writer, id);
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            if (!is_unique(column)) {
                continue;
            }
            assert_int_equal(try_insert(store, id, conflicting_row(store, id, column, row)), TBK_ALREADY_EXISTS);
            assert_non_null(strstr(store->error.message, table->resource));
            assert_non_null(strstr(store->error.message, column->name));
            tbk_error_init(&store->error);
            assert_int_equal(tbk_store_count(store, store->writer, id), before);
        }
        insert_row(store, id, TBK_FILL_ALL, 1); /* the transaction goes on */
        tbk_store_commit(store);
        assert_int_equal(tbk_store_count(store, store->reader, id), before + 1);
        tbk_store_assert_equal(table, tbk_store_get(store, store->reader, id, row), row);
    }
}

static void test_get_by_each_unique_column_finds_the_row(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 3);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        tbk_store_begin(store);
        insert_row(store, id, TBK_FILL_ALL, 0);
        const ProtobufCMessage *expected = insert_row(store, id, TBK_FILL_ALL, 1);
        insert_row(store, id, TBK_FILL_ALL, 2);
        tbk_store_commit(store);
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            ProtobufCMessage *row;
            if (is_unique(column)) {
                expect_ok(store, try_get(store, id, column->name, tbk_column_get(column, expected), &row));
                tbk_store_assert_equal(table, row, expected);
            }
        }
    }
}

static void expect_no_row(struct tbk_store *store, enum tbk_table_id id, const char *column,
                          struct tbk_value value, const char *said)
{
    ProtobufCMessage *row = NULL;
    assert_int_equal(try_get(store, id, column, value, &row), TBK_NOT_FOUND);
    assert_null(row);
    assert_non_null(strstr(store->error.message, tbk_store_table(store, id)->resource));
    assert_non_null(strstr(store->error.message, said));
    tbk_error_init(&store->error);
}

static void test_get_unknown_is_not_found_and_says_what(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    expect_no_row(store, TBK_SIGNALS, "id", tbk_value_integer(2), "2");
    expect_no_row(store, TBK_SIGNALS, "id", tbk_value_integer(0), "0");
    expect_no_row(store, TBK_SIGNALS, "id", tbk_value_integer(-1), "-1");
    expect_no_row(store, TBK_SIGNALS, "id", tbk_value_integer(INT64_MAX), "9223372036854775807");
    expect_no_row(store, TBK_SIGNAL_RESULTS, "signal_id", tbk_value_integer(1), "1");
    expect_no_row(store, TBK_PATTERNS, "pattern_hash", tbk_value_text("ab'; --"), "ab'; --");
    expect_no_row(store, TBK_RISK_BOOK_SNAPSHOTS, "signal_id", tbk_value_text("%"), "%");
    expect_no_row(store, TBK_MODEL_DEPLOYMENTS, "version", tbk_value_text(""), "version");
}

static void test_update_one_column_leaves_the_others(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 3);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        tbk_store_begin(store);
        ProtobufCMessage *expected = insert_row(store, id, TBK_FILL_ALL, 0);
        const ProtobufCMessage *bystander = insert_row(store, id, TBK_FILL_ALL, 1);
        ProtobufCMessage *other = tbk_store_message(store, id, TBK_FILL_ALL, 2);
        tbk_store_set(store, other, table->key, tbk_column_get(table->key, expected));
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            if (column == table->key) {
                continue;
            }
            expect_ok(store, try_update(store, id, UINT32_C(1) << column->position, other));
            tbk_column_share(column, expected, other);
            tbk_store_assert_equal(table, tbk_store_get(store, store->writer, id, expected), expected);
        }
        tbk_store_commit(store);
        tbk_store_assert_equal(table, tbk_store_get(store, store->reader, id, expected), other);
        tbk_store_assert_equal(table, tbk_store_get(store, store->reader, id, bystander), bystander);
    }
}

static void test_update_all_columns_to_absent_keeps_the_mandatory(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 2);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        tbk_store_begin(store);
        const ProtobufCMessage *row = insert_row(store, id, TBK_FILL_ALL, 0);
        ProtobufCMessage *cleared = tbk_store_message(store, id, TBK_FILL_MANDATORY, 1);
        tbk_store_set(store, cleared, table->key, tbk_column_get(table->key, row));
        expect_ok(store, try_update(store, id, all_bits(table), cleared));
        tbk_store_commit(store);
        tbk_store_assert_equal(table, tbk_store_get(store, store->reader, id, row), cleared);
    }
}

static void test_update_some_columns_ignores_the_rest_of_the_message(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_insert_signals(store, 1);
    ProtobufCMessage *expected = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0);
    ProtobufCMessage *message = tbk_message_create(table->message, store->arena);
    tbk_store_set(store, message, table->key, tbk_value_integer(1));
    tbk_store_set(store, message, tbk_store_column(table, "notes"), tbk_value_text("new"));
    tbk_store_set(store, message, tbk_store_column(table, "confidence"), tbk_value_real(0.75));
    tbk_store_set(store, message, tbk_store_column(table, "symbol"), tbk_value_text("ignored"));

    tbk_store_begin(store);
    expect_ok(store, try_update(store, TBK_SIGNALS,
                                bit(table, "notes") | bit(table, "confidence") | bit(table, "tp_price"), message));
    tbk_store_commit(store);

    tbk_store_set(store, expected, tbk_store_column(table, "notes"), tbk_value_text("new"));
    tbk_store_set(store, expected, tbk_store_column(table, "confidence"), tbk_value_real(0.75));
    tbk_store_set(store, expected, tbk_store_column(table, "tp_price"), tbk_value_null());
    tbk_store_assert_equal(table, tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1), expected);
}

static void test_update_same_values_is_ok(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_PATTERNS);
    tbk_store_begin(store);
    const ProtobufCMessage *row = insert_row(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    expect_ok(store, try_update(store, TBK_PATTERNS, all_bits(table), row));
    tbk_store_commit(store);
    tbk_store_assert_equal(table, tbk_store_get(store, store->reader, TBK_PATTERNS, row), row);
}

static void test_update_unknown_key_is_not_found(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    tbk_store_begin(store);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const enum tbk_table_id id = (enum tbk_table_id)t;
        const struct tbk_table *table = tbk_store_table(store, id);
        ProtobufCMessage *message = tbk_store_message(store, id, TBK_FILL_ALL, 0);
        if (has_integer_key(table)) {
            tbk_store_set(store, message, table->key, tbk_value_integer(99));
        }
        const int64_t before = tbk_store_count(store, store->writer, id);
        assert_int_equal(try_update(store, id, all_bits(table), message), TBK_NOT_FOUND);
        assert_non_null(strstr(store->error.message, table->resource));
        tbk_error_init(&store->error);
        assert_int_equal(tbk_store_count(store, store->writer, id), before);
    }
    tbk_store_commit(store);
}

static void test_update_to_taken_unique_value_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_PATTERNS);
    tbk_store_begin(store);
    const ProtobufCMessage *first = insert_row(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    const ProtobufCMessage *second = insert_row(store, TBK_PATTERNS, TBK_FILL_ALL, 1);
    ProtobufCMessage *message = tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    tbk_store_set(store, message, table->key, tbk_column_get(table->key, second));
    assert_int_equal(try_update(store, TBK_PATTERNS, all_bits(table), message), TBK_ALREADY_EXISTS);
    assert_non_null(strstr(store->error.message, "pattern_hash"));
    tbk_error_init(&store->error);
    tbk_store_commit(store);
    tbk_store_assert_equal(table, tbk_store_get(store, store->reader, TBK_PATTERNS, first), first);
    tbk_store_assert_equal(table, tbk_store_get(store, store->reader, TBK_PATTERNS, second), second);
}

static void test_update_mandatory_column_to_absent_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_insert_signals(store, 1);
    ProtobufCMessage *message = tbk_message_create(table->message, store->arena);
    tbk_store_set(store, message, table->key, tbk_value_integer(1));
    tbk_store_begin(store);
    assert_int_not_equal(try_update(store, TBK_SIGNALS, bit(table, "symbol") | bit(table, "notes"), message),
                         TBK_OK);
    assert_true(store->ops->in_transaction(store->writer));
    tbk_error_init(&store->error);
    tbk_store_commit(store);
    tbk_store_assert_equal(table, tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1),
                           tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0));
}

static void expect_exists(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id id, int64_t key,
                          bool expected)
{
    bool exists = !expected;
    expect_ok(store, store->ops->exists(session, tbk_store_table(store, id), key, &exists, &store->error));
    assert_int_equal(exists, expected);
}

static void test_exists_tells_whether_the_key_is_there(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 2);
    expect_exists(store, store->reader, TBK_SIGNALS, 1, true);
    expect_exists(store, store->reader, TBK_SIGNALS, 2, true);
    expect_exists(store, store->reader, TBK_SIGNALS, 3, false);
    expect_exists(store, store->reader, TBK_SIGNALS, 0, false);
    expect_exists(store, store->reader, TBK_SIGNALS, INT64_MIN, false);
    expect_exists(store, store->reader, TBK_PATTERNS, 1, false);
    tbk_store_begin(store);
    insert_row(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    expect_exists(store, store->writer, TBK_PATTERNS, 1, true);
    tbk_store_commit(store);
}

static void test_count_follows_inserts(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 5);
    for (int i = 1; i <= 5; i++) {
        tbk_store_begin(store);
        insert_row(store, TBK_THEORY_PERFORMANCE, TBK_FILL_ALL, i - 1);
        assert_int_equal(tbk_store_count(store, store->writer, TBK_THEORY_PERFORMANCE), i);
        assert_int_equal(tbk_store_count(store, store->reader, TBK_THEORY_PERFORMANCE), i - 1);
        tbk_store_commit(store);
    }
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 5);
}

static void test_get_arena_too_small_is_resource_exhausted(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_insert_signals(store, 1);
    struct tbk_arena *small = tbk_arena_create(64, 64);
    ProtobufCMessage *row;
    expect_status(
        store, store->ops->get(store->reader, table, table->key, tbk_value_integer(1), small, &row, &store->error),
        TBK_RESOURCE_EXHAUSTED);
    tbk_arena_destroy(small);
    tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1);
}

int tbk_contract_run_rows(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_insert_all_fields_reads_back),
        contract_test(test_insert_mandatory_fields_leaves_the_others_absent),
        contract_test(test_insert_zero_and_empty_are_not_absent),
        contract_test(test_insert_without_key_assigns_growing_keys),
        contract_test(test_insert_with_key_keeps_it),
        contract_test(test_insert_without_mandatory_field_changes_nothing),
        contract_test(test_insert_reference_to_nothing_is_not_found),
        contract_test(test_insert_taken_unique_value_names_it_and_changes_nothing),
        contract_test(test_get_by_each_unique_column_finds_the_row),
        contract_test(test_get_unknown_is_not_found_and_says_what),
        contract_test(test_update_one_column_leaves_the_others),
        contract_test(test_update_all_columns_to_absent_keeps_the_mandatory),
        contract_test(test_update_some_columns_ignores_the_rest_of_the_message),
        contract_test(test_update_same_values_is_ok),
        contract_test(test_update_unknown_key_is_not_found),
        contract_test(test_update_to_taken_unique_value_changes_nothing),
        contract_test(test_update_mandatory_column_to_absent_changes_nothing),
        contract_test(test_exists_tells_whether_the_key_is_there),
        contract_test(test_count_follows_inserts),
        contract_test(test_get_arena_too_small_is_resource_exhausted),
    };
    return cmocka_run_group_tests_name("contract: rows", tests, NULL, NULL);
}
