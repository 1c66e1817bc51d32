/*
 * Splits the text of a filter into tokens. Tokens point into the text. Works on
 * any bytes; what is no token comes out as TBK_TOKEN_INVALID.
 */
#ifndef TBK_QUERY_FILTER_TOKEN_H
#define TBK_QUERY_FILTER_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum tbk_token_kind {
    TBK_TOKEN_END,
    TBK_TOKEN_NAME, /* letters, digits, '_' and '.', not beginning with a digit */
    TBK_TOKEN_TEXT, /* with its quotes; a quote inside is doubled */
    TBK_TOKEN_NUMBER,
    TBK_TOKEN_OPERATOR, /* = != < <= > >= */
    TBK_TOKEN_OPEN,
    TBK_TOKEN_CLOSE,
    TBK_TOKEN_UNCLOSED, /* text without its second quote */
    TBK_TOKEN_INVALID,
};

struct tbk_token {
    enum tbk_token_kind kind;
    const char *start;
    size_t length;
};

/* The token that begins at text or, after white space, behind it. text is
 * terminated by a NUL. */
struct tbk_token tbk_token_read(const char *text);

/* Whether the token is this word, in any case. */
bool tbk_token_is(struct tbk_token token, const char *word);

#endif
