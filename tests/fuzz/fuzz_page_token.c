/*
 * Page tokens. First byte: the table and whether the rest is a token as a client
 * sends it, or the content of one that is forged, with the right checksum and the
 * fingerprint of the query; second byte: the order. A forged token continues where
 * it says or is refused.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "query/base64url.h"
#include "query/page.h"
#include "query/page_token.h"
#include "query/query.h"
#include "server.h"

enum { ARENA_BYTES_MAX = 1 << 20, VERSION = 1, HEADER_BYTES = 9, CHECKSUM_BYTES = 8, LIST_BYTES_MAX = 1 << 16 };

static struct tbk_session *session;
static struct tbk_arena *arena;

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
    arena = tbk_arena_create(1 << 16, ARENA_BYTES_MAX);
    const struct tbk_service_context *context = fuzz_server_context();
    FUZZ_CHECK(context->ops->session_open(context->storage, TBK_SESSION_READ, &session, &error) == TBK_OK, "%s",
               error.message);
    atexit(close_session);
}

/* A token of this content that this database could have made. */
static char *forge(uint64_t fingerprint, struct fuzz_input *content)
{
    const size_t length = HEADER_BYTES + content->left + CHECKSUM_BYTES;
    uint8_t *bytes = malloc(length);
    bytes[0] = VERSION;
    memcpy(bytes + 1, &fingerprint, sizeof fingerprint);
    if (content->left > 0)
        memcpy(bytes + HEADER_BYTES, content->data, content->left);
    const uint64_t checksum = XXH3_64bits_withSeed(bytes, length - CHECKSUM_BYTES, fuzz_server_context()->secret);
    memcpy(bytes + length - CHECKSUM_BYTES, &checksum, sizeof checksum);
    char *token = tbk_arena_zalloc(arena, tbk_base64url_encoded_length(length) + 1);
    tbk_base64url_encode(bytes, length, token);
    free(bytes);
    return token;
}

/* What a token says is what is written into one again. */
static void check_pages(const char *token, struct tbk_error *error)
{
    static const enum tbk_value_type types[] = {TBK_VALUE_TIMESTAMP, TBK_VALUE_INTEGER};
    const struct tbk_page_request request = {.page_token = token, .scope = "scope"};
    struct tbk_page page;
    const enum tbk_status status =
        tbk_page_build(&request, types, 2, fuzz_server_context()->secret, arena, &page, error);
    FUZZ_CHECK(status == TBK_OK || status == TBK_INVALID_ARGUMENT, "status %d: %s", (int)status, error->message);
    if (status == TBK_OK && page.continues) {
        const char *again = tbk_page_next(&page, page.after, 2, fuzz_server_context()->secret, arena);
        FUZZ_CHECK(strcmp(again, token) == 0, "the token %s is written as %s", token, again);
    }
    tbk_error_init(error);
}

static void list(const struct tbk_table *table, struct tbk_list_request *request, struct tbk_error *error)
{
    const struct tbk_service_context *context = fuzz_server_context();
    struct tbk_query query = {0};
    const enum tbk_status built = tbk_query_build(table, request, context->secret, arena, &query, error);
    if (built != TBK_OK) {
        FUZZ_CHECK(built == TBK_INVALID_ARGUMENT, "status %d: %s", (int)built, error->message);
        return;
    }
    FUZZ_CHECK(query.after != NULL, "a token was taken and says nothing");
    for (unsigned i = 0; i < query.order_count; i++) {
        if (query.after[i].type == TBK_VALUE_TEXT)
            FUZZ_CHECK(strlen(query.after[i].text.data) == query.after[i].text.length, "text is cut");
    }
    const char *again =
        tbk_page_token_write(query.fingerprint, query.after, query.order_count, context->secret, arena);
    FUZZ_CHECK(strcmp(again, request->page_token) == 0, "the token %s is written as %s", request->page_token,
               again);
    ProtobufCMessage **messages = NULL;
    size_t count = 0;
    bool more = false;
    const enum tbk_status status =
        context->ops->list(session, &query, LIST_BYTES_MAX, arena, &messages, &count, &more, error);
    FUZZ_CHECK(status == TBK_OK, "status %d: %s", (int)status, error->message);
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
    const unsigned order = fuzz_take_byte(&input);
    const struct tbk_table *table = &fuzz_server_context()->schema->tables[choice % TBK_TABLE_COUNT];
    struct tbk_list_request request = {.order_by = ""};
    if (order > 0)
        request.order_by = tbk_arena_printf(arena, "%s%s", table->columns[order % table->column_count].name,
                                            order > 127 ? " desc" : "");
    struct tbk_query query = {0};
    FUZZ_CHECK(tbk_query_build(table, &request, 0, arena, &query, &error) == TBK_OK, "%s", error.message);
    char *text = NULL;
    if (choice < 128) {
        const struct tbk_page_request page_request = {.scope = "scope"};
        struct tbk_page page;
        FUZZ_CHECK(tbk_page_build(&page_request, NULL, 0, 0, arena, &page, &error) == TBK_OK, "%s", error.message);
        struct fuzz_input copy = input;
        check_pages(forge(page.fingerprint, &copy), &error);
        request.page_token = forge(query.fingerprint, &input);
    } else {
        request.page_token = text = fuzz_take_text(&input);
        check_pages(text, &error);
    }
    if (request.page_token[0] != '\0')
        list(table, &request, &error);
    free(text);
    return 0;
}
