#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "query/query.h"

#define WHITE_SPACE " \t\r\n"

/* A word of an item of the list, such as "timestamp" or "desc". */
struct word {
    const char *start;
    size_t length;
};

static struct word read_word(const char **text)
{
    *text += strspn(*text, WHITE_SPACE);
    const struct word word = {*text, strcspn(*text, WHITE_SPACE ",")};
    *text += word.length;
    return word;
}

static bool word_is(struct word word, const char *expected)
{
    return word.length == strlen(expected) && strncasecmp(word.start, expected, word.length) == 0;
}

static void expected(struct tbk_error *error, const char *what, struct word found)
{
    const int shown =
        found.length > TBK_VIOLATION_TEXT_BYTES_MAX ? TBK_VIOLATION_TEXT_BYTES_MAX : (int)found.length;
    tbk_error_violation(error, "order_by", "expected %s, found %.*s", what, shown, found.start);
}

static bool is_ordered_by(const struct tbk_query *query, const struct tbk_column *column)
{
    for (unsigned i = 0; i < query->order_count; i++) {
        if (query->order[i].column == column) {
            return true;
        }
    }
    return false;
}

/* Reads one item of the list up to the comma. */
static void read_item(const char **text, struct tbk_query *query, struct tbk_error *error)
{
    const struct word field = read_word(text);
    const struct word direction = read_word(text);
    const struct word rest = read_word(text);
    const struct tbk_column *column = tbk_table_column(query->table, field.start, field.length);
    const bool descending = word_is(direction, "desc");
    if (field.length == 0) {
        tbk_error_violation(error, "order_by", "expected a field between the commas, found nothing");
    } else if (column == NULL) {
        char what[64];
        snprintf(what, sizeof what, "a field of %s", query->table->resource);
        expected(error, what, field);
    } else if (is_ordered_by(query, column)) {
        tbk_error_violation(error, "order_by", "%s is named twice", column->name);
    } else if (direction.length > 0 && !descending && !word_is(direction, "asc")) {
        expected(error, "asc, desc or a comma after the field", direction);
    } else if (rest.length > 0) {
        expected(error, "a comma after asc or desc", rest);
    } else {
        query->order[query->order_count++] = (struct tbk_order){.column = column, .descending = descending};
    }
    *text += strcspn(*text, ",");
}

static void read_items(const char *text, struct tbk_query *query, struct tbk_error *error)
{
    for (unsigned count = 1;; count++) {
        if (count > TBK_ORDER_FIELDS_MAX) {
            tbk_error_violation(error, "order_by", "more than %d fields", TBK_ORDER_FIELDS_MAX);
            return;
        }
        read_item(&text, query, error);
        if (*text == '\0') {
            return;
        }
        text++; /* the comma */
    }
}

/* The key comes last, in the direction of the field before it, so that an index
 * over that field gives the whole order. Behind the key nothing is left to order. */
static void end_with_key(struct tbk_query *query)
{
    const struct tbk_column *key = query->table->key;
    for (unsigned i = 0; i < query->order_count; i++) {
        if (query->order[i].column == key) {
            query->order_count = i + 1;
            return;
        }
    }
    const bool descending = query->order_count > 0 && query->order[query->order_count - 1].descending;
    query->order[query->order_count++] = (struct tbk_order){.column = key, .descending = descending};
}

enum tbk_status tbk_order_parse(const struct tbk_table *table, const char *text, struct tbk_query *query,
                                struct tbk_error *error)
{
    const size_t violations = error->violation_count;
    query->table = table;
    query->order_count = 0;
    if (text[strspn(text, WHITE_SPACE)] != '\0') {
        read_items(text, query, error);
    }
    if (error->violation_count > violations) {
        return error->status;
    }
    end_with_key(query);
    return TBK_OK;
}
