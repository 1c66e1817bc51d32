#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "compare.h"
#include "variables.h"

void run_fail(const struct run *run, const char *why)
{
    char *step = json_dumps(run->step, JSON_COMPACT);
    print_error("%s\nin the step %.500s\n", why, step);
    free(step);
    fail();
    abort(); /* fail does not return, but does not say so */
}

void run_know(const struct run *run, const json_t *members, const char *names)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)members, name, value)
    {
        char wanted[64];
        snprintf(wanted, sizeof wanted, " %s ", name);
        if (strstr(names, wanted) == NULL) {
            char why[128];
            snprintf(why, sizeof why, "this runner does not know the member \"%s\"", name);
            run_fail(run, why);
        }
    }
}

const char *run_address(const struct run *run, const char *name)
{
    return json_string_value(json_object_get(run->server.addresses, name));
}

static bool is_id(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

struct tradebook_client *run_client(struct run *run, const char *client_id)
{
    for (size_t i = 0; i < run->client_count; i++) {
        if (is_id(run->clients[i].client_id, client_id)) {
            return run->clients[i].client;
        }
    }
    assert_true(run->client_count < CLIENT_IDS_MAX);
    const struct tradebook_client_options options = {.client_id = client_id};
    struct tradebook_client *client = NULL;
    struct tradebook_error error;
    if (tradebook_client_open(run_address(run, run->transport->address), &options, &client, &error) !=
        TRADEBOOK_OK) {
        run_fail(run, error.message);
    }
    struct named_client *named = &run->clients[run->client_count++];
    named->client_id = client_id != NULL ? strdup(client_id) : NULL;
    named->client = client;
    return client;
}

static void run_server(struct run *run, const json_t *step)
{
    run_know(run, step, " server rows ");
    json_auto_t *answer = server_do(&run->server, json_object_get(step, "server"));
    const json_t *error = json_object_get(answer, "error");
    if (error != NULL) {
        run_fail(run, json_string_value(error));
    }
    const json_t *rows = json_object_get(step, "rows");
    const struct tbk_json_path path = {.name = "rows"};
    char why[WHY_BYTES_MAX];
    if (rows != NULL && !is_as_expected(rows, json_object_get(answer, "rows"), &path, why)) {
        run_fail(run, why);
    }
}

static void run_step(struct run *run, const json_t *step)
{
    static const struct {
        const char *name;
        void (*run)(struct run *run, const json_t *step);
    } kinds[] = {
        {"call", run_call}, {"parallel", run_parallel}, {"subscribe", run_subscribe}, {"server", run_server}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (json_object_get(step, kinds[i].name) != NULL) {
            kinds[i].run(run, step); /* which knows no other kind's name */
            return;
        }
    }
    run_fail(run, "this runner knows no such step");
}

void run_steps(struct run *run, const json_t *steps)
{
    const json_t *outer = run->step;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        json_auto_t *step = fill_variables(json_array_get(steps, i), run->variables);
        run->step = step;
        run_step(run, step);
    }
    run->step = outer;
}

int run_end(struct run *run)
{
    reading_end(run->reading);
    run->reading = NULL;
    while (run->client_count > 0) {
        struct named_client *named = &run->clients[--run->client_count];
        tradebook_client_close(named->client);
        free(named->client_id);
    }
    json_decref(run->variables);
    run->variables = NULL;
    return server_end(&run->server);
}
