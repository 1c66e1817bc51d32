/* The trades that are open. */
#include <string.h>

#include "storage/sqlite/sqlite.h"

#define IS_OPEN "IN ('open','OPEN','Open')"

/* Open trades are few, so they are found by their outcome and sorted; the
 * expression in the order keeps SQLite from walking through all trades by time.
 * Where a page continues is looked up by id, because another program may have
 * written the time in another form than the page token has. */
static const char positions_sql[] =
    "SELECT r.id,r.signal_id,r.entry_price,r.entry_timestamp,"
    "s.symbol,s.direction,s.tp_price,s.sl_price,s.strategy,ifnull(t.quantity,1.0) "
    "FROM signal_results r LEFT JOIN signals s ON s.id=r.signal_id LEFT JOIN tb_trades t ON "
    "t.signal_id=r.signal_id "
    "WHERE r.outcome " IS_OPEN " AND (?1 IS NULL OR s.symbol=?1) AND (?2 IS NULL OR "
    "(ifnull(r.entry_timestamp,''),r.id)<"
    "(ifnull((SELECT ifnull(p.entry_timestamp,'') FROM signal_results p WHERE p.id=?3),?2),?3)) "
    "ORDER BY ifnull(r.entry_timestamp,'') DESC,r.id DESC LIMIT ?4";

enum { RESULT_COLUMNS = 4, SIGNAL_COLUMNS = 5, QUANTITY = RESULT_COLUMNS + SIGNAL_COLUMNS };

static const char *const result_columns[RESULT_COLUMNS] = {"id", "signal_id", "entry_price", "entry_timestamp"};
static const char *const signal_columns[SIGNAL_COLUMNS] = {"symbol", "direction", "tp_price", "sl_price",
                                                           "strategy"};

/* Reads count columns of a table, the first at this position of the row. */
static ProtobufCMessage *read_columns(sqlite3_stmt *row, int position, const struct tbk_table *table,
                                      const char *const *names, unsigned count, struct tbk_arena *arena)
{
    ProtobufCMessage *message = tbk_message_create(table->message, arena);
    bool stored = message != NULL;
    for (unsigned i = 0; stored && i < count; i++) {
        const struct tbk_column *column = tbk_table_column(table, names[i], strlen(names[i]));
        stored = tbk_column_set(column, message, tbk_sqlite_read_value(row, position + (int)i, column), arena);
    }
    return stored ? message : NULL;
}

static bool read_position(const struct tbk_session *session, sqlite3_stmt *row, struct tbk_arena *arena,
                          struct tbk_open_position *position)
{
    const struct tbk_table *tables = session->storage->schema->tables;
    position->result = read_columns(row, 0, &tables[TBK_SIGNAL_RESULTS], result_columns, RESULT_COLUMNS, arena);
    position->signal =
        read_columns(row, RESULT_COLUMNS, &tables[TBK_SIGNALS], signal_columns, SIGNAL_COLUMNS, arena);
    position->quantity = sqlite3_column_double(row, QUANTITY);
    return position->result != NULL && position->signal != NULL;
}

static enum tbk_status read_positions(struct tbk_session *session, sqlite3_stmt *statement, uint32_t limit,
                                      struct tbk_arena *arena, struct tbk_open_position *positions,
                                      size_t *ret_count, bool *ret_more, struct tbk_error *error)
{
    size_t count = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && count < limit) {
        if (!read_position(session, statement, arena, &positions[count])) {
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
        }
        count++;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "listing open trades", error);
    }
    *ret_count = count;
    *ret_more = rc == SQLITE_ROW;
    return TBK_OK;
}

enum tbk_status tbk_sqlite_open_positions(struct tbk_session *session,
                                          const struct tbk_open_positions_query *query, struct tbk_arena *arena,
                                          struct tbk_open_position **ret_positions, size_t *ret_count,
                                          bool *ret_more, struct tbk_error *error)
{
    struct tbk_open_position *positions = tbk_arena_alloc(arena, query->limit * sizeof *positions);
    if (positions == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    enum tbk_status status = tbk_sqlite_prepare(session->db, positions_sql, &session->open_positions, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->open_positions;
    char after[TBK_TIMESTAMP_CHARS + 1];
    sqlite3_bind_text(statement, 1, query->symbol, -1, SQLITE_STATIC);
    if (query->continues) {
        tbk_timestamp_format(query->after_entry_us, after);
        sqlite3_bind_text(statement, 2, after, TBK_TIMESTAMP_CHARS, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(statement, 2);
    }
    sqlite3_bind_int64(statement, 3, query->after_id);
    sqlite3_bind_int64(statement, 4, (int64_t)query->limit + 1);
    status = read_positions(session, statement, query->limit, arena, positions, ret_count, ret_more, error);
    sqlite3_reset(statement);
    if (status == TBK_OK) {
        *ret_positions = positions;
    }
    return status;
}

enum tbk_status tbk_sqlite_open_count(struct tbk_session *session, int64_t *ret_trades, struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT count(*) FROM signal_results WHERE outcome " IS_OPEN, &session->open_count, error);
    if (status != TBK_OK) {
        return status;
    }
    const bool counted = sqlite3_step(session->open_count) == SQLITE_ROW;
    const int64_t trades = counted ? sqlite3_column_int64(session->open_count, 0) : 0;
    const int rc = sqlite3_reset(session->open_count);
    if (!counted) {
        return tbk_sqlite_failed(session->db, rc, "counting open trades", error);
    }
    *ret_trades = trades;
    return TBK_OK;
}
