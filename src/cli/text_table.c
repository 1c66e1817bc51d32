#include "cli/text_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "cli/cell.h"

enum {
    GAP = 2,               /* spaces between columns */
    SHRUNK_WIDTH_MIN = 20, /* no column of text becomes narrower; a time fits */
};
#define TEXT_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define ELLIPSIS       "\xE2\x80\xA6"

/* Around a cell with a tone; no cell can hold them, as control characters are escaped. */
enum { MARK_TONE_END = 1, MARK_TONE = 2 /* + enum tbk_tone */ };

struct tbk_text_table {
    FILE *out;
    const struct tbk_text_column *columns;
    size_t column_count;
    size_t width_max;
    bool styled;
    bool has_widths;
    size_t *widths;
    struct tbk_dynbuf cells; /* texts, each with a NUL behind it */
    struct tbk_dynbuf line;
};

struct tbk_text_table *tbk_text_table_create(FILE *out, const struct tbk_text_column *columns, size_t column_count,
                                             size_t width_max, bool styled)
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
                                     .styled = styled,
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
    tbk_text_table_toned_cell(table, TBK_TONE_NONE, text, length);
}

void tbk_text_table_toned_cell(struct tbk_text_table *table, enum tbk_tone tone, const char *text, size_t length)
{
    bool marked = table->styled && tone != TBK_TONE_NONE;
    if (marked)
        tbk_dynbuf_putc(&table->cells, (char)(MARK_TONE + (int)tone));
    tbk_cell_escaped_text(text, length, &table->cells);
    if (marked)
        tbk_dynbuf_putc(&table->cells, MARK_TONE_END);
    tbk_dynbuf_putc(&table->cells, '\0');
}

static bool is_mark(char c)
{
    return (unsigned char)c < 0x20;
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80 && !is_mark(c);
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += starts_character(*text);
    return width;
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

/* Bytes of the first count characters of text, with the marks among them. */
static size_t bytes_of(const char *text, size_t count)
{
    size_t bytes = 0;
    for (; text[bytes] != '\0'; bytes++) {
        if (starts_character(text[bytes]) && count-- == 0)
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

/* Writes length bytes of a line, marks as what a terminal understands. Returns
 * whether a tone is still on. */
static bool print_text(FILE *out, const char *text, size_t length)
{
    bool toned = false;
    for (size_t i = 0; i < length; i++) {
        if (!is_mark(text[i])) {
            putc(text[i], out);
            continue;
        }
        toned = text[i] != MARK_TONE_END;
        fputs(toned ? tbk_tone_start((enum tbk_tone)(text[i] - MARK_TONE)) : TBK_TONE_RESET, out);
    }
    return toned;
}

static void print_line(struct tbk_text_table *table, bool bold)
{
    if (bold)
        fputs(tbk_tone_start(TBK_TONE_BOLD), table->out);
    const char *text = tbk_dynbuf_text(&table->line);
    bool cut = table->width_max > 0 && width_of(text) > table->width_max;
    size_t length = cut ? bytes_of(text, table->width_max - 1) : strlen(text);
    bool toned = print_text(table->out, text, length);
    if (cut)
        fputs(ELLIPSIS, table->out);
    if (toned || bold)
        fputs(TBK_TONE_RESET, table->out);
    putc('\n', table->out);
    tbk_dynbuf_clear(&table->line);
}

static void print_header(struct tbk_text_table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        append_cell(table, i, table->columns[i].title);
    print_line(table, table->styled);
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
