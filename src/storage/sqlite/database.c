/* Connections and the meaning of SQLite's result codes. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "storage/sqlite/log_vfs.h"
#include "storage/sqlite/sqlite.h"

/* The pages that a savepoint or a statement might put back are kept in one piece of
 * memory of this size, which is touched as far as it is needed, and beyond that in a
 * temporary file. A batch of 1,000 rows with random keys fits. With
 * temp_store=MEMORY they would be kept in pieces of 1 KiB, of which each closed trade
 * takes over a hundred. A sanitizer marks all of the piece each time it is taken and
 * given back, which with 16 MiB was half the time of a test. */
#ifdef TRADEBOOK_SANITIZE
enum { UNDO_BYTES_IN_MEMORY = 1 << 20 };
#else
enum { UNDO_BYTES_IN_MEMORY = 16 << 20 };
#endif

/* Settings, each for a reason:
 * synchronous=FULL      a commit is on disk before it is acknowledged
 * wal_autocheckpoint=0  only the writer checkpoints, between transactions: in
 *                       SQLite 3.7.0 to 3.51.2 a commit during another
 *                       connection's checkpoint can damage the file
 * journal_size_limit    a log that a long read made larger shrinks to this when it
 *                       starts over
 * foreign_keys          the clauses of a fresh database are enforced
 * temp_store=MEMORY     the sorts of readers touch no file
 * cache_size            in KiB when negative; bounds the memory of a connection */
static const char writer_settings[] = "PRAGMA synchronous=FULL;"
                                      "PRAGMA wal_autocheckpoint=0;"
                                      "PRAGMA journal_size_limit=67108864;"
                                      "PRAGMA foreign_keys=ON;"
                                      "PRAGMA cache_size=-8192;";
static const char reader_settings[] = "PRAGMA query_only=ON;"
                                      "PRAGMA wal_autocheckpoint=0;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA cache_size=-4096;";

/* A full disk that SQLite does not report as SQLITE_FULL: no room for the shared
 * memory file, or a quota. */
static bool is_full(sqlite3 *db, int rc)
{
    const int reason = sqlite3_system_errno(db);
    return (rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_SHMSIZE) && (reason == ENOSPC || reason == EDQUOT);
}

static enum tbk_status full(const char *doing, struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                         "The disk is full (while %s). Nothing was stored; make room and try again.", doing);
}

enum tbk_status tbk_sqlite_failed(sqlite3 *db, int rc, const char *doing, struct tbk_error *error)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tbk_error_set(
            error, TBK_UNAVAILABLE,
            "The database is locked by another program (while %s). Find it with 'fuser' on the file, "
            "let it finish, and try again.",
            doing);
    case SQLITE_FULL:
        return full(doing, error);
    case SQLITE_NOMEM:
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while %s. Nothing was stored.", doing);
    case SQLITE_CORRUPT:
        return tbk_error_set(
            error, TBK_DATA_LOSS,
            "The database is damaged (%s, while %s). Stop the server, keep a copy of the file, and "
            "restore the last backup.",
            sqlite3_errmsg(db), doing);
    case SQLITE_NOTADB:
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The file is not an SQLite database. Check the path given with --db.");
    case SQLITE_READONLY:
        if (rc == SQLITE_READONLY_DIRECTORY) {
            return tbk_error_set(
                error, TBK_FAILED_PRECONDITION,
                "The folder of the database cannot be written, and SQLite needs files beside the database, for a "
                "write-ahead log even to read. Allow writing there, or copy the database with its log (-wal) to "
                "another folder.");
        }
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "The database cannot be written (%s). Check the permissions of the file and its folder.",
            sqlite3_errmsg(db));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return tbk_error_set(
            error, TBK_UNAVAILABLE,
            "The database cannot be opened (%s, while %s). Check that its folder exists and may be "
            "written.",
            sqlite3_errmsg(db), doing);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM) {
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while %s. Nothing was stored.",
                                 doing);
        }
        if (is_full(db, rc)) {
            return full(doing, error);
        }
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "The disk failed (SQLite error %d, while %s). Check the disk.", rc, doing);
    case SQLITE_TOOBIG:
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "A value is too long to be stored.");
    default:
        return tbk_error_set(error, TBK_INTERNAL, "SQLite failed with error %d while %s: %s.", rc, doing,
                             sqlite3_errmsg(db));
    }
}

enum tbk_status tbk_sqlite_exec(sqlite3 *db, const char *sql, const char *doing, struct tbk_error *error)
{
    const int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, sqlite3_extended_errcode(db), doing, error);
}

enum tbk_status tbk_sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement, struct tbk_error *error)
{
    if (*statement != NULL) {
        return TBK_OK;
    }
    const int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "preparing a statement", error);
}

/* For all connections of the process; without effect once SQLite is in use. */
static void configure(void)
{
    /* Counting memory would take a lock for each piece of it. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, UNDO_BYTES_IN_MEMORY);
}

enum tbk_status tbk_sqlite_connect(const struct tbk_storage *storage, enum tbk_session_kind kind, sqlite3 **ret_db,
                                   struct tbk_error *error)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    pthread_once(&configured, configure);
    /* NOMUTEX: a session belongs to one thread at a time. */
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (kind == TBK_SESSION_WRITE ? SQLITE_OPEN_CREATE : 0);
    const char *vfs = tbk_sqlite_log_vfs();
    sqlite3 *db = NULL;
    int rc = SQLITE_NOMEM;
    if (vfs != NULL) {
        rc = sqlite3_open_v2(storage->path, &db, flags, kind == TBK_SESSION_WRITE ? vfs : NULL);
    }
    enum tbk_status status = TBK_OK;
    if (rc != SQLITE_OK) {
        status = tbk_sqlite_failed(db, db != NULL ? sqlite3_extended_errcode(db) : rc, "opening it", error);
    } else {
        sqlite3_extended_result_codes(db, 1);
        tbk_sqlite_wait_for_lock(db, storage->busy_timeout_ms);
        if (kind == TBK_SESSION_READ) {
            sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        }
        status = tbk_sqlite_exec(db, kind == TBK_SESSION_WRITE ? writer_settings : reader_settings, "opening it",
                                 error);
    }
    if (status != TBK_OK) {
        sqlite3_close(db);
        return status;
    }
    *ret_db = db;
    return TBK_OK;
}
