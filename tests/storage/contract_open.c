/* Opening, closing, and what info tells. */
#include <string.h>

#include "contract.h"

static void test_open_new_location_creates_empty_tables(void **state)
{
    struct tbk_store *store = *state;
    for (int table = 0; table < TBK_TABLE_COUNT; table++) {
        assert_int_equal(tbk_store_count(store, store->writer, (enum tbk_table_id)table), 0);
        assert_int_equal(tbk_store_count(store, store->reader, (enum tbk_table_id)table), 0);
    }
}

static void test_info_new_database_says_what_was_made(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    assert_string_equal(info.backend, store->ops->name);
    assert_true(strlen(info.library_version) > 0);
    assert_true(strlen(info.location) > 0);
    assert_non_null(strstr(info.changes, "signals"));
    assert_true(info.schema_version > 0);
    assert_true(info.database_bytes > 0);
    assert_true(info.wal_bytes >= 0);
}

static void test_open_again_keeps_rows_and_secret(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_storage_info before;
    store->ops->info(store->storage, &before);
    const ProtobufCMessage *message = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0);
    tbk_store_insert_signals(store, 3);

    tbk_store_close(store);
    tbk_store_open(store);

    struct tbk_storage_info after;
    store->ops->info(store->storage, &after);
    assert_true(after.secret == before.secret);
    assert_int_equal(after.schema_version, before.schema_version);
    assert_string_equal(after.changes, "");
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 3);
    tbk_store_assert_equal(tbk_store_table(store, TBK_SIGNALS),
                           tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1), message);
}

static void test_open_without_commit_before_keeps_nothing(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 0));
    tbk_store_close(store);
    tbk_store_open(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 0);
}

static void test_open_while_open_is_refused(void **state)
{
    struct tbk_store *store = *state;
    struct tbk_store *second = tbk_store_create(store->ops, store->location);
    assert_int_equal(tbk_store_try_open(second), TBK_FAILED_PRECONDITION);
    assert_true(strlen(second->error.message) > 0);
    assert_null(second->storage);

    /* The first is unharmed, and its place is free once it is closed. */
    tbk_store_insert_signals(store, 1);
    tbk_store_close(store);
    tbk_error_init(&second->error);
    tbk_store_open(second);
    assert_int_equal(tbk_store_count(second, second->reader, TBK_SIGNALS), 1);
    tbk_store_destroy(second);
}

static void test_session_many_readers_see_the_same(void **state)
{
    enum { READERS = 8 };
    struct tbk_store *store = *state;
    struct tbk_session *readers[READERS];
    for (int i = 0; i < READERS; i++) {
        expect_ok(store, store->ops->session_open(store->storage, TBK_SESSION_READ, &readers[i], &store->error));
    }
    tbk_store_insert_signals(store, 2);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(tbk_store_count(store, readers[i], TBK_SIGNALS), 2);
        store->ops->session_close(readers[i]);
    }
}

static void test_maintain_after_commits_keeps_rows(void **state)
{
    enum { ROWS = 400 };
    struct tbk_store *store = *state;
    for (int i = 0; i < ROWS; i++) {
        tbk_store_begin(store);
        tbk_store_insert(store, TBK_PATTERNS, tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, i));
        tbk_store_commit(store);
        assert_int_equal(store->ops->maintain(store->writer, &store->error), TBK_OK);
    }
    assert_int_equal(tbk_store_count(store, store->reader, TBK_PATTERNS), ROWS);
}

int tbk_contract_run_open(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_open_new_location_creates_empty_tables),
        contract_test(test_info_new_database_says_what_was_made),
        contract_test(test_open_again_keeps_rows_and_secret),
        contract_test(test_open_without_commit_before_keeps_nothing),
        contract_test(test_open_while_open_is_refused),
        contract_test(test_session_many_readers_see_the_same),
        contract_test(test_maintain_after_commits_keeps_rows),
    };
    return cmocka_run_group_tests_name("contract: open", tests, NULL, NULL);
}
