/*
 * A small nng REP server for tests of the client: answers what a handler says,
 * or closes the connection, or says nothing.
 *
 * Threads: the handler runs on nng's threads, several at a time.
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
 * is a number that no other connection had before. */
typedef enum tbk_rep_action tbk_rep_handler(void *argument, int connection, const uint8_t *request, size_t length,
                                            nng_msg *reply);

struct tbk_rep_server;

/* Serves at address (a free ipc or tcp address; tcp port 0 picks one). Ends the
 * process with a message when it cannot. */
struct tbk_rep_server *tbk_rep_server_start(const char *address, tbk_rep_handler *handler, void *argument);
/* The address with the port that was picked. */
const char *tbk_rep_server_address(const struct tbk_rep_server *server);
void tbk_rep_server_stop(struct tbk_rep_server *server);

#endif
