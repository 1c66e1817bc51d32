/*
 * A small server for tests of the client: speaks nng's REP protocol over ipc and
 * answers what a handler says, or closes the connection, or says nothing.
 *
 * It uses plain sockets because the REP socket of nng 1.5.2 hangs now and then
 * when a client goes away with several requests under way, which is what these
 * tests do.
 *
 * Threads: one for each connection; the handler runs on these.
 */
#ifndef TBK_TESTS_REP_SERVER_H
#define TBK_TESTS_REP_SERVER_H

#include <nng/nng.h>
#include <stddef.h>
#include <stdint.h>

enum tbk_rep_action {
    TBK_REP_ANSWER, /* send the reply */
    TBK_REP_IGNORE, /* never answer */
    TBK_REP_CLOSE,  /* close the connection of the request */
};

/* Looks at the bytes of a request and appends the answer to reply. connection
 * counts from 1. */
typedef enum tbk_rep_action tbk_rep_handler(void *argument, int connection, const uint8_t *request, size_t length,
                                            nng_msg *reply);

struct tbk_rep_server;

/* Serves at address, ipc:///PATH, and replaces what is there. Ends the process
 * with a message when it cannot. */
struct tbk_rep_server *tbk_rep_server_start(const char *address, tbk_rep_handler *handler, void *argument);
/* Closes all connections and waits for the handlers. */
void tbk_rep_server_stop(struct tbk_rep_server *server);

#endif
