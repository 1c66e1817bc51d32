#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/timestamp.h"

/* Longest ending of a line: closing quote, mark of a cut, brace, newline. */
#define CUT_JSON ",\"cut\":true"
#define CUT_TEXT " [cut]"
enum { ENDING_BYTES_MAX = 1 + sizeof CUT_JSON + 2 };

static struct {
    int fd;
    enum tbk_log_level level;
    enum tbk_log_format format;
} settings = {.fd = STDERR_FILENO, .level = TBK_LOG_INFO, .format = TBK_LOG_TEXT};

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "OFF"};

/* A line being made. Once something did not fit, nothing more is taken. */
struct line {
    size_t length;
    bool cut;
    char data[TBK_LOG_LINE_BYTES_MAX];
};

static void put(struct line *line, const char *text, size_t length)
{
    if (line->cut || line->length + length > sizeof line->data - ENDING_BYTES_MAX) {
        line->cut = true;
        return;
    }
    memcpy(line->data + line->length, text, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* For the ending, whose room put() keeps free. */
static void put_ending(struct line *line, const char *text)
{
    size_t length = strlen(text);
    memcpy(line->data + line->length, text, length);
    line->length += length;
}

/* Characters that could end a line, or show it other than it is. */
static bool is_unsafe(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F) || /* control */
           (code_point >= 0x2028 && code_point <= 0x202E) ||                  /* separators, direction */
           (code_point >= 0x2066 && code_point <= 0x2069);                    /* direction */
}

/* A malformed byte as text shows its value; JSON has no way to say it. */
static void put_malformed(struct line *line, unsigned char byte)
{
    char escape[8];
    snprintf(escape, sizeof escape, settings.format == TBK_LOG_JSON ? "\\ufffd" : "\\x%02x", byte);
    put_text(line, escape);
}

static void put_unsafe(struct line *line, uint32_t code_point)
{
    char escape[8];
    switch (code_point) {
    case '\n':
        put_text(line, "\\n");
        return;
    case '\r':
        put_text(line, "\\r");
        return;
    case '\t':
        put_text(line, "\\t");
        return;
    default:
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(code_point & 0xFFFF));
        put_text(line, escape);
    }
}

/* text without what is_unsafe, and for use inside quotes. */
static void put_escaped(struct line *line, const char *text, bool quoted)
{
    size_t left = strlen(text);
    while (left > 0 && !line->cut) {
        uint32_t code_point;
        size_t step = tbk_utf8_decode(text, left, &code_point);
        if (step == 0) {
            put_malformed(line, (unsigned char)*text);
            step = 1;
        } else if (is_unsafe(code_point)) {
            put_unsafe(line, code_point);
        } else if (quoted && (code_point == '"' || code_point == '\\')) {
            put(line, (const char[]){'\\', *text}, 2);
        } else {
            put(line, text, step);
        }
        text += step;
        left -= step;
    }
}

static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"", 1);
    bool open = !line->cut;
    put_escaped(line, text, true);
    if (open) {
        put_ending(line, "\"");
    }
}

static bool is_syntax(uint32_t code_point)
{
    return code_point == ' ' || code_point == '"' || code_point == '\'' || code_point == '=' || code_point == '\\';
}

/* Whether a value of the text form can stand without quotes. */
static bool is_bare(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t step = tbk_utf8_decode(text + i, length - i, &code_point);
        if (step == 0 || is_unsafe(code_point) || is_syntax(code_point)) {
            return false;
        }
        i += step;
    }
    return length > 0;
}

static void put_double(struct line *line, double value)
{
    char number[TBK_DOUBLE_CHARS_MAX];
    if (isfinite(value)) {
        tbk_double_format(value, number);
        put_text(line, number);
        return;
    }
    const char *name = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    if (settings.format == TBK_LOG_JSON) {
        put_quoted(line, name);
    } else {
        put_text(line, name);
    }
}

static void put_value(struct line *line, const struct tbk_log_field *field)
{
    char number[24];
    switch (field->kind) {
    case TBK_LOG_FIELD_TEXT:
        if (settings.format == TBK_LOG_JSON || !is_bare(field->value.text)) {
            put_quoted(line, field->value.text);
        } else {
            put_escaped(line, field->value.text, false);
        }
        break;
    case TBK_LOG_FIELD_INT:
        snprintf(number, sizeof number, "%lld", (long long)field->value.integer);
        put_text(line, number);
        break;
    case TBK_LOG_FIELD_DOUBLE:
        put_double(line, field->value.real);
        break;
    }
}

/* Either the whole field or, when only its value is too long, as much as fits. */
static void put_field(struct line *line, const struct tbk_log_field *field)
{
    if (field->kind == TBK_LOG_FIELD_TEXT && field->value.text == NULL) {
        return;
    }
    size_t start = line->length;
    put_text(line, settings.format == TBK_LOG_JSON ? ",\"" : " ");
    put_text(line, field->key);
    put_text(line, settings.format == TBK_LOG_JSON ? "\":" : "=");
    size_t value_start = line->length;
    if (!line->cut) {
        put_value(line, field);
    }
    if (line->cut && line->length == value_start) {
        line->length = start;
    }
}

static void put_start(struct line *line, enum tbk_log_level level, const char *message)
{
    char now[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(tbk_now_us(), now);
    now[10] = 'T';
    if (settings.format == TBK_LOG_JSON) {
        put_text(line, "{\"time\":\"");
        put_text(line, now);
        put_text(line, "Z\",\"level\":\"");
        put_text(line, level_names[level]);
        put_text(line, "\",\"message\":");
        put_quoted(line, message);
    } else {
        put_text(line, now);
        put_text(line, "Z ");
        put_text(line, level_names[level]);
        put_text(line, " ");
        put_escaped(line, message, false);
    }
}

void tbk_log_configure(int fd, enum tbk_log_level level, enum tbk_log_format format)
{
    settings.fd = fd;
    settings.level = level;
    settings.format = format;
}

bool tbk_log_enabled(enum tbk_log_level level)
{
    return level >= settings.level && level < TBK_LOG_OFF;
}

void tbk_log_write(enum tbk_log_level level, const char *message, const struct tbk_log_field *fields,
                   int field_count)
{
    if (!tbk_log_enabled(level)) {
        return;
    }
    struct line line;
    line.length = 0;
    line.cut = false;
    put_start(&line, level, message);
    for (int i = 0; i < field_count; i++) {
        put_field(&line, &fields[i]);
    }
    if (line.cut) {
        put_ending(&line, settings.format == TBK_LOG_JSON ? CUT_JSON : CUT_TEXT);
    }
    put_ending(&line, settings.format == TBK_LOG_JSON ? "}\n" : "\n");

    /* A log that cannot be written has nowhere to complain. */
    ssize_t written;
    do {
        written = write(settings.fd, line.data, line.length);
    } while (written < 0 && errno == EINTR);
}
