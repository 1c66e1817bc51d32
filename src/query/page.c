#include "query/page.h"

#include <string.h>
#include <xxhash.h>

#include "query/page_token.h"

uint32_t tbk_page_limit(bool has_page_size, int32_t page_size, struct tbk_error *error)
{
    if (!has_page_size || page_size == 0) {
        return TBK_PAGE_SIZE_DEFAULT;
    }
    if (page_size < 0) {
        tbk_error_violation(error, "page_size", "is %d; expected 1 to %d, or 0 for the default of %d",
                            (int)page_size, TBK_PAGE_SIZE_MAX, TBK_PAGE_SIZE_DEFAULT);
        return TBK_PAGE_SIZE_DEFAULT;
    }
    return page_size > TBK_PAGE_SIZE_MAX ? TBK_PAGE_SIZE_MAX : (uint32_t)page_size;
}

static enum tbk_status apply(const struct tbk_page_token *token, const enum tbk_value_type *types, unsigned count,
                             struct tbk_arena *arena, struct tbk_page *page, struct tbk_error *error)
{
    bool fits;
    const enum tbk_status status = tbk_page_token_read(token, count, arena, page->after, &fits, error);
    if (status != TBK_OK) {
        return status;
    }
    fits = fits && token->fingerprint == page->fingerprint;
    for (unsigned i = 0; fits && i < count; i++) {
        fits = page->after[i].type == types[i];
    }
    if (!fits) {
        tbk_error_violation(error, "page_token", "it belongs to another request; start again from the first page");
    }
    page->continues = fits;
    return TBK_OK;
}

enum tbk_status tbk_page_build(const struct tbk_page_request *request, const enum tbk_value_type *types,
                               unsigned count, uint64_t secret, struct tbk_arena *arena, struct tbk_page *page,
                               struct tbk_error *error)
{
    *page = (struct tbk_page){
        .limit = tbk_page_limit(request->has_page_size, request->page_size, error),
        .fingerprint = XXH3_64bits(request->scope, strlen(request->scope)),
    };
    if (request->page_token == NULL || request->page_token[0] == '\0') {
        return error->status;
    }
    struct tbk_page_token token;
    enum tbk_status status = tbk_page_token_open(request->page_token, secret, arena, &token, error);
    if (status == TBK_OK) {
        status = apply(&token, types, count, arena, page, error);
    }
    return status == TBK_RESOURCE_EXHAUSTED ? status : error->status;
}

char *tbk_page_next(const struct tbk_page *page, const struct tbk_value *values, unsigned count, uint64_t secret,
                    struct tbk_arena *arena)
{
    return tbk_page_token_write(page->fingerprint, values, count, secret, arena);
}
