/* The step that reads a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "run.h"

static void check_end(const struct run *run, const json_t *expect)
{
    const json_t *code = json_object_get(expect, "code");
    const json_t *part = json_object_get(expect, "message_contains");
    const struct tradebook_error *error = reading_error(run->reading);
    const char *expected = code != NULL ? json_string_value(code) : "CANCELLED";
    if (strcmp(tradebook_code_name(error->code), expected) != 0 ||
        (part != NULL && strstr(error->message, json_string_value(part)) == NULL)) {
        char why[WHY_BYTES_MAX];
        snprintf(why, sizeof why, "the stream ended with %s: %s", tradebook_code_name(error->code),
                 error->message);
        run_fail(run, why);
    }
}

/* The sequence that is expected of an event; without expectation, its own. */
static json_int_t expected_sequence(const json_t *expect, size_t index, json_int_t own)
{
    const json_t *first = json_object_get(expect, "first");
    const json_t *sequences = json_object_get(expect, "sequences");
    if (sequences != NULL) {
        return json_integer_value(json_array_get(sequences, index));
    }
    return first != NULL ? json_integer_value(first) + (json_int_t)index : own;
}

static void check_events(const struct run *run, size_t count, const json_t *expect)
{
    json_auto_t *events = reading_events(run->reading);
    char why[WHY_BYTES_MAX];
    if (json_array_size(events) != count) {
        snprintf(why, sizeof why, "%zu events came, not %zu", json_array_size(events), count);
        run_fail(run, why);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *event = json_array_get(events, i);
        json_int_t sequence = atoll(json_string_value(json_object_get(event, "sequence")));
        json_int_t expected = expected_sequence(expect, i, sequence);
        if (sequence != expected) {
            snprintf(why, sizeof why, "event %lld came where %lld was expected", (long long)sequence,
                     (long long)expected);
            run_fail(run, why);
        }
    }
    const json_t *expected = json_object_get(expect, "events");
    if (expected != NULL && !is_as_expected(expected, events, &(struct tbk_json_path){.name = "events"}, why)) {
        run_fail(run, why);
    }
}

static void read_stream(struct run *run, const json_t *step, size_t count, const json_t *expect)
{
    run_steps(run, json_object_get(step, "meanwhile"));
    if (json_object_get(expect, "code") != NULL) {
        if (!reading_await_end(run->reading)) {
            run_fail(run, "the stream does not end");
        }
        return;
    }
    if (!reading_await(run->reading, count)) {
        reading_stop(run->reading);
        check_end(run, expect);
        return; /* check_events tells how many came */
    }
    run_steps(run, json_object_get(step, "after"));
}

void run_subscribe(struct run *run, const json_t *step)
{
    run_know(run, step, " subscribe count events_address timeout_ms meanwhile after expect ");
    const json_t *expect = json_object_get(step, "expect");
    run_know(run, expect, " first sequences events code message_contains ");
    size_t count = (size_t)json_integer_value(json_object_get(step, "count"));
    const char *events_address = json_is_false(json_object_get(step, "events_address"))
                                     ? NULL
                                     : run_address(run, run->transport->events_address);
    run->reading =
        reading_start(run_address(run, run->transport->address), events_address,
                      json_object_get(step, "subscribe"), json_integer_value(json_object_get(step, "timeout_ms")));
    read_stream(run, step, count, expect);
    reading_stop(run->reading);
    check_end(run, expect);
    check_events(run, count, expect);
    reading_end(run->reading);
    run->reading = NULL;
}
