#include "cli/cell.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"

void tbk_cell_double(double value, struct tbk_dynbuf *out)
{
    char text[TBK_DOUBLE_CHARS_MAX];
    if (isfinite(value))
        tbk_dynbuf_append(out, text, tbk_double_format(value, text));
    else
        tbk_dynbuf_puts(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

void tbk_cell_short_double(double value, struct tbk_dynbuf *out)
{
    if (fabs(value) < 1e8)
        tbk_dynbuf_printf(out, "%.8g", value);
    else
        tbk_cell_double(value, out);
}

void tbk_cell_timestamp(int64_t us, size_t chars, struct tbk_dynbuf *out)
{
    char text[TBK_TIMESTAMP_CHARS + 1];
    tbk_timestamp_format(us, text);
    tbk_dynbuf_append(out, text, chars);
}

void tbk_cell_csv_text(const char *text, size_t length, struct tbk_dynbuf *out)
{
    if (length > 0 && strpbrk(text, "\",\r\n") == NULL) {
        tbk_dynbuf_append(out, text, length);
        return;
    }
    tbk_dynbuf_putc(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            tbk_dynbuf_putc(out, '"');
        tbk_dynbuf_putc(out, text[i]);
    }
    tbk_dynbuf_putc(out, '"');
}

void tbk_cell_escaped_text(const char *text, size_t length, struct tbk_dynbuf *out)
{
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t step = tbk_utf8_decode(text + i, length - i, &code_point);
        if (step == 0) {
            code_point = (unsigned char)text[i];
            step = 1;
        }
        if (code_point == '\n')
            tbk_dynbuf_puts(out, "\\n");
        else if (code_point == '\t')
            tbk_dynbuf_puts(out, "\\t");
        else if (code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F) ||
                 (step == 1 && code_point >= 0x80))
            tbk_dynbuf_printf(out, "\\x%02X", (unsigned)code_point);
        else
            tbk_dynbuf_append(out, text + i, step);
        i += step;
    }
}

const char *tbk_cell_escape(const char *text, struct tbk_dynbuf *out)
{
    tbk_dynbuf_clear(out);
    tbk_cell_escaped_text(text, strlen(text), out);
    return tbk_dynbuf_text(out);
}
