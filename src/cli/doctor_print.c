#include "cli/doctor_print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "cli/cell.h"
#include "cli/text_table.h"

enum { CSV_BYTES_MAX = 1024 * 1024 * 1024 };

static const char *const severities[] = {
    [TBK_SEVERITY_WARNING] = "warning",
    [TBK_SEVERITY_ERROR] = "error",
};

/* How many rows of before's finding are repaired by now. */
static int64_t repaired_of(const struct tbk_audit_finding *before, const struct tbk_audit_report *now)
{
    for (size_t i = 0; i < now->finding_count; i++) {
        if (now->findings[i].rule == before->rule)
            return before->count - now->findings[i].count;
    }
    return before->count;
}

/* --- table --- */

static void cell(struct tbk_text_table *table, enum tbk_tone tone, const char *text)
{
    tbk_text_table_toned_cell(table, tone, text, strlen(text));
}

static void number_cell(struct tbk_text_table *table, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    cell(table, TBK_TONE_NONE, text);
}

static bool finish(struct tbk_text_table *table)
{
    bool complete = tbk_text_table_flush(table);
    tbk_text_table_destroy(table);
    return complete;
}

static bool print_summary(const struct tbk_audit_report *report)
{
    static const struct tbk_text_column columns[] = {
        {"severity", false}, {"rule", false}, {"found", true}, {"--fix repairs", true}};
    struct tbk_text_table *table =
        tbk_text_table_create(stdout, columns, 4, tbk_terminal_width(stdout), tbk_terminal_styled(stdout));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct tbk_audit_finding *finding = &report->findings[i];
        bool is_error = finding->rule->severity == TBK_SEVERITY_ERROR;
        cell(table, is_error ? TBK_TONE_LOSS : TBK_TONE_NONE, severities[finding->rule->severity]);
        cell(table, TBK_TONE_NONE, finding->rule->name);
        number_cell(table, finding->count);
        number_cell(table, finding->repairable);
    }
    return finish(table);
}

static bool print_examples(const struct tbk_audit_finding *finding)
{
    static const struct tbk_text_column columns[] = {{"  where", false}, {"key", false}, {"what", false}};
    struct tbk_text_table *table = tbk_text_table_create(stdout, columns, 3, 0, tbk_terminal_styled(stdout));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < finding->example_count; i++) {
        const struct tbk_audit_example *example = &finding->examples[i];
        char where[128];
        snprintf(where, sizeof where, "  %s", example->table);
        cell(table, TBK_TONE_NONE, where);
        cell(table, TBK_TONE_NONE, example->key);
        cell(table, TBK_TONE_NONE, example->detail);
    }
    return finish(table);
}

static bool print_finding(const struct tbk_audit_finding *finding, bool styled)
{
    printf("\n%s%s%s: %" PRId64 "\n  %s\n  --fix: %s\n", styled ? tbk_tone_start(TBK_TONE_BOLD) : "",
           finding->rule->name, styled ? TBK_TONE_RESET : "", finding->count, finding->rule->meaning,
           finding->rule->remedy);
    if (!print_examples(finding))
        return false;
    int64_t rest = finding->count - (int64_t)finding->example_count;
    if (rest > 0)
        printf("  and %" PRId64 " more\n", rest);
    return true;
}

static bool print_repaired(const struct tbk_doctor_result *result)
{
    static const struct tbk_text_column columns[] = {{"repaired", false}, {"rows", true}};
    printf("Backup of before: %s\n\n", result->backup);
    struct tbk_text_table *table =
        tbk_text_table_create(stdout, columns, 2, tbk_terminal_width(stdout), tbk_terminal_styled(stdout));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < result->before->finding_count; i++) {
        int64_t repaired = repaired_of(&result->before->findings[i], result->report);
        if (repaired > 0) {
            cell(table, TBK_TONE_NONE, result->before->findings[i].rule->name);
            number_cell(table, repaired);
        }
    }
    bool complete = finish(table);
    putchar('\n');
    return complete;
}

static bool print_table(const struct tbk_doctor_result *result)
{
    const struct tbk_audit_report *report = result->report;
    printf("%s: schema %d%s, %zu rules in %.1f s\n\n", report->database, (int)report->schema_version,
           report->schema_version == 0 ? " (not served yet)" : "", report->rule_count, result->seconds);
    if (result->before != NULL && !print_repaired(result))
        return false;
    if (report->finding_count == 0) {
        puts("Nothing found.");
        return true;
    }
    bool complete = print_summary(report);
    for (size_t i = 0; complete && i < report->finding_count; i++)
        complete = print_finding(&report->findings[i], tbk_terminal_styled(stdout));
    return complete;
}

/* --- JSON --- */

static json_t *examples_of(const struct tbk_audit_finding *finding)
{
    json_t *examples = json_array();
    for (size_t i = 0; i < finding->example_count; i++) {
        const struct tbk_audit_example *example = &finding->examples[i];
        json_t *key =
            example->key_is_integer ? json_integer(strtoll(example->key, NULL, 10)) : json_string(example->key);
        json_array_append_new(
            examples, json_pack("{s:s,s:o,s:s}", "table", example->table, "key", key, "detail", example->detail));
    }
    return examples;
}

static json_t *findings_of(const struct tbk_audit_report *report)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct tbk_audit_finding *finding = &report->findings[i];
        json_array_append_new(
            findings, json_pack("{s:s,s:s,s:I,s:I,s:s,s:s,s:o}", "rule", finding->rule->name, "severity",
                                severities[finding->rule->severity], "count", (json_int_t)finding->count,
                                "repairable", (json_int_t)finding->repairable, "meaning", finding->rule->meaning,
                                "fix", finding->rule->remedy, "examples", examples_of(finding)));
    }
    return findings;
}

static json_t *repaired_by(const struct tbk_doctor_result *result)
{
    json_t *repaired = json_object();
    for (size_t i = 0; result->before != NULL && i < result->before->finding_count; i++) {
        const struct tbk_audit_finding *finding = &result->before->findings[i];
        int64_t rows = repaired_of(finding, result->report);
        if (rows > 0)
            json_object_set_new(repaired, finding->rule->name, json_integer(rows));
    }
    return repaired;
}

static bool print_json(const struct tbk_doctor_result *result)
{
    const struct tbk_audit_report *report = result->report;
    json_t *document = json_pack("{s:s,s:i,s:i,s:o,s:o}", "database", report->database, "schema_version",
                                 (int)report->schema_version, "rules", (int)report->rule_count, "findings",
                                 findings_of(report), "repaired", repaired_by(result));
    if (document != NULL && result->before != NULL)
        json_object_set_new(document, "backup", json_string(result->backup));
    bool printed = document != NULL && json_dumpf(document, stdout, JSON_INDENT(2)) == 0;
    putchar('\n');
    json_decref(document);
    return printed;
}

/* --- CSV, RFC 4180: a line for each example --- */

static void csv_text(struct tbk_dynbuf *text, const char *value, bool last)
{
    tbk_cell_csv_text(value, strlen(value), text);
    tbk_dynbuf_puts(text, last ? "\r\n" : ",");
}

static void csv_finding(const struct tbk_audit_finding *finding, struct tbk_dynbuf *text)
{
    for (size_t i = 0; i < finding->example_count; i++) {
        const struct tbk_audit_example *example = &finding->examples[i];
        csv_text(text, finding->rule->name, false);
        csv_text(text, severities[finding->rule->severity], false);
        tbk_dynbuf_printf(text, "%" PRId64 ",%" PRId64 ",", finding->count, finding->repairable);
        csv_text(text, example->table, false);
        csv_text(text, example->key, false);
        csv_text(text, example->detail, false);
        csv_text(text, finding->rule->meaning, false);
        csv_text(text, finding->rule->remedy, true);
    }
}

static bool print_csv(const struct tbk_doctor_result *result)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, CSV_BYTES_MAX);
    tbk_dynbuf_puts(&text, "rule,severity,count,repairable,table,key,detail,meaning,fix\r\n");
    for (size_t i = 0; i < result->report->finding_count; i++)
        csv_finding(&result->report->findings[i], &text);
    bool complete = !tbk_dynbuf_failed(&text);
    if (complete)
        fwrite(tbk_dynbuf_text(&text), 1, text.length, stdout);
    tbk_dynbuf_fini(&text);
    return complete;
}

tbk_doctor_printer *tbk_doctor_printer_find(const char *format)
{
    static const struct {
        const char *name;
        tbk_doctor_printer *print;
    } printers[] = {{"table", print_table}, {"json", print_json}, {"csv", print_csv}};
    for (size_t i = 0; i < sizeof printers / sizeof printers[0]; i++) {
        if (strcmp(printers[i].name, format) == 0)
            return printers[i].print;
    }
    return NULL;
}
