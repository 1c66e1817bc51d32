/*
 * One case that is being run. Of the thread that runs it; what threads of the
 * client touch is in outcomes and readings.
 */
#ifndef CONFORMANCE_RUN_H
#define CONFORMANCE_RUN_H

#include <jansson.h>
#include <stdnoreturn.h>

#include "reading.h"
#include "server.h"
#include "tradebook/client.h"

/* Where the server is, by the names of its addresses. */
struct transport {
    const char *name;
    const char *address;
    const char *events_address;
};

enum { CLIENT_IDS_MAX = 8 };

struct named_client {
    char *client_id; /* NULL: none */
    struct tradebook_client *client;
};

struct run {
    const json_t *definition; /* of the case */
    const struct transport *transport;
    struct server server;
    struct named_client clients[CLIENT_IDS_MAX];
    size_t client_count;
    json_t *variables;
    struct reading *reading; /* NULL: no stream is being read */
    const json_t *step;      /* being done */
};

/* Does all steps of a list; NULL is an empty one. */
void run_steps(struct run *run, const json_t *steps);
/* Ends what is left of a run, and answers the exit status of its server. */
int run_end(struct run *run);

/* --- for the steps --- */

/* Fails the test, naming the step. */
noreturn void run_fail(const struct run *run, const char *why);
/* Fails the test when an object has a member that is not among the names, " one two ". */
void run_know(const struct run *run, const json_t *members, const char *names);
/* An address of the server. */
const char *run_address(const struct run *run, const char *name);
/* The client that has this id, NULL being none. */
struct tradebook_client *run_client(struct run *run, const char *client_id);

/* --- call.c, subscribe.c --- */

void run_call(struct run *run, const json_t *step);
void run_parallel(struct run *run, const json_t *step);
void run_subscribe(struct run *run, const json_t *step);

#endif
