#include "cli/report_print.h"

#include <stdio.h>
#include <string.h>

#include "cli/field_path.h"
#include "cli/flat.h"
#include "cli/text_table.h"
#include "json/json_write.h"

enum { COLUMNS_MAX = 16, TEXT_BYTES_MAX = 1024 * 1024 * 1024, WIDTH_WITHOUT_TERMINAL = 80 };

struct tbk_report_view tbk_report_view_of_stdout(const ProtobufCMessage *request, const ProtobufCMessage *response)
{
    size_t width = tbk_terminal_width(stdout);
    return (struct tbk_report_view){.request = request,
                                    .response = response,
                                    .width = width > 0 ? width : WIDTH_WITHOUT_TERMINAL,
                                    .styled = tbk_terminal_styled(stdout),
                                    .utf8 = tbk_terminal_utf8()};
}

static enum tbk_status too_large(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The answer is too large to print.");
}

/* Prints and frees a text. */
static enum tbk_status print_text(struct tbk_dynbuf *text, struct tbk_error *error)
{
    bool failed = tbk_dynbuf_failed(text);
    if (!failed)
        fwrite(tbk_dynbuf_text(text), 1, text->length, stdout);
    tbk_dynbuf_fini(text);
    return failed ? too_large(error) : TBK_OK;
}

enum tbk_status tbk_print_json(const ProtobufCMessage *response, struct tbk_error *error)
{
    static const struct tbk_json_style style = {.pretty = true};
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
    enum tbk_status status = tbk_json_write(response, &style, &text, error);
    if (status != TBK_OK) {
        tbk_dynbuf_fini(&text);
        return status;
    }
    tbk_dynbuf_putc(&text, '\n');
    return print_text(&text, error);
}

/* --- csv --- */

enum tbk_status tbk_print_csv(const struct tbk_report *report, const struct tbk_report_view *view,
                              struct tbk_error *error)
{
    const char *rows_path = view->dimension != NULL ? report->csv_by : report->csv_rows;
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
    if (rows_path != NULL) {
        size_t count;
        ProtobufCMessage *const *rows = tbk_field_rows(view->response, rows_path, &count);
        const ProtobufCMessageDescriptor *type =
            tbk_field_resolve(view->response->descriptor, rows_path)->descriptor;
        tbk_flat_header(type, &text);
        for (size_t i = 0; i < count; i++)
            tbk_flat_row(type, rows[i], &text);
    } else {
        bool whole = report->csv_one[0] == '\0';
        const ProtobufCMessageDescriptor *type =
            whole ? view->response->descriptor
                  : tbk_field_resolve(view->response->descriptor, report->csv_one)->descriptor;
        tbk_flat_header(type, &text);
        tbk_flat_row(type, whole ? view->response : tbk_field_message(view->response, report->csv_one), &text);
    }
    return print_text(&text, error);
}

/* --- tables --- */

static void add_cell(struct tbk_text_table *table, const struct tbk_figure *figure, enum tbk_unit unit,
                     const ProtobufCMessage *subject, const struct tbk_report_view *view)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
    enum tbk_tone tone = tbk_figure_append(figure, unit, subject, view->utf8, &text);
    tbk_text_table_toned_cell(table, tone, tbk_dynbuf_text(&text), text.length);
    tbk_dynbuf_fini(&text);
}

static struct tbk_text_table *create_table(const struct tbk_text_column *columns, size_t count,
                                           const struct tbk_report_view *view)
{
    return tbk_text_table_create(stdout, columns, count, tbk_terminal_width(stdout), view->styled);
}

static enum tbk_status finish_table(struct tbk_text_table *table, struct tbk_error *error)
{
    bool complete = tbk_text_table_flush(table);
    tbk_text_table_destroy(table);
    return complete ? TBK_OK : too_large(error);
}

/* A row for each element of a repeated field. */
static enum tbk_status print_rows(const struct tbk_report_section *section, const struct tbk_report_view *view,
                                  ProtobufCMessage *const *rows, size_t count, struct tbk_error *error)
{
    struct tbk_text_column columns[COLUMNS_MAX];
    const char *dimension = view->dimension != NULL ? view->dimension : "value";
    for (size_t i = 0; i < section->figure_count; i++) {
        const struct tbk_figure *figure = &section->figures[i];
        columns[i] = (struct tbk_text_column){
            .title = figure->heading != NULL ? figure->heading : dimension,
            .right = tbk_figure_is_right(figure->form),
        };
    }
    struct tbk_text_table *table = create_table(columns, section->figure_count, view);
    if (table == NULL)
        return too_large(error);
    for (size_t r = 0; r < count; r++) {
        for (size_t i = 0; i < section->figure_count; i++)
            add_cell(table, &section->figures[i], TBK_UNIT_NONE, rows[r], view);
    }
    return finish_table(table, error);
}

/* A row for each figure, a column for each subject. */
static enum tbk_status print_down(const struct tbk_report_section *section, const struct tbk_report_view *view,
                                  struct tbk_error *error)
{
    struct tbk_text_column columns[COLUMNS_MAX];
    columns[0] = (struct tbk_text_column){.title = section->title, .right = false};
    for (size_t s = 0; s < section->subject_count; s++)
        columns[s + 1] = (struct tbk_text_column){.title = section->subjects[s].heading, .right = true};
    struct tbk_text_table *table = create_table(columns, section->subject_count + 1, view);
    if (table == NULL)
        return too_large(error);
    for (size_t i = 0; i < section->figure_count; i++) {
        const struct tbk_figure *figure = &section->figures[i];
        tbk_text_table_cell(table, figure->heading, strlen(figure->heading));
        for (size_t s = 0; s < section->subject_count; s++) {
            const struct tbk_report_subject *subject = &section->subjects[s];
            const ProtobufCMessage *message =
                subject->path[0] == '\0' ? view->response : tbk_field_message(view->response, subject->path);
            add_cell(table, figure, subject->unit, message, view);
        }
    }
    return finish_table(table, error);
}

static enum tbk_status print_section(const struct tbk_report_section *section, const struct tbk_report_view *view,
                                     struct tbk_error *error)
{
    if (section->append != NULL) {
        struct tbk_dynbuf text;
        tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
        section->append(view, &text);
        return print_text(&text, error);
    }
    if (section->rows == NULL)
        return print_down(section, view, error);
    size_t count;
    ProtobufCMessage *const *rows = tbk_field_rows(view->response, section->rows, &count);
    if (count > 0)
        return print_rows(section, view, rows, count, error);
    if (section->nothing != NULL)
        puts(section->nothing);
    return TBK_OK;
}

/* Whether it prints nothing at all for this response. */
static bool is_left_out(const struct tbk_report_section *section, const struct tbk_report_view *view)
{
    size_t count = 1;
    if (section->rows != NULL && section->nothing == NULL)
        tbk_field_rows(view->response, section->rows, &count);
    return count == 0;
}

enum tbk_status tbk_print_sections(const struct tbk_report_section *sections, size_t count,
                                   const struct tbk_report_view *view, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    bool first = true;
    for (size_t i = 0; i < count && status == TBK_OK; i++) {
        if (is_left_out(&sections[i], view))
            continue;
        if (!first)
            putchar('\n');
        first = false;
        status = print_section(&sections[i], view, error);
    }
    return status;
}

enum tbk_status tbk_print_report(const struct tbk_report *report, const struct tbk_report_view *view,
                                 struct tbk_error *error)
{
    printf("%s%s%s\n", view->styled ? tbk_tone_start(TBK_TONE_BOLD) : "", report->title,
           view->styled ? TBK_TONE_RESET : "");
    if (report->basis != NULL) {
        struct tbk_dynbuf text;
        tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
        report->basis(view, &text);
        enum tbk_status status = print_text(&text, error);
        if (status != TBK_OK)
            return status;
    }
    putchar('\n');
    return tbk_print_sections(report->sections, report->section_count, view, error);
}
