/*
 * tradebook call: one call of one method, JSON in and JSON out.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/dynbuf.h"
#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/suggest.h"
#include "json/json_read.h"
#include "json/json_write.h"

enum {
    JSON_BYTES_MAX = 256 * 1024 * 1024,
    ARENA_FIRST_BYTES = 64 * 1024,
    ARENA_BYTES_MAX = 512 * 1024 * 1024,
    SUGGESTIONS_MAX = 3,
};

enum { OPTION_REQUEST_ID = 0x100, OPTION_COMPACT };

struct call_args {
    struct tbk_connection connection;
    const char *method;
    const char *json;
    bool has_request_id;
    uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES];
    bool compact;
};

static const struct argp_option options[] = {
    {"request-id", OPTION_REQUEST_ID, "HEX", 0,
     "Identity of the request, 32 hexadecimal digits: calling again with the same one asks for the first answer "
     "again "
     "(default: a new one)",
     0},
    {"compact", OPTION_COMPACT, NULL, 0, "Print the answer on one line", 0},
    {0},
};

static const char arguments_doc[] = "[METHOD [JSON|-]]";

static const char doc[] =
    "Call one method of a server. JSON is the request, - reads it from the standard input; without it the request "
    "is "
    "empty. The answer goes to the standard output. Without METHOD, print the names of all methods."
    "\v"
    "METHOD is SERVICE/METHOD, such as SignalService/GetSignal; the package may stand before it. JSON follows the "
    "proto3 JSON mapping: fields in lowerCamelCase or as in the .proto files, 64-bit integers as strings or "
    "numbers, "
    "times as \"2024-05-01T12:00:00Z\", enumeration values by name, bytes in base64.\n\n"
    "Exit status: 0 when the call succeeded; 1 when it failed, with \"CODE: message\" and one line for each wrong "
    "field "
    "on the standard error; 2 when the arguments or the JSON are wrong and nothing was sent.\n\n"
    "Examples:\n"
    "  tradebook call AdminService/GetServerInfo\n"
    "  tradebook call SignalService/GetSignal '{\"id\": 17}'\n"
    "  tradebook call SignalService/BatchCreateSignals - <signals.json";

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* 32 digits; dashes, as in a UUID, are skipped. */
static bool parse_request_id(const char *text, uint8_t out[TRADEBOOK_REQUEST_ID_BYTES])
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-')
            continue;
        int digit = hex_digit(*text);
        if (digit < 0 || count == 2 * (size_t)TRADEBOOK_REQUEST_ID_BYTES)
            return false;
        out[count / 2] = (uint8_t)(count % 2 == 0 ? digit << 4 : out[count / 2] | digit);
        count++;
    }
    return count == 2 * (size_t)TRADEBOOK_REQUEST_ID_BYTES;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct call_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case OPTION_REQUEST_ID:
        args->has_request_id = parse_request_id(argument, args->request_id);
        if (!args->has_request_id)
            argp_error(state, "--request-id: \"%s\" is not 32 hexadecimal digits.", argument);
        return 0;
    case OPTION_COMPACT:
        args->compact = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0)
            args->method = argument;
        else if (state->arg_num == 1)
            args->json = argument;
        else
            argp_error(state, "\"%s\" is one argument too many; put the JSON in quotes.", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int list_methods(const struct tbk_catalog *catalog)
{
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    for (size_t i = 0; i < count; i++)
        puts(rpcs[i].name + 1);
    return TBK_EXIT_OK;
}

/* How unlike a method is what was typed: with or without package and service. */
static unsigned rpc_distance(const char *given, const struct tbk_rpc *rpc)
{
    const char *candidates[] = {rpc->short_name, rpc->name + 1, rpc->descriptor->name};
    unsigned nearest = UINT_MAX;
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        unsigned distance = tbk_name_distance(given, candidates[i]);
        if (distance < nearest && tbk_name_is_near(given, candidates[i]))
            nearest = distance;
    }
    return nearest;
}

static int unknown_method(const struct tbk_catalog *catalog, const char *given)
{
    fprintf(stderr, "tradebook call: there is no method \"%s\".", given);
    if (given[0] == '/')
        given++;
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    unsigned nearest = UINT_MAX;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = rpc_distance(given, &rpcs[i]);
        nearest = distance < nearest ? distance : nearest;
    }
    unsigned suggested = 0;
    for (size_t i = 0; i < count && nearest != UINT_MAX && suggested < SUGGESTIONS_MAX; i++) {
        if (rpc_distance(given, &rpcs[i]) == nearest)
            fprintf(stderr, "%s%s", suggested++ == 0 ? " Did you mean " : " or ", rpcs[i].short_name);
    }
    fprintf(stderr, "%s \"tradebook call\" lists all methods.\n", suggested > 0 ? "?" : "");
    return TBK_EXIT_USAGE;
}

/* Reads the request text: the argument, the standard input, or an empty object. */
static int read_request_text(const char *argument, struct tbk_dynbuf *out)
{
    if (argument == NULL || strcmp(argument, "-") != 0) {
        tbk_dynbuf_puts(out, argument != NULL ? argument : "{}");
        return TBK_EXIT_OK;
    }
    char chunk[64 * 1024];
    size_t length;
    while ((length = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        tbk_dynbuf_append(out, chunk, length);
    if (ferror(stdin)) {
        fprintf(stderr, "tradebook call: cannot read the standard input: %s.\n", strerror(errno));
        return TBK_EXIT_FAILURE;
    }
    if (tbk_dynbuf_failed(out)) {
        fprintf(stderr, "tradebook call: the request is longer than %d bytes.\n", JSON_BYTES_MAX);
        return TBK_EXIT_USAGE;
    }
    return TBK_EXIT_OK;
}

static int read_request(const struct call_args *args, const struct tbk_catalog *catalog, const struct tbk_rpc *rpc,
                        struct tbk_arena *arena, ProtobufCMessage **ret_request)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, JSON_BYTES_MAX);
    int exit_status = read_request_text(args->json, &text);
    if (exit_status == TBK_EXIT_OK) {
        const struct tbk_json_source source = {.text = tbk_dynbuf_text(&text),
                                               .length = text.length,
                                               .find_type = tbk_catalog_find_type,
                                               .find_type_argument = catalog};
        struct tbk_error error;
        tbk_error_init(&error);
        if (tbk_json_read(&source, rpc->descriptor->input, arena, ret_request, &error) != TBK_OK) {
            fprintf(stderr, "tradebook call: the request is wrong: %s\n", error.message);
            exit_status = TBK_EXIT_USAGE;
        }
    }
    tbk_dynbuf_fini(&text);
    return exit_status;
}

static int print_reply(const ProtobufCMessage *reply, const struct tbk_catalog *catalog, bool compact)
{
    const struct tbk_json_style style = {
        .pretty = !compact, .find_type = tbk_catalog_find_type, .find_type_argument = catalog};
    struct tbk_dynbuf text;
    struct tbk_error error;
    tbk_error_init(&error);
    tbk_dynbuf_init(&text, JSON_BYTES_MAX);
    enum tbk_status status = tbk_json_write(reply, &style, &text, &error);
    if (status == TBK_OK) {
        fwrite(text.data, 1, text.length, stdout);
        putchar('\n');
    } else {
        fprintf(stderr, "tradebook call: the answer cannot be printed: %s\n", error.message);
    }
    tbk_dynbuf_fini(&text);
    return status == TBK_OK ? TBK_EXIT_OK : TBK_EXIT_FAILURE;
}

static int send_request(struct call_args *args, const struct tbk_catalog *catalog, const struct tbk_rpc *rpc,
                        const ProtobufCMessage *request)
{
    int exit_status = tbk_connection_open(&args->connection);
    if (exit_status != TBK_EXIT_OK)
        return exit_status;
    const struct tradebook_call_options call_options = {.request_id =
                                                            args->has_request_id ? args->request_id : NULL};
    struct tradebook_error error;
    ProtobufCMessage *reply = NULL;
    if (tradebook_call(args->connection.client, rpc->name, request, &call_options, &reply, &error) ==
        TRADEBOOK_OK) {
        exit_status = print_reply(reply, catalog, args->compact);
        tradebook_message_free(reply);
    } else {
        tbk_connection_print_error(&args->connection, &error);
        exit_status = TBK_EXIT_FAILURE;
    }
    tbk_connection_close(&args->connection);
    return exit_status;
}

static int call_method(struct call_args *args, const struct tbk_catalog *catalog)
{
    const struct tbk_rpc *rpc = tbk_catalog_find(catalog, args->method);
    if (rpc == NULL)
        return unknown_method(catalog, args->method);
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (arena == NULL) {
        fputs("tradebook call: memory is exhausted.\n", stderr);
        return TBK_EXIT_FAILURE;
    }
    ProtobufCMessage *request = NULL;
    int exit_status = read_request(args, catalog, rpc, arena, &request);
    if (exit_status == TBK_EXIT_OK)
        exit_status = send_request(args, catalog, rpc, request);
    tbk_arena_destroy(arena);
    return exit_status;
}

int tbk_cli_call(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, arguments_doc, doc, children, NULL, NULL};
    struct call_args args = {0};
    error_t parsed = argp_parse(&argp, argc, argv, 0, NULL, &args);
    if (parsed != 0)
        return TBK_EXIT_USAGE;

    struct tbk_catalog *catalog = NULL;
    struct tbk_error error;
    tbk_error_init(&error);
    if (tbk_catalog_create(&catalog, &error) != TBK_OK) {
        fprintf(stderr, "tradebook call: %s\n", error.message);
        return TBK_EXIT_FAILURE;
    }
    int exit_status = args.method == NULL ? list_methods(catalog) : call_method(&args, catalog);
    tbk_catalog_destroy(catalog);
    return exit_status;
}
