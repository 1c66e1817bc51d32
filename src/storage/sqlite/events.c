/* The outbox: rows of tb_events, which the triggers of triggers.c make, as Event
 * messages. */
#include <string.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "storage/sqlite/sqlite.h"
#include "storage/topic.h"

/* What follows the columns of the result in the select list, in this order. */
#define REST_OF_COLUMNS                                                                                           \
    ",sequence,previous,created_at,symbol,direction,strategy,tier,session,model_version,confidence,quantity,"     \
    "fees_usd,mode,r_realized"

enum rest_of_columns {
    SEQUENCE,
    PREVIOUS,
    CREATED_AT,
    SYMBOL,
    DIRECTION,
    STRATEGY,
    TIER,
    SESSION,
    MODEL_VERSION,
    CONFIDENCE,
    QUANTITY,
    FEES_USD,
    MODE,
    R_REALIZED,
};

/* The row of tb_events that is being read. */
struct row {
    sqlite3_stmt *statement;
    const struct tbk_schema *schema;
    int rest; /* position of SEQUENCE */
    struct tbk_arena *arena;
    bool out_of_memory;
    size_t text_bytes;
};

enum tbk_status tbk_sqlite_event_range(struct tbk_session *session, struct tbk_event_range *ret_range,
                                       struct tbk_error *error)
{
    sqlite3_stmt **statement = &session->events[TBK_EVENT_RANGE];
    enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT (SELECT min(sequence) FROM tb_events),(SELECT max(sequence) FROM tb_events)",
        statement, error);
    if (status != TBK_OK) {
        return status;
    }
    if (sqlite3_step(*statement) == SQLITE_ROW) { /* NULL reads as 0 */
        *ret_range = (struct tbk_event_range){.oldest = sqlite3_column_int64(*statement, 0),
                                              .newest = sqlite3_column_int64(*statement, 1)};
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading events", error);
    }
    sqlite3_reset(*statement);
    return status;
}

/* "id" of a result is "result_id" of an event, and so on. */
static bool is_renamed(const char *column)
{
    return strcmp(column, "id") == 0 || strcmp(column, "created_at") == 0 || strcmp(column, "updated_at") == 0;
}

static enum tbk_status prepare_list(struct tbk_session *session, struct tbk_error *error)
{
    const struct tbk_table *results = &session->storage->schema->tables[TBK_SIGNAL_RESULTS];
    struct tbk_dynbuf *sql = &session->sql;
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_puts(sql, "SELECT ");
    for (unsigned i = 0; i < results->column_count; i++) {
        const char *name = results->columns[i].name;
        tbk_dynbuf_printf(sql, "%s%s%s", i > 0 ? "," : "", is_renamed(name) ? "result_" : "", name);
    }
    tbk_dynbuf_puts(sql, REST_OF_COLUMNS " FROM tb_events WHERE sequence>? ORDER BY sequence LIMIT ?");
    if (tbk_dynbuf_failed(sql)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while preparing a statement.");
    }
    return tbk_sqlite_prepare(session->db, tbk_dynbuf_text(sql), &session->events[TBK_EVENT_LIST], error);
}

static char *read_text(struct row *row, enum rest_of_columns column)
{
    const int position = row->rest + (int)column;
    const char *text = (const char *)sqlite3_column_text(row->statement, position);
    if (text == NULL) {
        return NULL;
    }
    const size_t bytes = (size_t)sqlite3_column_bytes(row->statement, position);
    char *copy = tbk_arena_strndup(row->arena, text, bytes);
    row->out_of_memory |= copy == NULL;
    row->text_bytes += bytes;
    return copy;
}

static double read_real(const struct row *row, enum rest_of_columns column, protobuf_c_boolean *ret_present)
{
    const int position = row->rest + (int)column;
    *ret_present = sqlite3_column_type(row->statement, position) != SQLITE_NULL;
    return sqlite3_column_double(row->statement, position);
}

/* An enumeration that is stored like the column of this name of a table. */
static int read_enum(const struct row *row, enum rest_of_columns column, enum tbk_table_id table, const char *name,
                     protobuf_c_boolean *ret_present)
{
    const struct tbk_value value =
        tbk_sqlite_read_value(row->statement, row->rest + (int)column,
                              tbk_table_column(&row->schema->tables[table], name, strlen(name)));
    *ret_present = value.type != TBK_VALUE_NULL;
    return *ret_present ? (int)value.integer : 0;
}

static Google__Protobuf__Timestamp *read_timestamp(struct row *row, enum rest_of_columns column)
{
    const int position = row->rest + (int)column;
    const char *text = (const char *)sqlite3_column_text(row->statement, position);
    int64_t us;
    if (text == NULL || !tbk_timestamp_parse(text, (size_t)sqlite3_column_bytes(row->statement, position), &us)) {
        return NULL;
    }
    Google__Protobuf__Timestamp *timestamp = tbk_arena_alloc(row->arena, sizeof *timestamp);
    row->out_of_memory |= timestamp == NULL;
    if (timestamp != NULL) {
        google__protobuf__timestamp__init(timestamp);
        tbk_timestamp_to_proto(us, &timestamp->seconds, &timestamp->nanos);
    }
    return timestamp;
}

static void read_trade(struct row *row, Tradebook__V1__TradeClosed *trade)
{
    tradebook__v1__trade_closed__init(trade);
    trade->symbol = read_text(row, SYMBOL);
    trade->direction =
        (Tradebook__V1__Direction)read_enum(row, DIRECTION, TBK_SIGNALS, "direction", &trade->has_direction);
    trade->strategy = read_text(row, STRATEGY);
    trade->tier = (Tradebook__V1__Tier)read_enum(row, TIER, TBK_SIGNALS, "tier", &trade->has_tier);
    trade->session = read_text(row, SESSION);
    trade->model_version = read_text(row, MODEL_VERSION);
    trade->confidence = read_real(row, CONFIDENCE, &trade->has_confidence);
    trade->quantity = read_real(row, QUANTITY, &trade->has_quantity);
    trade->fees_usd = read_real(row, FEES_USD, &trade->has_fees_usd);
    trade->mode = (Tradebook__V1__Mode)read_enum(row, MODE, TBK_RISK_BOOK_SNAPSHOTS, "mode", &trade->has_mode);
    trade->r_realized = read_real(row, R_REALIZED, &trade->has_r_realized);
}

static int64_t sequence_of(const struct row *row)
{
    return sqlite3_column_int64(row->statement, row->rest + SEQUENCE);
}

/* Reads the present row; *ret_bytes is about the memory it takes. */
static enum tbk_status read_event(struct row *row, Tradebook__V1__Event **ret_event, size_t *ret_bytes,
                                  struct tbk_error *error)
{
    Tradebook__V1__Event *event = tbk_arena_alloc(row->arena, sizeof *event);
    Tradebook__V1__TradeClosed *trade = tbk_arena_alloc(row->arena, sizeof *trade);
    if (event == NULL || trade == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading events.");
    }
    ProtobufCMessage *result = NULL;
    size_t result_bytes = 0;
    const enum tbk_status status = tbk_sqlite_read_row(row->statement, &row->schema->tables[TBK_SIGNAL_RESULTS],
                                                       row->arena, &result, &result_bytes, error);
    if (status != TBK_OK) {
        return status;
    }
    row->text_bytes = 0;
    read_trade(row, trade);
    trade->signal_result = (Tradebook__V1__SignalResult *)result;
    tradebook__v1__event__init(event);
    event->has_sequence = 1;
    event->sequence = sequence_of(row);
    event->has_previous_sequence = sqlite3_column_type(row->statement, row->rest + PREVIOUS) != SQLITE_NULL;
    event->previous_sequence = sqlite3_column_int64(row->statement, row->rest + PREVIOUS);
    event->created_at = read_timestamp(row, CREATED_AT);
    event->trade_closed = trade;
    if (trade->symbol != NULL) {
        event->topic = tbk_topic_of_trade(trade->symbol, strlen(trade->symbol), row->arena);
    }
    if (row->out_of_memory || event->topic == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading events.");
    }
    *ret_event = event;
    *ret_bytes = sizeof *event + sizeof *trade + result_bytes + row->text_bytes + strlen(event->topic);
    return TBK_OK;
}

static bool is_asked_for(const struct row *row, const struct tbk_event_query *query)
{
    const int position = row->rest + SYMBOL;
    const char *symbol = (const char *)sqlite3_column_text(row->statement, position);
    const size_t length = (size_t)sqlite3_column_bytes(row->statement, position);
    if (symbol == NULL) { /* memory; read_event will say so */
        return true;
    }
    if (query->symbol != NULL && (strlen(query->symbol) != length || memcmp(query->symbol, symbol, length) != 0)) {
        return false;
    }
    return query->topic == NULL || tbk_topic_of_trade_has_prefix(symbol, length, query->topic);
}

/* Reads rows until a limit of the query is reached or none is left. */
static enum tbk_status read_rows(struct tbk_session *session, struct row *row, const struct tbk_event_query *query,
                                 struct tbk_event_page *page, struct tbk_error *error)
{
    size_t bytes = 0;
    while (page->count < query->limit && bytes < query->bytes_max) {
        const int rc = sqlite3_step(row->statement);
        if (rc == SQLITE_DONE) {
            return TBK_OK;
        }
        if (rc != SQLITE_ROW) {
            return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading events", error);
        }
        if (is_asked_for(row, query)) {
            size_t event_bytes = 0;
            const enum tbk_status status = read_event(row, &page->events[page->count], &event_bytes, error);
            if (status != TBK_OK) {
                return status;
            }
            page->count++;
            bytes += event_bytes;
        }
        page->next_after = sequence_of(row);
    }
    return TBK_OK;
}

/* Range and rows, inside a transaction. */
static enum tbk_status list(struct tbk_session *session, const struct tbk_event_query *query,
                            struct tbk_arena *arena, struct tbk_event_page *page, struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_event_range(session, &page->range, error);
    if (status == TBK_OK && session->events[TBK_EVENT_LIST] == NULL) {
        status = prepare_list(session, error);
    }
    if (status != TBK_OK || page->range.newest <= query->after) {
        return status;
    }
    page->events = tbk_arena_alloc(arena, query->limit * sizeof(void *));
    if (page->events == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading events.");
    }
    struct row row = {.statement = session->events[TBK_EVENT_LIST],
                      .schema = session->storage->schema,
                      .rest = (int)session->storage->schema->tables[TBK_SIGNAL_RESULTS].column_count,
                      .arena = arena};
    sqlite3_bind_int64(row.statement, 1, query->after);
    sqlite3_bind_int64(row.statement, 2, query->scan_max);
    status = read_rows(session, &row, query, page, error);
    sqlite3_reset(row.statement);
    return status;
}

enum tbk_status tbk_sqlite_event_list(struct tbk_session *session, const struct tbk_event_query *query,
                                      struct tbk_arena *arena, struct tbk_event_page *ret_page,
                                      struct tbk_error *error)
{
    const bool alone = sqlite3_get_autocommit(session->db) != 0;
    if (alone) {
        sqlite3_step(session->begin);
        const int rc = sqlite3_reset(session->begin);
        if (rc != SQLITE_OK) {
            return tbk_sqlite_failed(session->db, rc, "reading events", error);
        }
    }
    struct tbk_event_page page = {.next_after = query->after};
    const enum tbk_status status = list(session, query, arena, &page, error);
    if (alone) { /* nothing was written: both end the snapshot, only ROLLBACK cannot fail */
        sqlite3_step(session->rollback);
        sqlite3_reset(session->rollback);
    }
    if (status == TBK_OK) {
        *ret_page = page;
    }
    return status;
}

/* Only a run of the oldest goes, so that the numbers that are kept stay dense
 * even if the clock was set back between two events. The newest one stays: the
 * next number is the largest one + 1. */
enum tbk_status tbk_sqlite_event_prune(struct tbk_session *session, int64_t before_us, unsigned rows_max,
                                       unsigned *ret_rows, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db,
        "DELETE FROM tb_events WHERE sequence<min((SELECT max(sequence) FROM tb_events),"
        "ifnull((SELECT min(sequence) FROM (SELECT sequence,created_at FROM tb_events ORDER BY sequence LIMIT ?1) "
        "WHERE created_at>=?2),(SELECT min(sequence) FROM tb_events)+?1))",
        &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    char before[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(before_us < TBK_TIMESTAMP_MIN ? TBK_TIMESTAMP_MIN : before_us, before);
    sqlite3_bind_int64(statement, 1, rows_max);
    sqlite3_bind_text(statement, 2, before, TBK_TIMESTAMP_CHARS, SQLITE_STATIC);
    sqlite3_step(statement);
    const int rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(session->db, rc, "forgetting old events", error);
    }
    *ret_rows = (unsigned)sqlite3_changes(session->db);
    return TBK_OK;
}
