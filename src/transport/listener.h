/*
 * The addresses of the server: checks a URL, opens a listener of nng with its
 * limits, and finds out the address it got. INVALID_ARGUMENT: the URL is
 * malformed; FAILED_PRECONDITION: the address is taken; UNAVAILABLE: the system
 * refuses.
 */
#ifndef TBK_TRANSPORT_LISTENER_H
#define TBK_TRANSPORT_LISTENER_H

#include <nng/nng.h>
#include <stddef.h>

#include "base/error.h"

enum tbk_listener_kind { TBK_LISTENER_TCP, TBK_LISTENER_IPC, TBK_LISTENER_WS };

struct tbk_listener_limits {
    size_t message_bytes_max;
    unsigned ipc_permissions;
};

/* What url asks for. */
enum tbk_status tbk_listener_check(const char *url, enum tbk_listener_kind *ret_kind,
                                   struct tbk_error *error) TBK_MUST_CHECK;

/* Adds a listener of ws to a socket. The address, in which a port 0 is replaced by
 * the one chosen, is the caller's to free. */
enum tbk_status tbk_listener_open_ws(nng_socket socket, const char *url, const struct tbk_listener_limits *limits,
                                     char **ret_address, struct tbk_error *error) TBK_MUST_CHECK;

/* Makes a listener for streams of tcp or ipc, see streams.h. */
enum tbk_status tbk_listener_open_stream(const char *url, enum tbk_listener_kind kind,
                                         const struct tbk_listener_limits *limits,
                                         nng_stream_listener **ret_listener, char **ret_address,
                                         struct tbk_error *error) TBK_MUST_CHECK;

#endif
