/*
 * ../server in a process of its own, driven by lines of JSON. One thread.
 */
#ifndef CONFORMANCE_SERVER_H
#define CONFORMANCE_SERVER_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

struct server {
    pid_t pid;
    FILE *commands; /* NULL: not started, or ended */
    FILE *answers;
    json_t *addresses;
};

/* options is a list of texts or NULL. Fails the test when the server does not start. */
void server_start(struct server *server, const json_t *options);
/* Has a command done and answers its answer, which the caller releases. */
json_t *server_do(struct server *server, const json_t *command);
/* Ends it and answers its exit status; 0 when it was not started. */
int server_end(struct server *server);

#endif
