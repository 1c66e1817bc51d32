/*
 * From whatever the file is to what this version needs, in one transaction:
 *
 *   empty file            created
 *   a bot's tables        adopted: what is missing is added
 *   an older tradebook    its missing steps are run
 *   a newer tradebook     refused
 *   something else        refused
 */
#include <string.h>

#include "storage/sqlite/sqlite.h"

/* The step from version n to n + 1 is steps[n]. Never change a released step. */
typedef enum tbk_status migration_step(struct tbk_storage *storage, sqlite3 *db, struct tbk_dynbuf *changes,
                                       struct tbk_error *error);

static enum tbk_status step_1(struct tbk_storage *storage, sqlite3 *db, struct tbk_dynbuf *changes,
                              struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_exec(db,
                        "CREATE TABLE tb_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                        "INSERT INTO tb_meta VALUES ('page_token_secret', random());"
                        "CREATE TABLE tb_requests (id INTEGER PRIMARY KEY, client TEXT NOT NULL, "
                        "request_id BLOB NOT NULL, fingerprint INTEGER NOT NULL, created_us INTEGER NOT NULL, "
                        "response BLOB NOT NULL);"
                        "CREATE UNIQUE INDEX tb_requests_key ON tb_requests (request_id, client);",
                        "creating the tables of tradebook", error);
    return status == TBK_OK ? tbk_sqlite_normalise_timestamps(storage->schema, db, changes, error) : status;
}

/* What belongs to a trade but has no column in the users' tables, the outbox of
 * events (triggers.c), cursors, and which model was in production when. */
static enum tbk_status step_2(struct tbk_storage *storage, sqlite3 *db, struct tbk_dynbuf *changes,
                              struct tbk_error *error)
{
    (void)storage;
    (void)changes;
    return tbk_sqlite_exec(
        db,
        "CREATE TABLE tb_trades (signal_id INTEGER PRIMARY KEY, quantity REAL NOT NULL, fees_usd REAL NOT NULL, "
        "mode TEXT, breakeven_band REAL, publish INTEGER NOT NULL);"
        "CREATE TABLE tb_events (sequence INTEGER PRIMARY KEY, previous INTEGER, created_at TEXT NOT NULL, "
        "result_id INTEGER NOT NULL, signal_id INTEGER NOT NULL, entry_price REAL, entry_timestamp TEXT, "
        "exit_price REAL, exit_timestamp TEXT, exit_reason TEXT, pnl_percent REAL, pnl_usd REAL, outcome TEXT, "
        "hold_duration_minutes INTEGER, result_created_at TEXT, result_updated_at TEXT, symbol TEXT NOT NULL, "
        "direction TEXT, strategy TEXT, tier TEXT, session TEXT, model_version TEXT, confidence REAL, "
        "quantity REAL, fees_usd REAL, mode TEXT, r_realized REAL);"
        "CREATE TABLE tb_symbols (symbol TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE tb_changes (sequence INTEGER PRIMARY KEY, series INTEGER NOT NULL, row INTEGER NOT NULL, "
        "filed_at TEXT);"
        "CREATE TABLE tb_cursors (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, created_at TEXT NOT NULL, "
        "updated_at TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE tb_model_tenures (id INTEGER PRIMARY KEY, deployment_id INTEGER NOT NULL, version TEXT, "
        "model_type TEXT, promoted_at TEXT NOT NULL, demoted_at TEXT, rollback_reason TEXT);"
        "CREATE INDEX tb_model_tenures_open ON tb_model_tenures (deployment_id) WHERE demoted_at IS NULL;"
        "INSERT INTO tb_meta SELECT 'results_before_events', ifnull(max(id),0) FROM signal_results;",
        "creating the tables of tradebook", error);
}

/* Fees of the opening alone: a trade that is opened again and closed once more pays
 * those of its closing once. NULL: as fees_usd. */
static enum tbk_status step_3(struct tbk_storage *storage, sqlite3 *db, struct tbk_dynbuf *changes,
                              struct tbk_error *error)
{
    (void)storage;
    (void)changes;
    return tbk_sqlite_exec(db, "ALTER TABLE tb_trades ADD COLUMN open_fees_usd REAL",
                           "extending the tables of tradebook", error);
}

static migration_step *const steps[TBK_SQLITE_SCHEMA_VERSION] = {step_1, step_2, step_3};

/* The first column of the first row of sql as an integer; otherwise, fallback. */
static enum tbk_status query_integer(sqlite3 *db, const char *sql, int64_t fallback, int64_t *ret_value,
                                     struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, sql, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    *ret_value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : fallback;
    const int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "reading the schema", error);
}

/* Version of tradebook's schema in the file, 0 when it has none. */
static enum tbk_status read_version(sqlite3 *db, int64_t *ret_version, struct tbk_error *error)
{
    int64_t has_meta;
    enum tbk_status status = query_integer(
        db, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name='tb_meta'", 0, &has_meta, error);
    *ret_version = 0;
    if (status == TBK_OK && has_meta != 0) {
        status = query_integer(db, "SELECT value FROM tb_meta WHERE key='schema_version'", 0, ret_version, error);
    }
    return status;
}

/* How many tables there are, and how many of them are a bot's. */
static enum tbk_status count_tables(const struct tbk_schema *schema, sqlite3 *db, int64_t *ret_tables,
                                    int64_t *ret_ours, struct tbk_error *error)
{
    enum tbk_status status = query_integer(
        db, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", 0,
        ret_tables, error);
    *ret_ours = 0;
    for (int i = 0; status == TBK_OK && i < TBK_TABLE_COUNT; i++) {
        char sql[160];
        int64_t found = 0;
        sqlite3_snprintf(sizeof sql, sql,
                         "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name='%s' COLLATE NOCASE",
                         schema->tables[i].name);
        status = query_integer(db, sql, 0, &found, error);
        *ret_ours += found;
    }
    return status;
}

enum tbk_status tbk_sqlite_identify(const struct tbk_storage *storage, sqlite3 *db, bool may_be_empty,
                                    int64_t *ret_version, struct tbk_error *error)
{
    int64_t version;
    int64_t tables = 0;
    int64_t ours = 0;
    enum tbk_status status = read_version(db, &version, error);
    if (status == TBK_OK && version > TBK_SQLITE_SCHEMA_VERSION) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The database '%s' was made by a newer tradebook (schema %lld, this one knows %d). "
                             "Install that version or restore a backup.",
                             storage->path, (long long)version, TBK_SQLITE_SCHEMA_VERSION);
    }
    if (status == TBK_OK && version == 0) { /* with tables of which none is a bot's it is somebody else's */
        status = count_tables(storage->schema, db, &tables, &ours, error);
        if (status == TBK_OK && ours == 0 && tables > 0) {
            return tbk_error_set(
                error, TBK_FAILED_PRECONDITION,
                "The database '%s' belongs to another program: it has tables, but none of a trading bot. "
                "Give another path with --db.",
                storage->path);
        }
        if (status == TBK_OK && tables == 0 && !may_be_empty) {
            return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database '%s' is empty.", storage->path);
        }
    }
    if (status == TBK_OK) {
        *ret_version = version;
    }
    return status;
}

static enum tbk_status run_steps(struct tbk_storage *storage, sqlite3 *db, struct tbk_dynbuf *changes,
                                 struct tbk_error *error)
{
    int64_t version = 0;
    enum tbk_status status = tbk_sqlite_identify(storage, db, true, &version, error);
    if (status == TBK_OK) {
        status = tbk_sqlite_ensure_tables(storage->schema, db, changes, error);
    }
    for (int64_t step = version; status == TBK_OK && step < TBK_SQLITE_SCHEMA_VERSION; step++) {
        status = steps[step](storage, db, changes, error);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_ensure_triggers(db, error);
    }
    if (status == TBK_OK && version < TBK_SQLITE_SCHEMA_VERSION) {
        char sql[96];
        sqlite3_snprintf(sizeof sql, sql, "INSERT OR REPLACE INTO tb_meta VALUES ('schema_version', %d)",
                         TBK_SQLITE_SCHEMA_VERSION);
        status = tbk_sqlite_exec(db, sql, "storing the schema version", error);
    }
    return status;
}

enum tbk_status tbk_sqlite_migrate(struct tbk_storage *storage, sqlite3 *db, struct tbk_error *error)
{
    struct tbk_dynbuf changes;
    tbk_dynbuf_init(&changes, TBK_SQLITE_CHANGES_BYTES_MAX - 1);
    enum tbk_status status = tbk_sqlite_exec(db, "BEGIN IMMEDIATE", "starting the migration", error);
    if (status == TBK_OK) {
        status = run_steps(storage, db, &changes, error);
        if (status == TBK_OK) {
            status = tbk_sqlite_exec(db, "COMMIT", "committing the migration", error);
        }
        if (status != TBK_OK) {
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        }
    }
    int64_t secret = 0;
    if (status == TBK_OK) {
        status = query_integer(db, "SELECT value FROM tb_meta WHERE key='page_token_secret'", 0, &secret, error);
        storage->secret = (uint64_t)secret;
        memcpy(storage->changes, tbk_dynbuf_text(&changes), strlen(tbk_dynbuf_text(&changes)) + 1);
    }
    tbk_dynbuf_fini(&changes);
    return status;
}
