#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"

enum { ARENA_FIRST_BYTES = 1 << 20, ARENA_BYTES_MAX = 1 << 28 };

/* 2025-10-10 00:00:00. */
#define FIRST_US INT64_C(1760054400000000)

struct tbk_store *tbk_store_create(const struct tbk_storage_ops *ops, const char *location)
{
    struct tbk_store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    store->ops = ops;
    store->arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    assert_non_null(store->arena);
    tbk_error_init(&store->error);
    snprintf(store->location, sizeof store->location, "%s", location);
    expect_ok(store, tbk_schema_create(&store->schema, &store->error));
    return store;
}

void tbk_store_destroy(struct tbk_store *store)
{
    if (store == NULL) {
        return;
    }
    tbk_store_close(store);
    tbk_schema_destroy(store->schema);
    tbk_arena_destroy(store->arena);
    free(store);
}

enum tbk_status tbk_store_try_open(struct tbk_store *store)
{
    const struct tbk_storage_config config = {
        .location = store->location, .schema = store->schema, .busy_timeout_ms = TBK_STORE_BUSY_TIMEOUT_MS};
    return store->ops->open(&config, &store->storage, &store->error);
}

void tbk_store_open(struct tbk_store *store)
{
    expect_ok(store, tbk_store_try_open(store));
    expect_ok(store, store->ops->session_open(store->storage, TBK_SESSION_WRITE, &store->writer, &store->error));
    expect_ok(store, store->ops->session_open(store->storage, TBK_SESSION_READ, &store->reader, &store->error));
}

void tbk_store_close(struct tbk_store *store)
{
    if (store->reader != NULL) {
        store->ops->session_close(store->reader);
        store->reader = NULL;
    }
    if (store->writer != NULL) {
        store->ops->session_close(store->writer);
        store->writer = NULL;
    }
    if (store->storage != NULL) {
        store->ops->close(store->storage);
        store->storage = NULL;
    }
}

void tbk_store_expect(struct tbk_store *store, enum tbk_status status, enum tbk_status expected, const char *file,
                      int line)
{
    if (status != expected) {
        print_error("%s:%d: status %s, expected %s: %s\n", file, line, tbk_status_name(status),
                    tbk_status_name(expected), store->error.message);
        _fail(file, line);
    }
    tbk_error_init(&store->error);
}

void tbk_store_begin(struct tbk_store *store)
{
    expect_ok(store, store->ops->begin(store->writer, &store->error));
}

void tbk_store_commit(struct tbk_store *store)
{
    expect_ok(store, store->ops->commit(store->writer, &store->error));
}

const struct tbk_table *tbk_store_table(const struct tbk_store *store, enum tbk_table_id id)
{
    return &store->schema->tables[id];
}

const struct tbk_column *tbk_store_column(const struct tbk_table *table, const char *name)
{
    const struct tbk_column *column = tbk_table_column(table, name, strlen(name));
    assert_non_null(column);
    return column;
}

static bool is_assigned(const struct tbk_table *table, const struct tbk_column *column)
{
    return column == table->key && column->kind == TBK_COLUMN_INTEGER;
}

static int64_t enum_value(const struct tbk_column *column, int64_t number)
{
    int64_t values[TBK_ENUM_VALUES_MAX];
    int count = 0;
    for (int value = 1; value < TBK_ENUM_VALUES_MAX; value++) {
        if (tbk_column_enum_text(column, value) != NULL) {
            values[count++] = value;
        }
    }
    return values[number % count];
}

static bool is_json(const struct tbk_column *column)
{
    return column->rule == TRADEBOOK__V1__RULE__RULE_JSON;
}

struct tbk_value tbk_store_value(struct tbk_store *store, const struct tbk_column *column, int64_t number)
{
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
        return tbk_value_integer(column->references != NULL ? number + 1 : 7 * number + column->position);
    case TBK_COLUMN_REAL:
        return tbk_value_real((double)number + 1.0 / (3 + column->position));
    case TBK_COLUMN_BOOLEAN:
        return tbk_value_integer((number + column->position) % 2);
    case TBK_COLUMN_TEXT:
        return tbk_value_text(
            is_json(column) ? tbk_arena_printf(store->arena, "{\"n\": %lld}", (long long)number)
                            : tbk_arena_printf(store->arena, "%.4s \"%lld\"", column->name, (long long)number));
    case TBK_COLUMN_TIMESTAMP:
        return tbk_value_timestamp(FIRST_US + number * 60000001 + column->position);
    case TBK_COLUMN_ENUM:
        return tbk_value_integer(enum_value(column, number));
    }
    return tbk_value_null();
}

static struct tbk_value zero_value(struct tbk_store *store, const struct tbk_column *column, int64_t number)
{
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
    case TBK_COLUMN_BOOLEAN:
        return tbk_value_integer(0);
    case TBK_COLUMN_REAL:
        return tbk_value_real(0);
    case TBK_COLUMN_TEXT:
        return tbk_value_text(is_json(column) ? "{}" : "");
    case TBK_COLUMN_TIMESTAMP:
        return tbk_value_timestamp(0);
    case TBK_COLUMN_ENUM: /* has no zero on disk */
        return tbk_store_value(store, column, number);
    }
    return tbk_value_null();
}

void tbk_store_set(struct tbk_store *store, ProtobufCMessage *message, const struct tbk_column *column,
                   struct tbk_value value)
{
    assert_true(tbk_column_set(column, message, value, store->arena));
}

ProtobufCMessage *tbk_store_message(struct tbk_store *store, enum tbk_table_id id, enum tbk_fill fill,
                                    int64_t number)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    ProtobufCMessage *message = tbk_message_create(table->message, store->arena);
    assert_non_null(message);
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (is_assigned(table, column) || (fill == TBK_FILL_MANDATORY && !column->not_null)) {
            continue;
        }
        const bool zero = fill == TBK_FILL_ZERO && !column->not_null;
        tbk_store_set(store, message, column,
                      zero ? zero_value(store, column, number) : tbk_store_value(store, column, number));
    }
    return message;
}

int64_t tbk_store_insert(struct tbk_store *store, enum tbk_table_id table, const ProtobufCMessage *message)
{
    int64_t id = 0;
    expect_ok(store,
              store->ops->insert(store->writer, tbk_store_table(store, table), message, &id, &store->error));
    return id;
}

void tbk_store_insert_signals(struct tbk_store *store, int count)
{
    tbk_store_begin(store);
    for (int i = 0; i < count; i++) {
        assert_int_equal(
            tbk_store_insert(store, TBK_SIGNALS, tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, i)), i + 1);
    }
    tbk_store_commit(store);
}

static ProtobufCMessage *get_by_key(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id id,
                                    struct tbk_value key)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    ProtobufCMessage *row = NULL;
    expect_ok(store, store->ops->get(session, table, table->key, key, store->arena, &row, &store->error));
    assert_non_null(row);
    return row;
}

ProtobufCMessage *tbk_store_get(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id id,
                                const ProtobufCMessage *message)
{
    return get_by_key(store, session, id, tbk_column_get(tbk_store_table(store, id)->key, message));
}

ProtobufCMessage *tbk_store_get_id(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id table,
                                   int64_t id)
{
    return get_by_key(store, session, table, tbk_value_integer(id));
}

int64_t tbk_store_count(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id table)
{
    int64_t rows = -1;
    expect_ok(store, store->ops->count(session, tbk_store_table(store, table), &rows, &store->error));
    return rows;
}

struct tbk_value tbk_value_null(void)
{
    return (struct tbk_value){.type = TBK_VALUE_NULL};
}

struct tbk_value tbk_value_integer(int64_t integer)
{
    return (struct tbk_value){.type = TBK_VALUE_INTEGER, .integer = integer};
}

struct tbk_value tbk_value_real(double real)
{
    return (struct tbk_value){.type = TBK_VALUE_REAL, .real = real};
}

struct tbk_value tbk_value_text(const char *text)
{
    return (struct tbk_value){.type = TBK_VALUE_TEXT, .text = {text, strlen(text)}};
}

struct tbk_value tbk_value_timestamp(int64_t us)
{
    return (struct tbk_value){.type = TBK_VALUE_TIMESTAMP, .timestamp_us = us};
}

int tbk_store_compare(const struct tbk_column *column, struct tbk_value a, struct tbk_value b)
{
    if (a.type == TBK_VALUE_NULL || b.type == TBK_VALUE_NULL) {
        return (a.type != TBK_VALUE_NULL) - (b.type != TBK_VALUE_NULL);
    }
    switch (column->kind) {
    case TBK_COLUMN_REAL:
        return (a.real > b.real) - (a.real < b.real);
    case TBK_COLUMN_TEXT:
        return strcmp(a.text.data, b.text.data);
    case TBK_COLUMN_TIMESTAMP:
        return (a.timestamp_us > b.timestamp_us) - (a.timestamp_us < b.timestamp_us);
    case TBK_COLUMN_ENUM:
        return strcmp(tbk_column_enum_text(column, (int)a.integer), tbk_column_enum_text(column, (int)b.integer));
    case TBK_COLUMN_INTEGER:
    case TBK_COLUMN_BOOLEAN:
        break;
    }
    return (a.integer > b.integer) - (a.integer < b.integer);
}

void tbk_store_assert_equal(const struct tbk_table *table, const ProtobufCMessage *actual,
                            const ProtobufCMessage *expected)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (column == table->key) {
            continue;
        }
        const struct tbk_value a = tbk_column_get(column, actual);
        const struct tbk_value b = tbk_column_get(column, expected);
        if (a.type != b.type || tbk_store_compare(column, a, b) != 0) {
            fail_msg("%s.%s differs", table->name, column->name);
        }
    }
}
