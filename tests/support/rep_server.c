#include "rep_server.h"

#include <nng/protocol/reqrep0/rep.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONTEXTS = 64 };

struct exchange {
    struct tbk_rep_server *server;
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

struct tbk_rep_server {
    nng_socket socket;
    nng_listener listener;
    char *address;
    tbk_rep_handler *handler;
    void *argument;
    struct exchange exchanges[CONTEXTS];
};

static void must(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "test server: %s: %s\n", what, nng_strerror(result));
        abort();
    }
}

static void receive(struct exchange *exchange)
{
    exchange->sending = false;
    nng_ctx_recv(exchange->context, exchange->aio);
}

static void handle(struct exchange *exchange, nng_msg *request)
{
    struct tbk_rep_server *server = exchange->server;
    nng_pipe connection = nng_msg_get_pipe(request);
    nng_msg *reply = NULL;
    must(nng_msg_alloc(&reply, 0), "nng_msg_alloc");
    enum tbk_rep_action action = server->handler(server->argument, nng_pipe_id(connection), nng_msg_body(request),
                                                 nng_msg_len(request), reply);
    nng_msg_free(request);
    if (action == TBK_REP_ANSWER) {
        exchange->sending = true;
        nng_aio_set_msg(exchange->aio, reply);
        nng_ctx_send(exchange->context, exchange->aio);
        return;
    }
    nng_msg_free(reply);
    if (action == TBK_REP_CLOSE) {
        nng_pipe_close(connection);
    }
    receive(exchange);
}

static void progress(void *argument)
{
    struct exchange *exchange = argument;
    int result = nng_aio_result(exchange->aio);
    if (result == NNG_ECLOSED || result == NNG_ECANCELED) {
        if (exchange->sending) {
            nng_msg_free(nng_aio_get_msg(exchange->aio));
        }
        return;
    }
    if (exchange->sending || result != 0) {
        if (result != 0) {
            nng_msg_free(nng_aio_get_msg(exchange->aio));
            nng_aio_set_msg(exchange->aio, NULL);
        }
        receive(exchange);
        return;
    }
    nng_msg *request = nng_aio_get_msg(exchange->aio);
    nng_aio_set_msg(exchange->aio, NULL);
    handle(exchange, request);
}

struct tbk_rep_server *tbk_rep_server_start(const char *address, tbk_rep_handler *handler, void *argument)
{
    struct tbk_rep_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        abort();
    }
    server->handler = handler;
    server->argument = argument;
    must(nng_rep0_open(&server->socket), "nng_rep0_open");
    for (size_t i = 0; i < CONTEXTS; i++) {
        struct exchange *exchange = &server->exchanges[i];
        exchange->server = server;
        must(nng_ctx_open(&exchange->context, server->socket), "nng_ctx_open");
        must(nng_aio_alloc(&exchange->aio, progress, exchange), "nng_aio_alloc");
        receive(exchange);
    }
    must(nng_listen(server->socket, address, &server->listener, 0), address);
    must(nng_listener_get_string(server->listener, NNG_OPT_URL, &server->address), "NNG_OPT_URL");
    return server;
}

const char *tbk_rep_server_address(const struct tbk_rep_server *server)
{
    return server->address;
}

void tbk_rep_server_stop(struct tbk_rep_server *server)
{
    nng_close(server->socket);
    for (size_t i = 0; i < CONTEXTS; i++) {
        nng_aio_free(server->exchanges[i].aio);
    }
    nng_strfree(server->address);
    free(server);
}
