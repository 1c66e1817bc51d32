#include "base/error.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Takes an incomplete UTF-8 character off the end of a text that was cut. */
static void trim_to_character(char *text, size_t length)
{
    size_t lead = length;
    while (lead > 0 && length - lead < 3 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80) {
        lead--;
    }
    if (lead == 0) {
        return;
    }
    unsigned char c = (unsigned char)text[lead - 1];
    size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (length - (lead - 1) < need) {
        text[lead - 1] = '\0';
    }
}

/* A sentence goes out as a protobuf string, which is UTF-8: what is not, such as a
 * character that a precision in the format cut in two, becomes '?'. */
static void make_utf8(char *text)
{
    const size_t length = strlen(text);
    size_t at = 0;
    while (at < length) {
        uint32_t code_point;
        const size_t step = tbk_utf8_decode(text + at, length - at, &code_point);
        if (step == 0) {
            text[at] = '?';
        }
        at += step > 0 ? step : 1;
    }
}

static void vformat_cut(char *out, size_t out_bytes, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void vformat_cut(char *out, size_t out_bytes, const char *format, va_list arguments)
{
    int length = vsnprintf(out, out_bytes, format, arguments);
    if (length < 0) {
        out[0] = '\0';
    } else if ((size_t)length >= out_bytes) {
        trim_to_character(out, out_bytes - 1);
    }
    make_utf8(out);
}

static void copy_cut(char *out, size_t out_bytes, const char *text)
{
    size_t length = strnlen(text, out_bytes);
    bool cut = length == out_bytes;
    if (cut) {
        length--;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    if (cut) {
        trim_to_character(out, length);
    }
}

void tbk_error_init(struct tbk_error *error)
{
    error->status = TBK_OK;
    error->message[0] = '\0';
    error->violation_count = 0;
    error->detail = NULL;
}

enum tbk_status tbk_error_set(struct tbk_error *error, enum tbk_status status, const char *format, ...)
{
    assert(status != TBK_OK);
    va_list arguments;
    va_start(arguments, format);
    vformat_cut(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}

void tbk_error_violation(struct tbk_error *error, const char *field, const char *format, ...)
{
    error->status = TBK_INVALID_ARGUMENT;
    size_t index = error->violation_count++;
    if (index >= TBK_VIOLATIONS_MAX) {
        return;
    }
    struct tbk_violation *violation = &error->violations[index];
    copy_cut(violation->field, sizeof violation->field, field);
    va_list arguments;
    va_start(arguments, format);
    vformat_cut(violation->description, sizeof violation->description, format, arguments);
    va_end(arguments);
}

enum tbk_status tbk_error_finish(struct tbk_error *error)
{
    if (error->message[0] != '\0' || error->violation_count == 0) {
        return error->status;
    }
    const struct tbk_violation *first = &error->violations[0];
    const char *colon = first->field[0] != '\0' ? ": " : "";
    size_t more = error->violation_count - 1;
    if (more == 0) {
        return tbk_error_set(error, error->status, "%s%s%s", first->field, colon, first->description);
    }
    return tbk_error_set(error, error->status, "%s%s%s (and %zu more)", first->field, colon, first->description,
                         more);
}

size_t tbk_error_violations_kept(const struct tbk_error *error)
{
    return error->violation_count < TBK_VIOLATIONS_MAX ? error->violation_count : TBK_VIOLATIONS_MAX;
}

void tbk_error_copy(struct tbk_error *to, const struct tbk_error *from)
{
    to->status = from->status;
    memcpy(to->message, from->message, strlen(from->message) + 1);
    to->violation_count = from->violation_count;
    memcpy(to->violations, from->violations, tbk_error_violations_kept(from) * sizeof from->violations[0]);
    to->detail = NULL;
}
