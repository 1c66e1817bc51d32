#include "transport/server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "transport/exchange.h"
#include "transport/listener.h"
#include "transport/streams.h"

struct tbk_server {
    /* REP over nng's sockets: every transport, or ws only on an old nng. */
    nng_socket socket;
    bool socket_open;
    struct tbk_exchanges *exchanges;
    struct tbk_streams *streams; /* tcp and ipc on an old nng, else NULL */
    struct tbk_listener_limits limits;
    unsigned connections_max;
    int64_t send_timeout_ms;
    atomic_uint connections;
    size_t address_count;
    char *addresses[];
};

/* Browsers send an Origin with every WebSocket, programs need not. A page must
 * not reach the server just because its visitor can. */
static bool comes_from_page(nng_pipe pipe)
{
    char *origin = NULL;
    if (nng_pipe_get_string(pipe, NNG_OPT_WS_REQUEST_HEADER "Origin", &origin) != 0)
        return false;
    bool refused = origin[0] != '\0';
    nng_strfree(origin);
    return refused;
}

/* nng's threads. Closing a pipe here refuses the connection. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct tbk_server *server = argument;
    if (event == NNG_PIPE_EV_REM_POST) {
        atomic_fetch_sub(&server->connections, 1);
        return;
    }
    unsigned open = atomic_fetch_add(&server->connections, 1) + 1;
    if (open > server->connections_max || comes_from_page(pipe))
        nng_pipe_close(pipe);
}

static enum tbk_status open_socket(struct tbk_server *server, struct tbk_error *error)
{
    int failure = nng_rep0_open(&server->socket);
    if (failure != 0)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot open a socket: %s", nng_strerror(failure));
    server->socket_open = true;
    failure = nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, server);
    if (failure == 0)
        failure = nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, on_pipe, server);
    if (failure != 0)
        return tbk_error_set(error, TBK_INTERNAL, "cannot watch connections: %s", nng_strerror(failure));
    return TBK_OK;
}

static enum tbk_status open_stream(struct tbk_server *server, const char *url, enum tbk_listener_kind kind,
                                   char **ret_address, struct tbk_error *error)
{
    nng_stream_listener *listener = NULL;
    enum tbk_status status = tbk_listener_open_stream(url, kind, &server->limits, &listener, ret_address, error);
    return status == TBK_OK ? tbk_streams_accept(server->streams, listener, kind == TBK_LISTENER_IPC, error)
                            : status;
}

static enum tbk_status open_listeners(struct tbk_server *server, const char *const *urls, struct tbk_error *error)
{
    for (size_t i = 0; i < server->address_count; i++) {
        enum tbk_listener_kind kind = TBK_LISTENER_TCP;
        enum tbk_status status = tbk_listener_check(urls[i], &kind, error);
        if (status == TBK_OK && server->streams != NULL && kind != TBK_LISTENER_WS)
            status = open_stream(server, urls[i], kind, &server->addresses[i], error);
        else if (status == TBK_OK)
            status =
                tbk_listener_open(server->socket, urls[i], kind, &server->limits, &server->addresses[i], error);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static enum tbk_status open_streams(struct tbk_server *server, const struct tbk_server_config *config,
                                    struct tbk_error *error)
{
    struct tbk_streams_config streams = {
        .dispatch = config->dispatch,
        .slots = config->contexts,
        .message_bytes_max = config->message_bytes_max,
        .send_timeout_ms = config->send_timeout_ms,
        .connections = &server->connections,
        .connections_max = config->connections_max,
    };
    tbk_log(
        TBK_LOG_WARNING,
        "sockets of this nng stop to accept or to free connections when clients vanish (cured in nng 1.6); tcp "
        "and ipc are served without them",
        TBK_LOG_STR("nng", nng_version()));
    return tbk_streams_create(&streams, &server->streams, error);
}

static enum tbk_status start(struct tbk_server *server, const struct tbk_server_config *config,
                             struct tbk_error *error)
{
    enum tbk_status status = open_socket(server, error);
    if (status == TBK_OK)
        status = tbk_exchanges_create(server->socket, config->dispatch, config->contexts, config->send_timeout_ms,
                                      &server->exchanges, error);
    if (status == TBK_OK && tbk_streams_needed(nng_version()))
        status = open_streams(server, config, error);
    if (status == TBK_OK)
        status = open_listeners(server, config->listen_urls, error);
    if (status == TBK_OK)
        tbk_exchanges_start(server->exchanges);
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
    struct tbk_server *server = calloc(1, sizeof *server + config->listen_url_count * sizeof server->addresses[0]);
    if (server == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the server");
    server->limits = (struct tbk_listener_limits){.message_bytes_max = config->message_bytes_max,
                                                  .ipc_permissions = config->ipc_permissions};
    server->connections_max = config->connections_max;
    server->send_timeout_ms = config->send_timeout_ms;
    server->address_count = config->listen_url_count;
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
    return server->addresses[position];
}

unsigned tbk_server_connections(const struct tbk_server *server)
{
    return atomic_load(&server->connections);
}

const char *tbk_server_library_version(void)
{
    return nng_version();
}

void tbk_server_quiesce(struct tbk_server *server)
{
    if (server->exchanges != NULL)
        tbk_exchanges_stop(server->exchanges);
    if (server->streams != NULL)
        tbk_streams_stop(server->streams);
}

void tbk_server_destroy(struct tbk_server *server)
{
    if (server == NULL)
        return;
    tbk_server_quiesce(server); /* may have started in part only */
    if (server->exchanges != NULL)
        tbk_exchanges_wait(server->exchanges, server->send_timeout_ms);
    if (server->streams != NULL)
        tbk_streams_wait(server->streams, server->send_timeout_ms);
    tbk_exchanges_destroy(server->exchanges);
    tbk_streams_destroy(server->streams);
    if (server->socket_open)
        nng_close(server->socket);
    for (size_t i = 0; i < server->address_count; i++)
        free(server->addresses[i]);
    free(server);
}
