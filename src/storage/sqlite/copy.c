#include <string.h>
#include <unistd.h>

#include "storage/sqlite/upkeep.h"

enum {
    PAGES_PER_STEP = 256,
    /* The copy is synced as it grows: the sync of a commit has to wait for what
     * the file system holds back of other files, and that stays little. */
    SYNC_BYTES = 8 << 20,
    OPS_PER_LOOK = 20000, /* of SQLite's virtual machine; milliseconds */
    COUNTS_BYTES_MAX = 1 << 20,
    COPY_CACHE_KIB = 4096,
};

bool tbk_sqlite_observed(const struct tbk_upkeep_observer *observer, enum tbk_upkeep_phase phase,
                         int64_t done_bytes, int64_t total_bytes)
{
    return observer->progress == NULL || observer->progress(observer->argument, phase, done_bytes, total_bytes);
}

static int look(void *argument)
{
    return tbk_sqlite_observed(argument, TBK_UPKEEP_VERIFY, 0, 0) ? 0 : 1;
}

void tbk_sqlite_observe(sqlite3 *db, const struct tbk_upkeep_observer *observer)
{
    sqlite3_progress_handler(db, OPS_PER_LOOK, look, (void *)(uintptr_t)observer);
}

static enum tbk_status cancelled(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_CANCELLED, "Ended before it was done; nothing has changed.");
}

enum tbk_status tbk_sqlite_ended(sqlite3 *db, int rc, const char *doing, struct tbk_error *error)
{
    return (rc & 0xff) == SQLITE_INTERRUPT ? cancelled(error) : tbk_sqlite_failed(db, rc, doing, error);
}

/* --- copying --- */

struct copying {
    const struct tbk_stage *stage;
    const struct tbk_upkeep_observer *observer;
    int64_t synced_bytes;
    int64_t total_bytes;
};

static enum tbk_status query_integer(sqlite3 *db, const char *sql, int64_t *ret_value, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, sql, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    *ret_value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    const int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_ended(db, rc, "reading it", error);
}

/* False when the observer has had enough. */
static bool went_on(struct copying *copying, int64_t done_bytes)
{
    if (done_bytes - copying->synced_bytes >= SYNC_BYTES) {
        (void)!fdatasync(copying->stage->fd); /* the last one counts, in tbk_stage_publish */
        copying->synced_bytes = done_bytes;
    }
    return tbk_sqlite_observed(copying->observer, TBK_UPKEEP_COPY, done_bytes, copying->total_bytes);
}

static enum tbk_status copy_pages(sqlite3 *db, sqlite3 *copy, struct copying *copying, struct tbk_error *error)
{
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db, "main");
    if (backup == NULL) {
        return tbk_sqlite_failed(copy, sqlite3_extended_errcode(copy), "copying", error);
    }
    int rc = SQLITE_OK;
    bool on = true;
    while (rc == SQLITE_OK && on) {
        rc = sqlite3_backup_step(backup, PAGES_PER_STEP);
        const int64_t pages = sqlite3_backup_pagecount(backup);
        const int64_t done = pages - sqlite3_backup_remaining(backup);
        on = went_on(copying, pages > 0 ? copying->total_bytes / pages * done : 0);
    }
    const int finished = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && on) {
        return TBK_OK;
    }
    return on ? tbk_sqlite_failed(copy, finished != SQLITE_OK ? finished : rc, "copying", error)
              : cancelled(error);
}

static int look_at_size(void *argument)
{
    struct copying *copying = argument;
    struct stat status;
    return fstat(copying->stage->fd, &status) != 0 || went_on(copying, (int64_t)status.st_size) ? 0 : 1;
}

static enum tbk_status copy_compact(sqlite3 *db, struct copying *copying, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, "VACUUM INTO ?", &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_progress_handler(db, OPS_PER_LOOK, look_at_size, copying);
    sqlite3_bind_text(statement, 1, copying->stage->path, -1, SQLITE_STATIC);
    sqlite3_step(statement);
    const int rc = sqlite3_finalize(statement);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_ended(db, rc, "copying", error);
}

/* A connection to the copy that nobody else uses yet. Until it is published a
 * crash may spoil it, so it needs no journal. */
static enum tbk_status open_copy(const struct tbk_stage *stage, sqlite3 **ret_copy, struct tbk_error *error)
{
    sqlite3 *copy = NULL;
    const int rc = sqlite3_open_v2(stage->path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    enum tbk_status status = TBK_OK;
    if (rc != SQLITE_OK) {
        status = tbk_sqlite_failed(copy, rc, "opening the copy", error);
    } else {
        char sql[160];
        sqlite3_extended_result_codes(copy, 1);
        sqlite3_snprintf(sizeof sql, sql,
                         "PRAGMA locking_mode=EXCLUSIVE;PRAGMA synchronous=OFF;PRAGMA temp_store=MEMORY;"
                         "PRAGMA cache_size=-%d;",
                         COPY_CACHE_KIB);
        status = tbk_sqlite_exec(copy, sql, "opening the copy", error);
    }
    if (status != TBK_OK) {
        sqlite3_close(copy);
        return status;
    }
    *ret_copy = copy;
    return TBK_OK;
}

/* --- verifying --- */

static enum tbk_status count_rows(sqlite3 *db, const char *table, int64_t *ret_rows, struct tbk_error *error)
{
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", table);
    if (sql == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while counting rows.");
    }
    const enum tbk_status status = query_integer(db, sql, ret_rows, error);
    sqlite3_free(sql);
    return status;
}

/* A line with name and rows of each table. */
static enum tbk_status count_tables(sqlite3 *db, struct tbk_dynbuf *counts, int64_t *ret_rows,
                                    struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum tbk_status status = tbk_sqlite_prepare(
        db, "SELECT name FROM sqlite_schema WHERE type='table' AND rootpage>0 ORDER BY name", &statement, error);
    *ret_rows = 0;
    while (status == TBK_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        int64_t rows = 0;
        status = count_rows(db, name, &rows, error);
        tbk_dynbuf_printf(counts, "%s %lld\n", name, (long long)rows);
        *ret_rows += rows;
    }
    const int rc = sqlite3_finalize(statement);
    if (status == TBK_OK && rc != SQLITE_OK) {
        return tbk_sqlite_ended(db, rc, "counting rows", error);
    }
    if (status == TBK_OK && tbk_dynbuf_failed(counts)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "There are too many tables to be counted.");
    }
    return status;
}

static enum tbk_status check_integrity(sqlite3 *copy, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum tbk_status status = tbk_sqlite_prepare(copy, "PRAGMA integrity_check(1)", &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    int rc = sqlite3_step(statement);
    const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "ok";
    if (strcmp(found, "ok") != 0) {
        status = tbk_error_set(error, TBK_DATA_LOSS,
                               "The database is damaged: SQLite's check of the copy found \"%.200s\". "
                               "\"tradebook check\" says more; restore the last good backup.",
                               found);
    }
    rc = sqlite3_finalize(statement);
    return status == TBK_OK && rc != SQLITE_OK ? tbk_sqlite_ended(copy, rc, "checking the copy", error) : status;
}

/* Opens the copy as anybody would and compares. A log of its own is given up: one
 * file is easier to keep. */
static enum tbk_status verify(const struct tbk_stage *stage, const struct tbk_dynbuf *expected,
                              const struct tbk_upkeep_observer *observer, struct tbk_error *error)
{
    sqlite3 *copy = NULL;
    enum tbk_status status = open_copy(stage, &copy, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_dynbuf counts;
    int64_t rows;
    tbk_dynbuf_init(&counts, COUNTS_BYTES_MAX);
    status = tbk_sqlite_exec(copy, "PRAGMA journal_mode=DELETE", "opening the copy", error);
    tbk_sqlite_observe(copy, observer);
    if (status == TBK_OK) {
        status = check_integrity(copy, error);
    }
    if (status == TBK_OK) {
        status = count_tables(copy, &counts, &rows, error);
    }
    if (status == TBK_OK && strcmp(tbk_dynbuf_text(&counts), tbk_dynbuf_text(expected)) != 0) {
        status = tbk_error_set(error, TBK_DATA_LOSS,
                               "The copy does not have the rows of the database. Check disk and memory, then try "
                               "again.");
    }
    tbk_dynbuf_fini(&counts);
    sqlite3_close(copy);
    return status;
}

static enum tbk_status total_bytes(sqlite3 *db, enum tbk_copy_method method, int64_t *ret_bytes,
                                   struct tbk_error *error)
{
    const char *sql = method == TBK_COPY_PAGES
                          ? "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                          : "SELECT (page_count - freelist_count) * page_size "
                            "FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    return query_integer(db, sql, ret_bytes, error);
}

/* One snapshot from the first page to the last count; the copy never starts over.
 * VACUUM brings its own, and its caller keeps other writers out. */
static enum tbk_status copy_snapshot(sqlite3 *db, enum tbk_copy_method method, struct copying *copying,
                                     struct tbk_dynbuf *counts, int64_t *ret_rows, struct tbk_error *error)
{
    sqlite3 *copy = NULL;
    enum tbk_status status = total_bytes(db, method, &copying->total_bytes, error);
    if (status == TBK_OK && method == TBK_COPY_COMPACT) {
        status = copy_compact(db, copying, error);
    } else if (status == TBK_OK) {
        status = open_copy(copying->stage, &copy, error);
        if (status == TBK_OK) {
            status = tbk_sqlite_exec(copy, "PRAGMA journal_mode=OFF", "opening the copy", error);
        }
        if (status == TBK_OK) {
            status = copy_pages(db, copy, copying, error);
        }
        sqlite3_close(copy);
    }
    tbk_sqlite_observe(db, copying->observer);
    return status == TBK_OK ? count_tables(db, counts, ret_rows, error) : status;
}

enum tbk_status tbk_sqlite_copy(sqlite3 *db, enum tbk_copy_method method, const struct tbk_stage *stage,
                                const struct tbk_upkeep_observer *observer, struct tbk_copy_report *report,
                                struct tbk_error *error)
{
    struct copying copying = {.stage = stage, .observer = observer};
    struct tbk_dynbuf counts;
    tbk_dynbuf_init(&counts, COUNTS_BYTES_MAX);
    enum tbk_status status = TBK_OK;
    if (method == TBK_COPY_PAGES) {
        status = tbk_sqlite_exec(db, "BEGIN", "reading it", error);
    }
    if (status == TBK_OK) {
        status = copy_snapshot(db, method, &copying, &counts, &report->rows, error);
    }
    sqlite3_progress_handler(db, 0, NULL, NULL);
    if (sqlite3_get_autocommit(db) == 0) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (status == TBK_OK) {
        status = verify(stage, &counts, observer, error);
    }
    tbk_dynbuf_fini(&counts);
    report->copy_bytes = tbk_sqlite_file_bytes(stage->path);
    return status;
}
