/*
 * tradebook open and tradebook close: one trade, and its stored result.
 */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/report_print.h"
#include "cli/request.h"
#include "tradebook/v1/types.pb-c.h"

enum { ARENA_FIRST_BYTES = 4096, ARENA_BYTES_MAX = 1024 * 1024, PATTERNS_MAX = 64 };

enum {
    OPTION_PRICE,
    OPTION_QUANTITY,
    OPTION_FEES,
    OPTION_TIME,
    OPTION_MODE,
    OPTION_REASON,
    OPTION_SLIPPAGE,
    OPTION_SPREAD,
    OPTION_LATENCY,
    MEMBER_COUNT, /* of the options that are one member of the request */
    OPTION_PATTERN = MEMBER_COUNT,
    OPTION_NO_GRADE,
    OPTION_FORMAT,
};

/* Beyond the characters, which argp takes for short options. */
enum { KEY_FIRST = 0x100 };
#define KEY(option) (KEY_FIRST + (int)(option))

static const struct tbk_member signal_member = {"SIGNAL_ID", TBK_MEMBER_WHOLE, "signal_id", NULL};

static const struct tbk_member open_members[MEMBER_COUNT] = {
    [OPTION_PRICE] = {"--price", TBK_MEMBER_NUMBER, "entry_price", NULL},
    [OPTION_QUANTITY] = {"--quantity", TBK_MEMBER_NUMBER, "quantity", NULL},
    [OPTION_FEES] = {"--fees", TBK_MEMBER_NUMBER, "fees_usd", NULL},
    [OPTION_TIME] = {"--time", TBK_MEMBER_TIME, "entry_time", NULL},
    [OPTION_MODE] = {"--mode", TBK_MEMBER_ENUM, "mode", &tradebook__v1__mode__descriptor},
};

static const struct tbk_member close_members[MEMBER_COUNT] = {
    [OPTION_PRICE] = {"--price", TBK_MEMBER_NUMBER, "exit_price", NULL},
    [OPTION_FEES] = {"--fees", TBK_MEMBER_NUMBER, "fees_usd", NULL},
    [OPTION_TIME] = {"--time", TBK_MEMBER_TIME, "exit_time", NULL},
    [OPTION_REASON] = {"--reason", TBK_MEMBER_TEXT, "exit_reason", NULL},
    [OPTION_SLIPPAGE] = {"--slippage-bps", TBK_MEMBER_NUMBER, "slippage_bps", NULL},
    [OPTION_SPREAD] = {"--spread-bps", TBK_MEMBER_NUMBER, "spread_bps", NULL},
    [OPTION_LATENCY] = {"--latency-ms", TBK_MEMBER_NUMBER, "latency_ms", NULL},
};

/* What differs between opening and closing. */
struct verb {
    const char *full_name;
    const char *method;
    const struct tbk_member *members;
};

static const struct verb open_verb = {"tradebook open", "/tradebook.v1.TradeService/OpenTrade", open_members};
static const struct verb close_verb = {"tradebook close", "/tradebook.v1.TradeService/CloseTrade", close_members};

struct trade_args {
    struct tbk_connection connection;
    const struct verb *verb;
    const char *signal_id;
    const char *given[MEMBER_COUNT];
    const char *patterns[PATTERNS_MAX];
    size_t pattern_count;
    bool no_grade;
    bool json;
};

#define FORMAT_OPTION                                                                                             \
    {                                                                                                             \
        "format", KEY(OPTION_FORMAT), "FORMAT", 0, "table (default) or json", 0                                   \
    }
#define FEES_DOC "Fees in USD, not negative (default 0)"

static const struct argp_option open_options[] = {
    {"price", KEY(OPTION_PRICE), "PRICE", 0, "Price paid (default: the signal's entry price)", 0},
    {"quantity", KEY(OPTION_QUANTITY), "QUANTITY", 0, "Units of the base currency (default 1)", 0},
    {"fees", KEY(OPTION_FEES), "USD", 0, FEES_DOC, 0},
    {"time", KEY(OPTION_TIME), "TIME", 0, "When, in UTC: \"2026-11-22 08:30:00\" (default: now)", 0},
    {"mode", KEY(OPTION_MODE), "MODE", 0, "dryrun (default) or live", 0},
    FORMAT_OPTION,
    {0},
};

static const struct argp_option close_options[] = {
    {"price", KEY(OPTION_PRICE), "PRICE", 0, "Price received; mandatory", 0},
    {"reason", KEY(OPTION_REASON), "REASON", 0, "Why: tp_hit, sl_hit, manual, timeout or another word; mandatory",
     0},
    {"fees", KEY(OPTION_FEES), "USD", 0, FEES_DOC, 0},
    {"time", KEY(OPTION_TIME), "TIME", 0, "When, in UTC, not before the entry (default: now)", 0},
    {"slippage-bps", KEY(OPTION_SLIPPAGE), "BPS", 0, "Measured slippage in basis points", 0},
    {"spread-bps", KEY(OPTION_SPREAD), "BPS", 0, "Bid-ask spread in basis points", 0},
    {"latency-ms", KEY(OPTION_LATENCY), "MS", 0, "Order latency in milliseconds", 0},
    {"pattern", KEY(OPTION_PATTERN), "HASH", 0, "A pattern whose record this trade counts in; may be given again",
     0},
    {"no-grade", KEY(OPTION_NO_GRADE), NULL, 0, "Leave the signal's theories ungraded", 0},
    FORMAT_OPTION,
    {0},
};

static const char open_doc[] =
    "Open the trade of a signal and print it as stored. The signal is a long or a short and has no trade yet."
    "\v"
    "The call is sent again after a lost connection; the trade is opened once all the same.\n\n"
    "Example:\n"
    "  tradebook open 17 --price 64000 --quantity 0.25 --fees 1.6";

static const char close_doc[] =
    "Close the trade of a signal and print its result, which the server computes: profit and loss net of fees, "
    "and "
    "the outcome. It completes the signal and its risk snapshot, grades its theories, counts the patterns and "
    "tells "
    "subscribers."
    "\v"
    "The call is sent again after a lost connection; the trade is closed once all the same.\n\n"
    "Example:\n"
    "  tradebook close 17 --price 65250 --reason tp_hit --fees 1.6";

static const struct tbk_figure result_figures[] = {
    {"outcome", "outcome", TBK_FIGURE_ENUM, 0},
    {"profit or loss in USD", "pnl_usd", TBK_FIGURE_GAIN, TBK_UNIT_USD},
    {"in percent", "pnl_percent", TBK_FIGURE_GAIN, TBK_UNIT_PERCENT},
    {"entry", "entry_price", TBK_FIGURE_PRICE, 0},
    {"opened (UTC)", "entry_timestamp", TBK_FIGURE_TIME, 0},
    {"exit", "exit_price", TBK_FIGURE_PRICE, 0},
    {"closed (UTC)", "exit_timestamp", TBK_FIGURE_TIME, 0},
    {"reason", "exit_reason", TBK_FIGURE_TEXT, 0},
    {"held", "hold_duration_minutes", TBK_FIGURE_MINUTES, 0},
    {"result id", "id", TBK_FIGURE_ID, 0},
};
static const struct tbk_report_subject result_subject[] = {{"value", "", TBK_UNIT_NONE}};

static void add_pattern(struct trade_args *args, const char *hash, const struct argp_state *state)
{
    if (args->pattern_count == PATTERNS_MAX)
        argp_error(state, "--pattern: more than %d patterns.", PATTERNS_MAX);
    args->patterns[args->pattern_count++] = hash;
}

static void set_format(struct trade_args *args, const char *name, const struct argp_state *state)
{
    args->json = strcmp(name, "json") == 0;
    if (!args->json && strcmp(name, "table") != 0)
        argp_error(state, "--format: \"%s\" is not table or json.", name);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct trade_args *args = state->input;
    if (key >= KEY_FIRST && key < KEY(MEMBER_COUNT)) {
        args->given[key - KEY_FIRST] = argument;
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case KEY(OPTION_PATTERN):
        add_pattern(args, argument, state);
        return 0;
    case KEY(OPTION_NO_GRADE):
        args->no_grade = true;
        return 0;
    case KEY(OPTION_FORMAT):
        set_format(args, argument, state);
        return 0;
    case ARGP_KEY_ARG:
        if (args->signal_id != NULL)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        args->signal_id = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "SIGNAL_ID is missing.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int print_result(const struct trade_args *args, const ProtobufCMessage *result)
{
    static const struct tbk_report_section section = {.title = "Trade",
                                                      .down = true,
                                                      .subjects = result_subject,
                                                      .subject_count = 1,
                                                      .figures = result_figures,
                                                      .figure_count =
                                                          sizeof result_figures / sizeof result_figures[0]};
    struct tbk_error error;
    tbk_error_init(&error);
    struct tbk_report_view view = tbk_report_view_of_stdout(NULL, result);
    enum tbk_status status =
        args->json ? tbk_print_json(result, &error) : tbk_print_sections(&section, 1, &view, &error);
    if (status == TBK_OK)
        return TBK_EXIT_OK;
    fprintf(stderr, "%s: %s\n", args->verb->full_name, error.message);
    return TBK_EXIT_FAILURE;
}

static int send_request(struct trade_args *args, const ProtobufCMessage *request)
{
    int exit_status = tbk_connection_open(&args->connection);
    if (exit_status != TBK_EXIT_OK)
        return exit_status;
    struct tradebook_error error;
    ProtobufCMessage *result = NULL;
    if (tradebook_call(args->connection.client, args->verb->method, request, NULL, &result, &error) ==
        TRADEBOOK_OK) {
        exit_status = print_result(args, result);
        tradebook_message_free(result);
    } else {
        tbk_connection_print_error(&args->connection, &error);
        exit_status = TBK_EXIT_FAILURE;
    }
    tbk_connection_close(&args->connection);
    return exit_status;
}

static enum tbk_status fill_request(const struct trade_args *args, struct tbk_request *request,
                                    struct tbk_error *error)
{
    enum tbk_status status = tbk_request_add(request, &signal_member, args->signal_id, error);
    for (size_t i = 0; i < MEMBER_COUNT && status == TBK_OK; i++) {
        if (args->given[i] != NULL)
            status = tbk_request_add(request, &args->verb->members[i], args->given[i], error);
    }
    if (args->pattern_count > 0)
        tbk_request_texts(request, "pattern_hashes", args->patterns, args->pattern_count);
    if (args->no_grade)
        tbk_request_bool(request, "grade_theories", false);
    return status;
}

static int fill_and_send(struct trade_args *args, struct tbk_arena *arena)
{
    struct tbk_error error;
    tbk_error_init(&error);
    struct tbk_request request;
    tbk_request_init(&request);
    ProtobufCMessage *message = NULL;
    enum tbk_status status = fill_request(args, &request, &error);
    if (status == TBK_OK)
        status = tbk_request_read(&request, tradebook_method(args->verb->method)->input, arena, &message, &error);
    tbk_request_fini(&request);
    if (status == TBK_OK)
        return send_request(args, message);
    fprintf(stderr, "%s: %s\n", args->verb->full_name, error.message);
    return TBK_EXIT_USAGE;
}

static int trade(const struct verb *verb, const struct argp_option *options, const char *doc, int argc,
                 char **argv)
{
    const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {options, parse_option, "SIGNAL_ID", doc, children, NULL, NULL};
    struct trade_args args = {.verb = verb};
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (arena == NULL) {
        fprintf(stderr, "%s: memory is exhausted.\n", verb->full_name);
        return TBK_EXIT_FAILURE;
    }
    int exit_status = fill_and_send(&args, arena);
    tbk_arena_destroy(arena);
    return exit_status;
}

int tbk_cli_open(int argc, char **argv)
{
    return trade(&open_verb, open_options, open_doc, argc, argv);
}

int tbk_cli_close(int argc, char **argv)
{
    return trade(&close_verb, close_options, close_doc, argc, argv);
}
