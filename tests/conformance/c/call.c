/* The steps that make calls. */
#include <string.h>
#include <time.h>

#include "cmocka_all.h"
#include "outcome.h"
#include "run.h"

enum { POLL_SECONDS_MAX = 20, PARALLEL_MAX = 1024 };

#define CALL_MEMBERS   " call request timeout_ms request_id metadata client_id cancel meanwhile poll expect save "
#define EXPECT_MEMBERS " code message_contains violations details response present absent "

static void know(const struct run *run, const json_t *step)
{
    run_know(run, step, CALL_MEMBERS);
    run_know(run, json_object_get(step, "expect"), EXPECT_MEMBERS);
}

static struct tradebook_client *client_of(struct run *run, const json_t *step)
{
    return run_client(run, json_string_value(json_object_get(step, "client_id")));
}

static struct outcome *call_once(struct run *run, const json_t *step)
{
    bool is_cancelled = json_is_true(json_object_get(step, "cancel"));
    const json_t *meanwhile = json_object_get(step, "meanwhile");
    if (!is_cancelled && meanwhile == NULL) {
        return outcome_of_call(client_of(run, step), step);
    }
    struct outcome *outcome = outcome_of_start(client_of(run, step), step);
    if (is_cancelled) {
        tradebook_cancel(outcome->client, outcome->request_id);
    }
    run_steps(run, meanwhile);
    outcome_wait(outcome);
    return outcome;
}

static void save(const struct run *run, const json_t *paths, const struct outcome *outcome)
{
    const char *name = NULL;
    json_t *path = NULL;
    json_object_foreach((json_t *)paths, name, path)
    {
        json_t *value = value_at(outcome->response, json_string_value(path));
        if (value == NULL) {
            run_fail(run, "there is nothing to save");
        }
        json_object_set(run->variables, name, value);
    }
}

void run_call(struct run *run, const json_t *step)
{
    know(run, step);
    time_t until = time(NULL) + (json_is_true(json_object_get(step, "poll")) ? POLL_SECONDS_MAX : 0);
    char why[WHY_BYTES_MAX];
    struct outcome *outcome = call_once(run, step);
    while (!outcome_is(outcome, json_object_get(step, "expect"), why)) {
        outcome_free(outcome);
        if (time(NULL) >= until) {
            run_fail(run, why);
        }
        outcome = call_once(run, step);
    }
    save(run, json_object_get(step, "save"), outcome);
    outcome_free(outcome);
}

static void check_codes(const struct run *run, const json_t *codes, struct outcome *const *outcomes, size_t count)
{
    json_auto_t *counts = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *code = tradebook_code_name(outcomes[i]->code);
        json_object_set_new(counts, code, json_integer(1 + json_integer_value(json_object_get(counts, code))));
    }
    char why[WHY_BYTES_MAX];
    if (!is_as_expected(codes, counts, &(struct tbk_json_path){.name = "codes"}, why)) {
        run_fail(run, why);
    }
}

void run_parallel(struct run *run, const json_t *step)
{
    run_know(run, step, " parallel times codes ");
    const json_t *calls = json_object_get(step, "parallel");
    const json_t *codes = json_object_get(step, "codes");
    size_t times =
        json_object_get(step, "times") != NULL ? (size_t)json_integer_value(json_object_get(step, "times")) : 1;
    size_t count = json_array_size(calls) * times;
    assert_in_range(count, 1, PARALLEL_MAX);
    struct outcome *outcomes[PARALLEL_MAX];
    for (size_t i = 0; i < count; i++) {
        const json_t *call = json_array_get(calls, i / times);
        know(run, call);
        outcomes[i] = outcome_of_start(client_of(run, call), call);
    }
    for (size_t i = 0; i < count; i++) {
        outcome_wait(outcomes[i]);
    }
    if (codes != NULL) {
        check_codes(run, codes, outcomes, count);
    }
    for (size_t i = 0; i < count; i++) {
        char why[WHY_BYTES_MAX];
        const json_t *call = json_array_get(calls, i / times);
        if (codes == NULL && !outcome_is(outcomes[i], json_object_get(call, "expect"), why)) {
            run_fail(run, why);
        }
        outcome_free(outcomes[i]);
    }
}
