/*
 * From sums to figures: a tally adds up the pieces and rows of a walk, with the
 * profit of each day, and turns into a struct tbk_performance.
 */
#ifndef TBK_ANALYTICS_TALLY_H
#define TBK_ANALYTICS_TALLY_H

#include "analytics/walk.h"

struct tbk_tally {
    struct tbk_sums sums;
    double risk_free; /* percent per day */
    bool has_day;
    int32_t day; /* the present one */
    double day_percent;
    struct tbk_moments days; /* the finished ones */
    double downside;         /* sum of their squared returns below risk_free */
};

/* The days a figure per day is made of. */
struct tbk_days {
    int32_t first, last;
};

void tbk_tally_start(struct tbk_tally *tally, double risk_free);
void tbk_tally_piece(struct tbk_tally *tally, const struct tbk_sums *sums, const struct tbk_day_total *days,
                     uint32_t day_count);
void tbk_tally_row(struct tbk_tally *tally, const struct tbk_row *row);
/* A visitor that tallies everything. */
struct tbk_visitor tbk_tally_visitor(struct tbk_tally *tally);

/* Turns what was tallied over selection into figures; may read the series for
 * the times of recovery. */
enum tbk_status tbk_tally_finish(struct tbk_tally *tally, struct tbk_series *series,
                                 const struct tbk_selection *selection, int64_t days,
                                 struct tbk_performance *ret_figures, struct tbk_error *error);

/* Finds when the deepest falls of both curves were recovered, where pieces could
 * not tell. */
enum tbk_status tbk_recovery_find(struct tbk_tally *tally, struct tbk_series *series,
                                  const struct tbk_selection *selection, struct tbk_error *error);

#endif
