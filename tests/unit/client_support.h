/*
 * What the tests of the client share: addresses, a server whose answers the test
 * chooses, and calls whose end can be waited for.
 */
#ifndef TBK_TESTS_CLIENT_SUPPORT_H
#define TBK_TESTS_CLIENT_SUPPORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "rep_server.h"
#include "tradebook/client.h"
#include "tradebook/v1/admin.pb-c.h"
#include "tradebook/v1/rpc.pb-c.h"

#define ECHO_METHOD "/tradebook.v1.AdminService/Echo"

enum { SEEN_MAX = 64 };

/* What the server does and what it saw. Answers echoes, but for the first
 * requests. */
struct script {
    unsigned first_count; /* how many requests get the first action */
    enum tbk_rep_action first_action;
    Tradebook__V1__Code first_code; /* of TBK_REP_ANSWER */
    bool ignores_first_connection;
    atomic_int first_connection; /* 0: none yet */
    atomic_uint arrived;         /* requests that came */
    atomic_uint seen;            /* and were noted below: read it before the notes */
    uint8_t request_ids[SEEN_MAX][TRADEBOOK_REQUEST_ID_BYTES];
    int64_t timeouts_ms[SEEN_MAX];
};

/* A tbk_rep_handler; its argument is a struct script. */
enum tbk_rep_action follow_script(void *argument, int connection, const uint8_t *request, size_t length,
                                  nng_msg *reply);

/* Appends a Reply envelope. message and payload may be NULL. */
void append_reply(nng_msg *to, Tradebook__V1__Code code, const char *message, const ProtobufCMessage *payload);

/* ipc address of a new name in a new directory. */
void new_address(char out[64]);
void remove_address(const char *address);

/* Ends the test when it fails. */
struct tradebook_client *open_client(const char *address, const struct tradebook_client_options *options);

/* Echoes one text. */
enum tradebook_code echo(struct tradebook_client *client, const char *text, int64_t timeout_ms,
                         struct tradebook_error *error);

/* Counts how calls ended. */
struct tally {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned ended;
    unsigned codes[TRADEBOOK_UNAUTHENTICATED + 1];
};

#define TALLY_INIT                                                                                                \
    {                                                                                                             \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,                                                   \
        {                                                                                                         \
            0                                                                                                     \
        }                                                                                                         \
    }

/* A tradebook_callback; its argument is a struct tally. */
void count_in_tally(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                    const struct tradebook_error *error);
void wait_for_tally(struct tally *tally, unsigned ended);
enum tradebook_code echo_async(struct tradebook_client *client, int64_t timeout_ms, struct tally *tally);
/* Returns when the server has seen so many requests. */
void wait_until_seen(struct script *script, unsigned count);

#endif
