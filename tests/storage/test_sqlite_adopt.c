/* From whatever the file is to what this version needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "sqlite_store.h"

static const char *const tables[] = {
    "signals", "signal_results", "theory_performance", "patterns", "risk_book_snapshots", "model_deployments",
};
enum { TABLES = sizeof tables / sizeof tables[0] };

/* The users' database, or the test is skipped. */
static const char *users_database(void)
{
    const char *path = getenv("TRADEBOOK_FIXTURE");
    if (path == NULL || !tbk_file_exists(path)) {
        print_message("The users' database is not there (TRADEBOOK_FIXTURE).\n");
        skip();
    }
    return path;
}

/* A legacy database at the store's location, then changed by sql. */
static void make_legacy(const struct tbk_store *store, const char *sql)
{
    tbk_raw_run(store->location, tbk_legacy_schema);
    tbk_raw_run(store->location, sql);
}

static void open_and_close(struct tbk_store *store)
{
    tbk_store_open(store);
    tbk_store_close(store);
}

static char *changes_of(struct tbk_store *store)
{
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    return strdup(info.changes);
}

static void assert_enum(const struct tbk_table *table, const ProtobufCMessage *row, const char *name,
                        const char *expected)
{
    const struct tbk_column *column = tbk_store_column(table, name);
    assert_string_equal(tbk_column_enum_text(column, (int)tbk_column_get(column, row).integer), expected);
}

/* Fails the test unless column and index definitions of a table are the same.
 * Defaults are compared where the users' file has some. */
static void assert_same_columns(sqlite3 *a, sqlite3 *b, const char *table)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT cid, name, type, \"notnull\", pk FROM pragma_table_info('%s') ORDER BY cid",
             table);
    assert_true(tbk_raw_assert_same(a, sql, b, sql) > 0);
}

static void assert_same_indexes(sqlite3 *a, sqlite3 *b, const char *table)
{
    static const char format[] =
        "SELECT l.name, l.\"unique\", l.partial, i.seqno, i.name FROM pragma_index_list('%s') l, "
        "pragma_index_info(l.name) i WHERE l.name<>'ix_theory_performance_was_correct' "
        "ORDER BY l.name, i.seqno";
    char sql[512];
    snprintf(sql, sizeof sql, format, table);
    assert_true(tbk_raw_assert_same(a, sql, b, sql) > 0);
}

static void test_adopt_users_database_keeps_every_value(void **state)
{
    struct tbk_store *store = *state;
    const char *users = users_database();
    tbk_file_copy(users, store->location);
    open_and_close(store);
    sqlite3 *before = tbk_raw_open(users);
    sqlite3 *after = tbk_raw_open(store->location);
    int rows = 0;
    for (int i = 0; i < TABLES; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT rowid, * FROM %s ORDER BY rowid", tables[i]);
        rows += tbk_raw_assert_same(before, sql, after, sql);
    }
    assert_true(rows > 20000);
    tbk_raw_close(before);
    tbk_raw_close(after);
    tbk_raw_assert_sound(store->location);
}

static void test_adopt_users_database_adds_the_missing_index_only(void **state)
{
    struct tbk_store *store = *state;
    const char *users = users_database();
    tbk_file_copy(users, store->location);
    tbk_store_open(store);
    char *changes = changes_of(store);
    assert_non_null(strstr(changes, "ix_theory_performance_was_correct"));
    assert_null(strstr(changes, "column"));
    assert_null(strstr(changes, "normalised"));
    free(changes);
    tbk_store_close(store);

    sqlite3 *before = tbk_raw_open(users);
    sqlite3 *after = tbk_raw_open(store->location);
    for (int i = 0; i < TABLES; i++) {
        assert_same_columns(before, after, tables[i]);
        assert_same_indexes(before, after, tables[i]);
    }
    /* The users' own definitions are the same to the letter. */
    tbk_raw_assert_same(
        before, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name", after,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'tb\\_%' ESCAPE '\\' "
        "AND name NOT LIKE 'sqlite\\_autoindex\\_tb%' ESCAPE '\\' "
        "AND name <> 'ix_theory_performance_was_correct' ORDER BY name");
    assert_int_equal(tbk_raw_integer(after, "SELECT count(*) FROM pragma_index_info("
                                            "'ix_theory_performance_was_correct') WHERE name='was_correct'"),
                     1);
    tbk_raw_close(before);
    tbk_raw_close(after);
}

static void test_adopt_users_database_again_changes_nothing(void **state)
{
    struct tbk_store *store = *state;
    tbk_file_copy(users_database(), store->location);
    open_and_close(store);
    size_t bytes_before;
    char *before = tbk_file_read(store->location, &bytes_before);
    tbk_store_open(store);
    char *changes = changes_of(store);
    assert_string_equal(changes, "");
    free(changes);
    tbk_store_close(store);
    size_t bytes_after;
    char *after = tbk_file_read(store->location, &bytes_after);
    assert_int_equal(bytes_after, bytes_before);
    assert_memory_equal(after, before, bytes_before);
    free(before);
    free(after);
}

static void test_adopt_users_database_reads_every_row(void **state)
{
    struct tbk_store *store = *state;
    const char *users = users_database();
    tbk_file_copy(users, store->location);
    tbk_store_open(store);
    sqlite3 *db = tbk_raw_open(users);
    for (int i = 0; i < TBK_TABLE_COUNT; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", store->schema->tables[i].name);
        assert_int_equal(tbk_store_count(store, store->reader, (enum tbk_table_id)i), tbk_raw_integer(db, sql));
    }
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    const ProtobufCMessage *row = tbk_store_get_id(store, store->reader, TBK_SIGNALS, 2);
    sqlite3_stmt *confidence;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT confidence FROM signals WHERE id=2", -1, &confidence, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(confidence), SQLITE_ROW);
    assert_true(tbk_column_get(tbk_store_column(table, "confidence"), row).real ==
                sqlite3_column_double(confidence, 0));
    sqlite3_finalize(confidence);
    tbk_raw_close(db);
    assert_string_equal(tbk_column_get(tbk_store_column(table, "symbol"), row).text.data, "SOL-USD");
    assert_enum(table, row, "direction", "long");
    assert_int_equal(tbk_column_get(tbk_store_column(table, "rl_prediction"), row).type, TBK_VALUE_NULL);
    assert_int_equal(tbk_column_get(tbk_store_column(table, "executed"), row).integer, 0);
}

static void test_adopt_missing_tables_are_created(void **state)
{
    struct tbk_store *store = *state;
    make_legacy(store, "DROP TABLE patterns; DROP TABLE model_deployments; DROP TABLE theory_performance;"
                       "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction)"
                       " VALUES ('2025-01-01 00:00:00.000000', 'BTC-USD', 'long', 0.5, 'high', 0.5)");
    tbk_store_open(store);
    char *changes = changes_of(store);
    assert_non_null(strstr(changes, "patterns"));
    assert_non_null(strstr(changes, "model_deployments"));
    free(changes);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
    tbk_store_begin(store);
    for (int i = 0; i < TBK_TABLE_COUNT; i++) {
        tbk_store_insert(store, (enum tbk_table_id)i,
                         tbk_store_message(store, (enum tbk_table_id)i, TBK_FILL_ALL, 0));
    }
    tbk_store_commit(store);
}

/* What a process with an older schema leaves: no strategy, no counters, no
 * times of record. */
static void test_adopt_missing_columns_are_added(void **state)
{
    struct tbk_store *store = *state;
    make_legacy(store, "ALTER TABLE signals DROP COLUMN strategy; ALTER TABLE signals DROP COLUMN executed;"
                       "ALTER TABLE signals DROP COLUMN notes; ALTER TABLE patterns DROP COLUMN wins;"
                       "ALTER TABLE patterns DROP COLUMN win_rate; ALTER TABLE patterns DROP COLUMN updated_at;"
                       "ALTER TABLE model_deployments DROP COLUMN is_active;"
                       "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction)"
                       " VALUES ('2025-01-01 00:00:00.000000', 'BTC-USD', 'long', 0.5, 'high', 0.5);"
                       "INSERT INTO patterns (name, pattern_hash, total, created_at)"
                       " VALUES ('flag', 'abc', 3, '2025-01-01 00:00:00.000000');"
                       "INSERT INTO model_deployments (version, model_path, model_type, deployed_at, is_promoted)"
                       " VALUES ('v1', 'p', 'lstm', '2025-01-01 00:00:00.000000', 1)");
    tbk_store_open(store);
    char *changes = changes_of(store);
    assert_non_null(strstr(changes, "signals.strategy"));
    assert_non_null(strstr(changes, "patterns.updated_at"));
    free(changes);

    sqlite3 *db = tbk_raw_open(store->location);
    char *row =
        tbk_raw_text(db, "SELECT printf('%s|%s|%s', strategy, executed, coalesce(notes, 'NULL')) FROM signals");
    assert_string_equal(row, "v7_full_math|0|NULL");
    free(row);
    row = tbk_raw_text(
        db, "SELECT printf('%s|%s|%s|%d', wins, total, typeof(win_rate), length(updated_at)) FROM patterns");
    assert_string_equal(row, "0|3|real|26");
    free(row);
    assert_int_equal(tbk_raw_integer(db, "SELECT is_active FROM model_deployments"), 1);
    tbk_raw_close(db);

    tbk_store_begin(store);
    ProtobufCMessage *message = tbk_store_message(store, TBK_PATTERNS, TBK_FILL_ALL, 0);
    const int64_t id = tbk_store_insert(store, TBK_PATTERNS, message);
    tbk_store_commit(store);
    tbk_store_assert_equal(tbk_store_table(store, TBK_PATTERNS),
                           tbk_store_get_id(store, store->reader, TBK_PATTERNS, id), message);
}

static void expect_refused(struct tbk_store *store, enum tbk_status status, const char *said)
{
    assert_int_equal(tbk_store_try_open(store), status);
    if (strstr(store->error.message, said) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", store->error.message, said);
    }
    assert_null(store->storage);
    tbk_error_init(&store->error);
}

/* Refused with the file as it was, byte for byte, and nothing left beside it. */
static void expect_refused_untouched(struct tbk_store *store, const char *said)
{
    static const char *const beside[] = {"trade.db-journal", "trade.db-wal", "trade.db-shm", "trade.db.lock"};
    size_t bytes_before;
    char *before = tbk_file_read(store->location, &bytes_before);
    expect_refused(store, TBK_FAILED_PRECONDITION, said);
    size_t bytes_after;
    char *after = tbk_file_read(store->location, &bytes_after);
    assert_int_equal(bytes_after, bytes_before);
    assert_memory_equal(after, before, bytes_before);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        char path[PATH_MAX];
        if (tbk_file_exists(tbk_sqlite_store_path(store, beside[i], path))) {
            fail_msg("%s was left behind", path);
        }
    }
    free(before);
    free(after);
}

static void test_adopt_without_a_column_every_row_needs_is_refused(void **state)
{
    struct tbk_store *store = *state;
    make_legacy(store,
                "ALTER TABLE signals DROP COLUMN strategy; ALTER TABLE signal_results DROP COLUMN entry_price");
    expect_refused_untouched(store, "entry_price");
}

static void test_adopt_repeated_unique_values_is_refused(void **state)
{
    struct tbk_store *store = *state;
    make_legacy(store,
                "DROP INDEX ix_signal_results_signal_id;"
                "INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome, created_at, "
                "updated_at) VALUES (1, 1, '2025-01-01 00:00:00.000000', 'open', '2025-01-01', '2025-01-01'),"
                "(1, 1, '2025-01-01 00:00:00.000000', 'open', '2025-01-01', '2025-01-01')");
    expect_refused_untouched(store, "signal_id");
}

static void test_newer_schema_is_refused(void **state)
{
    struct tbk_store *store = *state;
    open_and_close(store);
    tbk_raw_run(store->location, "UPDATE tb_meta SET value=99 WHERE key='schema_version'");
    char lock[PATH_MAX];
    assert_int_equal(remove(tbk_sqlite_store_path(store, "trade.db.lock", lock)), 0);
    expect_refused_untouched(store, "newer");
}

static void test_foreign_database_is_refused(void **state)
{
    struct tbk_store *store = *state;
    tbk_raw_run(store->location, "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);"
                                 "INSERT INTO customers (name) VALUES ('A'), ('B')");
    expect_refused_untouched(store, "another program");
}

static void test_foreign_database_with_a_log_is_refused(void **state)
{
    struct tbk_store *store = *state;
    tbk_raw_run(store->location, "PRAGMA journal_mode=WAL; CREATE TABLE customers (id INTEGER PRIMARY KEY)");
    expect_refused_untouched(store, "another program");
}

/* The other program ended without closing: what is in its log stays there. */
static void test_foreign_database_with_an_unfinished_log_is_refused(void **state)
{
    struct tbk_store *store = *state;
    char source[PATH_MAX];
    char source_wal[PATH_MAX];
    char wal[PATH_MAX];
    tbk_sqlite_store_path(store, "source.db", source);
    tbk_sqlite_store_path(store, "source.db-wal", source_wal);
    tbk_sqlite_store_path(store, "trade.db-wal", wal);
    sqlite3 *db = tbk_raw_open(source);
    tbk_raw_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE customers (id INTEGER PRIMARY KEY);");
    tbk_file_copy(source, store->location);
    tbk_file_copy(source_wal, wal);
    tbk_raw_close(db);

    size_t bytes_before;
    char *before = tbk_file_read(store->location, &bytes_before);
    expect_refused(store, TBK_FAILED_PRECONDITION, "another program");
    size_t bytes_after;
    char *after = tbk_file_read(store->location, &bytes_after);
    assert_int_equal(bytes_after, bytes_before);
    assert_memory_equal(after, before, bytes_before);
    assert_true(tbk_file_exists(wal));
    free(before);
    free(after);
    db = tbk_raw_open(store->location);
    assert_int_equal(tbk_raw_integer(db, "SELECT count(*) FROM customers"), 0);
    tbk_raw_close(db);
}

static void test_not_a_database_is_refused(void **state)
{
    struct tbk_store *store = *state;
    char text[8192];
    memset(text, 'x', sizeof text);
    tbk_file_write(store->location, text, sizeof text);
    expect_refused_untouched(store, "not an SQLite database");
    tbk_file_write(store->location, "hello\n", 6);
    expect_refused_untouched(store, "not an SQLite database");
}

static void test_empty_file_is_filled(void **state)
{
    struct tbk_store *store = *state;
    tbk_file_write(store->location, "", 0);
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    assert_int_equal(tbk_store_count(store, store->reader, TBK_SIGNALS), 1);
}

/* Each in a row of its own: as found, and as it must be after adoption. */
static const struct {
    const char *found;
    const char *expected;
} timestamps[] = {
    {"'2025-10-10 00:00:27.659044'", "2025-10-10 00:00:27.659044"},
    {"'2025-10-10 00:00:27'", "2025-10-10 00:00:27.000000"},
    {"'2025-10-10T00:00:27.659044'", "2025-10-10 00:00:27.659044"},
    {"'2025-10-10T00:00:27Z'", "2025-10-10 00:00:27.000000"},
    {"'2025-10-10 00:00:27.659044+00:00'", "2025-10-10 00:00:27.659044"},
    {"'2025-10-10T02:30:27.5+02:30'", "2025-10-10 00:00:27.500000"},
    {"'2025-10-10 00:00:27.659'", "2025-10-10 00:00:27.659000"},
    {"'2025-10-10 00:00:27.659044123'", "2025-10-10 00:00:27.659044"},
    {"'2025-10-10'", "2025-10-10 00:00:00.000000"},
    {"''", ""},
    {"'yesterday'", "yesterday"},
    {"'2025-02-30 00:00:00'", "2025-02-30 00:00:00"},
    {"'10/10/2025'", "10/10/2025"},
    {"1760054427", "1760054427"},
    {"1760054427.5", "1760054427.5"},
    {"x'00ff'", NULL},
};

static void test_adopt_readable_timestamps_are_normalised_others_stay(void **state)
{
    enum { COUNT = sizeof timestamps / sizeof timestamps[0] };
    struct tbk_store *store = *state;
    make_legacy(store, "");
    sqlite3 *db = tbk_raw_open(store->location);
    for (int i = 0; i < COUNT; i++) {
        char sql[512];
        snprintf(
            sql, sizeof sql,
            "INSERT INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, exit_time, mode, "
            "created_at) VALUES ('%d', 'BTC-USD', 'high', '2025-01-01 00:00:00.000000', 1, %s, 'live', %s)",
            i, timestamps[i].found, timestamps[i].found);
        tbk_raw_exec(db, sql);
    }
    tbk_raw_close(db);
    tbk_store_open(store);
    char *changes = changes_of(store);
    assert_non_null(strstr(changes, "risk_book_snapshots.exit_time"));
    assert_null(strstr(changes, "risk_book_snapshots.entry_time"));
    free(changes);

    const struct tbk_table *table = tbk_store_table(store, TBK_RISK_BOOK_SNAPSHOTS);
    db = tbk_raw_open(store->location);
    for (int i = 0; i < COUNT; i++) {
        char sql[128];
        char key[16];
        snprintf(sql, sizeof sql, "SELECT exit_time FROM risk_book_snapshots WHERE signal_id='%d'", i);
        char *text = tbk_raw_text(db, sql);
        if (timestamps[i].expected != NULL) {
            assert_string_equal(text, timestamps[i].expected);
        }
        free(text);
        /* What cannot be read as a moment is absent in the message. */
        snprintf(key, sizeof key, "%d", i);
        ProtobufCMessage *row;
        expect_ok(store, store->ops->get(store->reader, table, table->key, tbk_value_text(key), store->arena, &row,
                                         &store->error));
        const bool readable =
            timestamps[i].expected != NULL && strlen(timestamps[i].expected) == TBK_TIMESTAMP_CHARS;
        assert_int_equal(tbk_column_present(tbk_store_column(table, "exit_time"), row), readable);
    }
    assert_int_equal(
        tbk_raw_integer(db, "SELECT count(*) FROM risk_book_snapshots WHERE typeof(exit_time)='blob'"), 1);
    tbk_raw_close(db);
}

/* Text of enumerations in another case, as other programs write it. */
static void test_adopt_enumerations_of_any_case_are_read(void **state)
{
    struct tbk_store *store = *state;
    make_legacy(store,
                "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction, result)"
                " VALUES ('2025-01-01 00:00:00.000000', 'A', 'LONG', 0.5, 'High', 0.5, 'Win'),"
                "('2025-01-01 00:00:00.000000', 'B', 'buy', 0.5, 'high', 0.5, NULL)");
    tbk_store_open(store);
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    const ProtobufCMessage *row = tbk_store_get_id(store, store->reader, TBK_SIGNALS, 1);
    assert_enum(table, row, "direction", "long");
    assert_enum(table, row, "tier", "high");
    assert_enum(table, row, "result", "win");
    row = tbk_store_get_id(store, store->reader, TBK_SIGNALS, 2);
    assert_true(tbk_column_present(tbk_store_column(table, "direction"), row));
    assert_int_equal(tbk_column_get(tbk_store_column(table, "direction"), row).integer, 0);

    sqlite3 *db = tbk_raw_open(store->location);
    char *text = tbk_raw_text(db, "SELECT direction||tier||result FROM signals WHERE id=1");
    assert_string_equal(text, "LONGHighWin");
    free(text);
    tbk_raw_close(db);
}

/* Pages over what other programs wrote: enumerations in several cases and of no
 * known value, timestamps without fraction and no timestamps at all. */
static void page_through_foreign_values(struct tbk_store *store, const char *order_by)
{
    enum { ROWS = 48 };
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    int seen[ROWS + 1] = {0};
    char *token = "";
    for (int page = 0; token != NULL; page++) {
        assert_true(page < ROWS);
        const struct tbk_list_request request = {
            .has_page_size = true, .page_size = 5, .page_token = token, .order_by = order_by};
        struct tbk_query query;
        const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
        expect_ok(store, tbk_query_build(table, &request, info.secret, store->arena, &query, &store->error));
        ProtobufCMessage **rows;
        size_t count;
        bool more;
        expect_ok(store, store->ops->list(store->reader, &query, 1 << 20, store->arena, &rows, &count, &more,
                                          &store->error));
        for (size_t i = 0; i < count; i++) {
            seen[tbk_column_get(table->key, rows[i]).integer]++;
        }
        token = more ? tbk_page_token_create(&query, rows[count - 1], info.secret, store->arena) : NULL;
    }
    for (int id = 1; id <= ROWS; id++) {
        if (seen[id] != 1) {
            fail_msg("order \"%s\": row %d came %d times", order_by, id, seen[id]);
        }
    }
}

static void test_pages_over_foreign_values_show_each_row_once(void **state)
{
    static const char *const orders[] = {
        "direction",      "direction desc",         "result",
        "result desc",    "tier, direction desc",   "direction, timestamp",
        "timestamp",      "timestamp desc",         "exit_time",
        "exit_time desc", "result, exit_time desc",
    };
    struct tbk_store *store = *state;
    make_legacy(store, "");
    tbk_store_open(store);
    sqlite3 *db = tbk_raw_open(store->location);
    tbk_raw_exec(db, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<47),"
                     "t(k, v) AS (VALUES (0, '2025-01-01 00:00:00.000000'), (1, '2025-01-01 00:00:00'),"
                     "(2, '2025-01-01T00:00:00Z'), (3, 'soon'), (4, ''), (5, '2025-01-02 00:00:00')),"
                     "d(k, v) AS (VALUES (0, 'long'), (1, 'LONG'), (2, 'Long'), (3, 'buy'), (4, ''), (5, 'short'),"
                     "(6, 'hold'), (7, 'zzz'))"
                     "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction, "
                     "result, exit_time) SELECT a.v, 'S', d.v, 0.5, 'high', 0.5, "
                     "CASE i%5 WHEN 0 THEN NULL WHEN 1 THEN 'maybe' WHEN 2 THEN 'WIN' ELSE 'loss' END, "
                     "CASE i%7 WHEN 0 THEN NULL ELSE b.v END "
                     "FROM n JOIN t a ON a.k=i%6 JOIN t b ON b.k=(i/2)%6 JOIN d ON d.k=i%8");
    tbk_raw_close(db);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        page_through_foreign_values(store, orders[i]);
    }
}

static void test_fresh_database_has_the_users_schema(void **state)
{
    struct tbk_store *store = *state;
    const char *users = users_database();
    open_and_close(store);
    sqlite3 *theirs = tbk_raw_open(users);
    sqlite3 *ours = tbk_raw_open(store->location);
    for (int i = 0; i < TABLES; i++) {
        assert_same_columns(theirs, ours, tables[i]);
        assert_same_indexes(theirs, ours, tables[i]);
    }
    assert_int_equal(tbk_raw_integer(ours,
                                     "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name NOT LIKE "
                                     "'sqlite%' AND name NOT LIKE 'tb\\_%' ESCAPE '\\'"),
                     TABLES);
    tbk_raw_close(theirs);
    tbk_raw_close(ours);
}

static void test_fresh_database_has_the_legacy_schema_and_the_added_index(void **state)
{
    struct tbk_store *store = *state;
    char path[PATH_MAX];
    open_and_close(store);
    tbk_sqlite_store_path(store, "legacy.db", path);
    tbk_raw_run(path, tbk_legacy_schema);
    sqlite3 *legacy = tbk_raw_open(path);
    sqlite3 *ours = tbk_raw_open(store->location);
    for (int i = 0; i < TABLES; i++) {
        assert_same_columns(legacy, ours, tables[i]);
    }
    assert_int_equal(
        tbk_raw_integer(ours, "SELECT count(*) FROM sqlite_schema WHERE name='ix_theory_performance_was_correct'"),
        1);
    assert_int_equal(tbk_raw_integer(ours, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%'"),
                     5);
    assert_int_equal(tbk_raw_integer(ours, "SELECT count(*) FROM pragma_foreign_key_list('signal_results') "
                                           "WHERE \"table\"='signals' AND \"from\"='signal_id' AND \"to\"='id'"),
                     1);
    assert_int_equal(tbk_raw_integer(ours, "SELECT count(*) FROM pragma_foreign_key_list('theory_performance')"),
                     1);
    tbk_raw_close(legacy);
    tbk_raw_close(ours);
}

/* Raw statements of the users that leave out all that has a default, and what
 * must then be there. */
static const struct {
    const char *insert;
    const char *others; /* defaults but those of time */
    const char *expected;
    const char *times[2]; /* columns that must hold the present */
} raw_inserts[] = {
    {"INSERT INTO signals (symbol, direction, confidence, tier, ensemble_prediction) VALUES "
     "('A','long',0.5,'low',1)",
     "SELECT executed||strategy||typeof(executed) FROM signals",
     "0v7_full_mathinteger",
     {"signals.timestamp", NULL}},
    {"INSERT INTO signal_results (signal_id, entry_price, entry_timestamp) VALUES (1, 100.5, '2025-01-01 "
     "00:00:00')",
     "SELECT outcome FROM signal_results",
     "open",
     {"signal_results.created_at", "signal_results.updated_at"}},
    {"INSERT INTO theory_performance (signal_id, theory_name, contribution_score) VALUES (1, 'x', 0.5)",
     "SELECT was_correct IS NULL FROM theory_performance",
     "1",
     {"theory_performance.created_at", NULL}},
    {"INSERT INTO patterns (name, pattern_hash) VALUES ('flag', 'ab')",
     "SELECT wins||' '||total||' '||win_rate||typeof(win_rate) FROM patterns",
     "0 0 0.0real",
     {"patterns.created_at", "patterns.updated_at"}},
    {"INSERT INTO risk_book_snapshots (signal_id, pair, tier, entry_time, entry_price, mode)"
     " VALUES ('1','A','low','2025-01-01 00:00:00',1,'live')",
     "SELECT mode FROM risk_book_snapshots",
     "live",
     {"risk_book_snapshots.created_at", NULL}},
    {"INSERT INTO model_deployments (version, model_path, model_type) VALUES ('v','p','lstm')",
     "SELECT is_promoted||is_active||typeof(is_active) FROM model_deployments",
     "01integer",
     {"model_deployments.deployed_at", NULL}},
};

static void assert_now(sqlite3 *db, const char *table_and_column, int64_t from_us)
{
    char sql[256];
    const char *dot = strchr(table_and_column, '.');
    snprintf(sql, sizeof sql, "SELECT %s FROM %.*s", dot + 1, (int)(dot - table_and_column), table_and_column);
    char *text = tbk_raw_text(db, sql);
    int64_t us;
    assert_int_equal(strlen(text), TBK_TIMESTAMP_CHARS);
    assert_true(tbk_timestamp_parse(text, strlen(text), &us));
    char again[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(us, again);
    assert_string_equal(again, text);
    assert_in_range(us - (from_us - 1000), 0, 3600 * INT64_C(1000000)); /* SQLite's clock has milliseconds */
    free(text);
}

static void test_fresh_database_accepts_raw_inserts_with_defaults(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    const int64_t from_us = tbk_now_us();
    sqlite3 *db = tbk_raw_open(store->location);
    for (size_t i = 0; i < sizeof raw_inserts / sizeof raw_inserts[0]; i++) {
        tbk_raw_exec(db, raw_inserts[i].insert);
        char *others = tbk_raw_text(db, raw_inserts[i].others);
        assert_string_equal(others, raw_inserts[i].expected);
        free(others);
        for (int t = 0; t < 2 && raw_inserts[i].times[t] != NULL; t++) {
            assert_now(db, raw_inserts[i].times[t], from_us);
        }
    }
    tbk_raw_close(db);
    for (int i = 0; i < TBK_TABLE_COUNT; i++) {
        assert_int_equal(tbk_store_count(store, store->reader, (enum tbk_table_id)i), 1);
    }
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNAL_RESULTS);
    const ProtobufCMessage *row = tbk_store_get_id(store, store->reader, TBK_SIGNAL_RESULTS, 1);
    assert_enum(table, row, "outcome", "open");
    assert_int_equal(tbk_column_get(tbk_store_column(table, "entry_timestamp"), row).timestamp_us,
                     INT64_C(1735689600000000));
}

static void test_fresh_database_writes_what_sqlalchemy_writes(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_open(store);
    tbk_store_insert_signals(store, 1);
    sqlite3 *db = tbk_raw_open(store->location);
    char *row = tbk_raw_text(db, "SELECT timestamp||'|'||direction||'|'||tier||'|'||result||'|'||executed||'|'||"
                                 "typeof(executed)||typeof(pnl)||typeof(timestamp)||typeof(symbol) FROM signals");
    assert_string_equal(row, "2025-10-10 00:00:00.000001|long|low|win|0|integerrealtexttext");
    free(row);
    tbk_raw_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sqlite_test(test_adopt_users_database_keeps_every_value),
        sqlite_test(test_adopt_users_database_adds_the_missing_index_only),
        sqlite_test(test_adopt_users_database_again_changes_nothing),
        sqlite_test(test_adopt_users_database_reads_every_row),
        sqlite_test(test_adopt_missing_tables_are_created),
        sqlite_test(test_adopt_missing_columns_are_added),
        sqlite_test(test_adopt_without_a_column_every_row_needs_is_refused),
        sqlite_test(test_adopt_repeated_unique_values_is_refused),
        sqlite_test(test_adopt_readable_timestamps_are_normalised_others_stay),
        sqlite_test(test_adopt_enumerations_of_any_case_are_read),
        sqlite_test(test_pages_over_foreign_values_show_each_row_once),
        sqlite_test(test_newer_schema_is_refused),
        sqlite_test(test_foreign_database_is_refused),
        sqlite_test(test_foreign_database_with_a_log_is_refused),
        sqlite_test(test_foreign_database_with_an_unfinished_log_is_refused),
        sqlite_test(test_not_a_database_is_refused),
        sqlite_test(test_empty_file_is_filled),
        sqlite_test(test_fresh_database_has_the_users_schema),
        sqlite_test(test_fresh_database_has_the_legacy_schema_and_the_added_index),
        sqlite_test(test_fresh_database_accepts_raw_inserts_with_defaults),
        sqlite_test(test_fresh_database_writes_what_sqlalchemy_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
