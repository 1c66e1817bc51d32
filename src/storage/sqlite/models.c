/* Which model is in production, and which was. The tenures themselves are written
 * by triggers (triggers.c). */
#include <string.h>

#include "storage/sqlite/sqlite.h"

enum tbk_status tbk_sqlite_model_promote(struct tbk_session *session, int64_t id, struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db,
                           "UPDATE model_deployments SET is_promoted=(id=?1) WHERE id=?1 OR (is_promoted<>0 AND "
                           "model_type=(SELECT model_type FROM model_deployments WHERE id=?1))",
                           &session->model_promote, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_int64(session->model_promote, 1, id);
    sqlite3_step(session->model_promote);
    const int rc = sqlite3_reset(session->model_promote);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(session->db, rc, "promoting a model", error);
    }
    return sqlite3_changes(session->db) > 0
               ? TBK_OK
               : tbk_error_set(error, TBK_NOT_FOUND, "There is no ModelDeployment with id %lld.", (long long)id);
}

enum tbk_status tbk_sqlite_model_predecessor(struct tbk_session *session, int64_t id, int64_t *ret_id,
                                             struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "SELECT d.id FROM tb_model_tenures t JOIN model_deployments d ON d.id=t.deployment_id "
        "AND d.version IS t.version AND d.model_type IS t.model_type WHERE d.id<>?1 AND d.is_active=1 "
        "AND d.model_type=(SELECT model_type FROM model_deployments WHERE id=?1) AND (t.demoted_at IS NULL "
        "OR t.id<(SELECT max(o.id) FROM tb_model_tenures o WHERE o.deployment_id=?1)) "
        "ORDER BY t.demoted_at IS NULL DESC, t.id DESC LIMIT 1",
        &session->model_predecessor, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->model_predecessor;
    sqlite3_bind_int64(statement, 1, id);
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_id = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db),
                                   "looking up the model before", error);
    }
    sqlite3_reset(statement);
    return status;
}

/* A timestamp of the present row; NULL type when it is NULL or cannot be read. */
static struct tbk_value time_at(sqlite3_stmt *statement, int position)
{
    struct tbk_value value = {.type = TBK_VALUE_NULL};
    const char *text = (const char *)sqlite3_column_text(statement, position);
    if (text != NULL && tbk_timestamp_parse(text, strlen(text), &value.timestamp_us)) {
        value.type = TBK_VALUE_TIMESTAMP;
    }
    return value;
}

/* Copies text of the present row, NULL when it is NULL. False when the arena is
 * exhausted. */
static bool text_at(sqlite3_stmt *statement, int position, struct tbk_arena *arena, const char **ret_text,
                    size_t *bytes)
{
    const char *text = (const char *)sqlite3_column_text(statement, position);
    const size_t length = text != NULL ? strlen(text) : 0;
    *ret_text = text != NULL ? tbk_arena_strndup(arena, text, length) : NULL;
    *bytes += length;
    return text == NULL || *ret_text != NULL;
}

/* Reads spans until the limit or bytes_max; one more than asked for tells that
 * more remain. */
static enum tbk_status read_tenures(struct tbk_session *session, sqlite3_stmt *statement,
                                    const struct tbk_tenure_query *query, size_t bytes_max,
                                    struct tbk_arena *arena, struct tbk_model_tenure *tenures, size_t *ret_count,
                                    bool *ret_more, struct tbk_error *error)
{
    size_t count = 0;
    size_t bytes = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && count < query->limit && bytes < bytes_max) {
        struct tbk_model_tenure *tenure = &tenures[count++];
        tenure->id = sqlite3_column_int64(statement, 0);
        tenure->promoted_at = time_at(statement, 3);
        tenure->demoted_at = time_at(statement, 4);
        if (!text_at(statement, 1, arena, &tenure->version, &bytes) ||
            !text_at(statement, 2, arena, &tenure->model_type, &bytes) ||
            !text_at(statement, 5, arena, &tenure->rollback_reason, &bytes)) {
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
        }
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "listing models", error);
    }
    *ret_count = count;
    *ret_more = rc == SQLITE_ROW;
    return TBK_OK;
}

enum tbk_status tbk_sqlite_model_tenures(struct tbk_session *session, const struct tbk_tenure_query *query,
                                         size_t bytes_max, struct tbk_arena *arena,
                                         struct tbk_model_tenure **ret_tenures, size_t *ret_count, bool *ret_more,
                                         struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "SELECT id,version,model_type,promoted_at,demoted_at,rollback_reason FROM tb_model_tenures WHERE id<?1 "
        "AND (?2 IS NULL OR model_type=?2) "
        "AND (?3 IS NULL OR (promoted_at<=?3 AND (demoted_at IS NULL OR demoted_at>?3))) "
        "ORDER BY id DESC LIMIT ?4",
        &session->model_tenures, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_model_tenure *tenures = tbk_arena_alloc(arena, query->limit * sizeof *tenures);
    if (tenures == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    sqlite3_stmt *statement = session->model_tenures;
    char at[TBK_TIMESTAMP_CHARS + 1];
    sqlite3_bind_int64(statement, 1, query->before_id);
    sqlite3_bind_text(statement, 2, query->model_type, -1, SQLITE_STATIC);
    sqlite3_bind_null(statement, 3);
    if (query->has_at) {
        tbk_timestamp_format(query->at_us, at);
        sqlite3_bind_text(statement, 3, at, TBK_TIMESTAMP_CHARS, SQLITE_STATIC);
    }
    sqlite3_bind_int64(statement, 4, (int64_t)query->limit + 1);
    status = read_tenures(session, statement, query, bytes_max, arena, tenures, ret_count, ret_more, error);
    sqlite3_reset(statement);
    if (status == TBK_OK) {
        *ret_tenures = tenures;
    }
    return status;
}
