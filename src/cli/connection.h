/*
 * What the commands that talk to a server share: the options --address and
 * --timeout, the connection, and how a failed call is told.
 */
#ifndef TBK_CLI_CONNECTION_H
#define TBK_CLI_CONNECTION_H

#include <argp.h>
#include <stdint.h>

#include "cli/address.h"
#include "tradebook/client.h"

struct tbk_connection {
    const char *given_address; /* --address or NULL */
    int64_t timeout_ms;        /* --timeout; 0: the client's default */
    const char *address;       /* set by tbk_connection_open */
    char address_buffer[TBK_ADDRESS_BYTES_MAX];
    struct tradebook_client *client;
};

/* The options, as a child parser; its input is a struct tbk_connection, zeroed. */
extern const struct argp tbk_connection_argp;

/* Opens connection->client. Returns an exit status; when it is not TBK_EXIT_OK,
 * the reason is on stderr. */
int tbk_connection_open(struct tbk_connection *connection);
void tbk_connection_close(struct tbk_connection *connection);

/* Prints "CODE: message" and one line for each violation to stderr. */
void tbk_connection_print_error(const struct tbk_connection *connection, const struct tradebook_error *error);

#endif
