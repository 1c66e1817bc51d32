/*
 * tradebook check: whether a database is sound and complete, and how large it is.
 */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/text_table.h"
#include "cli/upkeep.h"

enum { ARENA_FIRST_BYTES = 1 << 16, ARENA_BYTES_MAX = 1 << 22, OPTION_FORMAT = 0x100 };

struct check_args {
    struct tbk_upkeep upkeep;
    bool json;
};

static const struct argp_option options[] = {
    {"format", OPTION_FORMAT, "FORMAT", 0, "table (default) or json", 0},
    {0},
};

static const char doc[] =
    "Check a database, served or not, without changing it: SQLite's integrity check, references between rows, and "
    "that all tables, columns, indexes and triggers are there. Prints its size, the rows of each table and what "
    "was "
    "found."
    "\v"
    "Exit status: 0 nothing found, 1 something found or the check failed, 2 wrong options.";

static const char *const kinds[] = {
    [TBK_FINDING_DAMAGE] = "damage",
    [TBK_FINDING_MISSING] = "missing",
    [TBK_FINDING_DIFFERS] = "differs",
    [TBK_FINDING_ORPHAN] = "orphan",
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct check_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->upkeep;
        return 0;
    case OPTION_FORMAT:
        args->json = strcmp(argument, "json") == 0;
        if (!args->json && strcmp(argument, "table") != 0)
            argp_error(state, "--format: there is no format \"%s\"; there are table and json.", argument);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many.", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- table --- */

static void cell(struct tbk_text_table *table, const char *text)
{
    tbk_text_table_cell(table, text, strlen(text));
}

static bool print_rows(const struct tbk_check_report *report)
{
    static const struct tbk_text_column columns[] = {{"table", false}, {"rows", true}};
    struct tbk_text_table *table =
        tbk_text_table_create(stdout, columns, 2, tbk_terminal_width(stdout), tbk_terminal_styled(stdout));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < report->table_count; i++) {
        char rows[32] = "-";
        if (report->tables[i].rows >= 0)
            snprintf(rows, sizeof rows, "%lld", (long long)report->tables[i].rows);
        cell(table, report->tables[i].name);
        cell(table, rows);
    }
    bool complete = tbk_text_table_flush(table);
    tbk_text_table_destroy(table);
    return complete;
}

static bool print_findings(const struct tbk_check_report *report)
{
    static const struct tbk_text_column columns[] = {{"finding", false}, {"where", false}, {"what", false}};
    struct tbk_text_table *table = tbk_text_table_create(stdout, columns, 3, 0, tbk_terminal_styled(stdout));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct tbk_finding *finding = &report->findings[i];
        cell(table, kinds[finding->kind]);
        cell(table, finding->object);
        cell(table, finding->text);
    }
    bool complete = tbk_text_table_flush(table);
    tbk_text_table_destroy(table);
    return complete;
}

static const char *describe_version(const struct tbk_check_report *report)
{
    if (report->schema_version == 0)
        return " (not served yet; serving adds what tradebook needs)";
    return report->schema_version < report->schema_version_known ? " (the next start brings it up to date)" : "";
}

static bool print_table(const struct tbk_check_report *report)
{
    char size[TBK_BYTES_CHARS_MAX];
    char log[TBK_BYTES_CHARS_MAX];
    char room[TBK_BYTES_CHARS_MAX];
    printf("%s: %s, of which %s free; log %s; schema %d%s\n\n", report->database,
           tbk_bytes_format(report->database_bytes, size), tbk_bytes_format(report->free_bytes, room),
           tbk_bytes_format(report->log_bytes, log), report->schema_version, describe_version(report));
    if (!print_rows(report))
        return false;
    putchar('\n');
    if (report->finding_count == 0) {
        puts("Nothing found.");
        return true;
    }
    return print_findings(report);
}

/* --- JSON --- */

static json_t *tables_of(const struct tbk_check_report *report)
{
    json_t *tables = json_array();
    for (size_t i = 0; i < report->table_count; i++) {
        int64_t rows = report->tables[i].rows;
        json_array_append_new(tables, json_pack("{s:s,s:o}", "name", report->tables[i].name, "rows",
                                                rows >= 0 ? json_integer(rows) : json_null()));
    }
    return tables;
}

static json_t *findings_of(const struct tbk_check_report *report)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct tbk_finding *finding = &report->findings[i];
        json_array_append_new(findings, json_pack("{s:s,s:s,s:s}", "finding", kinds[finding->kind], "where",
                                                  finding->object, "what", finding->text));
    }
    return findings;
}

static bool print_json(const struct tbk_check_report *report)
{
    json_t *document =
        json_pack("{s:s,s:I,s:I,s:I,s:i,s:b,s:o,s:o}", "database", report->database, "database_bytes",
                  (json_int_t)report->database_bytes, "free_bytes", (json_int_t)report->free_bytes, "wal_bytes",
                  (json_int_t)report->log_bytes, "schema_version", (int)report->schema_version, "sound",
                  report->finding_count == 0, "tables", tables_of(report), "findings", findings_of(report));
    bool printed = document != NULL && json_dumpf(document, stdout, JSON_INDENT(2)) == 0;
    putchar('\n');
    json_decref(document);
    return printed;
}

static int print(const struct check_args *args, const struct tbk_check_report *report)
{
    if (args->json ? print_json(report) : print_table(report))
        return report->finding_count == 0 ? TBK_EXIT_OK : TBK_EXIT_FAILURE;
    fputs("tradebook check: memory is exhausted.\n", stderr);
    return TBK_EXIT_FAILURE;
}

int tbk_cli_check(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_upkeep_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, NULL, doc, children, NULL, NULL};
    struct check_args args = {0};
    struct tbk_check_report report = {0};
    struct tbk_error error;
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    tbk_error_init(&error);
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    enum tbk_status status = tbk_upkeep_begin(&args.upkeep, &error);
    if (status == TBK_OK && arena == NULL)
        status = tbk_error_set(&error, TBK_RESOURCE_EXHAUSTED, "Memory is exhausted.");
    if (status == TBK_OK)
        status = args.upkeep.ops->check(&args.upkeep.config, &args.upkeep.observer, arena, &report, &error);
    int exit_status = tbk_upkeep_end(&args.upkeep, "check", status, &error);
    if (exit_status == TBK_EXIT_OK)
        exit_status = print(&args, &report);
    tbk_arena_destroy(arena);
    return exit_status;
}
