#include "cli/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS = 8 /* of a character */, LABEL_BYTES_MAX = 64, COLUMNS_MIN = 10 };

struct range {
    double lowest;
    double highest;
};

static struct range range_of(const double *values, size_t count)
{
    struct range range = {values[0], values[0]};
    for (size_t i = 1; i < count; i++) {
        range.lowest = fmin(range.lowest, values[i]);
        range.highest = fmax(range.highest, values[i]);
    }
    return range;
}

/* 1 to levels; the middle when all values are the same. */
static size_t level_of(double value, struct range range, size_t levels)
{
    double height = range.highest - range.lowest;
    double share = height > 0 ? (value - range.lowest) / height : 0.5;
    return 1 + (size_t)lround(share * (double)(levels - 1));
}

/* level: 0 is empty, LEVELS is full. */
static void append_block(size_t level, bool utf8, struct tbk_dynbuf *out)
{
    static const char ascii[LEVELS + 1] = {' ', '.', '.', '.', ':', ':', '|', '|', '#'};
    if (level == 0 || !utf8)
        tbk_dynbuf_putc(out, ascii[level]);
    else
        tbk_dynbuf_printf(out, "\xE2\x96%c", (char)(0x80 + (int)level));
}

void tbk_sparkline(const double *values, size_t count, bool utf8, struct tbk_dynbuf *out)
{
    if (count == 0)
        return;
    struct range range = range_of(values, count);
    for (size_t i = 0; i < count; i++)
        append_block(level_of(values[i], range, LEVELS), utf8, out);
}

static void label(char text[LABEL_BYTES_MAX], double value, enum tbk_unit unit)
{
    struct tbk_dynbuf buffer;
    tbk_dynbuf_init(&buffer, LABEL_BYTES_MAX - 1);
    tbk_append_gain(value, unit, &buffer);
    snprintf(text, LABEL_BYTES_MAX, "%s", tbk_dynbuf_text(&buffer));
    tbk_dynbuf_fini(&buffer);
}

/* Ends a line without spaces at its end. */
static void end_line(struct tbk_dynbuf *out)
{
    while (out->length > 0 && out->data[out->length - 1] == ' ')
        out->length--;
    tbk_dynbuf_putc(out, '\n');
}

void tbk_plot(const double *values, size_t count, size_t width_max, size_t height, enum tbk_unit unit, bool utf8,
              struct tbk_dynbuf *out)
{
    char top[LABEL_BYTES_MAX];
    char bottom[LABEL_BYTES_MAX];
    struct range range = range_of(values, count);
    label(top, range.highest, unit);
    label(bottom, range.lowest, unit);
    int label_width = (int)(strlen(top) > strlen(bottom) ? strlen(top) : strlen(bottom));
    size_t room =
        width_max > (size_t)label_width + COLUMNS_MIN + 1 ? width_max - (size_t)label_width - 1 : COLUMNS_MIN;
    size_t columns = count < room ? count : room;

    for (size_t line = height; line-- > 0;) {
        tbk_dynbuf_printf(out, "%*s ", label_width, line + 1 == height ? top : line == 0 ? bottom : "");
        for (size_t column = 0; column < columns; column++) {
            double value = values[(column + 1) * count / columns - 1];
            size_t level = level_of(value, range, height * LEVELS);
            size_t below = line * LEVELS;
            append_block(level <= below ? 0 : level - below < LEVELS ? level - below : LEVELS, utf8, out);
        }
        end_line(out);
    }
}
