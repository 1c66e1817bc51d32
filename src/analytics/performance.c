/* Figures of all trades of a query, and of each value of a dimension. */
#include <stdlib.h>
#include <string.h>

#include "analytics/internal.h"

/* The groups that are answered, with a tally each. */
struct breakdown {
    struct tbk_series *series;
    unsigned dimension;
    struct tbk_value_count *counts; /* of all values; the first group_count are answered */
    size_t count;
    size_t group_count;
    struct tbk_tally *tallies; /* of the groups */
    uint32_t *groups;          /* by code: number of the group + 1, or 0 */
    enum tbk_status status;
    struct tbk_error *error;
};

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    struct breakdown *breakdown = state;
    if (piece->block == NULL || piece->block->groups[breakdown->dimension].are_too_many) {
        return TBK_VISIT_DESCEND;
    }
    const struct tbk_groups *groups;
    breakdown->status =
        tbk_series_read_groups(breakdown->series, piece->block, breakdown->dimension, &groups, breakdown->error);
    if (breakdown->status != TBK_OK) {
        return TBK_VISIT_STOP;
    }
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct tbk_group *group = &groups->items[i];
        const uint32_t number = breakdown->groups[group->code];
        if (number > 0) {
            tbk_tally_piece(&breakdown->tallies[number - 1], &group->sums, group->days, group->day_count);
        }
    }
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    const struct breakdown *breakdown = state;
    const uint32_t number = breakdown->groups[row->codes[breakdown->dimension]];
    if (number > 0) {
        tbk_tally_row(&breakdown->tallies[number - 1], row);
    }
    return TBK_VISIT_DONE;
}

static enum tbk_status tally_groups(struct breakdown *breakdown, struct tbk_series *series,
                                    const struct tbk_selection *selection, double risk_free,
                                    struct tbk_error *error)
{
    breakdown->tallies = malloc((breakdown->group_count + 1) * sizeof *breakdown->tallies);
    breakdown->groups =
        calloc(tbk_dictionary_size(&series->dictionaries[breakdown->dimension]), sizeof *breakdown->groups);
    if (breakdown->tallies == NULL || breakdown->groups == NULL) {
        return tbk_query_out_of_memory(error);
    }
    for (uint32_t i = 0; i < breakdown->group_count; i++) {
        tbk_tally_start(&breakdown->tallies[i], risk_free);
        breakdown->groups[breakdown->counts[i].code] = i + 1;
    }
    const struct tbk_visitor visitor = {.columns = TBK_SUM_COLUMNS | TBK_CODE_COLUMN(breakdown->dimension),
                                        .piece = visit_piece,
                                        .row = visit_row,
                                        .state = breakdown};
    const enum tbk_status status = tbk_walk(series, selection, &visitor, error);
    return status != TBK_OK ? status : breakdown->status;
}

static enum tbk_status finish_groups(struct breakdown *breakdown, struct tbk_series *series,
                                     const struct tbk_selection *selection, int64_t days, struct tbk_arena *arena,
                                     struct tbk_performance_group **ret_groups, struct tbk_error *error)
{
    struct tbk_performance_group *groups = tbk_arena_zalloc(arena, (breakdown->group_count + 1) * sizeof *groups);
    if (groups == NULL) {
        return tbk_query_out_of_memory(error);
    }
    enum tbk_status status = TBK_OK;
    for (size_t i = 0; status == TBK_OK && i < breakdown->group_count; i++) {
        struct tbk_selection selected = *selection;
        selected.dimension = (int)breakdown->dimension;
        selected.code = breakdown->counts[i].code;
        const char *text = tbk_dictionary_text(&series->dictionaries[breakdown->dimension], selected.code);
        if (text != NULL) {
            groups[i].value = tbk_arena_strndup(arena, text, strlen(text));
            if (groups[i].value == NULL) {
                return tbk_query_out_of_memory(error);
            }
        }
        status = tbk_tally_finish(&breakdown->tallies[i], series, &selected, days, &groups[i].figures, error);
    }
    *ret_groups = groups;
    return status;
}

static enum tbk_status break_down(struct tbk_series *series, const struct tbk_selection *selection,
                                  double risk_free, int64_t days, unsigned dimension, size_t groups_max,
                                  struct tbk_arena *arena, struct tbk_performance_group **ret_groups,
                                  size_t *ret_group_count, size_t *ret_groups_left_out, struct tbk_error *error)
{
    struct breakdown breakdown = {.series = series, .dimension = dimension, .error = error};
    enum tbk_status status = tbk_count_values(series, selection->start_us, selection->end_us, dimension,
                                              &breakdown.counts, &breakdown.count, error);
    if (status != TBK_OK) {
        return status;
    }
    tbk_count_sort(breakdown.counts, breakdown.count, &series->dictionaries[dimension]);
    breakdown.group_count = breakdown.count < groups_max ? breakdown.count : groups_max;
    status = tally_groups(&breakdown, series, selection, risk_free, error);
    if (status == TBK_OK) {
        status = finish_groups(&breakdown, series, selection, days, arena, ret_groups, error);
    }
    if (status == TBK_OK) {
        *ret_group_count = breakdown.group_count;
        *ret_groups_left_out = breakdown.count - breakdown.group_count;
    }
    free(breakdown.counts);
    free(breakdown.tallies);
    free(breakdown.groups);
    return status;
}

enum tbk_status tbk_query_performance(struct tbk_series *series, const struct tbk_analytics_query *query,
                                      enum tbk_dimension breakdown, size_t groups_max, struct tbk_arena *arena,
                                      struct tbk_basis *ret_basis, struct tbk_performance *ret_total,
                                      struct tbk_performance_group **ret_groups, size_t *ret_group_count,
                                      size_t *ret_groups_left_out, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    struct tbk_selection selection;
    struct tbk_tally tally;
    struct tbk_basis basis = {0};
    struct tbk_days days;
    *ret_groups = NULL;
    *ret_group_count = *ret_groups_left_out = 0;
    tbk_tally_start(&tally, query->risk_free_percent);
    if (tbk_query_select(series, query, &selection)) {
        status = tbk_query_total(series, query, &selection, &tally, &basis, &days, error);
    }
    if (status == TBK_OK) {
        status = tbk_tally_finish(&tally, series, &selection, basis.days, ret_total, error);
    }
    if (status == TBK_OK && breakdown != TBK_DIMENSION_NONE && basis.trades > 0) {
        status = break_down(series, &selection, query->risk_free_percent, basis.days, (unsigned)breakdown - 1,
                            groups_max, arena, ret_groups, ret_group_count, ret_groups_left_out, error);
    }
    *ret_basis = basis;
    return status;
}

enum tbk_status tbk_analytics_performance(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, enum tbk_dimension breakdown,
                                          size_t groups_max, struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                          struct tbk_performance *ret_total,
                                          struct tbk_performance_group **ret_groups, size_t *ret_group_count,
                                          size_t *ret_groups_left_out, struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_TRADES, query, error);
    if (status == TBK_OK) {
        status =
            tbk_query_performance(&analytics->series[TBK_SERIES_TRADES], query, breakdown, groups_max, arena,
                                  ret_basis, ret_total, ret_groups, ret_group_count, ret_groups_left_out, error);
        tbk_query_end(analytics, session);
    }
    return status;
}
