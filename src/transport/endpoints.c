#include "transport/endpoints.h"

#include <stdlib.h>

void tbk_endpoints_init(struct tbk_endpoints *endpoints, const struct tbk_listener_limits *limits,
                        unsigned connections_max)
{
    *endpoints = (struct tbk_endpoints){.limits = *limits, .connections_max = connections_max};
}

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
    struct tbk_endpoints *endpoints = argument;
    if (event == NNG_PIPE_EV_REM_POST) {
        atomic_fetch_sub(&endpoints->connections, 1);
        return;
    }
    unsigned open = atomic_fetch_add(&endpoints->connections, 1) + 1;
    if (open > endpoints->connections_max || comes_from_page(pipe))
        nng_pipe_close(pipe);
}

enum tbk_status tbk_endpoints_open_socket(struct tbk_endpoints *endpoints, int (*open)(nng_socket *),
                                          struct tbk_error *error)
{
    int failure = open(&endpoints->socket);
    if (failure != 0)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot open a socket: %s", nng_strerror(failure));
    endpoints->socket_open = true;
    failure = nng_pipe_notify(endpoints->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, endpoints);
    if (failure == 0)
        failure = nng_pipe_notify(endpoints->socket, NNG_PIPE_EV_REM_POST, on_pipe, endpoints);
    if (failure != 0)
        return tbk_error_set(error, TBK_INTERNAL, "cannot watch connections: %s", nng_strerror(failure));
    return TBK_OK;
}

static enum tbk_status open_stream(struct tbk_endpoints *endpoints, const char *url, enum tbk_listener_kind kind,
                                   char **ret_address, struct tbk_error *error)
{
    nng_stream_listener *listener = NULL;
    enum tbk_status status =
        tbk_listener_open_stream(url, kind, &endpoints->limits, &listener, ret_address, error);
    return status == TBK_OK ? tbk_streams_accept(endpoints->streams, listener, kind == TBK_LISTENER_IPC, error)
                            : status;
}

enum tbk_status tbk_endpoints_listen(struct tbk_endpoints *endpoints, const char *const *urls, size_t count,
                                     struct tbk_error *error)
{
    endpoints->addresses = calloc(count + 1, sizeof endpoints->addresses[0]);
    if (endpoints->addresses == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the addresses");
    enum tbk_status status = TBK_OK;
    while (status == TBK_OK && endpoints->count < count) {
        const char *url = urls[endpoints->count];
        char **address = &endpoints->addresses[endpoints->count];
        enum tbk_listener_kind kind = TBK_LISTENER_TCP;
        status = tbk_listener_check(url, &kind, error);
        if (status == TBK_OK && kind != TBK_LISTENER_WS) {
            status = open_stream(endpoints, url, kind, address, error);
        } else if (status == TBK_OK) {
            status = tbk_listener_open_ws(endpoints->socket, url, &endpoints->limits, address, error);
            endpoints->socket_listens = true;
        }
        endpoints->count++;
    }
    return status;
}

void tbk_endpoints_fini(struct tbk_endpoints *endpoints)
{
    if (endpoints->socket_open)
        nng_close(endpoints->socket);
    for (size_t i = 0; i < endpoints->count; i++)
        free(endpoints->addresses[i]);
    free(endpoints->addresses);
}
