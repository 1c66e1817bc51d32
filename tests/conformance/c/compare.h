/*
 * The rules of ../README.md by which JSON is compared.
 */
#ifndef CONFORMANCE_COMPARE_H
#define CONFORMANCE_COMPARE_H

#include <jansson.h>
#include <stdbool.h>

#include "json/types.h"

enum { WHY_BYTES_MAX = 800 };

/* Whether actual, NULL when there is none, is as expected; otherwise why says where
 * it is not. path is where both are. */
bool is_as_expected(const json_t *expected, const json_t *actual, const struct tbk_json_path *path,
                    char why[WHY_BYTES_MAX]);

/* The part of value at a path such as "results.0.id"; NULL when there is none. */
json_t *value_at(const json_t *value, const char *path);

#endif
