/* Cursors: rows of tb_cursors. */
#include "google/protobuf/timestamp.pb-c.h"
#include "storage/sqlite/sqlite.h"

#define SELECT_CURSORS                                                                                            \
    "SELECT name,sequence,max(0,(SELECT ifnull(max(sequence),0) FROM tb_events)-sequence),created_at,updated_at " \
    "FROM tb_cursors WHERE name"

enum column { NAME, SEQUENCE, BEHIND, CREATED_AT, UPDATED_AT };

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading cursors.");
}

static enum tbk_status not_found(const char *name, struct tbk_error *error)
{
    return tbk_error_set(error, TBK_NOT_FOUND, "There is no cursor '%s'.", name);
}

static Google__Protobuf__Timestamp *read_timestamp(sqlite3_stmt *statement, enum column column,
                                                   struct tbk_arena *arena)
{
    Google__Protobuf__Timestamp *timestamp = tbk_arena_alloc(arena, sizeof *timestamp);
    const char *text = (const char *)sqlite3_column_text(statement, (int)column);
    int64_t us = 0;
    if (timestamp == NULL || text == NULL) {
        return NULL;
    }
    tbk_timestamp_parse(text, (size_t)sqlite3_column_bytes(statement, (int)column), &us);
    google__protobuf__timestamp__init(timestamp);
    tbk_timestamp_to_proto(us, &timestamp->seconds, &timestamp->nanos);
    return timestamp;
}

static enum tbk_status read_cursor(sqlite3_stmt *statement, struct tbk_arena *arena,
                                   Tradebook__V1__Cursor **ret_cursor, struct tbk_error *error)
{
    Tradebook__V1__Cursor *cursor = tbk_arena_alloc(arena, sizeof *cursor);
    const char *name = (const char *)sqlite3_column_text(statement, NAME);
    if (cursor == NULL || name == NULL) {
        return out_of_memory(error);
    }
    tradebook__v1__cursor__init(cursor);
    cursor->name = tbk_arena_strndup(arena, name, (size_t)sqlite3_column_bytes(statement, NAME));
    cursor->has_sequence = 1;
    cursor->sequence = sqlite3_column_int64(statement, SEQUENCE);
    cursor->has_behind = 1;
    cursor->behind = sqlite3_column_int64(statement, BEHIND);
    cursor->created_at = read_timestamp(statement, CREATED_AT, arena);
    cursor->updated_at = read_timestamp(statement, UPDATED_AT, arena);
    if (cursor->name == NULL || cursor->created_at == NULL || cursor->updated_at == NULL) {
        return out_of_memory(error);
    }
    *ret_cursor = cursor;
    return TBK_OK;
}

enum tbk_status tbk_sqlite_cursor_get(struct tbk_session *session, const char *name, struct tbk_arena *arena,
                                      Tradebook__V1__Cursor **ret_cursor, struct tbk_error *error)
{
    sqlite3_stmt **statement = &session->events[TBK_CURSOR_GET];
    enum tbk_status status = tbk_sqlite_prepare(session->db, SELECT_CURSORS "=?", statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(*statement, 1, name, -1, SQLITE_STATIC);
    const int rc = sqlite3_step(*statement);
    if (rc == SQLITE_ROW) {
        status = read_cursor(*statement, arena, ret_cursor, error);
    } else if (rc == SQLITE_DONE) {
        status = not_found(name, error);
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading a cursor", error);
    }
    sqlite3_reset(*statement);
    return status;
}

/* Reads rows; one more than asked for tells that others remain. */
static enum tbk_status read_cursors(struct tbk_session *session, sqlite3_stmt *statement, uint32_t limit,
                                    struct tbk_arena *arena, Tradebook__V1__Cursor **cursors, size_t *ret_count,
                                    bool *ret_more, struct tbk_error *error)
{
    size_t count = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && count < limit) {
        const enum tbk_status status = read_cursor(statement, arena, &cursors[count], error);
        if (status != TBK_OK) {
            return status;
        }
        count++;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading cursors", error);
    }
    *ret_count = count;
    *ret_more = rc == SQLITE_ROW;
    return TBK_OK;
}

enum tbk_status tbk_sqlite_cursor_list(struct tbk_session *session, const char *after, uint32_t limit,
                                       struct tbk_arena *arena, Tradebook__V1__Cursor ***ret_cursors,
                                       size_t *ret_count, bool *ret_more, struct tbk_error *error)
{
    sqlite3_stmt **statement = &session->events[TBK_CURSOR_LIST];
    Tradebook__V1__Cursor **cursors = tbk_arena_alloc(arena, limit * sizeof(void *));
    if (cursors == NULL) {
        return out_of_memory(error);
    }
    enum tbk_status status =
        tbk_sqlite_prepare(session->db, SELECT_CURSORS ">? ORDER BY name LIMIT ?", statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(*statement, 1, after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*statement, 2, (int64_t)limit + 1);
    status = read_cursors(session, *statement, limit, arena, cursors, ret_count, ret_more, error);
    sqlite3_reset(*statement);
    if (status == TBK_OK) {
        *ret_cursors = cursors;
    }
    return status;
}

enum tbk_status tbk_sqlite_cursor_move(struct tbk_session *session, const char *name, int64_t sequence,
                                       bool may_go_back, int64_t now_us, struct tbk_error *error)
{
    sqlite3_stmt **statement = &session->events[TBK_CURSOR_MOVE];
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "INSERT INTO tb_cursors (name,sequence,created_at,updated_at) VALUES (?1,?2,?3,?3) ON CONFLICT (name) "
        "DO UPDATE SET sequence=excluded.sequence,updated_at=excluded.updated_at "
        "WHERE excluded.sequence>sequence OR (?4 AND excluded.sequence<sequence)",
        statement, error);
    if (status != TBK_OK) {
        return status;
    }
    char now[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(now_us, now);
    sqlite3_bind_text(*statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*statement, 2, sequence);
    sqlite3_bind_text(*statement, 3, now, TBK_TIMESTAMP_CHARS, SQLITE_STATIC);
    sqlite3_bind_int(*statement, 4, may_go_back);
    sqlite3_step(*statement);
    const int rc = sqlite3_reset(*statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(session->db, rc, "moving a cursor", error);
}

enum tbk_status tbk_sqlite_cursor_delete(struct tbk_session *session, const char *name, struct tbk_error *error)
{
    sqlite3_stmt **statement = &session->events[TBK_CURSOR_DELETE];
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db, "DELETE FROM tb_cursors WHERE name=?", statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(*statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_step(*statement);
    const int rc = sqlite3_reset(*statement);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(session->db, rc, "deleting a cursor", error);
    }
    return sqlite3_changes(session->db) == 0 ? not_found(name, error) : TBK_OK;
}
