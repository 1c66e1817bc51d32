/* How an ended call is compared with what is expected of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "messages.h"
#include "outcome.h"

static bool has_code(const struct outcome *outcome, const json_t *expect, char why[WHY_BYTES_MAX])
{
    const json_t *expected = json_object_get(expect, "code");
    const char *code = expected != NULL ? json_string_value(expected) : "OK";
    const json_t *contained = json_object_get(expect, "message_contains");
    const char *part = contained != NULL ? json_string_value(contained) : "";
    snprintf(why, WHY_BYTES_MAX, "expected %s %s, got %s: %s", code, part, tradebook_code_name(outcome->code),
             outcome->error.message);
    return strcmp(code, tradebook_code_name(outcome->code)) == 0 && strstr(outcome->error.message, part) != NULL;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static json_t *sorted(const char **texts, size_t count)
{
    qsort(texts, count, sizeof *texts, compare_texts);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_string(texts[i]));
    }
    return list;
}

static bool has_violations(const struct outcome *outcome, const json_t *expected, char why[WHY_BYTES_MAX])
{
    const char *texts[TRADEBOOK_VIOLATIONS_MAX];
    size_t count = json_array_size(expected);
    assert_true(count <= TRADEBOOK_VIOLATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        texts[i] = json_string_value(json_array_get(expected, i));
    }
    json_auto_t *wanted = sorted(texts, count);
    for (size_t i = 0; i < outcome->error.violation_count; i++) {
        texts[i] = outcome->error.violations[i].field;
    }
    json_auto_t *got = sorted(texts, outcome->error.violation_count);
    return is_as_expected(wanted, got, &(struct tbk_json_path){.name = "violations"}, why);
}

static bool has_details(const struct outcome *outcome, const json_t *expected, char why[WHY_BYTES_MAX])
{
    Tradebook__V1__Status *status =
        tradebook__v1__status__unpack(NULL, outcome->error.details_bytes, outcome->error.details);
    json_auto_t *json = json_of_message(&status->base);
    tradebook__v1__status__free_unpacked(status, NULL);
    return is_as_expected(expected, json_object_get(json, "details"), &(struct tbk_json_path){.name = "details"},
                          why);
}

/* Whether all of these paths are there, or none is. */
static bool has_paths(const struct outcome *outcome, const json_t *paths, bool are_present,
                      char why[WHY_BYTES_MAX])
{
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        if ((value_at(outcome->response, path) != NULL) != are_present) {
            snprintf(why, WHY_BYTES_MAX, "%s is %s", path, are_present ? "absent" : "present");
            return false;
        }
    }
    return true;
}

bool outcome_is(const struct outcome *outcome, const json_t *expect, char why[WHY_BYTES_MAX])
{
    const json_t *violations = json_object_get(expect, "violations");
    const json_t *details = json_object_get(expect, "details");
    const json_t *response = json_object_get(expect, "response");
    return has_code(outcome, expect, why) && (violations == NULL || has_violations(outcome, violations, why)) &&
           (details == NULL || has_details(outcome, details, why)) &&
           (response == NULL || is_as_expected(response, outcome->response, NULL, why)) &&
           has_paths(outcome, json_object_get(expect, "present"), true, why) &&
           has_paths(outcome, json_object_get(expect, "absent"), false, why);
}
