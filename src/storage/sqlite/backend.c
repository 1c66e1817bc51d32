/* Opening and closing the database, sessions and transactions. */
#include "storage/sqlite/backend.h"

#include <stdlib.h>

#include "storage/sqlite/log_vfs.h"
#include "storage/sqlite/sqlite.h"

/* SQLite tells by the resulting mode, not by an error, that a file system cannot
 * have the shared memory of a write-ahead log. */
static enum tbk_status switch_to_wal(const struct tbk_storage *storage, sqlite3 *db, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, "PRAGMA journal_mode=WAL", &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    const bool answered = sqlite3_step(statement) == SQLITE_ROW;
    const bool is_wal = answered && sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    const int rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(db, rc, "switching to write-ahead logging", error);
    }
    if (!is_wal) {
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "The file system of '%s' cannot hold a write-ahead log (network file systems cannot). Put "
            "the database on a local disk.",
            storage->path);
    }
    return TBK_OK;
}

/* Runs the migration, then switches to write-ahead logging; a refused file stays
 * as it was. */
static enum tbk_status prepare_database(struct tbk_storage *storage, struct tbk_error *error)
{
    sqlite3 *db = NULL;
    const bool has_log = tbk_sqlite_log_bytes(storage->path) > 0;
    enum tbk_status status = tbk_sqlite_connect(storage, TBK_SESSION_WRITE, &db, error);
    if (status != TBK_OK) {
        return status;
    }
    if (sqlite3_db_readonly(db, "main") == 1) {
        status =
            tbk_error_set(error, TBK_FAILED_PRECONDITION,
                          "The database '%s' is read-only. Make the file and its folder writable.", storage->path);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_migrate(storage, db, error);
    }
    if (status == TBK_OK) {
        status = switch_to_wal(storage, db, error);
    }
    if (status != TBK_OK && has_log) { /* closing must not move it into the file */
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    sqlite3_close(db);
    return status;
}

static void destroy(struct tbk_storage *storage)
{
    tbk_sqlite_release(storage);
    free(storage);
}

/* Moves the log into the database, whichever session was closed last: readers leave
 * it as it is. */
static void sqlite_close(struct tbk_storage *storage)
{
    struct tbk_error error;
    sqlite3 *db = NULL;
    tbk_error_init(&error);
    if (tbk_sqlite_file_bytes(storage->path) > 0 &&
        tbk_sqlite_connect(storage, TBK_SESSION_WRITE, &db, &error) == TBK_OK) {
        tbk_sqlite_exec(db, "SELECT 1 FROM sqlite_schema", "closing it", &error);
        sqlite3_close(db);
    }
    destroy(storage);
}

static enum tbk_status sqlite_open(const struct tbk_storage_config *config, struct tbk_storage **ret_storage,
                                   struct tbk_error *error)
{
    struct tbk_storage *storage = calloc(1, sizeof *storage);
    if (storage == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while opening the database.");
    }
    storage->schema = config->schema;
    storage->lock_fd = -1;
    storage->busy_timeout_ms = config->busy_timeout_ms;
    storage->log_bytes_max = config->log_bytes_max;
    tbk_distribution_init(&storage->log_syncs, &tbk_bounds_durations);
    tbk_distribution_init(&storage->database_syncs, &tbk_bounds_durations);
    enum tbk_status status = tbk_sqlite_resolve_path(config->location, storage->path, error);
    if (status == TBK_OK) {
        status = tbk_sqlite_take(storage, error);
    }
    if (status == TBK_OK) {
        status = prepare_database(storage, error);
        if (status != TBK_OK) {
            tbk_sqlite_forget_lock_file(storage);
        }
    }
    if (status != TBK_OK) {
        destroy(storage);
        return status;
    }
    *ret_storage = storage;
    return TBK_OK;
}

static void sqlite_info(struct tbk_storage *storage, struct tbk_storage_info *ret_info)
{
    *ret_info = (struct tbk_storage_info){
        .backend = "sqlite",
        .library_version = sqlite3_libversion(),
        .location = storage->path,
        .changes = storage->changes,
        .schema_version = TBK_SQLITE_SCHEMA_VERSION,
        .database_bytes = tbk_sqlite_file_bytes(storage->path),
        .wal_bytes = tbk_sqlite_log_bytes(storage->path),
        .secret = storage->secret,
        .log_syncs = &storage->log_syncs,
        .database_syncs = &storage->database_syncs,
    };
}

static void sqlite_session_close(struct tbk_session *session)
{
    sqlite3_finalize(session->begin);
    sqlite3_finalize(session->commit);
    sqlite3_finalize(session->rollback);
    sqlite3_finalize(session->rollback_to);
    sqlite3_finalize(session->cover);
    sqlite3_finalize(session->savepoint);
    sqlite3_finalize(session->release);
    sqlite3_finalize(session->request_find);
    sqlite3_finalize(session->request_save);
    sqlite3_finalize(session->data_version);
    for (int i = 0; i < TBK_EVENT_STATEMENT_COUNT; i++) {
        sqlite3_finalize(session->events[i]);
    }
    sqlite3_finalize(session->terms_get);
    sqlite3_finalize(session->terms_put);
    sqlite3_finalize(session->theories_ungraded);
    sqlite3_finalize(session->theories_grade);
    sqlite3_finalize(session->model_promote);
    sqlite3_finalize(session->model_predecessor);
    sqlite3_finalize(session->model_tenures);
    sqlite3_finalize(session->pattern_counts);
    sqlite3_finalize(session->open_positions);
    sqlite3_finalize(session->open_count);
    tbk_sqlite_series_finalize(session);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        sqlite3_finalize(session->tables[t].insert);
        sqlite3_finalize(session->tables[t].exists);
        sqlite3_finalize(session->tables[t].count);
        for (int c = 0; c < TBK_TABLE_COLUMNS_MAX; c++) {
            sqlite3_finalize(session->tables[t].get[c]);
        }
    }
    for (int i = 0; i < TBK_SQLITE_LISTS_CACHED; i++) {
        sqlite3_finalize(session->lists[i].statement);
        free(session->lists[i].sql);
    }
    for (int i = 0; i < TBK_SQLITE_UPDATES_CACHED; i++) {
        sqlite3_finalize(session->updates[i].statement);
    }
    tbk_dynbuf_fini(&session->sql);
    sqlite3_close(session->db);
    free(session);
}

/* At once: when memory is short it must be possible to undo. */
static enum tbk_status prepare_transactions(struct tbk_session *session, struct tbk_error *error)
{
    const struct {
        const char *sql;
        sqlite3_stmt **statement;
    } statements[] = {
        {session->kind == TBK_SESSION_WRITE ? "BEGIN IMMEDIATE" : "BEGIN", &session->begin},
        {"COMMIT", &session->commit},
        {"ROLLBACK", &session->rollback},
        {"SAVEPOINT request", &session->savepoint},
        {"RELEASE request", &session->release},
        {"ROLLBACK TO request", &session->rollback_to},
    };
    enum tbk_status status = TBK_OK;
    for (size_t i = 0; status == TBK_OK && i < sizeof statements / sizeof statements[0]; i++) {
        status = tbk_sqlite_prepare(session->db, statements[i].sql, statements[i].statement, error);
    }
    if (status == TBK_OK && session->kind == TBK_SESSION_WRITE) {
        status = tbk_sqlite_prepare(session->db, "INSERT OR REPLACE INTO tb_meta VALUES ('covered', random())",
                                    &session->cover, error);
    }
    return status;
}

static enum tbk_status sqlite_session_open(struct tbk_storage *storage, enum tbk_session_kind kind,
                                           struct tbk_session **ret_session, struct tbk_error *error)
{
    struct tbk_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while opening the database.");
    }
    session->storage = storage;
    session->kind = kind;
    tbk_dynbuf_init(&session->sql, TBK_SQLITE_SQL_BYTES_MAX);
    enum tbk_status status = tbk_sqlite_connect(storage, kind, &session->db, error);
    if (status == TBK_OK) {
        status = prepare_transactions(session, error);
    }
    if (status == TBK_OK && kind == TBK_SESSION_WRITE) {
        status = tbk_sqlite_watch_log(session, error);
        tbk_sqlite_log_measure(session->db, &storage->log_syncs, &storage->database_syncs);
    }
    if (status != TBK_OK) {
        sqlite_session_close(session);
        return status;
    }
    *ret_session = session;
    return TBK_OK;
}

/* Runs a statement without parameters and results. */
static int run(sqlite3_stmt *statement)
{
    sqlite3_step(statement);
    return sqlite3_reset(statement);
}

static void sqlite_rollback(struct tbk_session *session)
{
    if (sqlite3_get_autocommit(session->db) == 0) {
        run(session->rollback);
    }
}

static enum tbk_status sqlite_begin(struct tbk_session *session, struct tbk_error *error)
{
    if (session->kind == TBK_SESSION_WRITE) {
        const enum tbk_status status = tbk_sqlite_limit_log(session, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    const int rc = run(session->begin);
    if (rc != SQLITE_OK) {
        const enum tbk_status status = tbk_sqlite_failed(session->db, rc, "starting a transaction", error);
        sqlite_rollback(session); /* out of memory it can fail and have begun */
        return status;
    }
    if (session->kind == TBK_SESSION_WRITE) {
        tbk_sqlite_look_for_others(session);
    }
    return TBK_OK;
}

/* Without memory, or room for the index of the log, a commit can fail after it was
 * synchronised: undone here, it would come back at the next start. Another commit
 * in its place in the log prevents that. */
static bool may_come_back(enum tbk_status status, int rc)
{
    return status == TBK_RESOURCE_EXHAUSTED && rc != SQLITE_FULL && rc != SQLITE_IOERR_WRITE;
}

static bool cover(struct tbk_session *session)
{
    return run(session->cover) == SQLITE_OK;
}

static enum tbk_status sqlite_commit(struct tbk_session *session, struct tbk_error *error)
{
    const int rc = run(session->commit);
    if (rc == SQLITE_OK) {
        return TBK_OK;
    }
    const enum tbk_status status = tbk_sqlite_failed(session->db, rc, "committing", error);
    sqlite_rollback(session);
    if (((rc & 0xff) == SQLITE_IOERR && status == TBK_UNAVAILABLE) ||
        (may_come_back(status, rc) && session->kind == TBK_SESSION_WRITE && !cover(session))) {
        /* The commit record may have reached the disk although the call failed. */
        return tbk_error_set(
            error, TBK_UNKNOWN,
            "The disk failed during a commit (SQLite error %d); whether it happened is decided when "
            "the server starts again. Check the disk; retry with the same request id.",
            rc);
    }
    return status;
}

static bool sqlite_in_transaction(const struct tbk_session *session)
{
    return sqlite3_get_autocommit(session->db) == 0;
}

static enum tbk_status sqlite_savepoint(struct tbk_session *session, struct tbk_error *error)
{
    if (sqlite3_get_autocommit(session->db) != 0) { /* SAVEPOINT would open a transaction of its own */
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "There is no transaction, or the database ended it; try again.");
    }
    const int rc = run(session->savepoint);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "starting a savepoint", error);
}

static enum tbk_status sqlite_release(struct tbk_session *session, struct tbk_error *error)
{
    const int rc = run(session->release);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "ending a savepoint", error);
}

static void sqlite_rollback_to(struct tbk_session *session)
{
    if (sqlite3_get_autocommit(session->db) == 0 &&
        (run(session->rollback_to) != SQLITE_OK || run(session->release) != SQLITE_OK)) {
        sqlite_rollback(session); /* out of memory; no part may stay */
    }
}

const struct tbk_storage_ops tbk_sqlite_ops = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .info = sqlite_info,
    .session_open = sqlite_session_open,
    .session_close = sqlite_session_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .in_transaction = sqlite_in_transaction,
    .savepoint = sqlite_savepoint,
    .release = sqlite_release,
    .rollback_to = sqlite_rollback_to,
    .insert = tbk_sqlite_insert,
    .get = tbk_sqlite_get,
    .update = tbk_sqlite_update,
    .exists = tbk_sqlite_exists,
    .list = tbk_sqlite_list,
    .count = tbk_sqlite_count,
    .terms_get = tbk_sqlite_terms_get,
    .terms_put = tbk_sqlite_terms_put,
    .theories_grade = tbk_sqlite_theories_grade,
    .open_positions = tbk_sqlite_open_positions,
    .open_count = tbk_sqlite_open_count,
    .request_find = tbk_sqlite_request_find,
    .request_save = tbk_sqlite_request_save,
    .request_prune = tbk_sqlite_request_prune,
    .event_range = tbk_sqlite_event_range,
    .event_list = tbk_sqlite_event_list,
    .event_prune = tbk_sqlite_event_prune,
    .cursor_get = tbk_sqlite_cursor_get,
    .cursor_list = tbk_sqlite_cursor_list,
    .cursor_move = tbk_sqlite_cursor_move,
    .cursor_delete = tbk_sqlite_cursor_delete,
    .changed = tbk_sqlite_changed,
    .model_promote = tbk_sqlite_model_promote,
    .model_predecessor = tbk_sqlite_model_predecessor,
    .model_tenures = tbk_sqlite_model_tenures,
    .pattern_counts = tbk_sqlite_pattern_counts,
    .series_position = tbk_sqlite_series_position,
    .series_changes = tbk_sqlite_series_changes,
    .series_scan = tbk_sqlite_series_scan,
    .series_get = tbk_sqlite_series_get,
    .series_get_trades_of = tbk_sqlite_series_get_trades_of,
    .series_prune = tbk_sqlite_series_prune,
    .maintain = tbk_sqlite_maintain,
    .backup = tbk_sqlite_backup,
    .restore = tbk_sqlite_restore,
    .vacuum = tbk_sqlite_vacuum,
    .check = tbk_sqlite_check,
    .audit = tbk_sqlite_audit,
    .repair = tbk_sqlite_repair,
};
