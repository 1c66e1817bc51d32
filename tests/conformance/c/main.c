/*
 * Runs every case of ../cases by the C client, over one transport: tcp, ipc or ws.
 * ../README.md says what a case is.
 */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "messages.h"
#include "run.h"

/* Events are published to a subscriber of the C client over tcp and ipc only. */
static const struct transport transports[] = {
    {"tcp", "address", "events_address"},
    {"ipc", "ipc", "events_ipc"},
    {"ws", "ws", "events_address"},
};

static int start_case(void **state)
{
    struct run *run = *state;
    run->variables = json_object();
    server_start(&run->server, json_object_get(run->definition, "options"));
    return 0;
}

static void test_case(void **state)
{
    struct run *run = *state;
    run_know(run, run->definition, " name options steps ");
    run_steps(run, json_object_get(run->definition, "steps"));
    assert_int_equal(run_end(run), 0);
}

static int end_case(void **state)
{
    run_end(*state);
    return 0;
}

/* All cases, as one list. NULL: there are none, or one cannot be read. */
static json_t *read_cases(void)
{
    glob_t files;
    if (glob("cases/*.json", 0, NULL, &files) != 0) {
        return NULL;
    }
    json_t *cases = json_array();
    for (size_t i = 0; i < files.gl_pathc && cases != NULL; i++) {
        json_auto_t *of_file = json_load_file(files.gl_pathv[i], JSON_ALLOW_NUL, NULL);
        if (json_array_extend(cases, of_file) != 0) {
            json_decref(cases);
            cases = NULL;
        }
    }
    globfree(&files);
    return cases;
}

static int run_cases(const json_t *cases, const struct transport *transport)
{
    const size_t count = json_array_size(cases);
    struct CMUnitTest tests[count];
    struct run runs[count];
    for (size_t i = 0; i < count; i++) {
        const json_t *definition = json_array_get(cases, i);
        runs[i] = (struct run){.definition = definition, .transport = transport, .step = definition};
        tests[i] = (struct CMUnitTest){.name = json_string_value(json_object_get(definition, "name")),
                                       .test_func = test_case,
                                       .setup_func = start_case,
                                       .teardown_func = end_case,
                                       .initial_state = &runs[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    const struct transport *transport = NULL;
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        if (argc == 2 && strcmp(argv[1], transports[i].name) == 0) {
            transport = &transports[i];
        }
    }
    json_auto_t *cases = read_cases();
    if (transport == NULL || cases == NULL) {
        fputs("usage, in the folder of the cases: test_conformance tcp|ipc|ws\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    messages_open();
    int failed = run_cases(cases, transport);
    messages_close();
    return failed;
}
