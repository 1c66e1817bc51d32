/*
 * Sums over rows in the order of (time, id). Sums of a run of rows and of the
 * run that follows it merge to the sums of both.
 */
#ifndef TBK_ANALYTICS_SUMS_H
#define TBK_ANALYTICS_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "analytics/exact.h"
#include "storage/series.h"

/* A row of a series; its texts are numbers of dictionaries. */
struct tbk_row {
    int64_t time_us;
    int64_t id;
    double values[TBK_SERIES_VALUES_MAX]; /* NaN: none */
    uint32_t codes[TBK_SERIES_DIMENSIONS_MAX];
    uint8_t kind;
};

/* Mean and sum of squared deviations (Welford 1962; merged by Chan et al. 1979):
 * exactly 0 for equal values. */
struct tbk_moments {
    int64_t n;
    double mean, squares;
};

/* Where the recovery of a curve is: in the rows from from_us on (INT64_MIN: from its
 * first), before which the curve had this value. */
struct tbk_curve_search {
    int64_t from_us;
    struct tbk_exact before;
};

/* The cumulated curve, as seen from 0 before its first row. High is the highest
 * value after a row, low the lowest; each is where it was first reached. Depth is
 * the deepest fall from a row to a later one. All meaningless when n is 0. */
struct tbk_curve {
    int64_t n;
    int64_t first_us, last_us;
    struct tbk_exact total;
    struct tbk_exact high;
    int64_t high_us;
    struct tbk_exact low;
    int64_t low_us, low_id;
    struct tbk_exact depth; /* 0: the curve never fell, what follows is meaningless */
    struct tbk_exact peak;
    int64_t peak_us;
    int64_t trough_us, trough_id;
    int64_t recovery_us; /* or one of those below */
    struct tbk_curve_search search;
};

#define TBK_RECOVERY_NONE  INT64_MIN
#define TBK_RECOVERY_LATER INT64_MAX /* where pieces were merged: to be searched */

/* One value of the rows that have it. */
struct tbk_profit_sums {
    struct tbk_moments moments;
    struct tbk_curve curve;
    int64_t wins, losses;
    double win_total, loss_total;
    double gain, loss; /* of the positive, of the negative values */
};

enum { TBK_PROFIT_PERCENT, TBK_PROFIT_USD, TBK_PROFIT_COUNT };

struct tbk_sums {
    int64_t n;
    int64_t first_us, last_us; /* meaningless when n is 0 */
    int64_t kinds[TBK_KIND_COUNT];
    struct tbk_profit_sums profits[TBK_PROFIT_COUNT]; /* of values[0] and values[1] */
    struct tbk_moments r;                             /* of values[TBK_TRADE_R] */
};

void tbk_moments_add(struct tbk_moments *moments, double value);
void tbk_moments_merge(struct tbk_moments *moments, const struct tbk_moments *next);

/* Makes a curve of no row one that starts at 0: its start is a peak, without a
 * time (INT64_MIN). */
void tbk_curve_start(struct tbk_curve *curve);
void tbk_curve_add(struct tbk_curve *curve, const struct tbk_row *row, double value);
void tbk_curve_merge(struct tbk_curve *curve, const struct tbk_curve *next);

/* Sums of no row are all zero. */
void tbk_sums_add(struct tbk_sums *sums, const struct tbk_row *row);
void tbk_sums_merge(struct tbk_sums *sums, const struct tbk_sums *next);

#endif
