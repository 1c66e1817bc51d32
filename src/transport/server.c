#include "transport/server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "transport/exchange.h"
#include "transport/guard.h"
#include "transport/listener.h"

struct tbk_server {
    nng_socket socket;
    bool socket_open;
    struct tbk_exchanges *exchanges;
    struct tbk_guard *guard; /* NULL when this nng needs none */
    struct tbk_listener_limits limits;
    unsigned connections_max;
    int64_t send_timeout_ms;
    atomic_uint connections;
    atomic_ulong freed; /* connections that are gone */
    void (*on_fatal)(void *argument, const struct tbk_error *error);
    void *on_fatal_argument;
    size_t listener_count;
    struct tbk_listener listeners[];
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
        atomic_fetch_add(&server->freed, 1);
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

static enum tbk_status open_listeners(struct tbk_server *server, const char *const *urls, struct tbk_error *error)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        enum tbk_status status =
            tbk_listener_open(&server->listeners[i], server->socket, urls[i], &server->limits, error);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static bool guard_locate(void *argument, size_t position, nng_sockaddr *ret_address)
{
    const struct tbk_server *server = argument;
    const struct tbk_listener *listener = &server->listeners[position];
    return listener->kind != TBK_LISTENER_WS && tbk_listener_locate(listener, ret_address);
}

static void guard_replace(void *argument, size_t position)
{
    struct tbk_server *server = argument;
    struct tbk_listener *listener = &server->listeners[position];
    struct tbk_error error;
    tbk_error_init(&error);
    if (tbk_listener_reopen(listener, server->socket, &server->limits, &error) == TBK_OK)
        tbk_log(TBK_LOG_WARNING, "a listener had stopped to answer and was replaced",
                TBK_LOG_STR("address", listener->address));
    else
        tbk_log(TBK_LOG_ERROR, "a listener stopped to answer and cannot be replaced",
                TBK_LOG_STR("address", listener->address), TBK_LOG_STR("reason", error.message));
}

static unsigned guard_connections(void *argument)
{
    return tbk_server_connections(argument);
}

static unsigned long guard_freed(void *argument)
{
    const struct tbk_server *server = argument;
    return atomic_load(&server->freed);
}

static void guard_fatal(void *argument, const struct tbk_error *error)
{
    const struct tbk_server *server = argument;
    server->on_fatal(server->on_fatal_argument, error);
}

static enum tbk_status start_guard(struct tbk_server *server, struct tbk_error *error)
{
    if (!tbk_guard_needed(nng_version()))
        return TBK_OK;
    struct tbk_guard_config config = {
        .listener_count = server->listener_count,
        .locate = guard_locate,
        .replace = guard_replace,
        .connections = guard_connections,
        .freed = guard_freed,
        .on_fatal = guard_fatal,
        .argument = server,
    };
    return tbk_guard_create(&config, &server->guard, error);
}

static enum tbk_status start(struct tbk_server *server, const struct tbk_server_config *config,
                             struct tbk_error *error)
{
    enum tbk_status status = open_socket(server, error);
    if (status == TBK_OK)
        status = tbk_exchanges_create(server->socket, config->dispatch, config->contexts, config->send_timeout_ms,
                                      &server->exchanges, error);
    if (status == TBK_OK)
        status = open_listeners(server, config->listen_urls, error);
    if (status == TBK_OK)
        status = start_guard(server, error);
    if (status == TBK_OK)
        tbk_exchanges_start(server->exchanges);
    return status;
}

enum tbk_status tbk_server_create(const struct tbk_server_config *config, struct tbk_server **ret_server,
                                  struct tbk_error *error)
{
    struct tbk_server *server = calloc(1, sizeof *server + config->listen_url_count * sizeof server->listeners[0]);
    if (server == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the server");
    server->limits = (struct tbk_listener_limits){.message_bytes_max = config->message_bytes_max,
                                                  .ipc_permissions = config->ipc_permissions};
    server->connections_max = config->connections_max;
    server->send_timeout_ms = config->send_timeout_ms;
    server->on_fatal = config->on_fatal;
    server->on_fatal_argument = config->on_fatal_argument;
    server->listener_count = config->listen_url_count;
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
    return server->listeners[position].address;
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
    tbk_exchanges_stop(server->exchanges);
}

static void close_socket(struct tbk_server *server)
{
    if (!server->socket_open)
        return;
    nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, NULL, NULL);
    nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, NULL, NULL);
    if (tbk_guard_needed(nng_version()))
        tbk_guard_close(server->socket);
    else
        nng_close(server->socket);
}

void tbk_server_destroy(struct tbk_server *server)
{
    if (server == NULL)
        return;
    tbk_guard_destroy(server->guard);
    if (server->exchanges != NULL)
        tbk_exchanges_wait(server->exchanges, server->send_timeout_ms);
    tbk_exchanges_destroy(server->exchanges);
    close_socket(server);
    for (size_t i = 0; i < server->listener_count; i++)
        tbk_listener_fini(&server->listeners[i]);
    free(server);
}
