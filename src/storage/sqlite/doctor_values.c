/* Each value of the six tables by itself, as the schema wants it: one pass over
 * each table. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "schema/validate.h"
#include "storage/sqlite/doctor.h"

enum value_rule {
    RULE_MISSING,
    RULE_TYPE,
    RULE_INFINITE,
    RULE_PRICE,
    RULE_SHARE,
    RULE_NEGATIVE,
    RULE_ENUM_UNKNOWN,
    RULE_ENUM_CASE,
    RULE_TEXT_INVALID,
    RULE_TEXT_LONG,
    RULE_TEXT_ODD,
    RULE_HASH,
    RULE_JSON,
    RULE_TIME_UNREADABLE,
    RULE_TIME_FORM,
    RULE_TIME_FUTURE,
    RULE_COUNT,
};

#define NOT_KNOWN "Nothing: what was meant is not known."

const struct tbk_audit_rule tbk_doctor_value_rules[] = {
    [RULE_MISSING] = {"value-missing", TBK_SEVERITY_ERROR,
                      "A value is NULL that every row must have (SQLite stores NaN as NULL).", NOT_KNOWN},
    [RULE_TYPE] = {"value-type", TBK_SEVERITY_ERROR,
                   "A value is not of its column's type; comparisons and sums in SQL take it for something else.",
                   NOT_KNOWN},
    [RULE_INFINITE] = {"number-infinite", TBK_SEVERITY_ERROR, "A number is infinite.", NOT_KNOWN},
    [RULE_PRICE] = {"price-not-positive", TBK_SEVERITY_ERROR, "A price is zero or negative.", NOT_KNOWN},
    [RULE_SHARE] = {"share-out-of-range", TBK_SEVERITY_ERROR,
                    "A confidence or a contribution is not between 0.0 and 1.0.", NOT_KNOWN},
    [RULE_NEGATIVE] = {"number-negative", TBK_SEVERITY_WARNING, "A latency, a spread or a duration is negative.",
                       NOT_KNOWN},
    [RULE_ENUM_UNKNOWN] = {"word-unknown", TBK_SEVERITY_ERROR,
                           "A direction, tier, result, outcome or mode is none of the known words; clients see it "
                           "as unspecified.",
                           NOT_KNOWN},
    [RULE_ENUM_CASE] = {"word-case", TBK_SEVERITY_WARNING,
                        "A known word is not in lower case: tradebook understands it, comparisons in SQL miss it.",
                        "Writes it in lower case."},
    [RULE_TEXT_INVALID] = {"text-invalid", TBK_SEVERITY_ERROR, "A text is not valid UTF-8, or holds a NUL.",
                           NOT_KNOWN},
    [RULE_TEXT_LONG] = {"text-too-long", TBK_SEVERITY_WARNING, "A text has more characters than its column.",
                        "Nothing: cut off, it might mean something else."},
    [RULE_TEXT_ODD] = {"text-odd", TBK_SEVERITY_WARNING, "A text is blank, or holds control characters.",
                       NOT_KNOWN},
    [RULE_HASH] = {"hash-invalid", TBK_SEVERITY_WARNING,
                   "A pattern's hash is not a SHA-256 in 64 hexadecimal digits.", NOT_KNOWN},
    [RULE_JSON] = {"json-invalid", TBK_SEVERITY_WARNING, "metrics_json is not a JSON object or array.", NOT_KNOWN},
    [RULE_TIME_UNREADABLE] = {"timestamp-unreadable", TBK_SEVERITY_ERROR,
                              "A timestamp cannot be read; the row belongs to no window of time.", NOT_KNOWN},
    [RULE_TIME_FORM] = {"timestamp-form", TBK_SEVERITY_ERROR,
                        "A timestamp is not written as YYYY-MM-DD HH:MM:SS.ffffff in UTC, so that SQL sorts and "
                        "compares it wrongly.",
                        "Writes the same moment in that form."},
    [RULE_TIME_FUTURE] = {"timestamp-future", TBK_SEVERITY_WARNING,
                          "A timestamp is in the future: perhaps local time was taken for UTC.", NOT_KNOWN},
};

const size_t tbk_doctor_value_rule_count = RULE_COUNT;

enum { DETAIL_BYTES_MAX = 256, SHOWN_BYTES_MAX = 60 };

/* Clocks of two machines differ. */
#define SKEW_US (INT64_C(300) * 1000000)

/* A pass over one table. */
struct pass {
    struct tbk_doctor *doctor;
    const struct tbk_table *table;
    const struct tbk_column *columns[TBK_TABLE_COLUMNS_MAX]; /* that the file has */
    bool is_price[TBK_TABLE_COLUMNS_MAX];
    int column_count;
    sqlite3_stmt *statement; /* selects the key, then the columns */
    struct tbk_error *error;
};

/* The value of this column as a value that can be shown. */
static void describe(const struct pass *pass, int index, char out[DETAIL_BYTES_MAX])
{
    sqlite3_stmt *statement = pass->statement;
    const char *name = pass->columns[index]->name;
    switch (sqlite3_column_type(statement, index + 1)) {
    case SQLITE_NULL:
        snprintf(out, DETAIL_BYTES_MAX, "%s is NULL", name);
        return;
    case SQLITE_BLOB:
        snprintf(out, DETAIL_BYTES_MAX, "%s is a BLOB of %d bytes", name,
                 sqlite3_column_bytes(statement, index + 1));
        return;
    case SQLITE_TEXT:
        snprintf(out, DETAIL_BYTES_MAX, "%s is '%.*s'", name, SHOWN_BYTES_MAX,
                 (const char *)sqlite3_column_text(statement, index + 1));
        return;
    default:
        snprintf(out, DETAIL_BYTES_MAX, "%s is %.15g", name, sqlite3_column_double(statement, index + 1));
    }
}

static enum tbk_status found(const struct pass *pass, int index, enum value_rule rule, bool repairable)
{
    char detail[DETAIL_BYTES_MAX];
    char key[SHOWN_BYTES_MAX + 5];
    const bool is_integer = sqlite3_column_type(pass->statement, 0) == SQLITE_INTEGER;
    if (is_integer) {
        snprintf(key, sizeof key, "%lld", sqlite3_column_int64(pass->statement, 0));
    } else {
        const char *text = (const char *)sqlite3_column_text(pass->statement, 0);
        snprintf(key, sizeof key, "%s", text != NULL ? text : "");
    }
    describe(pass, index, detail);
    const struct tbk_doctor_place place = {.table = pass->table->name, .key = key, .key_is_integer = is_integer};
    return tbk_doctor_found(pass->doctor, &tbk_doctor_value_rules[rule], &place, detail, repairable, pass->error);
}

static enum tbk_status check_number(const struct pass *pass, int index)
{
    const struct tbk_column *column = pass->columns[index];
    const int type = sqlite3_column_type(pass->statement, index + 1);
    const double value = sqlite3_column_double(pass->statement, index + 1);
    if (type != SQLITE_INTEGER && (type != SQLITE_FLOAT || column->kind == TBK_COLUMN_INTEGER)) {
        return found(pass, index, RULE_TYPE, false);
    }
    if (!isfinite(value)) {
        return found(pass, index, RULE_INFINITE, false);
    }
    if (pass->is_price[index]) {
        return value > 0 ? TBK_OK : found(pass, index, RULE_PRICE, false);
    }
    if (column->rule == TRADEBOOK__V1__RULE__RULE_UNIT_INTERVAL) {
        return value >= 0 && value <= 1 ? TBK_OK : found(pass, index, RULE_SHARE, false);
    }
    const bool may_be_negative = column->rule != TRADEBOOK__V1__RULE__RULE_NON_NEGATIVE;
    return value >= 0 || may_be_negative ? TBK_OK : found(pass, index, RULE_NEGATIVE, false);
}

static enum tbk_status check_boolean(const struct pass *pass, int index)
{
    const bool is_boolean = sqlite3_column_type(pass->statement, index + 1) == SQLITE_INTEGER &&
                            (sqlite3_column_int64(pass->statement, index + 1) & ~INT64_C(1)) == 0;
    return is_boolean ? TBK_OK : found(pass, index, RULE_TYPE, false);
}

static enum tbk_status check_enum(const struct pass *pass, int index)
{
    const struct tbk_column *column = pass->columns[index];
    const char *text = (const char *)sqlite3_column_text(pass->statement, index + 1);
    const int number =
        text == NULL
            ? 0
            : tbk_column_enum_number(column, text, (size_t)sqlite3_column_bytes(pass->statement, index + 1));
    const char *right = tbk_column_enum_text(column, number);
    if (text == NULL || right == NULL) {
        return found(pass, index, RULE_ENUM_UNKNOWN, false);
    }
    return strcmp(text, right) == 0 ? TBK_OK : found(pass, index, RULE_ENUM_CASE, strcasecmp(text, right) == 0);
}

static enum tbk_status check_timestamp(const struct pass *pass, int index)
{
    const int type = sqlite3_column_type(pass->statement, index + 1);
    const char *text = (const char *)sqlite3_column_text(pass->statement, index + 1);
    const size_t length = (size_t)sqlite3_column_bytes(pass->statement, index + 1);
    int64_t us;
    if (type != SQLITE_TEXT || text == NULL || !tbk_timestamp_parse(text, length, &us)) {
        return found(pass, index, RULE_TIME_UNREADABLE, false);
    }
    char right[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(us, right);
    enum tbk_status status = TBK_OK;
    if (length != TBK_TIMESTAMP_CHARS || memcmp(text, right, TBK_TIMESTAMP_CHARS) != 0) {
        status = found(pass, index, RULE_TIME_FORM, true);
    }
    if (status == TBK_OK && us > pass->doctor->options->now_us + SKEW_US) {
        status = found(pass, index, RULE_TIME_FUTURE, false);
    }
    return status;
}

/* The checks of a text that a client writes, for what few rows have. */
static bool is_refused(const struct tbk_column *column, const char *text, size_t length)
{
    struct tbk_error error;
    char *copy = sqlite3_mprintf("%.*s", (int)length, text);
    tbk_error_init(&error);
    if (copy != NULL) {
        tbk_validate_text(column, copy, column->name, &error);
    }
    sqlite3_free(copy);
    return error.violation_count > 0;
}

static enum tbk_status check_text(const struct pass *pass, int index)
{
    const struct tbk_column *column = pass->columns[index];
    const int type = sqlite3_column_type(pass->statement, index + 1);
    const char *text = (const char *)sqlite3_column_text(pass->statement, index + 1);
    const size_t length = (size_t)sqlite3_column_bytes(pass->statement, index + 1);
    if (column->rule == TRADEBOOK__V1__RULE__RULE_JSON && (type == SQLITE_INTEGER || type == SQLITE_FLOAT)) {
        return found(pass, index, RULE_JSON, false);
    }
    if (type != SQLITE_TEXT || text == NULL) {
        return found(pass, index, RULE_TYPE, false);
    }
    if (!tbk_utf8_valid(text, length) || memchr(text, '\0', length) != NULL) {
        return found(pass, index, RULE_TEXT_INVALID, false);
    }
    if (column->chars_max != 0 && length > column->chars_max && tbk_utf8_count(text, length) > column->chars_max) {
        return found(pass, index, RULE_TEXT_LONG, false);
    }
    switch (column->rule) {
    case TRADEBOOK__V1__RULE__RULE_FREE_TEXT:
        return TBK_OK;
    case TRADEBOOK__V1__RULE__RULE_SHA256_HEX:
        return is_refused(column, text, length) ? found(pass, index, RULE_HASH, false) : TBK_OK;
    case TRADEBOOK__V1__RULE__RULE_JSON:
        return is_refused(column, text, length) ? found(pass, index, RULE_JSON, false) : TBK_OK;
    default:
        return text[strspn(text, " ")] == '\0' || tbk_utf8_has_control(text, length)
                   ? found(pass, index, RULE_TEXT_ODD, false)
                   : TBK_OK;
    }
}

static enum tbk_status check_value(const struct pass *pass, int index)
{
    const struct tbk_column *column = pass->columns[index];
    if (sqlite3_column_type(pass->statement, index + 1) == SQLITE_NULL) {
        return column->not_null ? found(pass, index, RULE_MISSING, false) : TBK_OK;
    }
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
    case TBK_COLUMN_REAL:
        return check_number(pass, index);
    case TBK_COLUMN_BOOLEAN:
        return check_boolean(pass, index);
    case TBK_COLUMN_ENUM:
        return check_enum(pass, index);
    case TBK_COLUMN_TIMESTAMP:
        return check_timestamp(pass, index);
    case TBK_COLUMN_TEXT:
        return check_text(pass, index);
    }
    return TBK_OK;
}

/* --- the passes --- */

static bool is_price(const struct tbk_column *column)
{
    static const char suffix[] = "price";
    const size_t length = strlen(column->name);
    return column->kind == TBK_COLUMN_REAL && length >= sizeof suffix - 1 &&
           strcmp(column->name + length - (sizeof suffix - 1), suffix) == 0;
}

/* Which columns the file has. */
static int find_columns(struct pass *pass)
{
    sqlite3_stmt *statement = NULL;
    const int rc =
        sqlite3_prepare_v2(pass->doctor->db, "SELECT name FROM pragma_table_info(?,'main')", -1, &statement, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }
    sqlite3_bind_text(statement, 1, pass->table->name, -1, SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        for (unsigned i = 0; name != NULL && i < pass->table->column_count; i++) {
            if (strcasecmp(pass->table->columns[i].name, name) == 0) {
                pass->is_price[pass->column_count] = is_price(&pass->table->columns[i]);
                pass->columns[pass->column_count++] = &pass->table->columns[i];
            }
        }
    }
    return sqlite3_finalize(statement);
}

static int select_rows(struct pass *pass)
{
    struct tbk_dynbuf sql;
    bool has_key = false;
    tbk_dynbuf_init(&sql, TBK_SQLITE_SQL_BYTES_MAX);
    for (int i = 0; i < pass->column_count; i++) {
        tbk_dynbuf_printf(&sql, ",%s", pass->columns[i]->name);
        has_key = has_key || pass->columns[i] == pass->table->key;
    }
    tbk_dynbuf_printf(&sql, " FROM main.%s", pass->table->name);
    char *whole =
        sqlite3_mprintf("SELECT %s%s", has_key ? pass->table->key->name : "rowid", tbk_dynbuf_text(&sql));
    const int rc = whole == NULL || tbk_dynbuf_failed(&sql)
                       ? SQLITE_NOMEM
                       : sqlite3_prepare_v2(pass->doctor->db, whole, -1, &pass->statement, NULL);
    sqlite3_free(whole);
    tbk_dynbuf_fini(&sql);
    return rc;
}

static enum tbk_status check_table(struct tbk_doctor *doctor, const struct tbk_table *table,
                                   struct tbk_error *error)
{
    struct pass pass = {.doctor = doctor, .table = table, .error = error};
    int rc = find_columns(&pass);
    if (rc == SQLITE_OK && pass.column_count == 0) {
        return TBK_OK; /* there is no such table */
    }
    enum tbk_status status = TBK_OK;
    rc = rc == SQLITE_OK ? select_rows(&pass) : rc;
    while (rc == SQLITE_OK && status == TBK_OK && sqlite3_step(pass.statement) == SQLITE_ROW) {
        for (int i = 0; status == TBK_OK && i < pass.column_count; i++) {
            status = check_value(&pass, i);
        }
    }
    const int finished = sqlite3_finalize(pass.statement);
    return status == TBK_OK ? tbk_doctor_ended(doctor, rc != SQLITE_OK ? rc : finished, error) : status;
}

enum tbk_status tbk_doctor_values(struct tbk_doctor *doctor, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    for (int i = 0; status == TBK_OK && i < TBK_TABLE_COUNT; i++) {
        status = check_table(doctor, &doctor->schema->tables[i], error);
    }
    return status;
}

/* --- repair --- */

static enum tbk_status lower_words(const struct tbk_table *table, const struct tbk_column *column, sqlite3 *db,
                                   struct tbk_dynbuf *sql, struct tbk_error *error)
{
    tbk_dynbuf_clear(sql);
    tbk_dynbuf_printf(sql, "UPDATE %s SET %s=lower(%s) WHERE %s<>lower(%s) AND lower(%s) IN (''", table->name,
                      column->name, column->name, column->name, column->name, column->name);
    for (int number = 1; number < TBK_ENUM_VALUES_MAX; number++) {
        const char *text = tbk_column_enum_text(column, number);
        if (text != NULL) {
            tbk_dynbuf_printf(sql, ",'%s'", text);
        }
    }
    tbk_dynbuf_putc(sql, ')');
    return tbk_dynbuf_failed(sql) ? tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while repairing.")
                                  : tbk_sqlite_exec(db, tbk_dynbuf_text(sql), "repairing", error);
}

enum tbk_status tbk_doctor_repair_values(const struct tbk_schema *schema, sqlite3 *db, struct tbk_error *error)
{
    struct tbk_dynbuf sql;
    tbk_dynbuf_init(&sql, TBK_SQLITE_SQL_BYTES_MAX);
    enum tbk_status status = tbk_sqlite_normalise_timestamps(schema, db, &sql, error);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const struct tbk_table *table = &schema->tables[t];
        for (unsigned i = 0; status == TBK_OK && i < table->column_count; i++) {
            if (table->columns[i].kind == TBK_COLUMN_ENUM) {
                status = lower_words(table, &table->columns[i], db, &sql, error);
            }
        }
    }
    tbk_dynbuf_fini(&sql);
    return status;
}
