/*
 * The nng side: REP on any number of addresses, many contexts, nothing that
 * blocks in a callback. Requests go to dispatch, replies come back through the
 * responder of each context.
 *
 *   endpoints.c, listener.c   addresses
 *   broadcast.c   PUB: events to subscribers
 *   streams.c, peer*.c, frame.c  REP and PUB over tcp and ipc, on nng's streams
 *   exchange.c    REP over ws: the contexts of a socket
 */
#ifndef TBK_TRANSPORT_SERVER_H
#define TBK_TRANSPORT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dispatch/dispatch.h"

struct tbk_server;

struct tbk_server_config {
    struct tbk_dispatch *dispatch;
    const char *const *listen_urls; /* tcp://HOST:PORT (port 0 picks one), ipc:///PATH, ws://HOST:PORT/PATH */
    size_t listen_url_count;
    unsigned contexts;         /* requests in flight */
    unsigned connections_max;  /* further ones are closed at once */
    size_t message_bytes_max;  /* a larger message closes the connection */
    struct tbk_budget *memory; /* of large requests and replies, shared with dispatch; outlives the server */
    int64_t send_timeout_ms;   /* a peer that takes longer to accept its reply is disconnected */
    unsigned ipc_permissions;  /* mode bits of ipc sockets */
};

/* Whether url is one to listen on, as far as can be told without doing so. */
enum tbk_status tbk_server_check_url(const char *url, struct tbk_error *error) TBK_MUST_CHECK;

/* Opens the sockets and starts to serve. Fails with the address and the reason. */
enum tbk_status tbk_server_create(const struct tbk_server_config *config, struct tbk_server **ret_server,
                                  struct tbk_error *error) TBK_MUST_CHECK;

/* The address actually bound (port 0 replaced), by position in listen_urls. */
const char *tbk_server_address(const struct tbk_server *server, size_t position);
/* Connections open now. */
unsigned tbk_server_connections(const struct tbk_server *server);
/* "1.5.2" */
const char *tbk_server_library_version(void);

/* Takes no new requests; requests in flight can still be answered. */
void tbk_server_quiesce(struct tbk_server *server);
/* After dispatch was drained: waits for replies to leave, for those over ws and for the
 * others send_timeout_ms each and at most 3 s, then closes everything. Accepts NULL. */
void tbk_server_destroy(struct tbk_server *server);

#endif
