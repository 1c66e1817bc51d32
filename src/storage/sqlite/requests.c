/* The answers that were given to request ids, in the order they were given. The
 * row id grows with time, so that old ones are found without an index on time;
 * the unique index over (request_id, client) stays small and, with ids that grow
 * with time, is appended to. */
#include <string.h>

#include "storage/sqlite/sqlite.h"

enum tbk_status tbk_sqlite_request_find(struct tbk_session *session, const char *client, const uint8_t id[16],
                                        struct tbk_arena *arena, struct tbk_request_record *ret_record,
                                        struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT fingerprint,created_us,response FROM tb_requests WHERE request_id=? AND client=?",
        &session->request_find, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->request_find;
    sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, client, -1, SQLITE_STATIC);
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const size_t bytes = (size_t)sqlite3_column_bytes(statement, 2);
        uint8_t *response = tbk_arena_alloc(arena, bytes + 1);
        if (response == NULL) {
            status =
                tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading an earlier answer.");
        } else {
            if (bytes > 0) {
                memcpy(response, sqlite3_column_blob(statement, 2), bytes);
            }
            *ret_record = (struct tbk_request_record){.client = client,
                                                      .fingerprint = (uint64_t)sqlite3_column_int64(statement, 0),
                                                      .created_us = sqlite3_column_int64(statement, 1),
                                                      .response = response,
                                                      .response_bytes = bytes};
            memcpy(ret_record->id, id, 16);
        }
    } else if (rc == SQLITE_DONE) {
        status = TBK_NOT_FOUND; /* the usual case: no sentence is made */
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "looking up a request id",
                                   error);
    }
    sqlite3_reset(statement);
    return status;
}

enum tbk_status tbk_sqlite_request_save(struct tbk_session *session, const struct tbk_request_record *record,
                                        struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "INSERT INTO tb_requests (client,request_id,fingerprint,created_us,response) VALUES (?,?,?,?,?)",
        &session->request_save, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->request_save;
    sqlite3_bind_text(statement, 1, record->client, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, record->id, 16, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (int64_t)record->fingerprint);
    sqlite3_bind_int64(statement, 4, record->created_us);
    /* Without bytes the pointer may be NULL, which SQLite would store as such. */
    sqlite3_bind_blob64(statement, 5, record->response_bytes > 0 ? record->response : (const uint8_t *)"",
                        record->response_bytes, SQLITE_STATIC);
    sqlite3_step(statement);
    const int rc = sqlite3_reset(statement);
    if (rc == SQLITE_CONSTRAINT_UNIQUE) {
        return tbk_error_set(error, TBK_ALREADY_EXISTS, "This request id was executed already.");
    }
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "storing an answer", error);
}

/* Changes the oldest rows_max answers, as far as the condition of sql holds. */
static enum tbk_status change_oldest(struct tbk_session *session, const char *sql, unsigned rows_max,
                                     int64_t time_us, unsigned *ret_rows, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(session->db, sql, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, rows_max);
    sqlite3_bind_int64(statement, 2, time_us);
    sqlite3_step(statement);
    const int rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(session->db, rc, "forgetting old requests", error);
    }
    *ret_rows = (unsigned)sqlite3_changes(session->db);
    return TBK_OK;
}

enum tbk_status tbk_sqlite_request_prune(struct tbk_session *session, int64_t before_us, int64_t now_us,
                                         unsigned rows_max, unsigned *ret_rows, struct tbk_error *error)
{
    static const char forget[] =
        "DELETE FROM tb_requests WHERE id<(SELECT min(id) FROM tb_requests)+?1 AND created_us<?2";
    static const char correct[] = "UPDATE tb_requests SET created_us=?2 "
                                  "WHERE id<(SELECT min(id) FROM tb_requests)+?1 AND created_us>?2";
    unsigned corrected;
    const enum tbk_status status = change_oldest(session, correct, rows_max, now_us, &corrected, error);
    return status == TBK_OK ? change_oldest(session, forget, rows_max, before_us, ret_rows, error) : status;
}
