/* Graded records of each theory, signals and trades of each strategy. */
#include <stdlib.h>
#include <string.h>

#include "analytics/internal.h"

/* Counts the values of the series' only dimension in the query's window, most
 * rows first. */
static enum tbk_status count(struct tbk_series *series, const struct tbk_analytics_query *query,
                             struct tbk_value_count **ret_counts, size_t *ret_count, struct tbk_error *error)
{
    const int64_t start_us = query->start_us != TBK_NO_TIME ? query->start_us : TBK_UNDATED + 1;
    const int64_t end_us = query->end_us != TBK_NO_TIME ? query->end_us : INT64_MAX;
    const enum tbk_status status = tbk_count_values(series, start_us, end_us, 0, ret_counts, ret_count, error);
    if (status == TBK_OK) {
        tbk_count_sort(*ret_counts, *ret_count, &series->dictionaries[0]);
    }
    return status;
}

/* The text of a value, "" for none. NULL: the arena is full. */
static const char *copy_text(struct tbk_arena *arena, const struct tbk_series *series, uint32_t code)
{
    const char *text = tbk_dictionary_text(&series->dictionaries[0], code);
    return tbk_arena_strndup(arena, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static int compare_names(const void *a, const void *b)
{
    const struct tbk_theory_sums *left = a;
    const struct tbk_theory_sums *right = b;
    return strcmp(left->name, right->name);
}

static enum tbk_status rank_theories(struct tbk_series *series, const struct tbk_analytics_query *query,
                                     struct tbk_arena *arena, struct tbk_theory_sums **ret_theories,
                                     size_t *ret_count, struct tbk_error *error)
{
    struct tbk_value_count *counts;
    size_t n;
    const enum tbk_status status = count(series, query, &counts, &n, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_theory_sums *theories = tbk_arena_alloc(arena, (n + 1) * sizeof *theories);
    for (size_t i = 0; theories != NULL && i < n; i++) {
        theories[i] = (struct tbk_theory_sums){.name = copy_text(arena, series, counts[i].code),
                                               .n = counts[i].n,
                                               .correct = counts[i].wins,
                                               .contributions = counts[i].valued,
                                               .contribution = counts[i].total};
        theories = theories[i].name != NULL ? theories : NULL;
    }
    free(counts);
    if (theories == NULL) {
        return tbk_query_out_of_memory(error);
    }
    qsort(theories, n, sizeof *theories, compare_names);
    *ret_theories = theories;
    *ret_count = n;
    return TBK_OK;
}

enum tbk_status tbk_analytics_theories(struct tbk_analytics *analytics, struct tbk_session *session,
                                       const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                       struct tbk_theory_sums **ret_theories, size_t *ret_count,
                                       struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_THEORIES, query, error);
    if (status == TBK_OK) {
        status =
            rank_theories(&analytics->series[TBK_SERIES_THEORIES], query, arena, ret_theories, ret_count, error);
        tbk_query_end(analytics, session);
    }
    return status;
}

static enum tbk_status rank_strategies(struct tbk_series *series, const struct tbk_analytics_query *query,
                                       struct tbk_arena *arena, struct tbk_strategies *ret_strategies,
                                       struct tbk_error *error)
{
    struct tbk_value_count *counts;
    size_t n;
    const enum tbk_status status = count(series, query, &counts, &n, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_signal_count *strategies = tbk_arena_zalloc(arena, (n + 1) * sizeof *strategies);
    for (size_t i = 0; strategies != NULL && i < n; i++) {
        strategies[i].signals = counts[i].n;
        if (counts[i].code != 0) {
            strategies[i].strategy = copy_text(arena, series, counts[i].code);
            strategies = strategies[i].strategy != NULL ? strategies : NULL;
        }
    }
    free(counts);
    if (strategies == NULL) {
        return tbk_query_out_of_memory(error);
    }
    ret_strategies->signals = strategies;
    ret_strategies->signals_count = n;
    return TBK_OK;
}

enum tbk_status tbk_analytics_strategies(struct tbk_analytics *analytics, struct tbk_session *session,
                                         const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                         struct tbk_strategies *ret_strategies, struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_SIGNALS, query, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_strategies strategies = {0};
    struct tbk_performance total;
    size_t left_out;
    status = rank_strategies(&analytics->series[TBK_SERIES_SIGNALS], query, arena, &strategies, error);
    if (status == TBK_OK) {
        status = tbk_query_performance(&analytics->series[TBK_SERIES_TRADES], query, TBK_DIMENSION_STRATEGY,
                                       SIZE_MAX, arena, &strategies.basis, &total, &strategies.groups,
                                       &strategies.groups_count, &left_out, error);
    }
    tbk_query_end(analytics, session);
    if (status == TBK_OK) {
        *ret_strategies = strategies;
    }
    return status;
}
