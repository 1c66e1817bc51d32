/*
 * "Did you mean ...?" for mistyped names.
 */
#ifndef TBK_CLI_SUGGEST_H
#define TBK_CLI_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* How unlike two names are: the fewest insertions, deletions, replacements and
 * swaps of neighbours that turn one into the other, whatever the case. Names
 * are compared up to 95 characters. */
unsigned tbk_name_distance(const char *a, const char *b);

/* Whether candidate is near enough to given to be suggested for it: it begins
 * with it, or at most a third of it is mistyped. */
bool tbk_name_is_near(const char *given, const char *candidate);

/* The name nearest to given; NULL when none is near. */
const char *tbk_name_nearest(const char *given, const char *const *names, size_t count);

#endif
