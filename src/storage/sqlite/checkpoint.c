/*
 * The length of the write-ahead log. The writer moves it into the database from
 * time to time, and it starts over when no reader needs what is in it. A reader
 * that keeps its snapshot, such as another program in a transaction that it does
 * not end, stops both: the log then grows with every commit. Nothing but that
 * reader can end this, so past a limit commits are refused.
 */
#include <stdio.h>
#include <unistd.h>

#include "storage/sqlite/sqlite.h"

enum {
    CHECKPOINT_PAGES = 1000, /* between two checkpoints */
    RESTART_PAGES = 16384,   /* from here on the log is made to start over, waiting a moment for readers */
    RESTART_WAIT_MS = 100,
    CULPRITS_BYTES_MAX = 200,
    MIB = 1 << 20,
};

/* SQLite's read marks, as locks in the file FILE-shm (its documentation: "WAL-mode
 * file format"). */
enum { READ_LOCK_FIRST = 123, READ_LOCK_LAST = 127 };

/* SQLite tells the length of the log after each commit. */
static int on_commit(void *argument, sqlite3 *db, const char *schema, int pages)
{
    (void)db;
    (void)schema;
    struct tbk_log_state *log = argument;
    log->pages = pages;
    return SQLITE_OK;
}

enum tbk_status tbk_sqlite_watch_log(struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_log_state *log = &session->log;
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(session->db, "PRAGMA page_size", &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_step(statement);
    log->page_bytes = sqlite3_column_int(statement, 0);
    const int rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK || log->page_bytes <= 0) {
        return tbk_sqlite_failed(session->db, rc, "asking for the size of its pages", error);
    }
    const int64_t pages_max = session->storage->log_bytes_max / log->page_bytes;
    log->pages_max = pages_max > 0 && pages_max < INT32_MAX ? (int)pages_max : INT32_MAX;
    log->pages_restart = log->pages_max / 8 < RESTART_PAGES ? log->pages_max / 8 : RESTART_PAGES;
    log->pages_restart_next = log->pages_restart;
    sqlite3_wal_hook(session->db, on_commit, log);
    return TBK_OK;
}

/* Writes who holds a read mark of the database, such as "process 17 (python3)". The
 * locks are read where the system lists them: asking for them by a descriptor of
 * the file would, when it is closed, drop SQLite's own. */
static void find_readers(const char *path, char out[CULPRITS_BYTES_MAX])
{
    char line[256];
    long last_pid = 0;
    size_t length = 0;
    const int64_t inode = tbk_sqlite_shared_memory_inode(path);
    FILE *locks = fopen("/proc/locks", "re");
    out[0] = '\0';
    while (locks != NULL && fgets(line, sizeof line, locks) != NULL && length < CULPRITS_BYTES_MAX) {
        long pid;
        long long of;
        long long begin;
        /* NOLINTNEXTLINE(cert-err34-c): the numbers are the kernel's */
        if (sscanf(line, "%*d: POSIX ADVISORY READ %ld %*x:%*x:%lld %lld", &pid, &of, &begin) != 3 ||
            of != inode || begin < READ_LOCK_FIRST || begin > READ_LOCK_LAST || pid == (long)getpid() ||
            pid == last_pid) {
            continue;
        }
        char name[TBK_PROCESS_NAME_BYTES];
        char number[24];
        snprintf(number, sizeof number, "%ld", pid);
        tbk_sqlite_describe_process(number, name, sizeof name);
        length += (size_t)snprintf(out + length, CULPRITS_BYTES_MAX - length, "%sprocess %s",
                                   length > 0 ? ", " : "", name);
        last_pid = pid;
    }
    if (locks != NULL) {
        fclose(locks);
    }
    if (length == 0) {
        snprintf(out, CULPRITS_BYTES_MAX, "a reader, such as a backup,");
    }
}

/* Waits a moment for readers, moves what they allow into the database and, when
 * they allow all of it, lets the log start over. SQLITE_BUSY: one of them does not. */
static int start_over(struct tbk_session *session)
{
    struct tbk_log_state *log = &session->log;
    tbk_sqlite_wait_for_lock(session->db, RESTART_WAIT_MS);
    const int rc = sqlite3_wal_checkpoint_v2(session->db, "main", SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    tbk_sqlite_wait_for_lock(session->db, session->storage->busy_timeout_ms);
    log->pages_checkpointed = log->pages;
    if (rc == SQLITE_OK) {
        log->pages = 0;
        log->pages_checkpointed = 0;
        log->pages_restart_next = log->pages_restart;
    }
    return rc;
}

enum tbk_status tbk_sqlite_limit_log(struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_log_state *log = &session->log;
    const int rc = log->pages < log->pages_max ? SQLITE_OK : start_over(session);
    if (rc == SQLITE_OK) {
        return TBK_OK;
    }
    if (rc != SQLITE_BUSY) {
        return tbk_sqlite_failed(session->db, rc, "moving the log into the database", error);
    }
    char readers[CULPRITS_BYTES_MAX];
    find_readers(session->storage->path, readers);
    return tbk_error_set(
        error, TBK_RESOURCE_EXHAUSTED,
        "The write-ahead log has reached its limit of %lld MiB (--wal-limit), because %s keeps an "
        "old snapshot of the database. Nothing was stored; end that transaction and try again.",
        (long long)(session->storage->log_bytes_max / MIB), readers);
}

/* Waiting for a reader that stays, as a backup does, would stop the writer again
 * and again: after a wait in vain the log may double before the next. */
static enum tbk_status wait_for_readers(struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_log_state *log = &session->log;
    if (start_over(session) != SQLITE_BUSY) {
        return TBK_OK;
    }
    log->pages_restart_next = log->pages <= log->pages_max / 2 ? 2 * log->pages : log->pages_max;
    if (log->pages < 2 * log->pages_restart) { /* it may yet end by itself */
        return TBK_OK;
    }
    char readers[CULPRITS_BYTES_MAX];
    find_readers(session->storage->path, readers);
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                         "The write-ahead log has grown to %lld MiB, because %s keeps an old snapshot of the "
                         "database. End that transaction%s.",
                         (long long)log->pages * log->page_bytes / MIB, readers,
                         session->storage->log_bytes_max > 0 ? "; at the limit (--wal-limit) writes are refused"
                                                             : "");
}

enum tbk_status tbk_sqlite_maintain(struct tbk_session *session, struct tbk_error *error)
{
    struct tbk_log_state *log = &session->log;
    tbk_sqlite_let_others_in(session);
    if (log->pages < log->pages_checkpointed) { /* the log has started over */
        log->pages_checkpointed = 0;
        log->pages_restart_next = log->pages_restart;
    }
    if (log->pages - log->pages_checkpointed < CHECKPOINT_PAGES) {
        return TBK_OK;
    }
    if (log->pages >= log->pages_restart_next) {
        return wait_for_readers(session, error);
    }
    sqlite3_wal_checkpoint_v2(session->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    log->pages_checkpointed = log->pages;
    return TBK_OK;
}
