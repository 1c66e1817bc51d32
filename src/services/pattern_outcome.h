/*
 * The record of a pattern: how many of its trades won. Shared by what closes a
 * trade and what counts an outcome without one.
 */
#ifndef TBK_SERVICES_PATTERN_OUTCOME_H
#define TBK_SERVICES_PATTERN_OUTCOME_H

#include "services/service.h"
#include "tradebook/v1/pattern.pb-c.h"

/* Reads the pattern with this hash (64 lower-case hexadecimal digits) into the
 * call's arena. NOT_FOUND. FAILED_PRECONDITION: another program has written counts that
 * nothing can be added to. */
enum tbk_status tbk_pattern_find(struct tbk_call *call, const char *hash, Tradebook__V1__Pattern **ret_pattern);

/* Counts one more outcome: total + 1, wins + 1 if it won, win_rate = wins / total;
 * in the pattern and on disk. */
enum tbk_status tbk_pattern_count_outcome(struct tbk_call *call, Tradebook__V1__Pattern *pattern, bool won);

#endif
