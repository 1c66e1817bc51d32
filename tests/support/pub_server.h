/*
 * A small publisher for tests of the subscriber: speaks nng's PUB protocol over
 * ipc and sends what the test says, to all who are connected.
 *
 * It uses plain sockets, so that a test can send frames in any order, or wrong
 * ones, and can go away as a killed server does.
 *
 * Threads: one accepts; send from one thread.
 */
#ifndef TBK_TESTS_PUB_SERVER_H
#define TBK_TESTS_PUB_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct tbk_pub_server;

/* Publishes at address, ipc:///PATH, and replaces what is there. Ends the process
 * with a message when it cannot. */
struct tbk_pub_server *tbk_pub_server_start(const char *address);
/* Returns when so many subscribers have connected since the start. */
void tbk_pub_server_wait(struct tbk_pub_server *server, unsigned connections);
void tbk_pub_server_send(struct tbk_pub_server *server, const void *frame, size_t length);
/* Closes all connections. */
void tbk_pub_server_stop(struct tbk_pub_server *server);

#endif
