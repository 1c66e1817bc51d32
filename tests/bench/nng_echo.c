/*
 * The transport's own ceiling: a bare nng REP server that answers every message
 * at once, in the callback, with the same fixed reply, and does nothing else.
 * Drive it with nng_client or `tradebook bench --address URL --mix echo=1`.
 *
 *   nng_echo URL [CONTEXTS]
 *
 * Prints "ready" when it listens; ends when standard input does.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS_DEFAULT = 256, ECHO_BYTES = 128 };

struct exchange {
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

/* A Reply envelope with an EchoResponse of 128 bytes: payload (field 4) of
 * payload (field 1). */
enum { LENGTH_DELIMITED = 2, PAYLOAD_OF_REPLY = 4, PAYLOAD_OF_ECHO = 1, CONTINUED = 0x80 };
static unsigned char reply[3 + 3 + ECHO_BYTES] = {
    (PAYLOAD_OF_REPLY << 3) | LENGTH_DELIMITED, ((3 + ECHO_BYTES) & 0x7f) | CONTINUED, (3 + ECHO_BYTES) >> 7,
    (PAYLOAD_OF_ECHO << 3) | LENGTH_DELIMITED,  (ECHO_BYTES & 0x7f) | CONTINUED,       ECHO_BYTES >> 7,
};

static void check(int failure, const char *what)
{
    if (failure != 0) {
        fprintf(stderr, "nng_echo: %s: %s\n", what, nng_strerror(failure));
        exit(1);
    }
}

static void step(void *argument)
{
    struct exchange *exchange = argument;
    const int failure = nng_aio_result(exchange->aio);
    if (failure == NNG_ECLOSED || failure == NNG_ECANCELED) {
        return;
    }
    if (exchange->sending || failure != 0) {
        exchange->sending = false;
        nng_ctx_recv(exchange->context, exchange->aio);
        return;
    }
    nng_msg *message = nng_aio_get_msg(exchange->aio);
    nng_msg_clear(message);
    check(nng_msg_append(message, reply, sizeof reply), "append");
    nng_aio_set_msg(exchange->aio, message);
    exchange->sending = true;
    nng_ctx_send(exchange->context, exchange->aio);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: nng_echo URL [CONTEXTS]\n");
        return 2;
    }
    const int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : CONTEXTS_DEFAULT;
    struct exchange *exchanges = calloc((size_t)count, sizeof *exchanges);
    nng_socket socket;
    check(exchanges == NULL ? NNG_ENOMEM : nng_rep0_open(&socket), "open");
    for (int i = 0; i < count; i++) {
        check(nng_ctx_open(&exchanges[i].context, socket), "context");
        check(nng_aio_alloc(&exchanges[i].aio, step, &exchanges[i]), "aio");
        nng_ctx_recv(exchanges[i].context, exchanges[i].aio);
    }
    check(nng_listen(socket, argv[1], NULL, 0), argv[1]);
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    nng_close(socket);
    return 0;
}
