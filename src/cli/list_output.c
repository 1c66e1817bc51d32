#include "cli/list_output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "cli/cell.h"
#include "json/json_write.h"

enum { PAGE_TEXT_BYTES_MAX = 1024 * 1024 * 1024 };

void tbk_list_output_init(struct tbk_list_output *output, const struct tbk_list_format *format)
{
    *output = (struct tbk_list_output){.format = format};
    tbk_dynbuf_init(&output->text, PAGE_TEXT_BYTES_MAX);
}

void tbk_list_output_fini(struct tbk_list_output *output)
{
    tbk_text_table_destroy(output->table);
    tbk_dynbuf_fini(&output->text);
}

static enum tbk_status too_large(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "A page is too large to print.");
}

/* Writes and empties the collected text. */
static enum tbk_status print_text(struct tbk_list_output *output, struct tbk_error *error)
{
    if (tbk_dynbuf_failed(&output->text))
        return too_large(error);
    fwrite(tbk_dynbuf_text(&output->text), 1, output->text.length, stdout);
    tbk_dynbuf_clear(&output->text);
    return TBK_OK;
}

/* An enumeration value as on disk. A value this build does not know has no such
 * text and stays a number. */
static void append_enum(const struct tbk_column *column, int64_t number, struct tbk_dynbuf *out)
{
    const char *text = tbk_column_enum_text(column, (int)number);
    if (text != NULL)
        tbk_dynbuf_puts(out, text);
    else if (number == 0)
        tbk_dynbuf_puts(out, "unspecified");
    else
        tbk_dynbuf_printf(out, "%" PRId64, number);
}

/* --- table --- */

static bool is_number(const struct tbk_column *column)
{
    return column->kind == TBK_COLUMN_INTEGER || column->kind == TBK_COLUMN_REAL;
}

static enum tbk_status table_begin(struct tbk_list_output *output, struct tbk_error *error)
{
    for (size_t i = 0; i < output->column_count; i++)
        output->titles[i] =
            (struct tbk_text_column){.title = output->columns[i]->name, .right = is_number(output->columns[i])};
    output->table = tbk_text_table_create(stdout, output->titles, output->column_count, tbk_terminal_width(stdout),
                                          tbk_terminal_styled(stdout));
    return output->table != NULL ? TBK_OK : too_large(error);
}

/* NULL is empty, a time is shown to the second. */
static void append_table_cell(const struct tbk_column *column, struct tbk_value value, struct tbk_dynbuf *out)
{
    switch (value.type) {
    case TBK_VALUE_NULL:
        return;
    case TBK_VALUE_INTEGER:
        if (column->kind == TBK_COLUMN_ENUM)
            append_enum(column, value.integer, out);
        else if (column->kind == TBK_COLUMN_BOOLEAN)
            tbk_dynbuf_puts(out, value.integer ? "true" : "false");
        else
            tbk_dynbuf_printf(out, "%" PRId64, value.integer);
        return;
    case TBK_VALUE_REAL:
        tbk_cell_short_double(value.real, out);
        return;
    case TBK_VALUE_TEXT:
        tbk_dynbuf_append(out, value.text.data, value.text.length);
        return;
    case TBK_VALUE_TIMESTAMP:
        tbk_cell_timestamp(value.timestamp_us, TBK_CELL_SECONDS_CHARS, out);
        return;
    }
}

static enum tbk_status table_rows(struct tbk_list_output *output, ProtobufCMessage *const *rows, size_t count,
                                  struct tbk_error *error)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < output->column_count; c++) {
            const struct tbk_column *column = output->columns[c];
            append_table_cell(column, tbk_column_get(column, rows[i]), &output->text);
            if (tbk_dynbuf_failed(&output->text))
                return too_large(error);
            tbk_text_table_cell(output->table, tbk_dynbuf_text(&output->text), output->text.length);
            tbk_dynbuf_clear(&output->text);
        }
    }
    return tbk_text_table_flush(output->table) ? TBK_OK : too_large(error);
}

static enum tbk_status table_end(struct tbk_list_output *output, struct tbk_error *error)
{
    (void)output;
    (void)error;
    return TBK_OK;
}

/* --- csv, RFC 4180 --- */

/* The value as it is on disk. */
static void append_csv_field(const struct tbk_column *column, struct tbk_value value, struct tbk_dynbuf *out)
{
    switch (value.type) {
    case TBK_VALUE_NULL:
        return;
    case TBK_VALUE_INTEGER:
        if (column->kind == TBK_COLUMN_ENUM)
            append_enum(column, value.integer, out);
        else
            tbk_dynbuf_printf(out, "%" PRId64, value.integer);
        return;
    case TBK_VALUE_REAL:
        tbk_cell_double(value.real, out);
        return;
    case TBK_VALUE_TEXT:
        tbk_cell_csv_text(value.text.data, value.text.length, out);
        return;
    case TBK_VALUE_TIMESTAMP:
        tbk_cell_timestamp(value.timestamp_us, TBK_TIMESTAMP_CHARS, out);
        return;
    }
}

static void append_csv_separator(const struct tbk_list_output *output, size_t column, struct tbk_dynbuf *out)
{
    tbk_dynbuf_puts(out, column + 1 < output->column_count ? "," : "\r\n");
}

static enum tbk_status csv_begin(struct tbk_list_output *output, struct tbk_error *error)
{
    for (size_t c = 0; c < output->column_count; c++) {
        tbk_dynbuf_puts(&output->text, output->columns[c]->name);
        append_csv_separator(output, c, &output->text);
    }
    return print_text(output, error);
}

static enum tbk_status csv_rows(struct tbk_list_output *output, ProtobufCMessage *const *rows, size_t count,
                                struct tbk_error *error)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < output->column_count; c++) {
            const struct tbk_column *column = output->columns[c];
            append_csv_field(column, tbk_column_get(column, rows[i]), &output->text);
            append_csv_separator(output, c, &output->text);
        }
    }
    return print_text(output, error);
}

static enum tbk_status csv_end(struct tbk_list_output *output, struct tbk_error *error)
{
    (void)output;
    (void)error;
    return TBK_OK;
}

/* --- json: an array, one object a line --- */

static enum tbk_status json_begin(struct tbk_list_output *output, struct tbk_error *error)
{
    for (size_t c = 0; c < output->column_count; c++)
        output->fields[c] = output->columns[c]->field;
    tbk_dynbuf_putc(&output->text, '[');
    return print_text(output, error);
}

static enum tbk_status json_rows(struct tbk_list_output *output, ProtobufCMessage *const *rows, size_t count,
                                 struct tbk_error *error)
{
    static const struct tbk_json_style compact = {0};
    for (size_t i = 0; i < count; i++) {
        tbk_dynbuf_puts(&output->text, output->has_rows ? ",\n" : "\n");
        output->has_rows = true;
        enum tbk_status status =
            tbk_json_write_fields(rows[i], output->fields, output->column_count, &compact, &output->text, error);
        if (status != TBK_OK)
            return status;
    }
    return print_text(output, error);
}

static enum tbk_status json_end(struct tbk_list_output *output, struct tbk_error *error)
{
    tbk_dynbuf_puts(&output->text, output->has_rows ? "\n]\n" : "]\n");
    return print_text(output, error);
}

static const struct tbk_list_format formats[] = {
    {"table", false, table_begin, table_rows, table_end},
    {"json", true, json_begin, json_rows, json_end},
    {"csv", true, csv_begin, csv_rows, csv_end},
};

const struct tbk_list_format *tbk_list_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    }
    return NULL;
}
