/*
 * What the parts of the filter parser share. Inside src/query only.
 */
#ifndef TBK_QUERY_FILTER_PARSER_H
#define TBK_QUERY_FILTER_PARSER_H

#include "query/filter_token.h"
#include "query/query.h"

struct tbk_filter_parser {
    const struct tbk_table *table;
    struct tbk_arena *arena;
    struct tbk_error *error;
    const char *text;
    struct tbk_token token; /* the next one to be read */
    unsigned depth;         /* open parentheses */
    unsigned comparisons;   /* seen so far */
};

/* Moves to the token after the present one. */
void tbk_filter_advance(struct tbk_filter_parser *parser);

/* Adds the violation: the position of start, and what is wrong. Returns false. */
bool tbk_filter_fail(struct tbk_filter_parser *parser, const char *start, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at the present token: "expected <what>, found <token>". */
bool tbk_filter_expected(struct tbk_filter_parser *parser, const char *what);

/* Makes the error one of memory. Returns false. */
bool tbk_filter_no_memory(struct tbk_filter_parser *parser);

/* Reads the value that the column is compared with. */
bool tbk_filter_read_value(struct tbk_filter_parser *parser, const struct tbk_column *column,
                           struct tbk_value *ret_value) TBK_MUST_CHECK;

#endif
