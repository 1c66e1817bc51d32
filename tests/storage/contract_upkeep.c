/* Backup, restore, vacuum and check of a whole database. */
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "folder.h"

static struct tbk_storage_config config_of(const struct tbk_store *store, const char *location)
{
    return (struct tbk_storage_config){
        .location = location, .schema = store->schema, .busy_timeout_ms = TBK_STORE_BUSY_TIMEOUT_MS};
}

/* Another place beside the store's. */
static char *beside(const struct tbk_store *store, const char *suffix, char out[PATH_MAX])
{
    assert_true(snprintf(out, PATH_MAX, "%s.%s", store->location, suffix) < PATH_MAX);
    return out;
}

static const struct tbk_upkeep_observer nobody = {0};

static struct tbk_copy_report back_up(struct tbk_store *store, const char *copy)
{
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    expect_ok(store, store->ops->backup(&config, copy, false, &nobody, &report, &store->error));
    return report;
}

static int64_t rows_at(struct tbk_store *store, const char *location)
{
    struct tbk_store *other = tbk_store_create(store->ops, location);
    tbk_store_open(other);
    const int64_t rows = tbk_store_count(other, other->reader, TBK_SIGNALS);
    tbk_store_destroy(other);
    return rows;
}

static void test_backup_while_open_has_what_is_committed(void **state)
{
    struct tbk_store *store = *state;
    char copy[PATH_MAX];
    tbk_store_insert_signals(store, 3);
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 3));
    const struct tbk_copy_report report = back_up(store, beside(store, "copy", copy));
    tbk_store_commit(store);
    assert_true(report.rows >= 3);
    assert_true(report.copy_bytes > 0);
    assert_string_equal(report.kept, "");
    assert_int_equal(rows_at(store, copy), 3);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 4);
}

static void test_backup_existing_file_is_refused_unless_replaced(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report = {.rows = -1};
    char copy[PATH_MAX];
    back_up(store, beside(store, "copy", copy));
    tbk_store_insert_signals(store, 1);
    expect_status(store, store->ops->backup(&config, copy, false, &nobody, &report, &store->error),
                  TBK_ALREADY_EXISTS);
    assert_int_equal(report.rows, -1);
    expect_ok(store, store->ops->backup(&config, copy, true, &nobody, &report, &store->error));
    assert_int_equal(rows_at(store, copy), 1);
}

static void test_backup_of_nothing_is_not_found(void **state)
{
    struct tbk_store *store = *state;
    char missing[PATH_MAX];
    char copy[PATH_MAX];
    const struct tbk_storage_config config = config_of(store, beside(store, "missing", missing));
    struct tbk_copy_report report;
    expect_status(store,
                  store->ops->backup(&config, beside(store, "copy", copy), false, &nobody, &report, &store->error),
                  TBK_NOT_FOUND);
    assert_false(tbk_file_exists(copy));
    assert_false(tbk_file_exists(missing));
}

/* Says enough at the call of this number. */
struct patience {
    int calls;
    enum tbk_upkeep_phase phase; /* of the last call */
};

static bool lose_patience(void *argument, enum tbk_upkeep_phase phase, int64_t done_bytes, int64_t total_bytes)
{
    struct patience *patience = argument;
    assert_true(done_bytes >= 0);
    assert_true(phase == TBK_UPKEEP_VERIFY || total_bytes > 0);
    patience->phase = phase;
    return --patience->calls > 0;
}

static void test_backup_cancelled_leaves_nothing(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    char copy[PATH_MAX];
    char partial[PATH_MAX];
    tbk_store_insert_signals(store, 3);
    beside(store, "copy", copy);
    beside(store, "copy.partial", partial);
    struct patience patience = {.calls = 1};
    const struct tbk_upkeep_observer observer = {lose_patience, &patience};
    expect_status(store, store->ops->backup(&config, copy, false, &observer, &report, &store->error),
                  TBK_CANCELLED);
    assert_int_equal(patience.phase, TBK_UPKEEP_COPY);
    assert_false(tbk_file_exists(copy));
    assert_false(tbk_file_exists(partial));
}

static void test_restore_puts_the_backup_back_and_keeps_the_former(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    char copy[PATH_MAX];
    tbk_store_insert_signals(store, 2);
    back_up(store, beside(store, "copy", copy));
    tbk_store_begin(store);
    tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 2));
    tbk_store_commit(store);
    tbk_store_close(store);

    expect_ok(store, store->ops->restore(&config, copy, &nobody, &report, &store->error));
    assert_int_equal(rows_at(store, report.kept), 3);
    assert_int_equal(rows_at(store, copy), 2);
    tbk_store_open(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 2);
}

static void test_restore_and_vacuum_while_open_are_refused(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    char copy[PATH_MAX];
    back_up(store, beside(store, "copy", copy));
    tbk_store_insert_signals(store, 1);
    expect_status(store, store->ops->restore(&config, copy, &nobody, &report, &store->error),
                  TBK_FAILED_PRECONDITION);
    expect_status(store, store->ops->vacuum(&config, &nobody, &report, &store->error), TBK_FAILED_PRECONDITION);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
}

static void test_restore_of_nothing_is_not_found_and_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    char missing[PATH_MAX];
    tbk_store_insert_signals(store, 1);
    tbk_store_close(store);
    expect_status(store,
                  store->ops->restore(&config, beside(store, "missing", missing), &nobody, &report, &store->error),
                  TBK_NOT_FOUND);
    assert_int_equal(rows_at(store, store->location), 1);
}

static void test_vacuum_keeps_every_row(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_copy_report report;
    tbk_store_insert_signals(store, 3);
    const ProtobufCMessage *expected = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, 2);
    tbk_store_close(store);
    expect_ok(store, store->ops->vacuum(&config, &nobody, &report, &store->error));
    assert_true(report.database_bytes > 0);
    assert_true(report.copy_bytes > 0);
    tbk_store_open(store);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 3);
    tbk_store_assert_equal(tbk_store_table(store, TBK_SIGNALS),
                           tbk_store_get_id(store, store->reader, TBK_SIGNALS, 3), expected);
}

static void test_check_while_open_finds_nothing_and_counts_rows(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_storage_config config = config_of(store, store->location);
    struct tbk_check_report report;
    tbk_store_insert_signals(store, 3);
    expect_ok(store, store->ops->check(&config, &nobody, store->arena, &report, &store->error));
    assert_int_equal(report.finding_count, 0);
    assert_int_equal(report.schema_version, report.schema_version_known);
    assert_true(report.database_bytes + report.log_bytes > 0);
    int found = 0;
    for (size_t i = 0; i < report.table_count; i++) {
        found += strcmp(report.tables[i].name, "signals") == 0 && report.tables[i].rows == 3;
    }
    assert_int_equal(found, 1);
}

static void test_check_of_nothing_is_not_found(void **state)
{
    struct tbk_store *store = *state;
    char missing[PATH_MAX];
    const struct tbk_storage_config config = config_of(store, beside(store, "missing", missing));
    struct tbk_check_report report;
    expect_status(store, store->ops->check(&config, &nobody, store->arena, &report, &store->error), TBK_NOT_FOUND);
    assert_false(tbk_file_exists(missing));
}

int tbk_contract_run_upkeep(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_backup_while_open_has_what_is_committed),
        contract_test(test_backup_existing_file_is_refused_unless_replaced),
        contract_test(test_backup_of_nothing_is_not_found),
        contract_test(test_backup_cancelled_leaves_nothing),
        contract_test(test_restore_puts_the_backup_back_and_keeps_the_former),
        contract_test(test_restore_and_vacuum_while_open_are_refused),
        contract_test(test_restore_of_nothing_is_not_found_and_changes_nothing),
        contract_test(test_vacuum_keeps_every_row),
        contract_test(test_check_while_open_finds_nothing_and_counts_rows),
        contract_test(test_check_of_nothing_is_not_found),
    };
    return cmocka_run_group_tests_name("contract: upkeep", tests, NULL, NULL);
}
