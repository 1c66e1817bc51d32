/*
 * tradebook list: the records of one table, page by page.
 */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/list_output.h"
#include "cli/pages.h"
#include "cli/suggest.h"
#include "schema/schema.h"

/* What can be listed. The messages are those of the method's response. */
struct resource {
    const char *name;
    const char *method;
    const char *table_columns; /* of the table format: the most telling first, as a terminal may cut the last */
};

static const struct resource resources[] = {
    {"signals", "/tradebook.v1.SignalService/ListSignals",
     "id,timestamp,symbol,direction,tier,confidence,entry_price,result,pnl,tp_price,sl_price,strategy"},
    {"results", "/tradebook.v1.TradeService/ListSignalResults",
     "id,signal_id,outcome,pnl_usd,pnl_percent,exit_reason,entry_timestamp,exit_timestamp,entry_price,exit_price"},
    {"theories", "/tradebook.v1.TheoryService/ListTheoryRecords",
     "id,signal_id,theory_name,contribution_score,was_correct,created_at"},
    {"patterns", "/tradebook.v1.PatternService/ListPatterns", "id,name,wins,total,win_rate,updated_at"},
    {"risk", "/tradebook.v1.RiskService/ListRiskSnapshots",
     "signal_id,pair,tier,mode,entry_time,result,r_realized,rr_expected,entry_price,tp_price,sl_price"},
    {"models", "/tradebook.v1.ModelService/ListModelDeployments",
     "id,version,model_type,is_promoted,is_active,deployed_at,model_path"},
};

enum { RESOURCE_COUNT = sizeof resources / sizeof resources[0] };

struct list_args {
    struct tbk_connection connection;
    const struct resource *resource;
    const char *filter;
    const char *order_by;
    const char *columns;
    const struct tbk_list_format *format;
    int64_t limit; /* INT64_MAX: all */
};

enum { OPTION_FILTER = 0x100, OPTION_ORDER_BY, OPTION_LIMIT, OPTION_FORMAT, OPTION_COLUMNS };

static const struct argp_option options[] = {
    {"filter", OPTION_FILTER, "FILTER", 0, "Which records, such as \"tier = 'high' AND confidence > 0.65\"", 0},
    {"order-by", OPTION_ORDER_BY, "ORDER", 0, "In which order, such as \"timestamp desc\" (default: by key)", 0},
    {"limit", OPTION_LIMIT, "N", 0, "At most N records (default: all)", 0},
    {"format", OPTION_FORMAT, "FORMAT", 0, "table (default), json or csv", 0},
    {"columns", OPTION_COLUMNS, "A,B,C", 0, "Which columns, in this order; * means all", 0},
    {0},
};

static const char doc[] =
    "List records of a server. RESOURCE is signals, results (trades), theories, patterns, risk or models."
    "\v"
    "A filter compares columns with = != < <= > >= and combines comparisons by AND, OR, NOT and parentheses. "
    "Texts and "
    "times are quoted; enumeration values, numbers, true, false and NULL are bare. An order names columns, each "
    "with "
    "asc or desc.\n\n"
    "How values of the database appear:\n"
    "  table  the main columns; NULL is empty, FLOAT to 8 digits, times to the\n"
    "         second in UTC\n"
    "  csv    RFC 4180 with a header, all columns, values as SQL shows them:\n"
    "         NULL is empty (an empty text is \"\"), times in UTC are\n"
    "         YYYY-MM-DD HH:MM:SS.ffffff, booleans 0 and 1, enumerations in\n"
    "         lower case (long, high, win)\n"
    "  json   an array of objects, one a line, all columns, by the proto3 JSON\n"
    "         mapping: names in lowerCamelCase (entry_price is entryPrice),\n"
    "         NULL is left out, INTEGER is a string (\"17\"), FLOAT a number,\n"
    "         times are YYYY-MM-DDTHH:MM:SS[.fff[fff]]Z, booleans (executed,\n"
    "         was_correct, is_promoted, is_active) true and false,\n"
    "         enumerations DIRECTION_LONG for long, TIER_HIGH for high and so\n"
    "         on, metrics_json is a string\n\n"
    "Examples:\n"
    "  tradebook list signals --filter \"tier = 'high' AND confidence > 0.65\" \\\n"
    "      --order-by \"timestamp desc\" --limit 10\n"
    "  tradebook list results --filter \"outcome = open\" --format csv\n"
    "  tradebook list patterns --columns name,total,win_rate --order-by total";

static void find_resource(struct list_args *args, const char *name, const struct argp_state *state)
{
    const char *names[RESOURCE_COUNT];
    for (size_t i = 0; i < RESOURCE_COUNT; i++) {
        names[i] = resources[i].name;
        if (strcmp(name, names[i]) == 0) {
            args->resource = &resources[i];
            return;
        }
    }
    const char *nearest = tbk_name_nearest(name, names, RESOURCE_COUNT);
    if (nearest != NULL)
        argp_error(state, "there is no resource \"%s\". Did you mean \"%s\"?", name, nearest);
    else
        argp_error(state,
                   "there is no resource \"%s\"; there are signals, results, theories, patterns, risk and models.",
                   name);
}

static int64_t parse_limit(const char *text, const struct argp_state *state)
{
    char *end;
    errno = 0;
    long long limit = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || limit < 1)
        argp_error(state, "--limit: \"%s\" is not a whole number above 0.", text);
    return limit;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct list_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case OPTION_FILTER:
        args->filter = argument;
        return 0;
    case OPTION_ORDER_BY:
        args->order_by = argument;
        return 0;
    case OPTION_LIMIT:
        args->limit = parse_limit(argument, state);
        return 0;
    case OPTION_FORMAT:
        args->format = tbk_list_format_find(argument);
        if (args->format == NULL)
            argp_error(state, "--format: \"%s\" is not table, json or csv.", argument);
        return 0;
    case OPTION_COLUMNS:
        args->columns = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        find_resource(args, argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "RESOURCE is missing: signals, results, theories, patterns, risk or models.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct tbk_table *find_table(const struct tbk_schema *schema,
                                          const ProtobufCMessageDescriptor *message)
{
    for (size_t i = 0; i < TBK_TABLE_COUNT; i++) {
        if (schema->tables[i].message == message)
            return &schema->tables[i];
    }
    return NULL;
}

static bool add_columns(struct tbk_list_output *output, const struct tbk_table *table, const char *names)
{
    while (true) {
        size_t length = strcspn(names, ",");
        const struct tbk_column *column = tbk_table_column(table, names, length);
        if (column == NULL) {
            fprintf(stderr, "tradebook list: --columns: %s has no column \"%.*s\"; it has", table->name,
                    (int)length, names);
            for (unsigned i = 0; i < table->column_count; i++)
                fprintf(stderr, "%s %s", i > 0 ? "," : "", table->columns[i].name);
            fputs(".\n", stderr);
            return false;
        }
        for (size_t i = 0; i < output->column_count; i++) {
            if (output->columns[i] == column) {
                fprintf(stderr, "tradebook list: --columns: %s is there twice.\n", column->name);
                return false;
            }
        }
        output->columns[output->column_count++] = column;
        if (names[length] == '\0')
            return true;
        names += length + 1;
    }
}

static bool choose_columns(const struct list_args *args, const struct tbk_table *table,
                           struct tbk_list_output *output)
{
    bool all = args->columns != NULL ? strcmp(args->columns, "*") == 0 : args->format->all_columns;
    if (!all)
        return add_columns(output, table, args->columns != NULL ? args->columns : args->resource->table_columns);
    for (unsigned i = 0; i < table->column_count; i++)
        output->columns[output->column_count++] = &table->columns[i];
    return true;
}

static void set_text(ProtobufCMessage *request, const char *name, const char *text)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    *(const char **)((char *)request + field->offset) = text;
}

/* Prints the rows of one page, at most *left of them. */
static enum tbk_status print_page(struct tbk_list_output *output, const ProtobufCMessage *response, int64_t *left,
                                  struct tbk_error *error)
{
    size_t count;
    ProtobufCMessage *const *rows = tbk_page_rows(response, &count);
    if ((int64_t)count > *left)
        count = (size_t)*left;
    *left -= (int64_t)count;
    return output->format->rows(output, rows, count, error);
}

/* Fetches and prints page after page, as soon as each is there. The output
 * begins with the first page, so that nothing is printed when the server refuses
 * the filter. TBK_OK also when the output cannot be written; main tells of it. */
static enum tbk_status print_pages(struct list_args *args, ProtobufCMessage *request,
                                   struct tbk_list_output *output, struct tradebook_error *call_error,
                                   struct tbk_error *error)
{
    int64_t left = args->limit;
    ProtobufCMessage *response = NULL;
    char *token = NULL;
    enum tbk_status status = TBK_OK;
    bool more = true;
    for (bool first = true; more && status == TBK_OK; first = false) {
        tbk_page_ask(request, left, token);
        ProtobufCMessage *next = NULL;
        if (tradebook_call(args->connection.client, args->resource->method, request, NULL, &next, call_error) !=
            TRADEBOOK_OK)
            break;
        if (first)
            status = output->format->begin(output, error);
        if (status == TBK_OK)
            status = print_page(output, next, &left, error);
        /* The token of the request belongs to the response it came with. */
        tradebook_message_free(response);
        response = next;
        token = tbk_page_token(response);
        more = token != NULL && left > 0 && !ferror(stdout);
    }
    if (status == TBK_OK && !more)
        status = output->format->end(output, error);
    tradebook_message_free(response);
    return status;
}

static int print_list(struct list_args *args, ProtobufCMessage *request, struct tbk_list_output *output)
{
    struct tradebook_error call_error = {.code = TRADEBOOK_OK};
    struct tbk_error error;
    tbk_error_init(&error);
    set_text(request, "filter", args->filter);
    set_text(request, "order_by", args->order_by);
    if (print_pages(args, request, output, &call_error, &error) != TBK_OK) {
        fprintf(stderr, "tradebook list: %s\n", error.message);
        return TBK_EXIT_FAILURE;
    }
    if (call_error.code != TRADEBOOK_OK) {
        fflush(stdout);
        tbk_connection_print_error(&args->connection, &call_error);
        return TBK_EXIT_FAILURE;
    }
    return TBK_EXIT_OK;
}

static int list(struct list_args *args, const struct tbk_schema *schema)
{
    const ProtobufCMethodDescriptor *method = tradebook_method(args->resource->method);
    const struct tbk_table *table = find_table(schema, tbk_page_field(method->output)->descriptor);
    ProtobufCMessage *request = calloc(1, method->input->sizeof_message);
    struct tbk_list_output output;
    tbk_list_output_init(&output, args->format);
    int exit_status = TBK_EXIT_FAILURE;
    if (request == NULL) {
        fputs("tradebook list: memory is exhausted.\n", stderr);
    } else if (!choose_columns(args, table, &output)) {
        exit_status = TBK_EXIT_USAGE;
    } else {
        protobuf_c_message_init(method->input, request);
        exit_status = tbk_connection_open(&args->connection);
        if (exit_status == TBK_EXIT_OK)
            exit_status = print_list(args, request, &output);
        tbk_connection_close(&args->connection);
    }
    tbk_list_output_fini(&output);
    free(request);
    return exit_status;
}

int tbk_cli_list(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, "RESOURCE", doc, children, NULL, NULL};
    struct list_args args = {.format = tbk_list_format_find("table"), .limit = INT64_MAX};
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;

    struct tbk_schema *schema = NULL;
    struct tbk_error error;
    tbk_error_init(&error);
    if (tbk_schema_create(&schema, &error) != TBK_OK) {
        fprintf(stderr, "tradebook list: %s\n", error.message);
        return TBK_EXIT_FAILURE;
    }
    int exit_status = list(&args, schema);
    tbk_schema_destroy(schema);
    return exit_status;
}
