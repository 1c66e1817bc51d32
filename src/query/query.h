/*
 * A list query: which rows, in which order, from where. Built from the text of a
 * List request and independent of any storage; storage compiles it to SQL with
 * parameters. Everything lives in the request's arena.
 */
#ifndef TBK_QUERY_QUERY_H
#define TBK_QUERY_QUERY_H

#include "base/arena.h"
#include "base/error.h"
#include "schema/schema.h"

enum {
    TBK_FILTER_BYTES_MAX = 4096,
    TBK_FILTER_COMPARISONS_MAX = 64,
    TBK_FILTER_DEPTH_MAX = 16,
    TBK_ORDER_FIELDS_MAX = 4,
    TBK_PAGE_SIZE_DEFAULT = 50,
    TBK_PAGE_SIZE_MAX = 1000,
};

enum tbk_filter_kind { TBK_FILTER_COMPARE, TBK_FILTER_AND, TBK_FILTER_OR, TBK_FILTER_NOT };

enum tbk_comparison { TBK_EQ, TBK_NE, TBK_LT, TBK_LE, TBK_GT, TBK_GE };

/* A node of a filter expression. AND and OR have two or more operands, NOT has
 * one. value is of the type that fits the column's kind, or NULL with EQ and NE. */
struct tbk_filter {
    enum tbk_filter_kind kind;
    const struct tbk_column *column;
    enum tbk_comparison comparison;
    struct tbk_value value;
    const struct tbk_filter *first; /* operands: first, first->next, ... */
    const struct tbk_filter *next;
};

struct tbk_order {
    const struct tbk_column *column;
    bool descending;
};

struct tbk_query {
    const struct tbk_table *table;
    const struct tbk_filter *filter; /* NULL: all rows */
    /* Ends with the table's key, so the order is total. NULL sorts first
     * ascending, last descending. */
    struct tbk_order order[TBK_ORDER_FIELDS_MAX + 1];
    unsigned order_count;
    const struct tbk_value *after; /* order_count values of the last row seen; NULL: from the start */
    uint32_t limit;
    uint64_t fingerprint; /* of table, filter text and order text; binds page tokens */
};

/* Parses the AIP-160 subset of proto/tradebook/v1/batch.proto. A wrong filter is
 * one violation of field "filter" that names the position (1-based character
 * column). Empty or blank text: *ret_filter is NULL. */
enum tbk_status tbk_filter_parse(const struct tbk_table *table, const char *text, struct tbk_arena *arena,
                                 const struct tbk_filter **ret_filter, struct tbk_error *error) TBK_MUST_CHECK;

/* Parses AIP-132 order_by into query->order and appends the key, in the direction
 * of the field before it. Violations are of field "order_by". */
enum tbk_status tbk_order_parse(const struct tbk_table *table, const char *text, struct tbk_query *query,
                                struct tbk_error *error) TBK_MUST_CHECK;

/* The fields of a List request; NULL texts and has_page_size false when absent. */
struct tbk_list_request {
    bool has_page_size;
    int32_t page_size;
    const char *page_token;
    const char *filter;
    const char *order_by;
};

/* Builds the whole query and reports every violation at once (page_size,
 * page_token, filter, order_by). secret is the database's page-token secret. */
enum tbk_status tbk_query_build(const struct tbk_table *table, const struct tbk_list_request *request,
                                uint64_t secret, struct tbk_arena *arena, struct tbk_query *query,
                                struct tbk_error *error) TBK_MUST_CHECK;

/* The token that continues after row, a message of the table's type. URL-safe
 * base64. NULL when the arena is exhausted. */
char *tbk_page_token_create(const struct tbk_query *query, const ProtobufCMessage *row, uint64_t secret,
                            struct tbk_arena *arena);

#endif
