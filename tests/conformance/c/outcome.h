/*
 * A call that is under way or has ended. Its functions are of one thread.
 */
#ifndef CONFORMANCE_OUTCOME_H
#define CONFORMANCE_OUTCOME_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "compare.h"
#include "tradebook/client.h"

struct outcome {
    struct tradebook_client *client;
    uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES]; /* if the step gives one or cancels */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by the mutex until it has ended: */
    bool has_ended;
    enum tradebook_code code;
    struct tradebook_error error;
    json_t *response; /* an empty object when code is not OK */
};

/* --- outcome.c --- */

/* Makes the call of a step: waits for its end, or returns when it is under way. */
struct outcome *outcome_of_call(struct tradebook_client *client, const json_t *step);
struct outcome *outcome_of_start(struct tradebook_client *client, const json_t *step);
void outcome_wait(struct outcome *outcome);
void outcome_free(struct outcome *outcome);

/* --- expect.c --- */

/* Whether an ended call is as expected; otherwise why says what is not. */
bool outcome_is(const struct outcome *outcome, const json_t *expect, char why[WHY_BYTES_MAX]);

#endif
