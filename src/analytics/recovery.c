/* When the deepest fall of a curve was recovered. */
#include <math.h>

#include "analytics/tally.h"

struct search {
    const struct tbk_curve *curve;
    int profit;
    struct tbk_exact total;
    int64_t found_us;
};

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    struct search *search = state;
    const struct tbk_curve *next = &piece->sums->profits[search->profit].curve;
    if (next->n == 0) {
        return TBK_VISIT_DONE;
    }
    const bool may_recover = !tbk_exact_less(tbk_exact_add(search->total, next->high), search->curve->peak);
    if (next->last_us >= search->curve->trough_us && may_recover) {
        return TBK_VISIT_DESCEND;
    }
    search->total = tbk_exact_add(search->total, next->total);
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    struct search *search = state;
    const double value = row->values[search->profit];
    if (isnan(value)) {
        return TBK_VISIT_DONE;
    }
    search->total = tbk_exact_add_double(search->total, value);
    const struct tbk_key trough = {.time_us = search->curve->trough_us, .id = search->curve->trough_id};
    const bool is_later = tbk_key_compare(trough, tbk_key_of(row)) < 0;
    if (!is_later || tbk_exact_less(search->total, search->curve->peak)) {
        return TBK_VISIT_DONE;
    }
    search->found_us = row->time_us;
    return TBK_VISIT_STOP;
}

enum tbk_status tbk_recovery_find(struct tbk_tally *tally, struct tbk_series *series,
                                  const struct tbk_selection *selection, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    for (int i = 0; status == TBK_OK && i < TBK_PROFIT_COUNT; i++) {
        struct tbk_curve *curve = &tally->sums.profits[i].curve;
        if (!(curve->depth.high > 0) || curve->recovery_us != TBK_RECOVERY_LATER) {
            continue;
        }
        struct search search = {
            .curve = curve, .profit = i, .total = curve->search.before, .found_us = TBK_RECOVERY_NONE};
        const struct tbk_visitor visitor = {.columns = 1U << TBK_COLUMN_TIME | 1U << TBK_COLUMN_ID |
                                                       1U << (TBK_COLUMN_VALUE + i),
                                            .piece = visit_piece,
                                            .row = visit_row,
                                            .state = &search};
        struct tbk_selection rest = *selection;
        if (curve->search.from_us > rest.start_us) {
            rest.start_us = curve->search.from_us;
        }
        status = tbk_walk(series, &rest, &visitor, error);
        curve->recovery_us = search.found_us;
    }
    return status;
}
