#include "analytics/sums.h"

#include <math.h>

void tbk_moments_add(struct tbk_moments *moments, double value)
{
    moments->n++;
    const double deviation = value - moments->mean;
    moments->mean += deviation / (double)moments->n;
    moments->squares += deviation * (value - moments->mean);
}

void tbk_moments_merge(struct tbk_moments *moments, const struct tbk_moments *next)
{
    if (next->n == 0) {
        return;
    }
    const double n = (double)(moments->n + next->n);
    const double share = (double)next->n / n;
    const double difference = next->mean - moments->mean;
    moments->squares += next->squares + difference * difference * (double)moments->n * share;
    moments->mean += difference * share;
    moments->n += next->n;
}

void tbk_curve_start(struct tbk_curve *curve)
{
    *curve = (struct tbk_curve){.high_us = INT64_MIN, .low_us = INT64_MIN};
}

/* Looks at a later point that is this low. */
static void fall_from_high(struct tbk_curve *curve, struct tbk_exact low, int64_t low_us, int64_t low_id)
{
    const struct tbk_exact fall = tbk_exact_subtract(curve->high, low);
    if (tbk_exact_less(curve->depth, fall)) {
        curve->depth = fall;
        curve->peak = curve->high;
        curve->peak_us = curve->high_us;
        curve->trough_us = low_us;
        curve->trough_id = low_id;
        curve->recovery_us = TBK_RECOVERY_NONE;
    }
}

/* Whether the deepest fall is not recovered yet and a later point this high does
 * so. */
static bool recovers(const struct tbk_curve *curve, struct tbk_exact high)
{
    const bool has_fallen = curve->depth.high > 0;
    return has_fallen && curve->recovery_us == TBK_RECOVERY_NONE && !tbk_exact_less(high, curve->peak);
}

/* Whether the curve has no point yet from which it could fall. */
static bool is_empty(const struct tbk_curve *curve)
{
    return curve->n == 0 && curve->high_us != INT64_MIN;
}

static void add_point(struct tbk_curve *curve, struct tbk_exact total, const struct tbk_row *row)
{
    if (is_empty(curve)) {
        curve->high = curve->low = total;
        curve->high_us = curve->low_us = row->time_us;
        curve->low_id = row->id;
        return;
    }
    if (recovers(curve, total)) {
        curve->recovery_us = row->time_us;
    }
    if (tbk_exact_less(curve->high, total)) {
        curve->high = total;
        curve->high_us = row->time_us;
        return;
    }
    fall_from_high(curve, total, row->time_us, row->id);
    if (tbk_exact_less(total, curve->low)) {
        curve->low = total;
        curve->low_us = row->time_us;
        curve->low_id = row->id;
    }
}

void tbk_curve_add(struct tbk_curve *curve, const struct tbk_row *row, double value)
{
    const struct tbk_exact total = tbk_exact_add_double(curve->total, value);
    add_point(curve, total, row);
    curve->total = total;
    curve->first_us = curve->n == 0 ? row->time_us : curve->first_us;
    curve->last_us = row->time_us;
    curve->n++;
}

/* Where to search for what happens in next. Times of neighbours can be equal, and
 * then do not tell them apart. */
static struct tbk_curve_search search_in(const struct tbk_curve *curve, const struct tbk_curve *next)
{
    const bool is_apart = curve->n > 0 && curve->last_us < next->first_us;
    return is_apart ? (struct tbk_curve_search){.from_us = next->first_us, .before = curve->total}
                    : (struct tbk_curve_search){.from_us = INT64_MIN};
}

/* Where to search for a recovery that is in next. */
static struct tbk_curve_search search_of(const struct tbk_curve *curve, const struct tbk_curve *next)
{
    if (next->search.from_us == INT64_MIN) {
        return search_in(curve, next);
    }
    return (struct tbk_curve_search){.from_us = next->search.from_us,
                                     .before = tbk_exact_add(curve->total, next->search.before)};
}

/* The deepest fall after next. Of equal falls the first counts, and one that
 * crosses the joint has its trough before one of the same depth inside next. */
static void merge_falls(struct tbk_curve *curve, const struct tbk_curve *next)
{
    const struct tbk_exact high = tbk_exact_add(curve->total, next->high);
    fall_from_high(curve, tbk_exact_add(curve->total, next->low), next->low_us, next->low_id);
    if (tbk_exact_less(curve->depth, next->depth)) {
        curve->depth = next->depth;
        curve->peak = tbk_exact_add(curve->total, next->peak);
        curve->peak_us = next->peak_us;
        curve->trough_us = next->trough_us;
        curve->trough_id = next->trough_id;
        curve->recovery_us = next->recovery_us;
        if (next->recovery_us == TBK_RECOVERY_LATER) {
            curve->search = search_of(curve, next);
        }
    } else if (recovers(curve, high)) {
        curve->search = search_in(curve, next);
        curve->recovery_us = TBK_RECOVERY_LATER;
    }
}

void tbk_curve_merge(struct tbk_curve *curve, const struct tbk_curve *next)
{
    if (next->n == 0) {
        return;
    }
    if (is_empty(curve)) {
        *curve = *next;
        return;
    }
    merge_falls(curve, next);
    const struct tbk_exact high = tbk_exact_add(curve->total, next->high);
    const struct tbk_exact low = tbk_exact_add(curve->total, next->low);
    if (tbk_exact_less(curve->high, high)) {
        curve->high = high;
        curve->high_us = next->high_us;
    }
    if (tbk_exact_less(low, curve->low)) {
        curve->low = low;
        curve->low_us = next->low_us;
        curve->low_id = next->low_id;
    }
    curve->total = tbk_exact_add(curve->total, next->total);
    curve->first_us = curve->n == 0 ? next->first_us : curve->first_us;
    curve->last_us = next->last_us;
    curve->n += next->n;
}

static void profit_add(struct tbk_profit_sums *profit, const struct tbk_row *row, double value)
{
    tbk_moments_add(&profit->moments, value);
    tbk_curve_add(&profit->curve, row, value);
    if (row->kind == TBK_KIND_WIN) {
        profit->wins++;
        profit->win_total += value;
    } else if (row->kind == TBK_KIND_LOSS) {
        profit->losses++;
        profit->loss_total += value;
    }
    if (value > 0) {
        profit->gain += value;
    } else {
        profit->loss += value;
    }
}

static void profit_merge(struct tbk_profit_sums *profit, const struct tbk_profit_sums *next)
{
    tbk_moments_merge(&profit->moments, &next->moments);
    tbk_curve_merge(&profit->curve, &next->curve);
    profit->wins += next->wins;
    profit->losses += next->losses;
    profit->win_total += next->win_total;
    profit->loss_total += next->loss_total;
    profit->gain += next->gain;
    profit->loss += next->loss;
}

void tbk_sums_add(struct tbk_sums *sums, const struct tbk_row *row)
{
    sums->first_us = sums->n == 0 ? row->time_us : sums->first_us;
    sums->last_us = row->time_us;
    sums->n++;
    sums->kinds[row->kind]++;
    for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
        if (!isnan(row->values[i])) {
            profit_add(&sums->profits[i], row, row->values[i]);
        }
    }
    if (!isnan(row->values[TBK_TRADE_R])) {
        tbk_moments_add(&sums->r, row->values[TBK_TRADE_R]);
    }
}

void tbk_sums_merge(struct tbk_sums *sums, const struct tbk_sums *next)
{
    if (next->n == 0) {
        return;
    }
    sums->first_us = sums->n == 0 ? next->first_us : sums->first_us;
    sums->last_us = next->last_us;
    sums->n += next->n;
    for (int i = 0; i < TBK_KIND_COUNT; i++) {
        sums->kinds[i] += next->kinds[i];
    }
    for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
        profit_merge(&sums->profits[i], &next->profits[i]);
    }
    tbk_moments_merge(&sums->r, &next->r);
}
