/*
 * filter, order_by and page token of a List request: first byte the table, then the
 * texts, each up to a byte 0xFF. What is accepted is within the limits and runs on a
 * database, as does every next page.
 */
#include <stdlib.h>
#include <string.h>

#include "query/page_token.h"
#include "query/query.h"
#include "server.h"

enum { ARENA_BYTES_MAX = 1 << 20, ROWS = 6, PAGES_MAX = 8, LIST_BYTES_MAX = 1 << 16 };

static struct tbk_session *session;
static struct tbk_arena *arena;

/* Rows of every table, with the few fields that may not be NULL. */
static void fill(const struct tbk_service_context *context, struct tbk_error *error)
{
    struct tbk_session *writer = NULL;
    enum tbk_status status = context->ops->session_open(context->storage, TBK_SESSION_WRITE, &writer, error);
    FUZZ_CHECK(status == TBK_OK && context->ops->begin(writer, error) == TBK_OK, "%s", error->message);
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const struct tbk_table *table = &context->schema->tables[t];
        for (int row = 1; row <= ROWS; row++) {
            ProtobufCMessage *message = tbk_arena_zalloc(arena, table->message->sizeof_message);
            protobuf_c_message_init(table->message, message);
            for (unsigned c = 0; c < table->column_count; c++) {
                const struct tbk_column *column = &table->columns[c];
                struct tbk_value value = {.type = TBK_VALUE_INTEGER, .integer = 1 + row % 2};
                if (column->kind == TBK_COLUMN_REAL)
                    value = (struct tbk_value){.type = TBK_VALUE_REAL, .real = row / 2.0};
                else if (column->kind == TBK_COLUMN_TIMESTAMP)
                    value =
                        (struct tbk_value){.type = TBK_VALUE_TIMESTAMP, .timestamp_us = 1767225600000000 + row};
                else if (column->kind == TBK_COLUMN_TEXT)
                    value.type = TBK_VALUE_TEXT, value.text.data = tbk_arena_printf(arena, "text%d", row),
                    value.text.length = 5;
                else if (column->kind == TBK_COLUMN_BOOLEAN)
                    value.integer = row % 2;
                else if (column == table->key || column->references != NULL)
                    value.integer = row;
                if (column->not_null || row % 3 > 0)
                    FUZZ_CHECK(tbk_column_set(column, message, value, arena), "no memory");
            }
            int64_t id;
            FUZZ_CHECK(context->ops->insert(writer, table, message, &id, error) == TBK_OK, "%s", error->message);
        }
    }
    FUZZ_CHECK(context->ops->commit(writer, error) == TBK_OK, "%s", error->message);
    context->ops->session_close(writer);
}

static void close_session(void)
{
    fuzz_server_context()->ops->session_close(session);
    tbk_arena_destroy(arena);
}

static void start(void)
{
    struct tbk_error error;
    tbk_error_init(&error);
    fuzz_server_restart();
    const struct tbk_service_context *context = fuzz_server_context();
    arena = tbk_arena_create(1 << 16, ARENA_BYTES_MAX);
    fill(context, &error);
    FUZZ_CHECK(context->ops->session_open(context->storage, TBK_SESSION_READ, &session, &error) == TBK_OK, "%s",
               error.message);
    atexit(close_session);
}

static unsigned comparisons(const struct tbk_filter *node, unsigned depth)
{
    FUZZ_CHECK(depth <= TBK_FILTER_DEPTH_MAX + 1, "a filter is nested %u deep", depth);
    if (node->kind == TBK_FILTER_COMPARE) {
        FUZZ_CHECK(node->column != NULL && node->first == NULL, "a comparison has operands");
        return 1;
    }
    unsigned count = 0;
    unsigned operands = 0;
    for (const struct tbk_filter *operand = node->first; operand != NULL; operand = operand->next) {
        count += comparisons(operand, depth + 1);
        operands++;
    }
    FUZZ_CHECK(node->kind == TBK_FILTER_NOT ? operands == 1 : operands >= 2, "a node has %u operands", operands);
    return count;
}

/* Every row of every page comes once, and no page repeats. */
static void list(const struct tbk_table *table, struct tbk_list_request *request, struct tbk_error *error)
{
    const struct tbk_service_context *context = fuzz_server_context();
    const bool from_start = request->page_token == NULL;
    struct tbk_query query = {0};
    size_t rows = 0;
    bool more = true;
    unsigned pages = 0;
    while (more && pages++ < PAGES_MAX) {
        ProtobufCMessage **messages = NULL;
        size_t count = 0;
        FUZZ_CHECK(tbk_query_build(table, request, context->secret, arena, &query, error) == TBK_OK,
                   "a query that was accepted is refused: %s", error->message);
        FUZZ_CHECK(query.order_count >= 1 && query.order[query.order_count - 1].column == table->key,
                   "the order does not end with the key");
        FUZZ_CHECK(query.filter == NULL || comparisons(query.filter, 1) <= TBK_FILTER_COMPARISONS_MAX,
                   "more comparisons than may be");
        const enum tbk_status status =
            context->ops->list(session, &query, LIST_BYTES_MAX, arena, &messages, &count, &more, error);
        FUZZ_CHECK(status == TBK_OK, "status %d of %s, filter %s, order %s: %s", (int)status, table->name,
                   request->filter, request->order_by, error->message);
        rows += count;
        FUZZ_CHECK(count <= query.limit && (!more || count > 0), "a page has %zu rows", count);
        if (more) {
            request->page_token = tbk_page_token_create(&query, messages[count - 1], context->secret, arena);
            FUZZ_CHECK(request->page_token != NULL, "no token");
        }
    }
    FUZZ_CHECK(!from_start || (!more && rows <= ROWS), "%zu rows of %d", rows, ROWS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct tbk_error error;
    if (session == NULL)
        start();
    tbk_arena_reset(arena);
    tbk_error_init(&error);
    const unsigned choice = fuzz_take_byte(&input);
    const struct tbk_table *table = &fuzz_server_context()->schema->tables[choice % TBK_TABLE_COUNT];
    char *filter = fuzz_take_text(&input);
    char *order_by = fuzz_take_text(&input);
    char *token = fuzz_take_text(&input);
    struct tbk_list_request request = {
        .has_page_size = true,
        .page_size = 2,
        .filter = filter,
        .order_by = order_by,
        .page_token = token[0] != '\0' ? token : NULL,
    };
    struct tbk_query query = {0};
    const enum tbk_status status =
        tbk_query_build(table, &request, fuzz_server_context()->secret, arena, &query, &error);
    if (status == TBK_OK)
        list(table, &request, &error);
    else
        FUZZ_CHECK(status == TBK_INVALID_ARGUMENT && error.violation_count > 0, "status %d: %s", (int)status,
                   error.message);
    free(filter);
    free(order_by);
    free(token);
    return 0;
}
