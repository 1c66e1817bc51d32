/*
 * Living with other programs that write to the same file. SQLite has no queue
 * for its lock: who waits looks again from time to time, its default handler in
 * the end only every 100 ms. A server that takes the lock again at once would
 * keep such programs out until they give up with "database is locked", and
 * would itself lose against one that does the same.
 */
#include <time.h>

#include "storage/sqlite/sqlite.h"

/* How often we look for the lock; how long we leave it free between transactions
 * while others write, and for how long after we last saw that. */
enum { LOOK_MS = 1, FREE_MS = 2, REMEMBER_US = 10 * 1000 * 1000 };

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* SQLite's busy handler: 0 gives up. */
static int look_again(void *argument, int count)
{
    if ((int64_t)count * LOOK_MS >= (intptr_t)argument) {
        return 0;
    }
    sleep_ms(LOOK_MS);
    return 1;
}

void tbk_sqlite_wait_for_lock(sqlite3 *db, int64_t timeout_ms)
{
    sqlite3_busy_handler(db, look_again, (void *)(intptr_t)timeout_ms);
}

/* Changes with every commit of another connection. */
enum tbk_status tbk_sqlite_changed(struct tbk_session *session, bool *ret_changed, struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db, "PRAGMA data_version", &session->data_version, error);
    if (status != TBK_OK) {
        return status;
    }
    const bool answered = sqlite3_step(session->data_version) == SQLITE_ROW;
    const int version = answered ? sqlite3_column_int(session->data_version, 0) : 0;
    const int rc = sqlite3_reset(session->data_version);
    if (!answered) {
        return tbk_sqlite_failed(session->db, rc, "looking for changes", error);
    }
    *ret_changed = version != session->seen_version;
    session->seen_version = version;
    return TBK_OK;
}

void tbk_sqlite_look_for_others(struct tbk_session *session)
{
    struct tbk_error ignored;
    tbk_error_init(&ignored);
    const bool is_first = session->seen_version == 0;
    bool changed = false;
    if (tbk_sqlite_changed(session, &changed, &ignored) == TBK_OK && changed && !is_first) {
        session->others_us = tbk_monotonic_us();
    }
}

void tbk_sqlite_let_others_in(const struct tbk_session *session)
{
    if (session->others_us != 0 && tbk_monotonic_us() - session->others_us < REMEMBER_US) {
        sleep_ms(FREE_MS);
    }
}
