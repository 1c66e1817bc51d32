/* The cumulated curve of a window, in as many points as are wanted. */
#include <math.h>
#include <string.h>

#include "analytics/internal.h"

/* One curve on its way from 0. */
struct path {
    struct tbk_exact total;
    struct tbk_exact high, low;
    struct tbk_exact span_depth; /* deepest fall in the present span */
    bool has_moved;              /* in the present span */
};

struct drawing {
    int32_t first_day;
    int64_t span_days; /* 0: each trade is a point */
    struct tbk_equity_point *points;
    size_t count;
    int64_t span; /* of the last point */
    struct path paths[TBK_PROFIT_COUNT];
};

static int64_t span_of(const struct drawing *drawing, int64_t time_us)
{
    return ((int64_t)tbk_day_of(time_us) - drawing->first_day) / drawing->span_days;
}

/* The point of this span, with n more trades, the last one at this time. */
static void extend(struct drawing *drawing, int64_t span, int64_t n, int64_t last_us)
{
    const int64_t trades = drawing->count > 0 ? drawing->points[drawing->count - 1].trades : 0;
    if (drawing->count == 0 || drawing->span != span) {
        drawing->count++;
        drawing->span = span;
        for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
            drawing->paths[i].span_depth = (struct tbk_exact){0};
            drawing->paths[i].has_moved = false;
        }
    }
    drawing->points[drawing->count - 1] = (struct tbk_equity_point){.time_us = last_us, .trades = trades + n};
}

static void fall(struct path *path, struct tbk_exact depth)
{
    path->has_moved = true;
    path->span_depth = tbk_exact_less(path->span_depth, depth) ? depth : path->span_depth;
}

static void follow_curve(struct path *path, const struct tbk_curve *curve)
{
    if (curve->n == 0) {
        return;
    }
    const struct tbk_exact high = tbk_exact_add(path->total, curve->high);
    const struct tbk_exact low = tbk_exact_add(path->total, curve->low);
    fall(path, tbk_exact_subtract(path->high, low));
    fall(path, curve->depth);
    path->high = tbk_exact_less(path->high, high) ? high : path->high;
    path->low = tbk_exact_less(low, path->low) ? low : path->low;
    path->total = tbk_exact_add(path->total, curve->total);
}

static void follow_value(struct path *path, double value)
{
    if (isnan(value)) {
        return;
    }
    path->total = tbk_exact_add_double(path->total, value);
    path->high = tbk_exact_less(path->high, path->total) ? path->total : path->high;
    path->low = tbk_exact_less(path->total, path->low) ? path->total : path->low;
    fall(path, tbk_exact_subtract(path->high, path->total));
}

/* Deepest fall of the present span; a curve that did not move is where it was. NaN
 * when it is not known. */
static double drawdown_of(const struct path *path)
{
    if (!tbk_exact_falls_are_known(path->total, path->high, path->low)) {
        return NAN;
    }
    return path->has_moved ? path->span_depth.high : tbk_exact_subtract(path->high, path->total).high;
}

/* Where the paths have arrived. */
static void set_values(struct drawing *drawing)
{
    struct tbk_equity_point *point = &drawing->points[drawing->count - 1];
    point->equity_percent = drawing->paths[TBK_PROFIT_PERCENT].total.high;
    point->equity_usd = drawing->paths[TBK_PROFIT_USD].total.high;
    point->drawdown_percent = drawdown_of(&drawing->paths[TBK_PROFIT_PERCENT]);
    point->drawdown_usd = drawdown_of(&drawing->paths[TBK_PROFIT_USD]);
}

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    struct drawing *drawing = state;
    const struct tbk_sums *sums = piece->sums;
    if (drawing->span_days == 0 || span_of(drawing, sums->first_us) != span_of(drawing, sums->last_us)) {
        return TBK_VISIT_DESCEND;
    }
    extend(drawing, span_of(drawing, sums->last_us), sums->n, sums->last_us);
    for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
        follow_curve(&drawing->paths[i], &sums->profits[i].curve);
    }
    set_values(drawing);
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    struct drawing *drawing = state;
    const int64_t span = drawing->span_days == 0 ? (int64_t)drawing->count + 1 : span_of(drawing, row->time_us);
    extend(drawing, span, 1, row->time_us);
    for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
        follow_value(&drawing->paths[i], row->values[i]);
    }
    set_values(drawing);
    return TBK_VISIT_DONE;
}

static enum tbk_status draw(struct tbk_series *series, const struct tbk_selection *selection,
                            const struct tbk_sums *sums, size_t points_max, struct tbk_arena *arena,
                            struct tbk_equity_curve *curve, struct tbk_error *error)
{
    struct drawing drawing = {.first_day = tbk_day_of(sums->first_us)};
    size_t points = (size_t)sums->n;
    if (points > points_max) {
        const int64_t days = (int64_t)tbk_day_of(sums->last_us) - drawing.first_day + 1;
        drawing.span_days = (days + (int64_t)points_max - 1) / (int64_t)points_max;
        points = points_max;
    }
    drawing.points = tbk_arena_alloc(arena, (points + 1) * sizeof *drawing.points);
    if (drawing.points == NULL) {
        return tbk_query_out_of_memory(error);
    }
    const struct tbk_visitor visitor = {
        .columns = TBK_SUM_COLUMNS, .piece = visit_piece, .row = visit_row, .state = &drawing};
    const enum tbk_status status = tbk_walk(series, selection, &visitor, error);
    curve->points = drawing.points;
    curve->count = drawing.count;
    curve->span_days = drawing.span_days;
    return status;
}

enum tbk_status tbk_analytics_equity(struct tbk_analytics *analytics, struct tbk_session *session,
                                     const struct tbk_analytics_query *query, size_t points_max,
                                     struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                     struct tbk_equity_curve *ret_curve, struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_TRADES, query, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_series *series = &analytics->series[TBK_SERIES_TRADES];
    struct tbk_selection selection;
    struct tbk_tally tally;
    struct tbk_performance figures;
    struct tbk_equity_curve curve = {0};
    struct tbk_basis basis = {0};
    struct tbk_days days;
    tbk_tally_start(&tally, 0.0);
    if (tbk_query_select(series, query, &selection)) {
        status = tbk_query_total(series, query, &selection, &tally, &basis, &days, error);
    }
    if (status == TBK_OK) {
        status = tbk_tally_finish(&tally, series, &selection, basis.days, &figures, error);
    }
    if (status == TBK_OK) {
        curve.percent = figures.percent.drawdown;
        curve.usd = figures.usd.drawdown;
        status =
            basis.trades > 0 ? draw(series, &selection, &tally.sums, points_max, arena, &curve, error) : TBK_OK;
    }
    tbk_query_end(analytics, session);
    if (status == TBK_OK) {
        *ret_basis = basis;
        *ret_curve = curve;
    }
    return status;
}
