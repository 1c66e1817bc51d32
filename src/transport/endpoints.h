/*
 * The addresses of one server, with what serves on them: streams for tcp and ipc
 * (streams.h), an nng socket for ws. One limit holds for the connections of all.
 */
#ifndef TBK_TRANSPORT_ENDPOINTS_H
#define TBK_TRANSPORT_ENDPOINTS_H

#include <nng/nng.h>
#include <stdatomic.h>

#include "transport/listener.h"
#include "transport/streams.h"

/* To be made by tbk_endpoints_init and left to endpoints.c, but for what is
 * said. */
struct tbk_endpoints {
    nng_socket socket; /* open after tbk_endpoints_open_socket */
    bool socket_open;
    bool socket_listens;         /* on at least one address */
    struct tbk_streams *streams; /* set by the owner, who frees them, before listening */
    struct tbk_listener_limits limits;
    atomic_uint connections; /* open now */
    unsigned connections_max;
    size_t count;
    char **addresses; /* as bound */
};

void tbk_endpoints_init(struct tbk_endpoints *endpoints, const struct tbk_listener_limits *limits,
                        unsigned connections_max);

/* Opens the socket by nng_rep0_open or its like. */
enum tbk_status tbk_endpoints_open_socket(struct tbk_endpoints *endpoints, int (*open)(nng_socket *),
                                          struct tbk_error *error) TBK_MUST_CHECK;

/* Listens on every URL; streams accept from then on. */
enum tbk_status tbk_endpoints_listen(struct tbk_endpoints *endpoints, const char *const *urls, size_t count,
                                     struct tbk_error *error) TBK_MUST_CHECK;

/* Closes the socket; streams are gone before. */
void tbk_endpoints_fini(struct tbk_endpoints *endpoints);

#endif
