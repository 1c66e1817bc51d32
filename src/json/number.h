/*
 * Numbers as the proto3 JSON mapping writes them: JSON numbers, or strings that
 * hold one.
 */
#ifndef TBK_JSON_NUMBER_H
#define TBK_JSON_NUMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* False when json is no whole number in range. A number with a fraction or an
 * exponent (1.0, 1e3) is taken below 2^53, where doubles are exact. */
bool tbk_json_int64(const json_t *json, int64_t *ret_value);
bool tbk_json_uint64(const json_t *json, uint64_t *ret_value);

/* Also "NaN", "Infinity" and "-Infinity". False when json is no number, or too
 * large for a double. */
bool tbk_json_double(const json_t *json, double *ret_value);

#endif
