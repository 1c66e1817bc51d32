/* Values of a filter, read as the kind of their column asks. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "base/timestamp.h"
#include "query/filter_parser.h"

/* The text of a token without quotes, with doubled quotes made single; NULL when
 * memory is exhausted. */
static const char *unquote(struct tbk_filter_parser *parser, size_t *ret_length)
{
    const struct tbk_token token = parser->token;
    char *out = tbk_arena_alloc(parser->arena, token.length);
    if (out == NULL) {
        tbk_filter_no_memory(parser);
        return NULL;
    }
    const char quote = token.start[0];
    size_t length = 0;
    for (size_t i = 1; i < token.length - 1; i++) {
        out[length++] = token.start[i];
        if (token.start[i] == quote) {
            i++;
        }
    }
    out[length] = '\0';
    *ret_length = length;
    return out;
}

static bool read_text(struct tbk_filter_parser *parser, struct tbk_value *ret_value)
{
    if (parser->token.kind != TBK_TOKEN_TEXT) {
        return tbk_filter_expected(parser, "text in quotes or NULL");
    }
    size_t length = 0;
    const char *text = unquote(parser, &length);
    if (text == NULL) {
        return false;
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_TEXT, .text = {text, length}};
    return true;
}

static bool read_timestamp(struct tbk_filter_parser *parser, struct tbk_value *ret_value)
{
    static const char expected[] = "a timestamp such as '2026-01-31T12:00:00Z' or NULL";
    if (parser->token.kind != TBK_TOKEN_TEXT) {
        return tbk_filter_expected(parser, expected);
    }
    int64_t us = 0;
    if (!tbk_timestamp_parse(parser->token.start + 1, parser->token.length - 2, &us)) {
        return tbk_filter_expected(parser, expected);
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_TIMESTAMP, .timestamp_us = us};
    return true;
}

/* The token's own characters as a string: numbers end where strtod could read on. */
static const char *number_text(struct tbk_filter_parser *parser)
{
    const char *text = tbk_arena_strndup(parser->arena, parser->token.start, parser->token.length);
    if (text == NULL) {
        tbk_filter_no_memory(parser);
    }
    return text;
}

static bool read_integer(struct tbk_filter_parser *parser, struct tbk_value *ret_value)
{
    static const char expected[] = "a whole number or NULL";
    if (parser->token.kind != TBK_TOKEN_NUMBER) {
        return tbk_filter_expected(parser, expected);
    }
    const char *text = number_text(parser);
    if (text == NULL) {
        return false;
    }
    if (text[strspn(text, "+-0123456789")] != '\0') {
        return tbk_filter_expected(parser, expected);
    }
    errno = 0;
    const long long integer = strtoll(text, NULL, 10);
    if (errno == ERANGE) {
        return tbk_filter_expected(parser, "a number of at most 64 bits");
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_INTEGER, .integer = integer};
    return true;
}

static bool read_real(struct tbk_filter_parser *parser, struct tbk_value *ret_value)
{
    if (parser->token.kind != TBK_TOKEN_NUMBER) {
        return tbk_filter_expected(parser, "a number or NULL");
    }
    const char *text = number_text(parser);
    if (text == NULL) {
        return false;
    }
    const double real = strtod(text, NULL);
    if (!isfinite(real)) {
        return tbk_filter_expected(parser, "a number that a double can hold");
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_REAL, .real = real};
    return true;
}

static bool read_boolean(struct tbk_filter_parser *parser, struct tbk_value *ret_value)
{
    const struct tbk_token token = parser->token;
    const bool digit = token.kind == TBK_TOKEN_NUMBER && token.length == 1;
    const bool is_true = tbk_token_is(token, "true") || (digit && token.start[0] == '1');
    const bool is_false = tbk_token_is(token, "false") || (digit && token.start[0] == '0');
    if (!is_true && !is_false) {
        return tbk_filter_expected(parser, "true, false or NULL");
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_INTEGER, .integer = is_true};
    return true;
}

/* "long, short, hold or NULL" */
static bool expected_enum(struct tbk_filter_parser *parser, const struct tbk_column *column)
{
    struct tbk_dynbuf values;
    tbk_dynbuf_init(&values, TBK_VIOLATION_TEXT_BYTES_MAX);
    for (int number = 1; number < TBK_ENUM_VALUES_MAX; number++) {
        const char *text = tbk_column_enum_text(column, number);
        if (text != NULL) {
            tbk_dynbuf_printf(&values, "%s%s", values.length > 0 ? ", " : "", text);
        }
    }
    tbk_dynbuf_puts(&values, " or NULL");
    tbk_filter_expected(parser, tbk_dynbuf_text(&values));
    tbk_dynbuf_fini(&values);
    return false;
}

/* Names hold no quotes, so nothing needs to be made single. */
static bool read_enum(struct tbk_filter_parser *parser, const struct tbk_column *column,
                      struct tbk_value *ret_value)
{
    const struct tbk_token token = parser->token;
    int number = 0;
    if (token.kind == TBK_TOKEN_NAME) {
        number = tbk_column_enum_number(column, token.start, token.length);
    } else if (token.kind == TBK_TOKEN_TEXT) {
        number = tbk_column_enum_number(column, token.start + 1, token.length - 2);
    }
    if (number == 0) {
        return expected_enum(parser, column);
    }
    *ret_value = (struct tbk_value){.type = TBK_VALUE_INTEGER, .integer = number};
    return true;
}

static bool read_of_kind(struct tbk_filter_parser *parser, const struct tbk_column *column,
                         struct tbk_value *ret_value)
{
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
        return read_integer(parser, ret_value);
    case TBK_COLUMN_REAL:
        return read_real(parser, ret_value);
    case TBK_COLUMN_BOOLEAN:
        return read_boolean(parser, ret_value);
    case TBK_COLUMN_TEXT:
        return read_text(parser, ret_value);
    case TBK_COLUMN_TIMESTAMP:
        return read_timestamp(parser, ret_value);
    case TBK_COLUMN_ENUM:
        return read_enum(parser, column, ret_value);
    }
    return false;
}

bool tbk_filter_read_value(struct tbk_filter_parser *parser, const struct tbk_column *column,
                           struct tbk_value *ret_value)
{
    if (parser->token.kind == TBK_TOKEN_UNCLOSED) {
        return tbk_filter_fail(parser, parser->token.start, "the text that begins here has no closing %c",
                               parser->token.start[0]);
    }
    if (tbk_token_is(parser->token, "NULL")) {
        *ret_value = (struct tbk_value){.type = TBK_VALUE_NULL};
    } else if (!read_of_kind(parser, column, ret_value)) {
        return false;
    }
    tbk_filter_advance(parser);
    return true;
}
