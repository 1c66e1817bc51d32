#include "query/filter_token.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_name_part(char c)
{
    return is_name_start(c) || is_digit(c) || c == '.';
}

static size_t name_length(const char *text)
{
    size_t length = 1;
    while (is_name_part(text[length])) {
        length++;
    }
    return length;
}

static size_t digits_length(const char *text)
{
    size_t length = 0;
    while (is_digit(text[length])) {
        length++;
    }
    return length;
}

/* [+-] digits [. digits] [e [+-] digits], with digits on one side of the point
 * at least; 0 when text does not begin with that. */
static size_t number_length(const char *text)
{
    const size_t sign = text[0] == '-' || text[0] == '+';
    const size_t whole = digits_length(text + sign);
    size_t length = sign + whole;
    size_t fraction = 0;
    if (text[length] == '.') {
        fraction = digits_length(text + length + 1);
        length += 1 + fraction;
    }
    if (whole + fraction == 0) {
        return 0;
    }
    if (text[length] == 'e' || text[length] == 'E') {
        const size_t exponent_sign = text[length + 1] == '-' || text[length + 1] == '+';
        const size_t exponent = digits_length(text + length + 1 + exponent_sign);
        if (exponent == 0) {
            return 0;
        }
        length += 1 + exponent_sign + exponent;
    }
    return length;
}

static struct tbk_token read_text(const char *text)
{
    const char quote = text[0];
    size_t length = 1;
    for (;;) {
        if (text[length] == '\0') {
            return (struct tbk_token){TBK_TOKEN_UNCLOSED, text, length};
        }
        if (text[length] == quote && text[length + 1] != quote) {
            return (struct tbk_token){TBK_TOKEN_TEXT, text, length + 1};
        }
        length += text[length] == quote ? 2 : 1;
    }
}

/* One whole character, so that a message about it stays valid UTF-8. */
static struct tbk_token read_invalid(const char *text)
{
    size_t length = 1;
    while (((unsigned char)text[length] & 0xC0) == 0x80) {
        length++;
    }
    return (struct tbk_token){TBK_TOKEN_INVALID, text, length};
}

static struct tbk_token read_number(const char *text)
{
    const size_t length = number_length(text);
    if (length == 0 && !is_digit(text[0])) {
        return read_invalid(text);
    }
    if (length == 0 || is_name_part(text[length])) {
        return (struct tbk_token){TBK_TOKEN_INVALID, text, length + name_length(text + length)};
    }
    return (struct tbk_token){TBK_TOKEN_NUMBER, text, length};
}

struct tbk_token tbk_token_read(const char *text)
{
    text += strspn(text, " \t\r\n");
    switch (text[0]) {
    case '\0':
        return (struct tbk_token){TBK_TOKEN_END, text, 0};
    case '(':
        return (struct tbk_token){TBK_TOKEN_OPEN, text, 1};
    case ')':
        return (struct tbk_token){TBK_TOKEN_CLOSE, text, 1};
    case '\'':
    case '"':
        return read_text(text);
    case '=':
        return (struct tbk_token){TBK_TOKEN_OPERATOR, text, 1};
    case '<':
    case '>':
        return (struct tbk_token){TBK_TOKEN_OPERATOR, text, text[1] == '=' ? 2 : 1};
    case '!':
        return text[1] == '=' ? (struct tbk_token){TBK_TOKEN_OPERATOR, text, 2} : read_invalid(text);
    default:
        break;
    }
    if (is_name_start(text[0])) {
        return (struct tbk_token){TBK_TOKEN_NAME, text, name_length(text)};
    }
    return read_number(text);
}

bool tbk_token_is(struct tbk_token token, const char *word)
{
    return token.kind == TBK_TOKEN_NAME && token.length == strlen(word) &&
           strncasecmp(token.start, word, token.length) == 0;
}
