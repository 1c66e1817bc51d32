/* What patterns are ranked by. */
#include "storage/sqlite/sqlite.h"

enum tbk_status tbk_sqlite_pattern_counts(struct tbk_session *session, int64_t min_total,
                                          struct tbk_dynbuf *counts, struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT id,wins,total FROM patterns WHERE total>=? AND wins>=0 AND wins<=total",
        &session->pattern_counts, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->pattern_counts;
    sqlite3_bind_int64(statement, 1, min_total);
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && !tbk_dynbuf_failed(counts)) {
        const struct tbk_pattern_counts entry = {.id = sqlite3_column_int64(statement, 0),
                                                 .wins = sqlite3_column_int64(statement, 1),
                                                 .total = sqlite3_column_int64(statement, 2)};
        tbk_dynbuf_append(counts, &entry, sizeof entry);
    }
    sqlite3_reset(statement);
    if (tbk_dynbuf_failed(counts)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                             "There is no memory to rank so many patterns at once. Raise min_total.");
    }
    return rc == SQLITE_DONE ? TBK_OK : tbk_sqlite_failed(session->db, rc, "reading patterns", error);
}
