/*
 * One address of the server: checks the URL, opens the nng listener with its
 * limits, finds out the address it got. Used by the thread that creates the
 * server, later by the guard alone.
 */
#ifndef TBK_TRANSPORT_LISTENER_H
#define TBK_TRANSPORT_LISTENER_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum tbk_listener_kind { TBK_LISTENER_TCP, TBK_LISTENER_IPC, TBK_LISTENER_WS };

struct tbk_listener {
    enum tbk_listener_kind kind;
    char *address; /* URL; a port 0 is replaced by the one chosen */
    nng_listener handle;
    bool open;
};

struct tbk_listener_limits {
    size_t message_bytes_max;
    unsigned ipc_permissions;
};

/* Listens on url. On failure listener is as after tbk_listener_fini.
 * INVALID_ARGUMENT: the URL is malformed; FAILED_PRECONDITION: the address is
 * taken; UNAVAILABLE: the system refuses. */
enum tbk_status tbk_listener_open(struct tbk_listener *listener, nng_socket socket, const char *url,
                                  const struct tbk_listener_limits *limits,
                                  struct tbk_error *error) TBK_MUST_CHECK;

/* Closes the listener and its connections and listens anew on the same address. */
enum tbk_status tbk_listener_reopen(struct tbk_listener *listener, nng_socket socket,
                                    const struct tbk_listener_limits *limits,
                                    struct tbk_error *error) TBK_MUST_CHECK;

/* The bound address of a tcp or ipc listener, as others can reach it from this
 * machine. False when it is not known. */
bool tbk_listener_locate(const struct tbk_listener *listener, nng_sockaddr *ret_address);

/* Frees memory; the socket closes the listener itself. */
void tbk_listener_fini(struct tbk_listener *listener);

#endif
