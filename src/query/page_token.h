/*
 * Writing and reading of page tokens. Inside src/query only; the layout is in
 * page_token.c.
 */
#ifndef TBK_QUERY_PAGE_TOKEN_H
#define TBK_QUERY_PAGE_TOKEN_H

#include "query/query.h"

/* A token that this database made. */
struct tbk_page_token {
    uint64_t fingerprint;
    const uint8_t *values;
    size_t values_bytes;
};

/* Checks that the token was made with this secret. Otherwise a violation of
 * page_token. */
enum tbk_status tbk_page_token_open(const char *text, uint64_t secret, struct tbk_arena *arena,
                                    struct tbk_page_token *ret_token, struct tbk_error *error) TBK_MUST_CHECK;

/* The token of these values. NULL when the arena is exhausted. */
char *tbk_page_token_write(uint64_t fingerprint, const struct tbk_value *values, unsigned count, uint64_t secret,
                           struct tbk_arena *arena);

/* Reads count values, text into the arena; *ret_complete tells whether these are
 * all there are. */
enum tbk_status tbk_page_token_read(const struct tbk_page_token *token, unsigned count, struct tbk_arena *arena,
                                    struct tbk_value *ret_values, bool *ret_complete,
                                    struct tbk_error *error) TBK_MUST_CHECK;

/* Sets query->after. Otherwise, because the token is of another query, a
 * violation of page_token. */
enum tbk_status tbk_page_token_apply(const struct tbk_page_token *token, struct tbk_arena *arena,
                                     struct tbk_query *query, struct tbk_error *error) TBK_MUST_CHECK;

#endif
