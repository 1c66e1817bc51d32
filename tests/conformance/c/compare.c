#include "compare.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/wellknown.h"

#define TOLERANCE 1e-9

/* Microseconds since 1970. False: text is no timestamp in UTC. */
static bool read_time(const char *text, int64_t *ret_us)
{
    size_t length = strlen(text);
    int64_t seconds = 0;
    int32_t nanos = 0;
    if (length == 0 || text[length - 1] != 'Z' || !tbk_json_timestamp_parse(text, length, &seconds, &nanos)) {
        return false;
    }
    *ret_us = seconds * 1000000 + nanos / 1000;
    return true;
}

static bool is_same_text(const char *expected, const char *actual)
{
    int64_t expected_us = 0;
    int64_t actual_us = 0;
    return strcmp(expected, actual) == 0 ||
           (read_time(expected, &expected_us) && read_time(actual, &actual_us) && expected_us == actual_us);
}

static bool is_same(const json_t *expected, const json_t *actual)
{
    if (json_is_number(expected) && json_is_number(actual)) {
        double number = json_number_value(expected);
        return fabs(number - json_number_value(actual)) <= TOLERANCE * fmax(1, fabs(number));
    }
    if (json_is_string(expected) && json_is_string(actual)) {
        return is_same_text(json_string_value(expected), json_string_value(actual));
    }
    return json_equal(expected, actual) != 0;
}

static bool differ(const json_t *expected, const json_t *actual, const struct tbk_json_path *path,
                   char why[WHY_BYTES_MAX])
{
    char where[TBK_JSON_PATH_BYTES_MAX];
    tbk_json_path_format(path, where);
    char *wanted = json_dumps(expected, JSON_ENCODE_ANY | JSON_COMPACT);
    char *got = actual != NULL ? json_dumps(actual, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(why, WHY_BYTES_MAX, "%s: expected %.300s, got %.300s", where, wanted, got != NULL ? got : "nothing");
    free(wanted);
    free(got);
    return false;
}

static bool is_list_as_expected(const json_t *expected, const json_t *actual, const struct tbk_json_path *path,
                                char why[WHY_BYTES_MAX])
{
    if (json_array_size(expected) != json_array_size(actual)) {
        return differ(expected, actual, path, why);
    }
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const struct tbk_json_path element = {.parent = path, .index = i};
        if (!is_as_expected(json_array_get(expected, i), json_array_get(actual, i), &element, why)) {
            return false;
        }
    }
    return true;
}

bool is_as_expected(const json_t *expected, const json_t *actual, const struct tbk_json_path *path,
                    char why[WHY_BYTES_MAX])
{
    if (json_is_array(expected) && (actual == NULL || json_is_array(actual))) {
        return is_list_as_expected(expected, actual, path, why);
    }
    if (!json_is_object(expected) || !json_is_object(actual)) {
        return is_same(expected, actual) || differ(expected, actual, path, why);
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)expected, name, value)
    {
        const struct tbk_json_path member = {.parent = path, .name = name};
        if (!is_as_expected(value, json_object_get(actual, name), &member, why)) {
            return false;
        }
    }
    return true;
}

json_t *value_at(const json_t *value, const char *path)
{
    while (value != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        value = isdigit((unsigned char)*path) ? json_array_get(value, strtoul(path, NULL, 10))
                                              : json_object_getn(value, path, length);
        path += length;
        path += *path == '.';
    }
    return (json_t *)value;
}
