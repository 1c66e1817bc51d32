/*
 * Saved values in the place of ${name}.
 */
#ifndef CONFORMANCE_VARIABLES_H
#define CONFORMANCE_VARIABLES_H

#include <jansson.h>

/* A copy of value with its variables replaced. An unknown one fails the test. */
json_t *fill_variables(json_t *value, const json_t *variables);

#endif
