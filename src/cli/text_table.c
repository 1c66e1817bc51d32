#include "cli/text_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "base/text.h"

enum {
    GAP = 2,               /* spaces between columns */
    SHRUNK_WIDTH_MIN = 20, /* no column of text becomes narrower; a time fits */
    TERMINAL_WIDTH_DEFAULT = 80,
};
#define TEXT_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define ELLIPSIS       "\xE2\x80\xA6"

struct tbk_text_table {
    FILE *out;
    const struct tbk_text_column *columns;
    size_t column_count;
    size_t width_max;
    bool bold_header;
    bool has_widths;
    size_t *widths;
    struct tbk_dynbuf cells; /* texts, each with a NUL behind it */
    struct tbk_dynbuf line;
};

struct tbk_text_table *tbk_text_table_create(FILE *out, const struct tbk_text_column *columns, size_t column_count,
                                             size_t width_max, bool bold_header)
{
    struct tbk_text_table *table = calloc(1, sizeof *table);
    size_t *widths = calloc(column_count, sizeof *widths);
    if (table == NULL || widths == NULL) {
        free(table);
        free(widths);
        return NULL;
    }
    *table = (struct tbk_text_table){.out = out,
                                     .columns = columns,
                                     .column_count = column_count,
                                     .width_max = width_max,
                                     .bold_header = bold_header,
                                     .widths = widths};
    tbk_dynbuf_init(&table->cells, TEXT_BYTES_MAX);
    tbk_dynbuf_init(&table->line, TEXT_BYTES_MAX);
    return table;
}

void tbk_text_table_destroy(struct tbk_text_table *table)
{
    if (table == NULL)
        return;
    tbk_dynbuf_fini(&table->cells);
    tbk_dynbuf_fini(&table->line);
    free(table->widths);
    free(table);
}

void tbk_text_table_cell(struct tbk_text_table *table, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t step = tbk_utf8_decode(text + i, length - i, &code_point);
        if (step == 0) {
            code_point = (unsigned char)text[i];
            step = 1;
        }
        if (code_point == '\n')
            tbk_dynbuf_puts(&table->cells, "\\n");
        else if (code_point == '\t')
            tbk_dynbuf_puts(&table->cells, "\\t");
        else if (code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F) ||
                 (step == 1 && code_point >= 0x80))
            tbk_dynbuf_printf(&table->cells, "\\x%02X", (unsigned)code_point);
        else
            tbk_dynbuf_append(&table->cells, text + i, step);
        i += step;
    }
    tbk_dynbuf_putc(&table->cells, '\0');
}

static size_t width_of(const char *text)
{
    return tbk_utf8_count(text, strlen(text));
}

/* Takes one character at a time from the widest column of text until the row
 * fits or nothing is left to take; the end of each line is then cut off. */
static void shrink_widths(struct tbk_text_table *table)
{
    size_t total = GAP * (table->column_count - 1);
    for (size_t i = 0; i < table->column_count; i++)
        total += table->widths[i];
    for (; total > table->width_max; total--) {
        size_t *widest = NULL;
        for (size_t i = 0; i < table->column_count; i++) {
            if (!table->columns[i].right && table->widths[i] > SHRUNK_WIDTH_MIN &&
                (widest == NULL || table->widths[i] > *widest))
                widest = &table->widths[i];
        }
        if (widest == NULL)
            return;
        --*widest;
    }
}

static void set_widths(struct tbk_text_table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        table->widths[i] = width_of(table->columns[i].title);
    const char *cells = tbk_dynbuf_text(&table->cells);
    const char *end = cells + table->cells.length;
    size_t column = 0;
    for (const char *cell = cells; cell != end; cell += strlen(cell) + 1) {
        size_t width = width_of(cell);
        if (width > table->widths[column])
            table->widths[column] = width;
        if (++column == table->column_count)
            column = 0;
    }
    if (table->width_max > 0)
        shrink_widths(table);
    table->has_widths = true;
}

/* Bytes of the first count characters of text. */
static size_t bytes_of(const char *text, size_t count)
{
    size_t bytes = 0;
    for (; text[bytes] != '\0'; bytes++) {
        if (((unsigned char)text[bytes] & 0xC0) != 0x80 && count-- == 0)
            break;
    }
    return bytes;
}

static void append_cut(struct tbk_dynbuf *out, const char *text, size_t width_max)
{
    if (width_of(text) <= width_max) {
        tbk_dynbuf_puts(out, text);
        return;
    }
    tbk_dynbuf_append(out, text, bytes_of(text, width_max - 1));
    tbk_dynbuf_puts(out, ELLIPSIS);
}

static void append_spaces(struct tbk_dynbuf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tbk_dynbuf_putc(out, ' ');
}

static void append_cell(struct tbk_text_table *table, size_t column, const char *text)
{
    size_t width = table->widths[column];
    size_t needed = width_of(text);
    size_t padding = needed < width ? width - needed : 0;
    bool last = column + 1 == table->column_count;
    if (table->columns[column].right)
        append_spaces(&table->line, padding);
    if (table->width_max > 0 && !table->columns[column].right)
        append_cut(&table->line, text, width);
    else
        tbk_dynbuf_puts(&table->line, text);
    if (!last)
        append_spaces(&table->line, GAP + (table->columns[column].right ? 0 : padding));
}

static void print_line(struct tbk_text_table *table, bool bold)
{
    if (bold)
        fputs("\033[1m", table->out);
    const char *text = tbk_dynbuf_text(&table->line);
    if (table->width_max > 0 && width_of(text) > table->width_max) {
        fwrite(text, 1, bytes_of(text, table->width_max - 1), table->out);
        fputs(ELLIPSIS, table->out);
    } else {
        fputs(text, table->out);
    }
    fputs(bold ? "\033[0m\n" : "\n", table->out);
    tbk_dynbuf_clear(&table->line);
}

static void print_header(struct tbk_text_table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        append_cell(table, i, table->columns[i].title);
    print_line(table, table->bold_header);
}

bool tbk_text_table_flush(struct tbk_text_table *table)
{
    bool complete = !tbk_dynbuf_failed(&table->cells);
    if (complete && !table->has_widths) {
        set_widths(table);
        print_header(table);
    }
    const char *cell = tbk_dynbuf_text(&table->cells);
    const char *end = cell + table->cells.length;
    while (complete && cell != end) {
        for (size_t i = 0; i < table->column_count; i++) {
            append_cell(table, i, cell);
            cell += strlen(cell) + 1;
        }
        complete = !tbk_dynbuf_failed(&table->line);
        if (complete)
            print_line(table, false);
    }
    tbk_dynbuf_clear(&table->cells);
    return complete;
}

size_t tbk_terminal_width(FILE *out)
{
    struct winsize size;
    if (!isatty(fileno(out)))
        return 0;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return TERMINAL_WIDTH_DEFAULT;
    return size.ws_col;
}

bool tbk_terminal_bold(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return isatty(fileno(out)) && term != NULL && strcmp(term, "dumb") != 0;
}
