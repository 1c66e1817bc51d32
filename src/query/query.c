#include "query/query.h"

#include <string.h>
#include <xxhash.h>

#include "query/page.h"
#include "query/page_token.h"

static uint64_t fingerprint(const struct tbk_table *table, const char *filter, const char *order_by)
{
    uint64_t hash = XXH3_64bits(table->name, strlen(table->name));
    hash = XXH3_64bits_withSeed(filter, strlen(filter), hash);
    return XXH3_64bits_withSeed(order_by, strlen(order_by), hash);
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

enum tbk_status tbk_query_build(const struct tbk_table *table, const struct tbk_list_request *request,
                                uint64_t secret, struct tbk_arena *arena, struct tbk_query *query,
                                struct tbk_error *error)
{
    const char *filter = or_empty(request->filter);
    const char *order_by = or_empty(request->order_by);
    const char *page_token = or_empty(request->page_token);
    *query = (struct tbk_query){.table = table,
                                .limit = tbk_page_limit(request->has_page_size, request->page_size, error),
                                .fingerprint = fingerprint(table, filter, order_by)};

    const enum tbk_status filter_status = tbk_filter_parse(table, filter, arena, &query->filter, error);
    const enum tbk_status order_status = tbk_order_parse(table, order_by, query, error);
    struct tbk_page_token token;
    enum tbk_status token_status = TBK_OK;
    if (page_token[0] != '\0') {
        token_status = tbk_page_token_open(page_token, secret, arena, &token, error);
        /* A token never fits a filter or order that is wrong; saying so would
         * only distract. */
        if (token_status == TBK_OK && filter_status == TBK_OK && order_status == TBK_OK) {
            token_status = tbk_page_token_apply(&token, arena, query, error);
        }
    }
    if (filter_status == TBK_RESOURCE_EXHAUSTED || token_status == TBK_RESOURCE_EXHAUSTED) {
        error->status = TBK_RESOURCE_EXHAUSTED;
    }
    return error->status;
}
