#include "cli/connection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cell.h"
#include "cli/commands.h"

#define TIMEOUT_SECONDS_MAX 1e6
enum { TEXT_BYTES_MAX = 64 * 1024 };

static const struct argp_option options[] = {
    {"address", 'a', "URL", 0,
     "The server: tcp://HOST:PORT, ipc:///PATH or ws://HOST:PORT/PATH. Default: TRADEBOOK_ADDRESS of the "
     "environment, "
     "else the socket of a server of this user on this machine, else " TBK_DEFAULT_TCP_URL,
     0},
    {"timeout", 't', "SECONDS", 0, "How long a call may take, fractions allowed (default 10)", 0},
    {0},
};

/* At least one millisecond. 0 when text is no such number. */
static int64_t parse_timeout_ms(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0) || seconds > TIMEOUT_SECONDS_MAX)
        return 0;
    return (int64_t)ceil(seconds * 1000);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct tbk_connection *connection = state->input;
    switch (key) {
    case 'a':
        connection->given_address = argument;
        return 0;
    case 't':
        connection->timeout_ms = parse_timeout_ms(argument);
        if (connection->timeout_ms == 0)
            argp_error(state, "--timeout: \"%s\" is not a number of seconds above 0 and up to %.0f.", argument,
                       TIMEOUT_SECONDS_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp tbk_connection_argp = {.options = options, .parser = parse_option};

int tbk_connection_open(struct tbk_connection *connection)
{
    connection->address = tbk_client_address(connection->given_address, connection->address_buffer);
    struct tradebook_client_options client_options = {.timeout_ms = connection->timeout_ms};
    struct tradebook_error error;
    enum tradebook_code code =
        tradebook_client_open(connection->address, &client_options, &connection->client, &error);
    if (code == TRADEBOOK_OK)
        return TBK_EXIT_OK;
    tbk_connection_print_error(connection, &error);
    return code == TRADEBOOK_INVALID_ARGUMENT ? TBK_EXIT_USAGE : TBK_EXIT_FAILURE;
}

void tbk_connection_close(struct tbk_connection *connection)
{
    tradebook_client_close(connection->client);
    connection->client = NULL;
}

void tbk_connection_print_error(const struct tbk_connection *connection, const struct tradebook_error *error)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
    fprintf(stderr, "%s: %s\n", tradebook_code_name(error->code), tbk_cell_escape(error->message, &text));
    size_t kept =
        error->violation_count < TRADEBOOK_VIOLATIONS_MAX ? error->violation_count : TRADEBOOK_VIOLATIONS_MAX;
    for (size_t i = 0; i < kept; i++) {
        const struct tradebook_violation *violation = &error->violations[i];
        fprintf(stderr, "  %s%s", tbk_cell_escape(violation->field, &text),
                violation->field[0] != '\0' ? ": " : "");
        fprintf(stderr, "%s\n", tbk_cell_escape(violation->description, &text));
    }
    if (error->violation_count > kept)
        fprintf(stderr, "  and %zu more\n", error->violation_count - kept);
    tbk_dynbuf_fini(&text);
    if (error->code == TRADEBOOK_UNAVAILABLE || error->code == TRADEBOOK_DEADLINE_EXCEEDED)
        fprintf(stderr, "  The server was looked for at %s; --address names another one.\n", connection->address);
}
