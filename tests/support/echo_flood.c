/*
 * Many calls at once, for tests: starts COUNT echoes of BYTES without waiting for any,
 * prints "started", and when all have ended how many were answered with OK.
 *
 *   echo_flood ADDRESS COUNT BYTES TIMEOUT_MS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tradebook/client.h"
#include "tradebook/v1/admin.pb-c.h"

#define METHOD "/tradebook.v1.AdminService/Echo"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ended, ok;

static void fail(const struct tradebook_error *error)
{
    fprintf(stderr, "echo_flood: %s\n", error->message);
    exit(EXIT_FAILURE);
}

static void count(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                  const struct tradebook_error *error)
{
    (void)argument;
    (void)reply;
    (void)error;
    pthread_mutex_lock(&mutex);
    ended++;
    ok += code == TRADEBOOK_OK;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: echo_flood ADDRESS COUNT BYTES TIMEOUT_MS\n");
        return 2;
    }
    const int calls = atoi(argv[2]);
    const struct tradebook_client_options options = {.in_flight_max = (unsigned)calls,
                                                     .timeout_ms = atoi(argv[4])};
    struct tradebook_client *client;
    struct tradebook_error error;
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    request.has_payload = 1;
    request.payload.len = (size_t)atoi(argv[3]);
    request.payload.data = calloc(1, request.payload.len);
    if (tradebook_client_open(argv[1], &options, &client, &error) != TRADEBOOK_OK)
        fail(&error);
    for (int i = 0; i < calls; i++) {
        if (tradebook_call_async(client, METHOD, &request.base, NULL, count, NULL, &error) != TRADEBOOK_OK)
            fail(&error);
    }
    puts("started");
    fflush(stdout);
    pthread_mutex_lock(&mutex);
    while (ended < calls)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    printf("%d of %d\n", ok, calls);
    tradebook_client_close(client);
    free(request.payload.data);
    return 0;
}
