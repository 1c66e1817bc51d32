#include "transport/server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>

#include "transport/endpoints.h"
#include "transport/exchange.h"

/* What destroy gives replies to leave, for either kind of connection: twice this and a
 * second fit into the grace that the process has to end. */
enum { STOP_MS_MAX = 3000 };

struct tbk_server {
    struct tbk_endpoints endpoints;
    struct tbk_exchanges *exchanges;
    int64_t send_timeout_ms;
};

static enum tbk_status open_streams(struct tbk_server *server, const struct tbk_server_config *config,
                                    struct tbk_error *error)
{
    struct tbk_streams_config streams = {
        .dispatch = config->dispatch,
        .slots = config->contexts,
        .message_bytes_max = config->message_bytes_max,
        .send_timeout_ms = config->send_timeout_ms,
        .memory = config->memory,
        .connections = &server->endpoints.connections,
        .connections_max = config->connections_max,
    };
    return tbk_streams_create(&streams, &server->endpoints.streams, error);
}

/* Contexts are for ws alone: without it the server has none to open and stop. */
static enum tbk_status open_exchanges(struct tbk_server *server, const struct tbk_server_config *config,
                                      struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_exchanges_create(server->endpoints.socket, config->dispatch, config->contexts, config->send_timeout_ms,
                             config->memory, &server->exchanges, error);
    if (status == TBK_OK)
        tbk_exchanges_start(server->exchanges);
    return status;
}

static enum tbk_status start(struct tbk_server *server, const struct tbk_server_config *config,
                             struct tbk_error *error)
{
    enum tbk_status status = tbk_endpoints_open_socket(&server->endpoints, nng_rep0_open, error);
    if (status == TBK_OK)
        status = open_streams(server, config, error);
    if (status == TBK_OK)
        status = tbk_endpoints_listen(&server->endpoints, config->listen_urls, config->listen_url_count, error);
    if (status == TBK_OK && server->endpoints.socket_listens)
        status = open_exchanges(server, config, error);
    return status;
}

enum tbk_status tbk_server_check_url(const char *url, struct tbk_error *error)
{
    enum tbk_listener_kind kind = TBK_LISTENER_TCP;
    return tbk_listener_check(url, &kind, error);
}

enum tbk_status tbk_server_create(const struct tbk_server_config *config, struct tbk_server **ret_server,
                                  struct tbk_error *error)
{
    struct tbk_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the server");
    const struct tbk_listener_limits limits = {.message_bytes_max = config->message_bytes_max,
                                               .ipc_permissions = config->ipc_permissions};
    tbk_endpoints_init(&server->endpoints, &limits, config->connections_max);
    server->send_timeout_ms = config->send_timeout_ms;
    enum tbk_status status = start(server, config, error);
    if (status != TBK_OK) {
        tbk_server_destroy(server);
        return status;
    }
    *ret_server = server;
    return TBK_OK;
}

const char *tbk_server_address(const struct tbk_server *server, size_t position)
{
    return server->endpoints.addresses[position];
}

unsigned tbk_server_connections(const struct tbk_server *server)
{
    return atomic_load(&server->endpoints.connections);
}

const char *tbk_server_library_version(void)
{
    return nng_version();
}

void tbk_server_quiesce(struct tbk_server *server)
{
    if (server->exchanges != NULL)
        tbk_exchanges_stop(server->exchanges);
    if (server->endpoints.streams != NULL)
        tbk_streams_stop(server->endpoints.streams);
}

void tbk_server_destroy(struct tbk_server *server)
{
    if (server == NULL)
        return;
    const int64_t timeout_ms = server->send_timeout_ms < STOP_MS_MAX ? server->send_timeout_ms : STOP_MS_MAX;
    tbk_server_quiesce(server); /* may have started in part only */
    if (server->exchanges != NULL)
        tbk_exchanges_wait(server->exchanges, timeout_ms);
    if (server->endpoints.streams != NULL)
        tbk_streams_wait(server->endpoints.streams, timeout_ms);
    tbk_exchanges_destroy(server->exchanges);
    tbk_streams_destroy(server->endpoints.streams);
    tbk_endpoints_fini(&server->endpoints);
    free(server);
}
