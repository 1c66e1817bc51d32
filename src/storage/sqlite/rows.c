/* Reading and writing one row of one of the six tables. */
#include <string.h>

#include "base/timestamp.h"
#include "storage/sqlite/sqlite.h"

static struct tbk_table_statements *statements_of(struct tbk_session *session, const struct tbk_table *table)
{
    return &session->tables[table - session->storage->schema->tables];
}

static enum tbk_status prepare_scratch(struct tbk_session *session, sqlite3_stmt **statement,
                                       struct tbk_error *error)
{
    if (tbk_dynbuf_failed(&session->sql)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while preparing a statement.");
    }
    return tbk_sqlite_prepare(session->db, tbk_dynbuf_text(&session->sql), statement, error);
}

void tbk_sqlite_put_columns(struct tbk_dynbuf *sql, const struct tbk_table *table)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        if (i > 0) {
            tbk_dynbuf_putc(sql, ',');
        }
        tbk_dynbuf_puts(sql, table->columns[i].name);
    }
}

void tbk_sqlite_bind(sqlite3_stmt *statement, int position, const struct tbk_column *column,
                     struct tbk_value value, struct tbk_bound_text *bound)
{
    switch (value.type) {
    case TBK_VALUE_NULL:
        sqlite3_bind_null(statement, position);
        break;
    case TBK_VALUE_INTEGER:
        if (column->kind == TBK_COLUMN_ENUM) {
            sqlite3_bind_text(statement, position, tbk_column_enum_text(column, (int)value.integer), -1,
                              SQLITE_STATIC);
        } else {
            sqlite3_bind_int64(statement, position, value.integer);
        }
        break;
    case TBK_VALUE_REAL:
        sqlite3_bind_double(statement, position, value.real);
        break;
    case TBK_VALUE_TEXT:
        sqlite3_bind_text64(statement, position, value.text.data, value.text.length, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case TBK_VALUE_TIMESTAMP: {
        char *text = bound->timestamps[bound->count++];
        tbk_timestamp_format(value.timestamp_us, text);
        sqlite3_bind_text(statement, position, text, TBK_TIMESTAMP_CHARS, SQLITE_STATIC);
        break;
    }
    }
}

/* The table and column named by "UNIQUE constraint failed: table.column". */
static const char *constraint_column(const char *message)
{
    const char *dot = strrchr(message, '.');
    return dot != NULL ? dot + 1 : "key";
}

static enum tbk_status write_failed(struct tbk_session *session, const struct tbk_table *table, int rc,
                                    struct tbk_error *error)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return tbk_error_set(error, TBK_ALREADY_EXISTS, "A %s with this %s exists already.", table->resource,
                             constraint_column(sqlite3_errmsg(session->db)));
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return tbk_error_set(error, TBK_NOT_FOUND, "A record that this %s refers to does not exist.",
                             table->resource);
    default:
        return tbk_sqlite_failed(session->db, rc, "writing a row", error);
    }
}

static enum tbk_status prepare_insert(struct tbk_session *session, const struct tbk_table *table,
                                      sqlite3_stmt **statement, struct tbk_error *error)
{
    if (*statement != NULL) {
        return TBK_OK;
    }
    struct tbk_dynbuf *sql = &session->sql;
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_printf(sql, "INSERT INTO %s (", table->name);
    tbk_sqlite_put_columns(sql, table);
    tbk_dynbuf_puts(sql, ") VALUES (");
    for (unsigned i = 0; i < table->column_count; i++) {
        tbk_dynbuf_puts(sql, i > 0 ? ",?" : "?");
    }
    tbk_dynbuf_putc(sql, ')');
    return prepare_scratch(session, statement, error);
}

enum tbk_status tbk_sqlite_insert(struct tbk_session *session, const struct tbk_table *table,
                                  const ProtobufCMessage *message, int64_t *ret_id, struct tbk_error *error)
{
    sqlite3_stmt **statement = &statements_of(session, table)->insert;
    const enum tbk_status status = prepare_insert(session, table, statement, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_bound_text bound;
    bound.count = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        tbk_sqlite_bind(*statement, (int)i + 1, column, tbk_column_get(column, message), &bound);
    }
    sqlite3_step(*statement);
    const int rc = sqlite3_reset(*statement);
    if (rc != SQLITE_OK) {
        return write_failed(session, table, rc, error);
    }
    *ret_id = sqlite3_last_insert_rowid(session->db);
    return TBK_OK;
}

static struct tbk_value read_text(sqlite3_stmt *statement, int position)
{
    struct tbk_value value = {.type = TBK_VALUE_NULL};
    value.text.data = (const char *)sqlite3_column_text(statement, position);
    if (value.text.data != NULL) {
        value.type = TBK_VALUE_TEXT;
        value.text.length = (size_t)sqlite3_column_bytes(statement, position);
    }
    return value;
}

/* What a column holds, as far as it fits the column's kind: other programs write
 * to the same tables. Text that names no known value or moment reads as
 * UNSPECIFIED or NULL. */
struct tbk_value tbk_sqlite_read_value(sqlite3_stmt *statement, int position, const struct tbk_column *column)
{
    struct tbk_value value = {.type = TBK_VALUE_NULL};
    if (sqlite3_column_type(statement, position) == SQLITE_NULL) {
        return value;
    }
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
    case TBK_COLUMN_BOOLEAN:
        value.type = TBK_VALUE_INTEGER;
        value.integer = sqlite3_column_int64(statement, position);
        break;
    case TBK_COLUMN_REAL:
        value.type = TBK_VALUE_REAL;
        value.real = sqlite3_column_double(statement, position);
        break;
    case TBK_COLUMN_TEXT:
        value = read_text(statement, position);
        break;
    case TBK_COLUMN_ENUM: {
        const struct tbk_value text = read_text(statement, position);
        if (text.type == TBK_VALUE_TEXT) {
            value.type = TBK_VALUE_INTEGER;
            value.integer = tbk_column_enum_number(column, text.text.data, text.text.length);
        }
        break;
    }
    case TBK_COLUMN_TIMESTAMP: {
        const struct tbk_value text = read_text(statement, position);
        if (text.type == TBK_VALUE_TEXT &&
            tbk_timestamp_parse(text.text.data, text.text.length, &value.timestamp_us)) {
            value.type = TBK_VALUE_TIMESTAMP;
        }
        break;
    }
    }
    return value;
}

enum tbk_status tbk_sqlite_read_row(sqlite3_stmt *statement, const struct tbk_table *table,
                                    struct tbk_arena *arena, ProtobufCMessage **ret_message, size_t *ret_bytes,
                                    struct tbk_error *error)
{
    ProtobufCMessage *message = tbk_message_create(table->message, arena);
    size_t bytes = table->message->sizeof_message;
    bool stored = message != NULL;
    for (unsigned i = 0; stored && i < table->column_count; i++) {
        const struct tbk_value value = tbk_sqlite_read_value(statement, (int)i, &table->columns[i]);
        if (value.type != TBK_VALUE_NULL) {
            stored = tbk_column_set(&table->columns[i], message, value, arena);
            bytes += value.type == TBK_VALUE_TEXT ? value.text.length : 0;
        }
    }
    if (!stored) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The %s is too large for the memory of one request.",
                             table->resource);
    }
    *ret_message = message;
    *ret_bytes = bytes;
    return TBK_OK;
}

static enum tbk_status prepare_get(struct tbk_session *session, const struct tbk_table *table,
                                   const struct tbk_column *column, sqlite3_stmt **statement,
                                   struct tbk_error *error)
{
    if (*statement != NULL) {
        return TBK_OK;
    }
    struct tbk_dynbuf *sql = &session->sql;
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_puts(sql, "SELECT ");
    tbk_sqlite_put_columns(sql, table);
    tbk_dynbuf_printf(sql, " FROM %s WHERE %s=?", table->name, column->name);
    return prepare_scratch(session, statement, error);
}

static enum tbk_status not_found(const struct tbk_table *table, const struct tbk_column *column,
                                 struct tbk_value value, struct tbk_error *error)
{
    if (value.type == TBK_VALUE_INTEGER) {
        return tbk_error_set(error, TBK_NOT_FOUND, "There is no %s with %s %lld.", table->resource, column->name,
                             (long long)value.integer);
    }
    return tbk_error_set(error, TBK_NOT_FOUND, "There is no %s with %s '%s'.", table->resource, column->name,
                         value.text.data);
}

enum tbk_status tbk_sqlite_find_row(struct tbk_session *session, const struct tbk_table *table,
                                    const struct tbk_column *column, struct tbk_value value,
                                    sqlite3_stmt **ret_statement, struct tbk_error *error)
{
    sqlite3_stmt **statement = &statements_of(session, table)->get[column->position];
    const enum tbk_status status = prepare_get(session, table, column, statement, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_bound_text bound;
    bound.count = 0;
    tbk_sqlite_bind(*statement, 1, column, value, &bound);
    const int rc = sqlite3_step(*statement);
    if (rc == SQLITE_ROW) {
        *ret_statement = *statement;
        return TBK_OK;
    }
    sqlite3_reset(*statement);
    return rc == SQLITE_DONE
               ? TBK_NOT_FOUND
               : tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading a row", error);
}

enum tbk_status tbk_sqlite_get(struct tbk_session *session, const struct tbk_table *table,
                               const struct tbk_column *column, struct tbk_value value, struct tbk_arena *arena,
                               ProtobufCMessage **ret_message, struct tbk_error *error)
{
    sqlite3_stmt *row = NULL;
    enum tbk_status status = tbk_sqlite_find_row(session, table, column, value, &row, error);
    if (status == TBK_OK) {
        size_t bytes;
        status = tbk_sqlite_read_row(row, table, arena, ret_message, &bytes, error);
        sqlite3_reset(row);
    } else if (status == TBK_NOT_FOUND) {
        status = not_found(table, column, value, error);
    }
    return status;
}

static enum tbk_status prepare_update(struct tbk_session *session, const struct tbk_table *table, uint32_t columns,
                                      sqlite3_stmt **statement, struct tbk_error *error)
{
    struct tbk_dynbuf *sql = &session->sql;
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_printf(sql, "UPDATE %s SET ", table->name);
    const char *separator = "";
    for (unsigned i = 0; i < table->column_count; i++) {
        if ((columns & 1U << i) != 0) {
            tbk_dynbuf_printf(sql, "%s%s=?", separator, table->columns[i].name);
            separator = ",";
        }
    }
    tbk_dynbuf_printf(sql, " WHERE %s=?", table->key->name);
    return prepare_scratch(session, statement, error);
}

/* The prepared update of these columns; the one used longest ago makes room. */
static enum tbk_status find_update(struct tbk_session *session, const struct tbk_table *table, uint32_t columns,
                                   sqlite3_stmt **ret_statement, struct tbk_error *error)
{
    struct tbk_update_statement *oldest = &session->updates[0];
    session->clock++;
    for (int i = 0; i < TBK_SQLITE_UPDATES_CACHED; i++) {
        struct tbk_update_statement *entry = &session->updates[i];
        if (entry->table == table && entry->columns == columns) {
            entry->used = session->clock;
            *ret_statement = entry->statement;
            return TBK_OK;
        }
        if (entry->used < oldest->used) {
            oldest = entry;
        }
    }
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = prepare_update(session, table, columns, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_finalize(oldest->statement);
    *oldest = (struct tbk_update_statement){
        .table = table, .columns = columns, .statement = statement, .used = session->clock};
    *ret_statement = statement;
    return TBK_OK;
}

enum tbk_status tbk_sqlite_update(struct tbk_session *session, const struct tbk_table *table, uint32_t columns,
                                  const ProtobufCMessage *message, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = find_update(session, table, columns, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_bound_text bound;
    bound.count = 0;
    int position = 1;
    for (unsigned i = 0; i < table->column_count; i++) {
        if ((columns & 1U << i) != 0) {
            const struct tbk_column *column = &table->columns[i];
            tbk_sqlite_bind(statement, position++, column, tbk_column_get(column, message), &bound);
        }
    }
    const struct tbk_value key = tbk_column_get(table->key, message);
    tbk_sqlite_bind(statement, position, table->key, key, &bound);
    sqlite3_step(statement);
    const int rc = sqlite3_reset(statement);
    if (rc != SQLITE_OK) {
        return write_failed(session, table, rc, error);
    }
    return sqlite3_changes(session->db) == 0 ? not_found(table, table->key, key, error) : TBK_OK;
}

/* Runs a statement that answers one integer or no row. */
static enum tbk_status one_integer(struct tbk_session *session, sqlite3_stmt *statement, int64_t *ret_value,
                                   bool *ret_found, struct tbk_error *error)
{
    const int rc = sqlite3_step(statement);
    enum tbk_status status = TBK_OK;
    if (rc == SQLITE_ROW) {
        *ret_value = sqlite3_column_int64(statement, 0);
        *ret_found = true;
    } else if (rc == SQLITE_DONE) {
        *ret_found = false;
    } else {
        status = tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading a row", error);
    }
    sqlite3_reset(statement);
    return status;
}

enum tbk_status tbk_sqlite_exists(struct tbk_session *session, const struct tbk_table *table, int64_t key,
                                  bool *ret_exists, struct tbk_error *error)
{
    sqlite3_stmt **statement = &statements_of(session, table)->exists;
    enum tbk_status status = TBK_OK;
    if (*statement == NULL) {
        tbk_dynbuf_clear(&session->sql);
        tbk_dynbuf_printf(&session->sql, "SELECT 1 FROM %s WHERE %s=?", table->name, table->key->name);
        status = prepare_scratch(session, statement, error);
    }
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_int64(*statement, 1, key);
    int64_t one;
    return one_integer(session, *statement, &one, ret_exists, error);
}

enum tbk_status tbk_sqlite_count(struct tbk_session *session, const struct tbk_table *table, int64_t *ret_rows,
                                 struct tbk_error *error)
{
    sqlite3_stmt **statement = &statements_of(session, table)->count;
    enum tbk_status status = TBK_OK;
    if (*statement == NULL) {
        tbk_dynbuf_clear(&session->sql);
        tbk_dynbuf_printf(&session->sql, "SELECT count(*) FROM %s", table->name);
        status = prepare_scratch(session, statement, error);
    }
    if (status != TBK_OK) {
        return status;
    }
    bool found;
    return one_integer(session, *statement, ret_rows, &found, error);
}
