/*
 * The users' six tables: created as annotations.proto describes them, or
 * completed where another program made them. Nothing of theirs is renamed,
 * retyped or dropped.
 */
#include <string.h>

#include "base/timestamp.h"
#include "storage/sqlite/sqlite.h"

/* What CURRENT_TIMESTAMP means in annotations.proto: the on-disk form, with the
 * milliseconds that SQLite's clock has. */
#define SQL_NOW "(strftime('%Y-%m-%d %H:%M:%f000','now'))"

static const char *sql_default(const struct tbk_column *column)
{
    return strcmp(column->sql_default, "CURRENT_TIMESTAMP") == 0 ? SQL_NOW : column->sql_default;
}

static bool is_integer_key(const struct tbk_column *column)
{
    return column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_PRIMARY_KEY &&
           column->kind == TBK_COLUMN_INTEGER;
}

static void put_column(struct tbk_dynbuf *sql, const struct tbk_column *column)
{
    tbk_dynbuf_printf(sql, "%s %s", column->name, column->sql_type);
    if (column->not_null) {
        tbk_dynbuf_puts(sql, " NOT NULL");
    }
    if (is_integer_key(column)) {
        tbk_dynbuf_puts(sql, " PRIMARY KEY AUTOINCREMENT");
    } else if (column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_PRIMARY_KEY) {
        tbk_dynbuf_puts(sql, " PRIMARY KEY");
    }
    if (column->sql_default != NULL) {
        tbk_dynbuf_printf(sql, " DEFAULT %s", sql_default(column));
    }
    if (column->references != NULL) {
        tbk_dynbuf_printf(sql, " REFERENCES %s(id)", column->references->name);
    }
}

static enum tbk_status run(sqlite3 *db, struct tbk_dynbuf *sql, const char *doing, struct tbk_error *error)
{
    if (tbk_dynbuf_failed(sql)) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while %s.", doing);
    }
    return tbk_sqlite_exec(db, tbk_dynbuf_text(sql), doing, error);
}

static enum tbk_status create_table(const struct tbk_table *table, sqlite3 *db, struct tbk_dynbuf *sql,
                                    struct tbk_error *error)
{
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_printf(sql, "CREATE TABLE %s (", table->name);
    for (unsigned i = 0; i < table->column_count; i++) {
        tbk_dynbuf_puts(sql, i > 0 ? ", " : "");
        put_column(sql, &table->columns[i]);
    }
    tbk_dynbuf_putc(sql, ')');
    return run(db, sql, "creating a table", error);
}

/* SQLite adds a NOT NULL column only with a constant default. A time of record
 * that is missing gets the time of adoption and stays nullable. */
static enum tbk_status add_column(const struct tbk_table *table, const struct tbk_column *column, sqlite3 *db,
                                  struct tbk_dynbuf *sql, struct tbk_error *error)
{
    const bool needs_clock = column->sql_default != NULL && sql_default(column) != column->sql_default;
    if (column->not_null && column->sql_default == NULL) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The table %s has no column %s, which every row needs. This is not a trading bot's "
                             "database, or a damaged one; add and fill the column, then start again.",
                             table->name, column->name);
    }
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_printf(sql, "ALTER TABLE %s ADD COLUMN %s %s", table->name, column->name, column->sql_type);
    if (needs_clock) {
        tbk_dynbuf_printf(sql, ";UPDATE %s SET %s=%s", table->name, column->name, sql_default(column));
    } else if (column->sql_default != NULL) {
        tbk_dynbuf_printf(sql, "%s DEFAULT %s", column->not_null ? " NOT NULL" : "", column->sql_default);
    }
    return run(db, sql, "adding a column", error);
}

/* Whether a row comes back from sql with one text parameter. */
static enum tbk_status name_exists(sqlite3 *db, const char *sql, const char *name, bool *ret_exists,
                                   struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, sql, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    *ret_exists = sqlite3_step(statement) == SQLITE_ROW;
    const int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "reading the schema", error);
}

static enum tbk_status add_missing_columns(const struct tbk_table *table, sqlite3 *db, struct tbk_dynbuf *sql,
                                           struct tbk_dynbuf *changes, struct tbk_error *error)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        bool exists;
        tbk_dynbuf_clear(sql);
        tbk_dynbuf_printf(sql, "SELECT 1 FROM pragma_table_info('%s') WHERE name=? COLLATE NOCASE", table->name);
        enum tbk_status status = name_exists(db, tbk_dynbuf_text(sql), column->name, &exists, error);
        if (status == TBK_OK && !exists) {
            status = add_column(table, column, db, sql, error);
            tbk_dynbuf_printf(changes, "added column %s.%s; ", table->name, column->name);
        }
        if (status != TBK_OK) {
            return status;
        }
    }
    return TBK_OK;
}

/* Creates the index whose CREATE statement is in sql unless one of its name is
 * there. changes is NULL when the table is new. */
static enum tbk_status ensure_index(const struct tbk_table *table, sqlite3 *db, const char *name,
                                    struct tbk_dynbuf *sql, struct tbk_dynbuf *changes, struct tbk_error *error)
{
    bool exists;
    enum tbk_status status =
        name_exists(db, "SELECT 1 FROM sqlite_schema WHERE type='index' AND name=?", name, &exists, error);
    if (status == TBK_OK && !exists) {
        status = run(db, sql, "creating an index", error);
        if (changes != NULL) {
            tbk_dynbuf_printf(changes, "added index %s; ", name);
        }
    }
    if (status == TBK_INTERNAL && sqlite3_extended_errcode(db) == SQLITE_CONSTRAINT_UNIQUE) {
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "The table %s holds a value twice that must be unique (%s). Remove the rows that are too "
            "many, then start again.",
            table->name, sqlite3_errmsg(db));
    }
    return status;
}

static enum tbk_status ensure_indexes(const struct tbk_table *table, sqlite3 *db, struct tbk_dynbuf *sql,
                                      struct tbk_dynbuf *changes, struct tbk_error *error)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        const bool unique = column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_UNIQUE;
        if (!unique && column->index != TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_PLAIN) {
            continue;
        }
        char name[128];
        sqlite3_snprintf(sizeof name, name, "ix_%s_%s", table->name, column->name);
        tbk_dynbuf_clear(sql);
        tbk_dynbuf_printf(sql, "CREATE %sINDEX %s ON %s (%s)", unique ? "UNIQUE " : "", name, table->name,
                          column->name);
        const enum tbk_status status = ensure_index(table, db, name, sql, changes, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    for (unsigned i = 0; i < table->index_count; i++) {
        const struct tbk_index *index = &table->indexes[i];
        tbk_dynbuf_clear(sql);
        tbk_dynbuf_printf(sql, "CREATE INDEX %s ON %s (", index->name, table->name);
        for (unsigned c = 0; c < index->column_count; c++) {
            tbk_dynbuf_printf(sql, c > 0 ? ", %s" : "%s", index->columns[c]->name);
        }
        tbk_dynbuf_putc(sql, ')');
        const enum tbk_status status = ensure_index(table, db, index->name, sql, changes, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    return TBK_OK;
}

static enum tbk_status ensure_table(const struct tbk_table *table, sqlite3 *db, struct tbk_dynbuf *sql,
                                    struct tbk_dynbuf *changes, struct tbk_error *error)
{
    bool exists;
    enum tbk_status status =
        name_exists(db, "SELECT 1 FROM sqlite_schema WHERE type='table' AND name=? COLLATE NOCASE", table->name,
                    &exists, error);
    if (status != TBK_OK) {
        return status;
    }
    if (exists) {
        status = add_missing_columns(table, db, sql, changes, error);
    } else {
        status = create_table(table, db, sql, error);
        tbk_dynbuf_printf(changes, "created table %s; ", table->name);
    }
    return status == TBK_OK ? ensure_indexes(table, db, sql, exists ? changes : NULL, error) : status;
}

enum tbk_status tbk_sqlite_ensure_tables(const struct tbk_schema *schema, sqlite3 *db, struct tbk_dynbuf *changes,
                                         struct tbk_error *error)
{
    struct tbk_dynbuf sql;
    tbk_dynbuf_init(&sql, TBK_SQLITE_SQL_BYTES_MAX);
    enum tbk_status status = TBK_OK;
    for (int i = 0; status == TBK_OK && i < TBK_TABLE_COUNT; i++) {
        status = ensure_table(&schema->tables[i], db, &sql, changes, error);
    }
    tbk_dynbuf_fini(&sql);
    return status;
}

/* SQL function tbk_timestamp(text): the on-disk form, or NULL when text is no
 * timestamp. */
static void sql_timestamp(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    int64_t us;
    if (text != NULL && tbk_timestamp_parse(text, (size_t)sqlite3_value_bytes(values[0]), &us)) {
        char out[TBK_TIMESTAMP_CHARS + 1];
        tbk_timestamp_format(us, out);
        sqlite3_result_text(context, out, TBK_TIMESTAMP_CHARS, SQLITE_TRANSIENT);
    }
}

enum tbk_status tbk_sqlite_normalise_timestamps(const struct tbk_schema *schema, sqlite3 *db,
                                                struct tbk_dynbuf *changes, struct tbk_error *error)
{
    const int rc = sqlite3_create_function(db, "tbk_timestamp", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                           sql_timestamp, NULL, NULL);
    if (rc != SQLITE_OK) {
        return tbk_sqlite_failed(db, rc, "normalising timestamps", error);
    }
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const struct tbk_table *table = &schema->tables[t];
        for (unsigned i = 0; i < table->column_count; i++) {
            if (table->columns[i].kind != TBK_COLUMN_TIMESTAMP) {
                continue;
            }
            char sql[512];
            const char *name = table->columns[i].name;
            sqlite3_snprintf(sizeof sql, sql,
                             "UPDATE %s SET %s=tbk_timestamp(%s) WHERE typeof(%s)='text' AND "
                             "tbk_timestamp(%s) IS NOT NULL AND tbk_timestamp(%s)<>%s",
                             table->name, name, name, name, name, name, name);
            const enum tbk_status status = tbk_sqlite_exec(db, sql, "normalising timestamps", error);
            if (status != TBK_OK) {
                return status;
            }
            if (sqlite3_changes(db) > 0) {
                tbk_dynbuf_printf(changes, "normalised %d timestamps in %s.%s; ", sqlite3_changes(db), table->name,
                                  name);
            }
        }
    }
    return TBK_OK;
}
