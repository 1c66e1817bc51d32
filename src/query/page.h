/*
 * Pages of answers that are no list of one table's rows, such as rankings and
 * histories. A page continues after the values by which the last entry of the
 * page before was placed, so entries that come and go meanwhile do not shift it.
 */
#ifndef TBK_QUERY_PAGE_H
#define TBK_QUERY_PAGE_H

#include "query/query.h"

enum { TBK_PAGE_VALUES_MAX = 4 };

struct tbk_page_request {
    bool has_page_size;
    int32_t page_size;
    const char *page_token; /* NULL when absent */
    const char *scope;      /* method and everything that the order of its answer depends on */
};

struct tbk_page {
    uint32_t limit;
    uint64_t fingerprint; /* of the scope; binds page tokens */
    bool continues;       /* whether after is set */
    struct tbk_value after[TBK_PAGE_VALUES_MAX];
};

/* 1 to 1,000 entries; a negative page_size is a violation. */
uint32_t tbk_page_limit(bool has_page_size, int32_t page_size, struct tbk_error *error);

/* Reports every violation at once (page_size, page_token). types are those of the
 * count values that tokens of this scope carry. */
enum tbk_status tbk_page_build(const struct tbk_page_request *request, const enum tbk_value_type *types,
                               unsigned count, uint64_t secret, struct tbk_arena *arena, struct tbk_page *page,
                               struct tbk_error *error) TBK_MUST_CHECK;

/* The token that continues after an entry with these values. NULL when the arena
 * is exhausted. */
char *tbk_page_next(const struct tbk_page *page, const struct tbk_value *values, unsigned count, uint64_t secret,
                    struct tbk_arena *arena);

#endif
