/* Compiles a query to SQL with parameters and runs it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "storage/sqlite/sqlite.h"

/* An enumeration may be stored in another case by other programs; IN with the
 * usual spellings keeps the index usable where lower() would not. */
enum { ENUM_SPELLINGS = 3 };
/* Of a page token: one to seek, and for each order field one "beyond" and one
 * "equal" for each field before it. */
enum {
    ORDER_PARAMETERS_MAX = 1 + (TBK_ORDER_FIELDS_MAX + 1) * (TBK_ORDER_FIELDS_MAX + 2) / 2,
    PARAMETERS_MAX = TBK_FILTER_COMPARISONS_MAX * ENUM_SPELLINGS + ORDER_PARAMETERS_MAX,
};
_Static_assert(TBK_FILTER_COMPARISONS_MAX + ORDER_PARAMETERS_MAX <= TBK_BOUND_TIMESTAMPS_MAX,
               "every parameter may be a timestamp");

/* A parameter is a value of a column, or a spelling of an enumeration; with
 * as_stored, what the last row seen holds in that column. */
struct parameter {
    const struct tbk_column *column;
    struct tbk_value value;
    bool as_stored;
};

struct compiler {
    sqlite3 *db;
    struct tbk_dynbuf *sql;
    struct tbk_arena *arena;
    sqlite3_stmt *last_row; /* the last row seen as it is stored; NULL: go by the page token */
    struct parameter parameters[PARAMETERS_MAX];
    unsigned parameter_count;
    bool out_of_memory;
};

static void put_parameter(struct compiler *compiler, const struct tbk_column *column, struct tbk_value value)
{
    tbk_dynbuf_putc(compiler->sql, '?');
    compiler->parameters[compiler->parameter_count++] = (struct parameter){.column = column, .value = value};
}

static void put_enum(struct compiler *compiler, const struct tbk_filter *node)
{
    static int (*const spell[ENUM_SPELLINGS][2])(int) = {
        {tolower, tolower}, {toupper, toupper}, {toupper, tolower}};
    const char *text = tbk_column_enum_text(node->column, (int)node->value.integer);
    const size_t length = strlen(text);
    tbk_dynbuf_printf(compiler->sql, "%s %s(", node->column->name, node->comparison == TBK_EQ ? "IN" : "NOT IN");
    for (int i = 0; i < ENUM_SPELLINGS; i++) {
        char *spelling = tbk_arena_strndup(compiler->arena, text, length);
        if (spelling == NULL) {
            compiler->out_of_memory = true;
            return;
        }
        for (size_t c = 0; c < length; c++) {
            spelling[c] = (char)spell[i][c > 0]((unsigned char)spelling[c]);
        }
        tbk_dynbuf_puts(compiler->sql, i > 0 ? "," : "");
        const struct tbk_value value = {.type = TBK_VALUE_TEXT, .text = {spelling, length}};
        put_parameter(compiler, node->column, value);
    }
    tbk_dynbuf_putc(compiler->sql, ')');
}

static void put_comparison(struct compiler *compiler, const struct tbk_filter *node)
{
    static const char *const operators[] = {
        [TBK_EQ] = "=", [TBK_NE] = "<>", [TBK_LT] = "<", [TBK_LE] = "<=", [TBK_GT] = ">", [TBK_GE] = ">=",
    };
    if (node->value.type == TBK_VALUE_NULL) {
        tbk_dynbuf_printf(compiler->sql, "%s %s", node->column->name,
                          node->comparison == TBK_EQ ? "IS NULL" : "IS NOT NULL");
    } else if (node->column->kind == TBK_COLUMN_ENUM) {
        put_enum(compiler, node);
    } else {
        tbk_dynbuf_printf(compiler->sql, "%s%s", node->column->name, operators[node->comparison]);
        put_parameter(compiler, node->column, node->value);
    }
}

/* Depth is bounded by the parser. */
static void put_filter(struct compiler *compiler, const struct tbk_filter *node)
{
    if (node->kind == TBK_FILTER_COMPARE) {
        put_comparison(compiler, node);
        return;
    }
    tbk_dynbuf_puts(compiler->sql, node->kind == TBK_FILTER_NOT ? "NOT (" : "(");
    for (const struct tbk_filter *operand = node->first; operand != NULL; operand = operand->next) {
        if (operand != node->first) {
            tbk_dynbuf_puts(compiler->sql, node->kind == TBK_FILTER_AND ? " AND " : " OR ");
        }
        put_filter(compiler, operand);
    }
    tbk_dynbuf_putc(compiler->sql, ')');
}

/* What a column is ordered by: enumerations by their lower-case text, and by ''
 * when that is none of the known ones. */
static void put_order_key(struct compiler *compiler, const struct tbk_column *column)
{
    if (column->kind != TBK_COLUMN_ENUM) {
        tbk_dynbuf_puts(compiler->sql, column->name);
        return;
    }
    tbk_dynbuf_printf(compiler->sql, "CASE WHEN lower(%s) IN (", column->name);
    const char *separator = "";
    for (int number = 1; number < TBK_ENUM_VALUES_MAX; number++) {
        const char *text = tbk_column_enum_text(column, number);
        if (text != NULL) {
            tbk_dynbuf_printf(compiler->sql, "%s'%s'", separator, text);
            separator = ",";
        }
    }
    tbk_dynbuf_printf(compiler->sql, ") THEN lower(%s) WHEN %s IS NOT NULL THEN '' END", column->name,
                      column->name);
}

/* What the last row seen has in this place of the order. */
static void put_order_parameter(struct compiler *compiler, const struct tbk_column *column, struct tbk_value value)
{
    if (column->kind == TBK_COLUMN_ENUM && value.type != TBK_VALUE_NULL) {
        const char *text = tbk_column_enum_text(column, (int)value.integer);
        value = (struct tbk_value){.type = TBK_VALUE_TEXT, .text = {text != NULL ? text : "", 0}};
        value.text.length = strlen(value.text.data);
    }
    put_parameter(compiler, column, value);
    compiler->parameters[compiler->parameter_count - 1].as_stored =
        compiler->last_row != NULL && column->kind != TBK_COLUMN_ENUM;
}

static void put_order_comparison(struct compiler *compiler, const struct tbk_column *column, const char *operator,
                                 struct tbk_value value)
{
    put_order_key(compiler, column);
    tbk_dynbuf_puts(compiler->sql, operator);
    put_order_parameter(compiler, column, value);
}

/* Whether the last row seen has NULL there: on disk, where text that is no
 * timestamp is something, too. */
static bool was_null(const struct compiler *compiler, const struct tbk_column *column, struct tbk_value value)
{
    if (compiler->last_row != NULL) {
        return sqlite3_column_type(compiler->last_row, (int)column->position) == SQLITE_NULL;
    }
    return value.type == TBK_VALUE_NULL;
}

/* Whether no row has NULL there. In an adopted file a column may lack the NOT
 * NULL that it should have. */
static bool never_null(const struct compiler *compiler, const struct tbk_query *query,
                       const struct tbk_column *column)
{
    int not_null = 0;
    sqlite3_table_column_metadata(compiler->db, NULL, query->table->name, column->name, NULL, NULL, &not_null,
                                  NULL, NULL);
    return not_null != 0;
}

/* "column comes after value in this order". NULL is the smallest value. */
static void put_beyond(struct compiler *compiler, const struct tbk_query *query, struct tbk_order order,
                       struct tbk_value value)
{
    const struct tbk_column *column = order.column;
    if (was_null(compiler, column, value)) {
        tbk_dynbuf_printf(compiler->sql, order.descending ? "0" : "%s IS NOT NULL", column->name);
    } else if (!order.descending || never_null(compiler, query, column)) {
        put_order_comparison(compiler, column, order.descending ? "<" : ">", value);
    } else {
        tbk_dynbuf_putc(compiler->sql, '(');
        put_order_comparison(compiler, column, "<", value);
        tbk_dynbuf_printf(compiler->sql, " OR %s IS NULL)", column->name);
    }
}

/* Rows after the last one seen: beyond it in the first column, or equal there and
 * beyond it in the second, and so on. */
static void put_after(struct compiler *compiler, const struct tbk_query *query)
{
    const struct tbk_order first = query->order[0];
    const struct tbk_value *after = query->after;
    if (!was_null(compiler, first.column, after[0]) &&
        (!first.descending || never_null(compiler, query, first.column))) {
        /* Implied by what follows; lets SQLite seek in the index instead of
         * reading everything before. */
        put_order_comparison(compiler, first.column, first.descending ? "<=" : ">=", after[0]);
        tbk_dynbuf_puts(compiler->sql, " AND ");
    }
    tbk_dynbuf_putc(compiler->sql, '(');
    for (unsigned i = 0; i < query->order_count; i++) {
        tbk_dynbuf_puts(compiler->sql, i > 0 ? " OR (" : "(");
        for (unsigned equal = 0; equal < i; equal++) {
            put_order_comparison(compiler, query->order[equal].column, " IS ", after[equal]);
            tbk_dynbuf_puts(compiler->sql, " AND ");
        }
        put_beyond(compiler, query, query->order[i], after[i]);
        tbk_dynbuf_putc(compiler->sql, ')');
    }
    tbk_dynbuf_putc(compiler->sql, ')');
}

static void put_query(struct compiler *compiler, const struct tbk_query *query)
{
    struct tbk_dynbuf *sql = compiler->sql;
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_puts(sql, "SELECT ");
    tbk_sqlite_put_columns(sql, query->table);
    tbk_dynbuf_printf(sql, " FROM %s", query->table->name);
    if (query->filter != NULL) {
        tbk_dynbuf_puts(sql, " WHERE ");
        put_filter(compiler, query->filter);
    }
    if (query->after != NULL) {
        tbk_dynbuf_puts(sql, query->filter != NULL ? " AND " : " WHERE ");
        put_after(compiler, query);
    }
    for (unsigned i = 0; i < query->order_count; i++) {
        tbk_dynbuf_puts(sql, i == 0 ? " ORDER BY " : ",");
        put_order_key(compiler, query->order[i].column);
        tbk_dynbuf_puts(sql, query->order[i].descending ? " DESC" : "");
    }
    tbk_dynbuf_puts(sql, " LIMIT ?");
}

static bool same_value(struct tbk_value a, struct tbk_value b)
{
    if (a.type != b.type) {
        return false;
    }
    switch (a.type) {
    case TBK_VALUE_NULL:
        return true;
    case TBK_VALUE_INTEGER:
        return a.integer == b.integer;
    case TBK_VALUE_REAL:
        return a.real == b.real;
    case TBK_VALUE_TIMESTAMP:
        return a.timestamp_us == b.timestamp_us;
    case TBK_VALUE_TEXT:
        return a.text.length == b.text.length && memcmp(a.text.data, b.text.data, a.text.length) == 0;
    }
    return false;
}

/* What a message shows of a value. */
static struct tbk_value shown(const struct tbk_column *column, struct tbk_value value)
{
    if (value.type == TBK_VALUE_TEXT) {
        value.text.length = strnlen(value.text.data, value.text.length);
    } else if (column->kind == TBK_COLUMN_BOOLEAN && value.type == TBK_VALUE_INTEGER) {
        value.integer = value.integer != 0;
    }
    return value;
}

/* A page token carries what a message shows; the order goes by what is stored.
 * The two differ where another program wrote, say, a timestamp without fraction
 * or one that cannot be read. So the last row seen is looked up: if it still
 * shows the token's values, its stored ones count. The statement stays on that
 * row until it is reset. */
static enum tbk_status find_last_row(struct tbk_session *session, const struct tbk_query *query,
                                     sqlite3_stmt **ret_last_row, struct tbk_error *error)
{
    sqlite3_stmt *row = NULL;
    const enum tbk_status status = tbk_sqlite_find_row(session, query->table, query->table->key,
                                                       query->after[query->order_count - 1], &row, error);
    if (status != TBK_OK) {
        return status == TBK_NOT_FOUND ? TBK_OK : status;
    }
    for (unsigned i = 0; i < query->order_count; i++) {
        const struct tbk_column *column = query->order[i].column;
        const struct tbk_value value = tbk_sqlite_read_value(row, (int)column->position, column);
        if (!same_value(shown(column, value), query->after[i])) {
            sqlite3_reset(row);
            return TBK_OK;
        }
    }
    /* Once more, since reading a BLOB as text has made it one. */
    sqlite3_reset(row);
    if (sqlite3_step(row) == SQLITE_ROW) {
        *ret_last_row = row;
        return TBK_OK;
    }
    return sqlite3_reset(row) == SQLITE_OK
               ? TBK_OK
               : tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading a row", error);
}

/* The prepared statement of this SQL; the one used longest ago makes room. */
static enum tbk_status find_statement(struct tbk_session *session, sqlite3_stmt **ret_statement,
                                      struct tbk_error *error)
{
    const char *sql = tbk_dynbuf_text(&session->sql);
    struct tbk_list_statement *oldest = &session->lists[0];
    session->clock++;
    for (int i = 0; i < TBK_SQLITE_LISTS_CACHED; i++) {
        struct tbk_list_statement *entry = &session->lists[i];
        if (entry->sql != NULL && strcmp(entry->sql, sql) == 0) {
            entry->used = session->clock;
            *ret_statement = entry->statement;
            return TBK_OK;
        }
        if (entry->used < oldest->used) {
            oldest = entry;
        }
    }
    char *copy = strdup(sql);
    if (copy == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(session->db, sql, &statement, error);
    if (status != TBK_OK) {
        free(copy);
        return status;
    }
    sqlite3_finalize(oldest->statement);
    free(oldest->sql);
    *oldest = (struct tbk_list_statement){.sql = copy, .statement = statement, .used = session->clock};
    *ret_statement = statement;
    return TBK_OK;
}

/* Reads rows until the limit or bytes_max; one row more than asked for tells
 * that more remain. */
static enum tbk_status read_rows(struct tbk_session *session, sqlite3_stmt *statement,
                                 const struct tbk_query *query, size_t bytes_max, struct tbk_arena *arena,
                                 ProtobufCMessage **messages, size_t *ret_count, bool *ret_more,
                                 struct tbk_error *error)
{
    size_t count = 0;
    size_t bytes = 0;
    for (;;) {
        const int rc = sqlite3_step(statement);
        if (rc == SQLITE_DONE) {
            *ret_more = false;
            break;
        }
        if (rc != SQLITE_ROW) {
            return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "listing rows", error);
        }
        if (count == query->limit || bytes >= bytes_max) {
            *ret_more = true;
            break;
        }
        size_t row_bytes;
        const enum tbk_status status =
            tbk_sqlite_read_row(statement, query->table, arena, &messages[count], &row_bytes, error);
        if (status != TBK_OK) {
            return status;
        }
        count++;
        bytes += row_bytes;
    }
    *ret_count = count;
    return TBK_OK;
}

static void bind(sqlite3_stmt *statement, const struct compiler *compiler, const struct tbk_query *query,
                 struct tbk_bound_text *bound)
{
    bound->count = 0;
    for (unsigned i = 0; i < compiler->parameter_count; i++) {
        const struct parameter *parameter = &compiler->parameters[i];
        if (parameter->as_stored) {
            sqlite3_bind_value(statement, (int)i + 1,
                               sqlite3_column_value(compiler->last_row, (int)parameter->column->position));
        } else {
            tbk_sqlite_bind(statement, (int)i + 1, parameter->column, parameter->value, bound);
        }
    }
    sqlite3_bind_int64(statement, (int)compiler->parameter_count + 1, (int64_t)query->limit + 1);
}

/* Writes the query's SQL, finds its statement and binds the parameters. */
static enum tbk_status prepare(struct tbk_session *session, struct compiler *compiler,
                               const struct tbk_query *query, struct tbk_bound_text *bound,
                               sqlite3_stmt **ret_statement, struct tbk_error *error)
{
    put_query(compiler, query);
    if (compiler->out_of_memory || tbk_dynbuf_failed(&session->sql)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    const enum tbk_status status = find_statement(session, ret_statement, error);
    if (status == TBK_OK) {
        bind(*ret_statement, compiler, query, bound);
    }
    return status;
}

enum tbk_status tbk_sqlite_list(struct tbk_session *session, const struct tbk_query *query, size_t bytes_max,
                                struct tbk_arena *arena, ProtobufCMessage ***ret_messages, size_t *ret_count,
                                bool *ret_more, struct tbk_error *error)
{
    struct compiler *compiler = tbk_arena_alloc(arena, sizeof *compiler);
    struct tbk_bound_text *bound = tbk_arena_alloc(arena, sizeof *bound);
    ProtobufCMessage **messages = tbk_arena_alloc(arena, query->limit * sizeof *messages);
    if (compiler == NULL || bound == NULL || messages == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    compiler->db = session->db;
    compiler->sql = &session->sql;
    compiler->arena = arena;
    compiler->last_row = NULL;
    compiler->parameter_count = 0;
    compiler->out_of_memory = false;
    enum tbk_status status = TBK_OK;
    if (query->after != NULL) {
        status = find_last_row(session, query, &compiler->last_row, error);
    }
    sqlite3_stmt *statement = NULL;
    if (status == TBK_OK) {
        status = prepare(session, compiler, query, bound, &statement, error);
    }
    sqlite3_reset(compiler->last_row);
    if (status != TBK_OK) {
        return status;
    }
    status = read_rows(session, statement, query, bytes_max, arena, messages, ret_count, ret_more, error);
    sqlite3_reset(statement);
    if (status == TBK_OK) {
        *ret_messages = messages;
    }
    return status;
}
