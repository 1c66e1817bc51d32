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

/* A parameter is a value of a column, or a spelling of an enumeration. */
struct parameter {
    const struct tbk_column *column;
    struct tbk_value value;
};

struct compiler {
    struct tbk_dynbuf *sql;
    struct tbk_arena *arena;
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
    static int (*const spell[ENUM_SPELLINGS][2])(int) = {{tolower, tolower}, {toupper, toupper}, {toupper, tolower}};
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

/* What a column is ordered by: enumerations by their lower-case text, which is
 * what a page token carries. */
static void put_order_key(struct compiler *compiler, const struct tbk_column *column)
{
    tbk_dynbuf_printf(compiler->sql, column->kind == TBK_COLUMN_ENUM ? "lower(%s)" : "%s", column->name);
}

static void put_order_comparison(struct compiler *compiler, const struct tbk_column *column, const char *operator,
                                 struct tbk_value value)
{
    put_order_key(compiler, column);
    tbk_dynbuf_puts(compiler->sql, operator);
    put_parameter(compiler, column, value);
}

/* "column comes after value in this order". NULL is the smallest value. */
static void put_beyond(struct compiler *compiler, struct tbk_order order, struct tbk_value value)
{
    const struct tbk_column *column = order.column;
    if (value.type == TBK_VALUE_NULL) {
        tbk_dynbuf_printf(compiler->sql, order.descending ? "0" : "%s IS NOT NULL", column->name);
    } else if (!order.descending || column->not_null) {
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
    if (after[0].type != TBK_VALUE_NULL && (first.column->not_null || !first.descending)) {
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
        put_beyond(compiler, query->order[i], after[i]);
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
static enum tbk_status read_rows(struct tbk_session *session, sqlite3_stmt *statement, const struct tbk_query *query,
                                 size_t bytes_max, struct tbk_arena *arena, ProtobufCMessage **messages,
                                 size_t *ret_count, bool *ret_more, struct tbk_error *error)
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
    compiler->sql = &session->sql;
    compiler->arena = arena;
    compiler->parameter_count = 0;
    compiler->out_of_memory = false;
    put_query(compiler, query);
    if (compiler->out_of_memory || tbk_dynbuf_failed(&session->sql)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    sqlite3_stmt *statement = NULL;
    enum tbk_status status = find_statement(session, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    bound->count = 0;
    for (unsigned i = 0; i < compiler->parameter_count; i++) {
        tbk_sqlite_bind(statement, (int)i + 1, compiler->parameters[i].column, compiler->parameters[i].value, bound);
    }
    sqlite3_bind_int64(statement, (int)compiler->parameter_count + 1, (int64_t)query->limit + 1);
    status = read_rows(session, statement, query, bytes_max, arena, messages, ret_count, ret_more, error);
    sqlite3_reset(statement);
    if (status == TBK_OK) {
        *ret_messages = messages;
    }
    return status;
}
