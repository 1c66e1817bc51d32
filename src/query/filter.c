/* The tree of a filter, by recursive descent:
 *
 *   expression = operand { "AND" operand } | operand { "OR" operand }
 *   operand    = "NOT" operand | "(" expression ")" | field operator value
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "query/filter_parser.h"

/* Of what was found, so that the whole message stays readable. */
enum { FOUND_BYTES_MAX = 32 };

void tbk_filter_advance(struct tbk_filter_parser *parser)
{
    parser->token = tbk_token_read(parser->token.start + parser->token.length);
}

/* length, less what it has of a character that goes on behind it. */
static size_t whole_characters(const char *text, size_t length)
{
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

bool tbk_filter_fail(struct tbk_filter_parser *parser, const char *start, const char *format, ...)
{
    char what[TBK_VIOLATION_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const size_t position = tbk_utf8_count(parser->text, (size_t)(start - parser->text)) + 1;
    tbk_error_violation(parser->error, "filter", "at character %zu: %s", position, what);
    return false;
}

bool tbk_filter_expected(struct tbk_filter_parser *parser, const char *what)
{
    const struct tbk_token token = parser->token;
    if (token.kind == TBK_TOKEN_END) {
        return tbk_filter_fail(parser, token.start, "expected %s, found the end of the filter", what);
    }
    const size_t shown =
        token.length > FOUND_BYTES_MAX ? whole_characters(token.start, FOUND_BYTES_MAX) : token.length;
    return tbk_filter_fail(parser, token.start, "expected %s, found %.*s%s", what, (int)shown, token.start,
                           shown < token.length ? "..." : "");
}

bool tbk_filter_no_memory(struct tbk_filter_parser *parser)
{
    tbk_error_set(parser->error, TBK_RESOURCE_EXHAUSTED,
                  "The filter needs more memory than one request may use; make it shorter.");
    return false;
}

static struct tbk_filter *new_node(struct tbk_filter_parser *parser, enum tbk_filter_kind kind)
{
    struct tbk_filter *node = tbk_arena_zalloc(parser->arena, sizeof *node);
    if (node == NULL) {
        tbk_filter_no_memory(parser);
        return NULL;
    }
    node->kind = kind;
    return node;
}

static const struct tbk_column *read_column(struct tbk_filter_parser *parser)
{
    const struct tbk_token token = parser->token;
    if (token.kind != TBK_TOKEN_NAME) {
        tbk_filter_expected(parser, "a field, NOT or (");
        return NULL;
    }
    const struct tbk_column *column = tbk_table_column(parser->table, token.start, token.length);
    if (column == NULL) {
        char what[64];
        snprintf(what, sizeof what, "a field of %s", parser->table->resource);
        tbk_filter_expected(parser, what);
        return NULL;
    }
    tbk_filter_advance(parser);
    return column;
}

static bool read_operator(struct tbk_filter_parser *parser, enum tbk_comparison *ret_comparison)
{
    if (parser->token.kind != TBK_TOKEN_OPERATOR) {
        return tbk_filter_expected(parser, "=, !=, <, <=, > or >=");
    }
    const bool or_equal = parser->token.length == 2;
    switch (parser->token.start[0]) {
    case '=':
        *ret_comparison = TBK_EQ;
        break;
    case '!':
        *ret_comparison = TBK_NE;
        break;
    case '<':
        *ret_comparison = or_equal ? TBK_LE : TBK_LT;
        break;
    default:
        *ret_comparison = or_equal ? TBK_GE : TBK_GT;
        break;
    }
    tbk_filter_advance(parser);
    return true;
}

static bool has_order(const struct tbk_column *column)
{
    return column->kind != TBK_COLUMN_ENUM && column->kind != TBK_COLUMN_BOOLEAN;
}

static struct tbk_filter *read_comparison(struct tbk_filter_parser *parser)
{
    const char *start = parser->token.start;
    struct tbk_filter *node = new_node(parser, TBK_FILTER_COMPARE);
    if (node == NULL || (node->column = read_column(parser)) == NULL) {
        return NULL;
    }
    if (parser->comparisons == TBK_FILTER_COMPARISONS_MAX) {
        tbk_filter_fail(parser, start, "more than %d comparisons", TBK_FILTER_COMPARISONS_MAX);
        return NULL;
    }
    parser->comparisons++;
    const char *operator_start = parser->token.start;
    if (!read_operator(parser, &node->comparison)) {
        return NULL;
    }
    const bool equality = node->comparison == TBK_EQ || node->comparison == TBK_NE;
    if (!equality && !has_order(node->column)) {
        tbk_filter_fail(parser, operator_start, "%s has no order; expected = or !=", node->column->name);
        return NULL;
    }
    if (!tbk_filter_read_value(parser, node->column, &node->value)) {
        return NULL;
    }
    if (!equality && node->value.type == TBK_VALUE_NULL) {
        tbk_filter_fail(parser, operator_start, "NULL has no order; expected = or !=");
        return NULL;
    }
    return node;
}

static struct tbk_filter *read_expression(struct tbk_filter_parser *parser);

static struct tbk_filter *read_parentheses(struct tbk_filter_parser *parser)
{
    const char *open = parser->token.start;
    if (parser->depth == TBK_FILTER_DEPTH_MAX) {
        tbk_filter_fail(parser, open, "more than %d levels of parentheses", TBK_FILTER_DEPTH_MAX);
        return NULL;
    }
    parser->depth++;
    tbk_filter_advance(parser);
    struct tbk_filter *inner = read_expression(parser);
    parser->depth--;
    if (inner == NULL) {
        return NULL;
    }
    if (parser->token.kind == TBK_TOKEN_END) {
        tbk_filter_fail(parser, open, "this ( is never closed");
        return NULL;
    }
    if (parser->token.kind != TBK_TOKEN_CLOSE) {
        tbk_filter_expected(parser, "AND, OR or )");
        return NULL;
    }
    tbk_filter_advance(parser);
    return inner;
}

/* NOT NOT cancels out, with absent values too, so NOT needs no recursion. */
static struct tbk_filter *read_operand(struct tbk_filter_parser *parser)
{
    bool negated = false;
    while (tbk_token_is(parser->token, "NOT")) {
        negated = !negated;
        tbk_filter_advance(parser);
    }
    struct tbk_filter *operand =
        parser->token.kind == TBK_TOKEN_OPEN ? read_parentheses(parser) : read_comparison(parser);
    if (operand == NULL || !negated) {
        return operand;
    }
    struct tbk_filter *negation = new_node(parser, TBK_FILTER_NOT);
    if (negation != NULL) {
        negation->first = operand;
    }
    return negation;
}

/* Whether the next token joins another operand to one that joined joins so far;
 * joined is COMPARE when there is one operand only. */
static bool read_join(struct tbk_filter_parser *parser, enum tbk_filter_kind joined,
                      enum tbk_filter_kind *ret_kind, bool *ret_more)
{
    const bool is_and = tbk_token_is(parser->token, "AND");
    *ret_more = is_and || tbk_token_is(parser->token, "OR");
    if (!*ret_more) {
        return true;
    }
    *ret_kind = is_and ? TBK_FILTER_AND : TBK_FILTER_OR;
    if (joined != TBK_FILTER_COMPARE && joined != *ret_kind) {
        return tbk_filter_fail(parser, parser->token.start,
                               "AND and OR are mixed; add parentheses that say which belongs together");
    }
    tbk_filter_advance(parser);
    return true;
}

static struct tbk_filter *read_expression(struct tbk_filter_parser *parser)
{
    struct tbk_filter *result = read_operand(parser);
    struct tbk_filter *last = result;
    enum tbk_filter_kind joined = TBK_FILTER_COMPARE;
    while (result != NULL) {
        enum tbk_filter_kind kind;
        bool more;
        if (!read_join(parser, joined, &kind, &more)) {
            return NULL;
        }
        if (!more) {
            break;
        }
        if (joined == TBK_FILTER_COMPARE) {
            joined = kind;
            result = new_node(parser, kind);
            if (result == NULL) {
                return NULL;
            }
            result->first = last;
        }
        struct tbk_filter *next = read_operand(parser);
        if (next == NULL) {
            return NULL;
        }
        last->next = next;
        last = next;
    }
    return result;
}

static bool read_filter(struct tbk_filter_parser *parser, const struct tbk_filter **ret_filter)
{
    if (parser->token.kind == TBK_TOKEN_END) {
        *ret_filter = NULL;
        return true;
    }
    const struct tbk_filter *filter = read_expression(parser);
    if (filter == NULL) {
        return false;
    }
    if (parser->token.kind != TBK_TOKEN_END) {
        return tbk_filter_expected(parser, "AND, OR or the end of the filter");
    }
    *ret_filter = filter;
    return true;
}

enum tbk_status tbk_filter_parse(const struct tbk_table *table, const char *text, struct tbk_arena *arena,
                                 const struct tbk_filter **ret_filter, struct tbk_error *error)
{
    struct tbk_filter_parser parser = {.table = table, .arena = arena, .error = error, .text = text};
    if (strnlen(text, TBK_FILTER_BYTES_MAX + 1) > TBK_FILTER_BYTES_MAX) {
        const size_t kept = whole_characters(text, TBK_FILTER_BYTES_MAX);
        tbk_filter_fail(&parser, text + kept, "the filter is longer than %d bytes", TBK_FILTER_BYTES_MAX);
        return error->status;
    }
    parser.token = tbk_token_read(text);
    return read_filter(&parser, ret_filter) ? TBK_OK : error->status;
}
