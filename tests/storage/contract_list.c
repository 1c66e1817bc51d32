/*
 * Lists. Every expectation is computed here from the rows themselves: a filter
 * by evaluating its tree, an order by sorting, a page by cutting.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "contract.h"

enum { ROWS = 60, PAGE_ROWS = 7, NO_BYTES_MAX = 1 << 30, FILTER_BYTES = 8192 };

/* The rows of one table that the test knows of. */
struct rows {
    ProtobufCMessage *messages[2 * ROWS];
    size_t count;
};

/* A small generator of its own, so that every run has the same rows. */
static uint32_t random_below(uint32_t *state, uint32_t limit)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 16) % limit;
}

/* A row whose values repeat often and are often absent. */
static ProtobufCMessage *random_message(struct tbk_store *store, enum tbk_table_id id, int64_t number,
                                        uint32_t *random)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    ProtobufCMessage *message = tbk_store_message(store, id, TBK_FILL_ALL, number);
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        const bool unique =
            column == table->key || column->index == TRADEBOOK__V1__COLUMN_INDEX__COLUMN_INDEX_UNIQUE;
        if (unique) {
            continue;
        }
        struct tbk_value value = tbk_store_value(store, column, random_below(random, 5));
        if (!column->not_null && random_below(random, 4) == 0) {
            value = tbk_value_null();
        } else if (column->kind == TBK_COLUMN_REAL && random_below(random, 2) == 0) {
            value.real = -value.real;
        }
        tbk_store_set(store, message, column, value);
    }
    return message;
}

static void insert_random(struct tbk_store *store, enum tbk_table_id id, int64_t number, uint32_t *random,
                          struct rows *rows)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    ProtobufCMessage *message = random_message(store, id, number, random);
    const int64_t key = tbk_store_insert(store, id, message);
    if (table->key->kind == TBK_COLUMN_INTEGER) {
        tbk_store_set(store, message, table->key, tbk_value_integer(key));
    }
    rows->messages[rows->count++] = message;
}

/* Fills the table with ROWS random rows. */
static void fill(struct tbk_store *store, enum tbk_table_id id, struct rows *rows)
{
    uint32_t random = (uint32_t)id + 1;
    rows->count = 0;
    tbk_store_begin(store);
    for (int64_t i = 0; i < ROWS; i++) {
        insert_random(store, id, i, &random, rows);
    }
    tbk_store_commit(store);
}

static struct tbk_query build_query(struct tbk_store *store, enum tbk_table_id id, const char *filter,
                                    const char *order_by, int32_t page_size, const char *page_token)
{
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    const struct tbk_list_request request = {.has_page_size = true,
                                             .page_size = page_size,
                                             .page_token = page_token,
                                             .filter = filter,
                                             .order_by = order_by};
    struct tbk_query query;
    expect_ok(store, tbk_query_build(tbk_store_table(store, id), &request, info.secret, store->arena, &query,
                                     &store->error));
    return query;
}

/* One call of list; the token continues it, NULL at the end. */
static size_t list(struct tbk_store *store, const struct tbk_query *query, size_t bytes_max,
                   ProtobufCMessage ***ret_messages, char **ret_token)
{
    struct tbk_storage_info info;
    store->ops->info(store->storage, &info);
    size_t count = 0;
    bool more = false;
    expect_ok(store, store->ops->list(store->reader, query, bytes_max, store->arena, ret_messages, &count, &more,
                                      &store->error));
    assert_true(count <= query->limit);
    *ret_token = NULL;
    if (more) {
        assert_true(count > 0);
        *ret_token = tbk_page_token_create(query, (*ret_messages)[count - 1], info.secret, store->arena);
        assert_non_null(*ret_token);
    }
    return count;
}

static struct tbk_value key_of(const struct tbk_table *table, const ProtobufCMessage *message)
{
    return tbk_column_get(table->key, message);
}

static bool same_key(const struct tbk_table *table, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    return tbk_store_compare(table->key, key_of(table, a), key_of(table, b)) == 0;
}

static int compare_rows(const void *a, const void *b, void *argument)
{
    const struct tbk_query *query = argument;
    for (unsigned i = 0; i < query->order_count; i++) {
        const struct tbk_column *column = query->order[i].column;
        const int order = tbk_store_compare(column, tbk_column_get(column, *(ProtobufCMessage *const *)a),
                                            tbk_column_get(column, *(ProtobufCMessage *const *)b));
        if (order != 0) {
            return query->order[i].descending ? -order : order;
        }
    }
    return 0;
}

/* What SQL's three-valued logic makes of a filter for one row. */
enum truth { FALSE, NEITHER, TRUE };

static enum truth truth_of_comparison(const struct tbk_filter *node, const ProtobufCMessage *row)
{
    const struct tbk_value value = tbk_column_get(node->column, row);
    if (node->value.type == TBK_VALUE_NULL) {
        return (value.type == TBK_VALUE_NULL) == (node->comparison == TBK_EQ) ? TRUE : FALSE;
    }
    if (value.type == TBK_VALUE_NULL) {
        return NEITHER;
    }
    const int order = tbk_store_compare(node->column, value, node->value);
    const bool holds[] = {
        [TBK_EQ] = order == 0,
        [TBK_NE] = order != 0,
        [TBK_LT] = order<0, [TBK_LE] = order <= 0, [TBK_GT] = order> 0,
        [TBK_GE] = order >= 0,
    };
    return holds[node->comparison] ? TRUE : FALSE;
}

static enum truth truth_of(const struct tbk_filter *node, const ProtobufCMessage *row)
{
    if (node->kind == TBK_FILTER_COMPARE) {
        return truth_of_comparison(node, row);
    }
    if (node->kind == TBK_FILTER_NOT) {
        return (enum truth)(TRUE - truth_of(node->first, row));
    }
    const bool is_and = node->kind == TBK_FILTER_AND;
    enum truth result = is_and ? TRUE : FALSE;
    for (const struct tbk_filter *operand = node->first; operand != NULL; operand = operand->next) {
        const enum truth truth = truth_of(operand, row);
        if (is_and ? truth < result : truth > result) {
            result = truth;
        }
    }
    return result;
}

/* The rows that a query without limit must answer, in order. */
static struct rows expected_rows(const struct tbk_query *query, const struct rows *all)
{
    struct rows expected = {.count = 0};
    for (size_t i = 0; i < all->count; i++) {
        if (query->filter == NULL || truth_of(query->filter, all->messages[i]) == TRUE) {
            expected.messages[expected.count++] = all->messages[i];
        }
    }
    qsort_r(expected.messages, expected.count, sizeof expected.messages[0], compare_rows, (void *)query);
    return expected;
}

/* Reads all pages and compares them with what the rows say. */
static void check_pages(struct tbk_store *store, enum tbk_table_id id, const struct rows *all, const char *filter,
                        const char *order_by, int32_t page_size, size_t bytes_max)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    struct tbk_query query = build_query(store, id, filter, order_by, page_size, NULL);
    const struct rows expected = expected_rows(&query, all);
    size_t seen = 0;
    for (char *token = "";;) {
        ProtobufCMessage **page;
        query = build_query(store, id, filter, order_by, page_size, token);
        const size_t count = list(store, &query, bytes_max, &page, &token);
        for (size_t i = 0; i < count; i++, seen++) {
            if (seen == expected.count || !same_key(table, page[i], expected.messages[seen])) {
                fail_msg("%s: filter \"%s\", order \"%s\": row %zu is wrong", table->name, filter, order_by, seen);
            }
            tbk_store_assert_equal(table, page[i], expected.messages[seen]);
        }
        if (token == NULL) {
            break;
        }
    }
    if (seen != expected.count) {
        fail_msg("%s: filter \"%s\", order \"%s\": %zu rows of %zu", table->name, filter, order_by, seen,
                 expected.count);
    }
}

/* Signals that the other tables refer to, and random rows in table id. */
static void prepare(struct tbk_store *store, enum tbk_table_id id, struct rows *rows)
{
    if (id != TBK_SIGNALS && tbk_store_count(store, store->writer, TBK_SIGNALS) == 0) {
        tbk_store_insert_signals(store, 2 * ROWS);
    }
    fill(store, id, rows);
}

static void test_list_empty_table_is_empty(void **state)
{
    struct tbk_store *store = *state;
    const struct rows none = {.count = 0};
    for (int table = 0; table < TBK_TABLE_COUNT; table++) {
        check_pages(store, (enum tbk_table_id)table, &none, "", "", PAGE_ROWS, NO_BYTES_MAX);
    }
}

/* signals go last: the rows of the others refer to signals that are not random. */
static enum tbk_table_id table_in_turn(int turn)
{
    return (enum tbk_table_id)((turn + 1) % TBK_TABLE_COUNT);
}

static void test_list_pages_in_the_order_of_each_column(void **state)
{
    struct tbk_store *store = *state;
    for (int turn = 0; turn < TBK_TABLE_COUNT - 1; turn++) {
        const enum tbk_table_id id = table_in_turn(turn);
        const struct tbk_table *table = tbk_store_table(store, id);
        struct rows rows;
        prepare(store, id, &rows);
        for (unsigned i = 0; i < table->column_count; i++) {
            char order[64];
            check_pages(store, id, &rows, "", table->columns[i].name, PAGE_ROWS, NO_BYTES_MAX);
            snprintf(order, sizeof order, "%s desc", table->columns[i].name);
            check_pages(store, id, &rows, "", order, PAGE_ROWS, NO_BYTES_MAX);
        }
    }
}

static void test_list_pages_of_signals_in_the_order_of_each_column(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (unsigned i = 0; i < table->column_count; i++) {
        char order[64];
        check_pages(store, TBK_SIGNALS, &rows, "", table->columns[i].name, PAGE_ROWS, NO_BYTES_MAX);
        snprintf(order, sizeof order, "%s desc", table->columns[i].name);
        check_pages(store, TBK_SIGNALS, &rows, "", order, PAGE_ROWS, NO_BYTES_MAX);
    }
}

static void test_list_pages_in_the_order_of_several_columns(void **state)
{
    static const char *const orders[] = {
        "symbol, timestamp",
        "symbol desc, timestamp desc",
        "tier, confidence desc",
        "result desc, session",
        "session, result desc, executed",
        "executed desc, exit_time, pnl desc, strategy",
        "exit_time desc, pnl, notes desc, model_version desc",
        "direction, id desc",
        "direction desc, id",
        "id desc",
        "result, id desc, symbol",
        "entry_price desc, tp_price desc, sl_price desc, latency_ms desc",
        "entry_price, tp_price, sl_price, latency_ms",
    };
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        check_pages(store, TBK_SIGNALS, &rows, "", orders[i], PAGE_ROWS, NO_BYTES_MAX);
        check_pages(store, TBK_SIGNALS, &rows, "executed = true", orders[i], 1, NO_BYTES_MAX);
        check_pages(store, TBK_SIGNALS, &rows, "pnl != NULL OR notes = NULL", orders[i], PAGE_ROWS, NO_BYTES_MAX);
    }
}

/* A value as a filter writes it. */
static void put_value(const struct tbk_column *column, struct tbk_value value, char *out, size_t out_bytes)
{
    char text[TBK_TIMESTAMP_CHARS + TBK_DOUBLE_CHARS_MAX];
    switch (column->kind) {
    case TBK_COLUMN_REAL:
        tbk_double_format(value.real, text);
        snprintf(out, out_bytes, "%s", text);
        break;
    case TBK_COLUMN_TIMESTAMP:
        tbk_timestamp_format(value.timestamp_us, text);
        snprintf(out, out_bytes, "'%s'", text);
        break;
    case TBK_COLUMN_TEXT: /* made-up texts hold " but no ' */
        snprintf(out, out_bytes, "'%s'", value.text.data);
        break;
    case TBK_COLUMN_ENUM:
        snprintf(out, out_bytes, "%s", tbk_column_enum_text(column, (int)value.integer));
        break;
    case TBK_COLUMN_BOOLEAN:
        snprintf(out, out_bytes, "%s", value.integer != 0 ? "true" : "false");
        break;
    case TBK_COLUMN_INTEGER:
        snprintf(out, out_bytes, "%lld", (long long)value.integer);
        break;
    }
}

static void check_operators(struct tbk_store *store, enum tbk_table_id id, const struct rows *rows,
                            const struct tbk_column *column)
{
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};
    const bool ordered = column->kind != TBK_COLUMN_ENUM && column->kind != TBK_COLUMN_BOOLEAN;
    char filter[256];
    for (int64_t number = 0; number < 3; number++) {
        char value[128];
        put_value(column, tbk_store_value(store, column, 2 * number), value, sizeof value);
        for (int i = 0; i < (ordered ? 6 : 2); i++) {
            snprintf(filter, sizeof filter, "%s %s %s", column->name, operators[i], value);
            check_pages(store, id, rows, filter, "", 2 * ROWS, NO_BYTES_MAX);
            snprintf(filter, sizeof filter, "NOT %s %s %s", column->name, operators[i], value);
            check_pages(store, id, rows, filter, "", 2 * ROWS, NO_BYTES_MAX);
        }
    }
    for (int i = 0; i < 2; i++) {
        snprintf(filter, sizeof filter, "%s %s NULL", column->name, operators[i]);
        check_pages(store, id, rows, filter, "", PAGE_ROWS, NO_BYTES_MAX);
    }
}

static void test_list_filter_of_every_column_and_operator(void **state)
{
    struct tbk_store *store = *state;
    for (int turn = 0; turn < TBK_TABLE_COUNT - 1; turn++) {
        const enum tbk_table_id id = table_in_turn(turn);
        const struct tbk_table *table = tbk_store_table(store, id);
        struct rows rows;
        prepare(store, id, &rows);
        for (unsigned i = 0; i < table->column_count; i++) {
            check_operators(store, id, &rows, &table->columns[i]);
        }
    }
}

static void test_list_filter_of_every_signal_column_and_operator(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (unsigned i = 0; i < table->column_count; i++) {
        check_operators(store, TBK_SIGNALS, &rows, &table->columns[i]);
    }
}

static void test_list_filter_combined(void **state)
{
    static const char *const filters[] = {
        "tier = high AND confidence > 1",
        "tier = high OR tier = low",
        "NOT (tier = high OR tier = low)",
        "NOT (result = win AND pnl > 0)",
        "NOT (result = NULL) AND NOT (session = NULL)",
        "(pnl < 0 OR pnl > 2) AND (exit_time != NULL OR executed = false)",
        "NOT (pnl < 0 OR NOT (latency_ms >= 1 AND latency_ms <= 3)) OR id = 1",
        "direction = LONG AND direction != short",
        "((((((((executed = true))))))))",
        "id >= 10 AND id <= 20 AND id != 15",
        "symbol = '%' OR symbol = '_' OR notes = 'x'' OR 1=1 --'",
        "timestamp >= '2025-10-10T00:01:00Z' AND timestamp < '2025-10-10 00:03:00'",
        "id = 9223372036854775807 OR id = -9223372036854775808",
        "pnl > 1e300 OR pnl < -1e300",
    };
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        check_pages(store, TBK_SIGNALS, &rows, filters[i], "", PAGE_ROWS, NO_BYTES_MAX);
        check_pages(store, TBK_SIGNALS, &rows, filters[i], "pnl desc", PAGE_ROWS, NO_BYTES_MAX);
    }
}

/* As many comparisons as are allowed, all with timestamps, and the longest order. */
static void test_list_filter_of_the_largest_size(void **state)
{
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    char filter[FILTER_BYTES];
    size_t length = 0;
    for (int i = 0; i < TBK_FILTER_COMPARISONS_MAX; i++) {
        length += (size_t)snprintf(filter + length, sizeof filter - length, "%sexit_time > '2025-10-10 00:0%d:00'",
                                   i > 0 ? " OR " : "", i % 10);
    }
    check_pages(store, TBK_SIGNALS, &rows, filter, "timestamp, exit_time, execution_time, pnl desc", PAGE_ROWS,
                NO_BYTES_MAX);
    length = 0;
    for (int i = 0; i < TBK_FILTER_COMPARISONS_MAX; i++) {
        length += (size_t)snprintf(filter + length, sizeof filter - length, "%sresult %s win",
                                   i > 0 ? " AND " : "", i % 2 == 0 ? "=" : "!=");
    }
    check_pages(store, TBK_SIGNALS, &rows, filter, "result, tier, direction, session", PAGE_ROWS, NO_BYTES_MAX);
}

/* Rows that come while paging may appear; those that were there appear once. */
static void page_while_inserting(struct tbk_store *store, const char *order_by)
{
    const enum tbk_table_id id = TBK_THEORY_PERFORMANCE;
    const struct tbk_table *table = tbk_store_table(store, id);
    struct rows rows;
    prepare(store, id, &rows);
    struct tbk_query query = build_query(store, id, "", order_by, PAGE_ROWS, NULL);
    const struct rows expected = expected_rows(&query, &rows);
    uint32_t random = 99;
    size_t seen = 0;
    char *token = "";
    while (token != NULL) {
        ProtobufCMessage **page;
        query = build_query(store, id, "", order_by, PAGE_ROWS, token);
        const size_t count = list(store, &query, NO_BYTES_MAX, &page, &token);
        for (size_t i = 0; i < count; i++) {
            if (seen < expected.count && same_key(table, page[i], expected.messages[seen])) {
                seen++;
            } else { /* then it is new */
                for (size_t old = 0; old < expected.count; old++) {
                    assert_false(same_key(table, page[i], expected.messages[old]));
                }
            }
        }
        struct rows added = {.count = 0};
        if (seen < expected.count) {
            tbk_store_begin(store);
            insert_random(store, id, random_below(&random, ROWS), &random, &added);
            insert_random(store, id, random_below(&random, ROWS), &random, &added);
            tbk_store_commit(store);
        }
    }
    assert_int_equal(seen, expected.count);
}

static void test_list_pages_while_inserting_by_key(void **state)
{
    page_while_inserting(*state, "");
}

static void test_list_pages_while_inserting_by_name(void **state)
{
    page_while_inserting(*state, "theory_name");
}

static void test_list_pages_while_inserting_by_absent_values(void **state)
{
    page_while_inserting(*state, "was_correct desc, created_at");
}

static void test_list_bytes_max_ends_a_page_early(void **state)
{
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_PATTERNS, &rows);
    check_pages(store, TBK_PATTERNS, &rows, "", "name desc", PAGE_ROWS, 1);
    check_pages(store, TBK_PATTERNS, &rows, "", "win_rate", PAGE_ROWS, 500);

    struct tbk_query query = build_query(store, TBK_PATTERNS, "", "", PAGE_ROWS, NULL);
    ProtobufCMessage **page;
    char *token;
    assert_int_equal(list(store, &query, 1, &page, &token), 1);
    assert_non_null(token);
    const size_t some = list(store, &query, 500, &page, &token);
    assert_true(some >= 1 && some < PAGE_ROWS);
    assert_non_null(token);
}

static void test_list_limit_tells_whether_rows_remain(void **state)
{
    static const struct {
        int32_t page_size;
        size_t count;
        bool more;
    } cases[] = {{1, 1, true},
                 {ROWS - 1, ROWS - 1, true},
                 {ROWS, ROWS, false},
                 {ROWS + 1, ROWS, false},
                 {1000, ROWS, false}};
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tbk_query query = build_query(store, TBK_SIGNALS, "", "symbol", cases[i].page_size, NULL);
        ProtobufCMessage **page;
        char *token;
        assert_int_equal(list(store, &query, NO_BYTES_MAX, &page, &token), cases[i].count);
        assert_int_equal(token != NULL, cases[i].more);
    }
}

static void test_list_sees_its_own_transaction(void **state)
{
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    const struct tbk_query query = build_query(store, TBK_SIGNALS, "", "", 1000, NULL);
    uint32_t random = 5;
    tbk_store_begin(store);
    insert_random(store, TBK_SIGNALS, ROWS, &random, &rows);
    ProtobufCMessage **page;
    size_t count;
    bool more;
    expect_ok(store, store->ops->list(store->writer, &query, NO_BYTES_MAX, store->arena, &page, &count, &more,
                                      &store->error));
    assert_int_equal(count, ROWS + 1);
    expect_ok(store, store->ops->list(store->reader, &query, NO_BYTES_MAX, store->arena, &page, &count, &more,
                                      &store->error));
    assert_int_equal(count, ROWS);
    tbk_store_commit(store);
    check_pages(store, TBK_SIGNALS, &rows, "", "", PAGE_ROWS, NO_BYTES_MAX);
}

static void test_list_follows_an_update(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    const struct tbk_column *notes = tbk_store_column(table, "notes");
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    tbk_store_begin(store);
    for (size_t i = 0; i < rows.count; i += 3) {
        tbk_store_set(store, rows.messages[i], notes, tbk_value_text("changed"));
        expect_ok(store, store->ops->update(store->writer, table, UINT32_C(1) << notes->position, rows.messages[i],
                                            &store->error));
    }
    tbk_store_commit(store);
    check_pages(store, TBK_SIGNALS, &rows, "notes = 'changed'", "notes, symbol", PAGE_ROWS, NO_BYTES_MAX);
}

static void test_list_arena_too_small_is_resource_exhausted(void **state)
{
    struct tbk_store *store = *state;
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    const struct tbk_query query = build_query(store, TBK_SIGNALS, "symbol != ''", "symbol", ROWS, NULL);
    for (size_t bytes = 64; bytes <= 16384; bytes *= 2) {
        struct tbk_arena *small = tbk_arena_create(bytes, bytes);
        ProtobufCMessage **page;
        size_t count;
        bool more;
        expect_status(
            store,
            store->ops->list(store->reader, &query, NO_BYTES_MAX, small, &page, &count, &more, &store->error),
            TBK_RESOURCE_EXHAUSTED);
        tbk_arena_destroy(small);
    }
    check_pages(store, TBK_SIGNALS, &rows, "symbol != ''", "symbol", ROWS, NO_BYTES_MAX);
}

/* More different lists than a session keeps prepared, twice. */
static void test_list_many_shapes_in_turn(void **state)
{
    struct tbk_store *store = *state;
    const struct tbk_table *table = tbk_store_table(store, TBK_SIGNALS);
    struct rows rows;
    prepare(store, TBK_SIGNALS, &rows);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 24; i++) {
            char filter[64];
            snprintf(filter, sizeof filter, "%s != NULL", table->columns[i].name);
            check_pages(store, TBK_SIGNALS, &rows, filter, "", 2 * ROWS, NO_BYTES_MAX);
        }
    }
}

int tbk_contract_run_list(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_list_empty_table_is_empty),
        contract_test(test_list_pages_in_the_order_of_each_column),
        contract_test(test_list_pages_of_signals_in_the_order_of_each_column),
        contract_test(test_list_pages_in_the_order_of_several_columns),
        contract_test(test_list_filter_of_every_column_and_operator),
        contract_test(test_list_filter_of_every_signal_column_and_operator),
        contract_test(test_list_filter_combined),
        contract_test(test_list_filter_of_the_largest_size),
        contract_test(test_list_pages_while_inserting_by_key),
        contract_test(test_list_pages_while_inserting_by_name),
        contract_test(test_list_pages_while_inserting_by_absent_values),
        contract_test(test_list_bytes_max_ends_a_page_early),
        contract_test(test_list_limit_tells_whether_rows_remain),
        contract_test(test_list_sees_its_own_transaction),
        contract_test(test_list_follows_an_update),
        contract_test(test_list_arena_too_small_is_resource_exhausted),
        contract_test(test_list_many_shapes_in_turn),
    };
    return cmocka_run_group_tests_name("contract: list", tests, NULL, NULL);
}
