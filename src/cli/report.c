/*
 * tradebook report: figures, rankings and lists for people and programs.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/timestamp.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/pages.h"
#include "cli/report_kinds.h"
#include "cli/report_print.h"
#include "cli/request.h"
#include "cli/suggest.h"
#include "tradebook/v1/analytics.pb-c.h"
#include "tradebook/v1/types.pb-c.h"

enum { ARENA_FIRST_BYTES = 4096, ARENA_BYTES_MAX = 1024 * 1024, REPORTS_MAX = 16, DAYS_MAX = 3650000 };

#define US_PER_DAY (INT64_C(24) * 3600 * 1000000)

enum {
    OPTION_DAYS,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_BY,
    OPTION_STRATEGY,
    OPTION_SYMBOL,
    OPTION_SESSION,
    OPTION_TIER,
    OPTION_DIRECTION,
    OPTION_EXIT_REASON,
    OPTION_MODEL_VERSION,
    OPTION_PERIOD,
    OPTION_RISK_FREE,
    OPTION_POINTS,
    OPTION_A,
    OPTION_B,
    OPTION_SHARE_A,
    OPTION_ORDER,
    OPTION_MIN,
    OPTION_MIN_RATE,
    OPTION_BINS,
    OPTION_TYPE,
    OPTION_LIMIT,
    OPTION_COUNT,
    OPTION_FORMAT = OPTION_COUNT,
};

/* Beyond the characters, which argp takes for short options. */
enum { KEY_FIRST = 0x100 };
#define KEY(option) (KEY_FIRST + (int)(option))

static const struct argp_option options[] = {
    {"days", KEY(OPTION_DAYS), "N", 0,
     "The last N times 24 hours before --until, or before now; \"all\" for no limit (default: 30 for performance, "
     "ab, equity and series, else all)",
     0},
    {"since", KEY(OPTION_SINCE), "TIME", 0, "From this time on, in UTC: 2026-11-22 or \"2026-11-22 08:30:00\"", 0},
    {"until", KEY(OPTION_UNTIL), "TIME", 0, "Before this time", 0},
    {"by", KEY(OPTION_BY), "DIMENSION", 0,
     "performance: also for each strategy, symbol, session, tier, direction, exit_reason or model_version", 0},
    {NULL, 0, NULL, 0,
     "Only some trades, for performance, equity, series and calibration; \"\" means those that have none:", 0},
    {"strategy", KEY(OPTION_STRATEGY), "NAME", 0, "Of this strategy", 0},
    {"symbol", KEY(OPTION_SYMBOL), "NAME", 0, "Of this symbol; also for open", 0},
    {"session", KEY(OPTION_SESSION), "NAME", 0, "Of this session", 0},
    {"tier", KEY(OPTION_TIER), "TIER", 0, "high, medium or low", 0},
    {"direction", KEY(OPTION_DIRECTION), "DIRECTION", 0, "long or short", 0},
    {"exit-reason", KEY(OPTION_EXIT_REASON), "REASON", 0, "Closed for this reason", 0},
    {"model-version", KEY(OPTION_MODEL_VERSION), "VERSION", 0, "Of this model version", 0},
    {NULL, 0, NULL, 0, "Of some reports:", 0},
    {"period", KEY(OPTION_PERIOD), "PERIOD", 0, "series: day (default), week or month", 0},
    {"risk-free", KEY(OPTION_RISK_FREE), "RATE", 0, "performance, series: rate per year, 0.04 is 4 % (default 0)",
     0},
    {"points", KEY(OPTION_POINTS), "N", 0, "equity: at most N points (default 500)", 0},
    {"arm-a", KEY(OPTION_A), "STRATEGY", 0, "ab: arm A; with --arm-b (default: the two with most signals)", 0},
    {"arm-b", KEY(OPTION_B), "STRATEGY", 0, "ab: arm B", 0},
    {"share-a", KEY(OPTION_SHARE_A), "SHARE", 0, "ab: share of the signals that A should get (default 0.5)", 0},
    {"order", KEY(OPTION_ORDER), "ORDER", 0, "theories, patterns: by rate (default) or lower-bound", 0},
    {"min", KEY(OPTION_MIN), "N", 0, "theories, patterns: with at least N observations (default 1, patterns 10)",
     0},
    {"min-rate", KEY(OPTION_MIN_RATE), "RATE", 0, "patterns: with at least this win rate (default 0.65)", 0},
    {"bins", KEY(OPTION_BINS), "N", 0, "calibration: number of bins (default 10)", 0},
    {"type", KEY(OPTION_TYPE), "TYPE", 0, "models: of this type", 0},
    {"limit", KEY(OPTION_LIMIT), "N", 0, "lists and rankings: the first N rows (default: all, signals 10)", 0},
    {NULL, 0, NULL, 0, "For all:", 0},
    {"format", KEY(OPTION_FORMAT), "FORMAT", 0, "table (default), json or csv", 0},
    {0},
};

static const char doc[] =
    "Print a report:\n"
    "  performance  win rate, profit and loss, risk\n"
    "  equity       profit and loss added up over time, and the worst fall\n"
    "  series       the same figures day by day, week by week, month by month\n"
    "  ab           two strategies compared, with a verdict\n"
    "  theories     how often each theory was right\n"
    "  patterns     the patterns that win most\n"
    "  calibration  whether the confidence of the signals can be believed\n"
    "  signals      the newest strong signals\n"
    "  open         open positions\n"
    "  models       models in production"
    "\v"
    "Only closed trades count, by the time of their exit; theories by the time they were recorded. \"-\" stands "
    "for "
    "a figure that is not defined for these data. Intervals, in parentheses, have 95 % confidence.\n\n"
    "Formats:\n"
    "  table  for people; gain green and loss red on a terminal (NO_COLOR)\n"
    "  json   the answer of the server by the proto3 JSON mapping, with the\n"
    "         definition of every figure\n"
    "  csv    one flat table with a header: the rows of the report;\n"
    "         performance: one row, with --by one for each value; ab: one row\n\n"
    "Examples:\n"
    "  tradebook report performance --days 7 --by strategy\n"
    "  tradebook report equity --since 2026-01-01 --symbol BTC-USD\n"
    "  tradebook report ab --arm-a v7_full_math --arm-b v7_deepseek_only\n"
    "  tradebook report patterns --min 20 --order lower-bound --format csv";

/* The reports that take an option have one of its groups. */
struct rule {
    struct tbk_member member;
    unsigned groups;
};

static const struct rule rules[OPTION_COUNT] = {
    [OPTION_DAYS] = {{"--days", TBK_MEMBER_NONE, NULL, NULL}, TBK_REPORT_WINDOW},
    [OPTION_SINCE] = {{"--since", TBK_MEMBER_TIME, "start_time", NULL}, TBK_REPORT_WINDOW},
    [OPTION_UNTIL] = {{"--until", TBK_MEMBER_TIME, "end_time", NULL}, TBK_REPORT_WINDOW},
    [OPTION_BY] = {{"--by", TBK_MEMBER_ENUM, "breakdown", &tradebook__v1__dimension__descriptor}, TBK_REPORT_BY},
    [OPTION_STRATEGY] = {{"--strategy", TBK_MEMBER_NONE, "strategy", NULL}, TBK_REPORT_SLICE},
    [OPTION_SYMBOL] = {{"--symbol", TBK_MEMBER_NONE, "symbol", NULL}, TBK_REPORT_SLICE | TBK_REPORT_SYMBOL},
    [OPTION_SESSION] = {{"--session", TBK_MEMBER_NONE, "session", NULL}, TBK_REPORT_SLICE},
    [OPTION_TIER] = {{"--tier", TBK_MEMBER_NONE, "tier", &tradebook__v1__tier__descriptor}, TBK_REPORT_SLICE},
    [OPTION_DIRECTION] = {{"--direction", TBK_MEMBER_NONE, "direction", &tradebook__v1__direction__descriptor},
                          TBK_REPORT_SLICE},
    [OPTION_EXIT_REASON] = {{"--exit-reason", TBK_MEMBER_NONE, "exit_reason", NULL}, TBK_REPORT_SLICE},
    [OPTION_MODEL_VERSION] = {{"--model-version", TBK_MEMBER_NONE, "model_version", NULL}, TBK_REPORT_SLICE},
    [OPTION_PERIOD] = {{"--period", TBK_MEMBER_ENUM, "period", &tradebook__v1__period__descriptor},
                       TBK_REPORT_PERIOD},
    [OPTION_RISK_FREE] = {{"--risk-free", TBK_MEMBER_NUMBER, "risk_free_rate", NULL}, TBK_REPORT_RISK_FREE},
    [OPTION_POINTS] = {{"--points", TBK_MEMBER_WHOLE, "max_points", NULL}, TBK_REPORT_POINTS},
    [OPTION_A] = {{"--arm-a", TBK_MEMBER_TEXT, "strategy_a", NULL}, TBK_REPORT_ARMS},
    [OPTION_B] = {{"--arm-b", TBK_MEMBER_TEXT, "strategy_b", NULL}, TBK_REPORT_ARMS},
    [OPTION_SHARE_A] = {{"--share-a", TBK_MEMBER_NUMBER, "expected_share_a", NULL}, TBK_REPORT_ARMS},
    [OPTION_ORDER] = {{"--order", TBK_MEMBER_ENUM, "order", &tradebook__v1__rank_order__descriptor},
                      TBK_REPORT_ORDER},
    [OPTION_MIN] = {{"--min", TBK_MEMBER_NONE, NULL, NULL}, TBK_REPORT_MIN},
    [OPTION_MIN_RATE] = {{"--min-rate", TBK_MEMBER_NUMBER, "min_win_rate", NULL}, TBK_REPORT_MIN_RATE},
    [OPTION_BINS] = {{"--bins", TBK_MEMBER_WHOLE, "bins", NULL}, TBK_REPORT_BINS},
    [OPTION_TYPE] = {{"--type", TBK_MEMBER_TEXT, "model_type", NULL}, TBK_REPORT_TYPE},
    [OPTION_LIMIT] = {{"--limit", TBK_MEMBER_NONE, NULL, NULL}, TBK_REPORT_LIMIT},
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

struct report_args {
    struct tbk_connection connection;
    const struct tbk_report *report;
    const char *given[OPTION_COUNT];
    int64_t limit;
    enum format format;
};

static const char *given(const struct report_args *args, int option)
{
    return args->given[option];
}

static void find_report(struct report_args *args, const char *name, const struct argp_state *state)
{
    const char *names[REPORTS_MAX];
    for (size_t i = 0; i < tbk_report_count && i < REPORTS_MAX; i++) {
        names[i] = tbk_reports[i].name;
        if (strcmp(name, names[i]) == 0) {
            args->report = &tbk_reports[i];
            return;
        }
    }
    const char *nearest = tbk_name_nearest(name, names, tbk_report_count);
    if (nearest != NULL)
        argp_error(state, "there is no report \"%s\". Did you mean \"%s\"?", name, nearest);
    else
        argp_error(state, "there is no report \"%s\"; --help names them.", name);
}

static enum format find_format(const char *name, const struct argp_state *state)
{
    static const char *const names[] = {"table", "json", "csv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum format)i;
    }
    argp_error(state, "--format: \"%s\" is not table, json or csv.", name);
    return FORMAT_TABLE;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct report_args *args = state->input;
    if (key >= KEY_FIRST && key < KEY(OPTION_COUNT)) {
        args->given[key - KEY_FIRST] = argument;
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case KEY(OPTION_FORMAT):
        args->format = find_format(argument, state);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        find_report(args, argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "REPORT is missing; --help names them.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- the request --- */

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tradebook report: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

static bool parse_count(const char *option, const char *text, int64_t max, int64_t *ret_count)
{
    char *end;
    errno = 0;
    long long count = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || count < 1 || count > max)
        return wrong("%s: \"%s\" is not a whole number above 0%s.", option, text,
                     max < INT64_MAX ? " and up to 3650000" : "");
    *ret_count = count;
    return true;
}

/* days as asked for, 0 for no limit. */
static bool window_days(const struct report_args *args, int64_t *ret_days)
{
    const char *text = given(args, OPTION_DAYS);
    *ret_days = 0;
    if (text == NULL) {
        if (given(args, OPTION_SINCE) == NULL && given(args, OPTION_UNTIL) == NULL)
            *ret_days = args->report->days;
        return true;
    }
    if (given(args, OPTION_SINCE) != NULL)
        return wrong("--days and --since both say where to begin; give one of them.");
    return strcmp(text, "all") == 0 || parse_count("--days", text, DAYS_MAX, ret_days);
}

/* The limits that --days sets; --since and --until are added like any option. */
static bool add_window(const struct report_args *args, struct tbk_request *request)
{
    int64_t days;
    int64_t end = tbk_now_us();
    const char *until = given(args, OPTION_UNTIL);
    if (!window_days(args, &days))
        return false;
    if (days == 0)
        return true;
    if (until == NULL)
        tbk_request_time(request, "end_time", end);
    else
        tbk_timestamp_parse(until, strlen(until), &end);
    tbk_request_time(request, "start_time",
                     end - TBK_TIMESTAMP_MIN > days * US_PER_DAY ? end - days * US_PER_DAY : TBK_TIMESTAMP_MIN);
    return true;
}

static bool add_member(const struct tbk_member *member, const char *text, struct tbk_request *request)
{
    struct tbk_error error;
    tbk_error_init(&error);
    return tbk_request_add(request, member, text, &error) == TBK_OK || wrong("%s", error.message);
}

static bool add_slice(const struct report_args *args, struct tbk_request *request)
{
    const struct tbk_member *found = NULL;
    const char *value = NULL;
    for (int option = OPTION_STRATEGY; option <= OPTION_MODEL_VERSION; option++) {
        if (given(args, option) == NULL)
            continue;
        if (found != NULL)
            return wrong("%s and %s cannot be given together.", found->option, rules[option].member.option);
        found = &rules[option].member;
        value = given(args, option);
    }
    if (found == NULL)
        return true;
    struct tbk_request slice;
    tbk_request_init(&slice);
    tbk_request_enum(&slice, "dimension", &tradebook__v1__dimension__descriptor, found->name);
    const struct tbk_member member = {
        found->option, found->values != NULL ? TBK_MEMBER_ENUM_TEXT : TBK_MEMBER_TEXT, "value", found->values};
    if (value[0] != '\0' && !add_member(&member, value, &slice)) {
        tbk_request_fini(&slice);
        return false;
    }
    tbk_request_message(request, "slice", &slice);
    return true;
}

/* Adds what was given, and the report's own defaults of what was not. */
static bool add_members(const struct report_args *args, struct tbk_request *request)
{
    const struct tbk_report *report = args->report;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (args->given[i] == NULL)
            continue;
        if ((rules[i].groups & report->options) == 0)
            return wrong("report %s has no option %s.", report->name, rules[i].member.option);
        if (!add_member(&rules[i].member, args->given[i], request))
            return false;
    }
    if ((report->options & TBK_REPORT_PERIOD) != 0 && given(args, OPTION_PERIOD) == NULL)
        tbk_request_enum(request, "period", &tradebook__v1__period__descriptor, "day");
    if ((report->options & TBK_REPORT_MIN_RATE) != 0 && given(args, OPTION_MIN_RATE) == NULL)
        tbk_request_number(request, "min_win_rate", report->min_rate);
    if (report->filter != NULL)
        tbk_request_text(request, "filter", report->filter);
    if (report->order_by != NULL)
        tbk_request_text(request, "order_by", report->order_by);
    return true;
}

static bool add_min(const struct report_args *args, struct tbk_request *request)
{
    const struct tbk_member member = {"--min", TBK_MEMBER_WHOLE, args->report->min_name, NULL};
    const char *text = given(args, OPTION_MIN);
    return add_member(&member, text != NULL ? text : args->report->min, request);
}

static bool fill_request(struct report_args *args, struct tbk_request *request)
{
    unsigned groups = args->report->options;
    args->limit = args->report->limit;
    if (!add_members(args, request))
        return false;
    if ((groups & TBK_REPORT_WINDOW) != 0 && !add_window(args, request))
        return false;
    if ((groups & TBK_REPORT_SLICE) != 0 && !add_slice(args, request))
        return false;
    if ((groups & TBK_REPORT_MIN) != 0 && !add_min(args, request))
        return false;
    if ((groups & TBK_REPORT_SYMBOL) != 0 && given(args, OPTION_SYMBOL) != NULL)
        tbk_request_text(request, "symbol", given(args, OPTION_SYMBOL));
    return given(args, OPTION_LIMIT) == NULL ||
           parse_count("--limit", given(args, OPTION_LIMIT), INT64_MAX, &args->limit);
}

/* --- the answer --- */

static int print_response(const struct report_args *args, const ProtobufCMessage *request,
                          const ProtobufCMessage *response)
{
    struct tbk_report_view view = tbk_report_view_of_stdout(request, response);
    view.dimension = given(args, OPTION_BY);
    struct tbk_error error;
    tbk_error_init(&error);
    enum tbk_status status = args->format == FORMAT_JSON  ? tbk_print_json(response, &error)
                             : args->format == FORMAT_CSV ? tbk_print_csv(args->report, &view, &error)
                                                          : tbk_print_report(args->report, &view, &error);
    if (status == TBK_OK)
        return TBK_EXIT_OK;
    fprintf(stderr, "tradebook report: %s\n", error.message);
    return TBK_EXIT_FAILURE;
}

static int call_and_print(struct report_args *args, ProtobufCMessage *request)
{
    int exit_status = tbk_connection_open(&args->connection);
    if (exit_status != TBK_EXIT_OK)
        return exit_status;
    struct tradebook_error error;
    struct tbk_pages pages;
    if (tbk_pages_fetch(args->connection.client, args->report->method, request, args->limit, &pages, &error) ==
        TRADEBOOK_OK) {
        exit_status = print_response(args, request, pages.response);
        tbk_pages_free(&pages);
    } else {
        tbk_connection_print_error(&args->connection, &error);
        exit_status = TBK_EXIT_FAILURE;
    }
    tbk_connection_close(&args->connection);
    return exit_status;
}

static int report(struct report_args *args, struct tbk_arena *arena)
{
    struct tbk_request request;
    tbk_request_init(&request);
    ProtobufCMessage *message = NULL;
    struct tbk_error error;
    tbk_error_init(&error);
    int exit_status = TBK_EXIT_USAGE;
    if (fill_request(args, &request)) {
        if (tbk_request_read(&request, tradebook_method(args->report->method)->input, arena, &message, &error) ==
            TBK_OK)
            exit_status = call_and_print(args, message);
        else
            fprintf(stderr, "tradebook report: %s\n", error.message);
    }
    tbk_request_fini(&request);
    return exit_status;
}

int tbk_cli_report(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, "REPORT", doc, children, NULL, NULL};
    struct report_args args = {.format = FORMAT_TABLE};
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (arena == NULL) {
        fputs("tradebook report: memory is exhausted.\n", stderr);
        return TBK_EXIT_FAILURE;
    }
    int exit_status = report(&args, arena);
    tbk_arena_destroy(arena);
    return exit_status;
}
