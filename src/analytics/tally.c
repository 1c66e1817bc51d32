#include "analytics/tally.h"

#include <math.h>

void tbk_tally_start(struct tbk_tally *tally, double risk_free)
{
    *tally = (struct tbk_tally){.risk_free = risk_free};
    for (int i = 0; i < TBK_PROFIT_COUNT; i++) {
        tbk_curve_start(&tally->sums.profits[i].curve);
    }
}

static double squared_shortfall(const struct tbk_tally *tally, double percent)
{
    const double excess = percent - tally->risk_free;
    return excess < 0 ? excess * excess : 0.0;
}

static void finish_day(struct tbk_tally *tally)
{
    tbk_moments_add(&tally->days, tally->day_percent);
    tally->downside += squared_shortfall(tally, tally->day_percent);
}

static void add_to_day(struct tbk_tally *tally, int32_t day, double percent)
{
    if (tally->has_day && tally->day == day) {
        tally->day_percent += percent;
        return;
    }
    if (tally->has_day) {
        finish_day(tally);
    }
    tally->has_day = true;
    tally->day = day;
    tally->day_percent = percent;
}

void tbk_tally_row(struct tbk_tally *tally, const struct tbk_row *row)
{
    const double percent = row->values[TBK_TRADE_PERCENT];
    add_to_day(tally, tbk_day_of(row->time_us), isnan(percent) ? 0.0 : percent);
    tbk_sums_add(&tally->sums, row);
}

void tbk_tally_piece(struct tbk_tally *tally, const struct tbk_sums *sums, const struct tbk_day_total *days,
                     uint32_t day_count)
{
    for (uint32_t i = 0; i < day_count; i++) {
        add_to_day(tally, days[i].day, days[i].percent);
    }
    tbk_sums_merge(&tally->sums, sums);
}

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    tbk_tally_piece(state, piece->sums, piece->days, piece->day_count);
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    tbk_tally_row(state, row);
    return TBK_VISIT_DONE;
}

struct tbk_visitor tbk_tally_visitor(struct tbk_tally *tally)
{
    return (struct tbk_visitor){
        .columns = TBK_SUM_COLUMNS, .piece = visit_piece, .row = visit_row, .state = tally};
}

static double mean_of(double total, int64_t n)
{
    return n > 0 ? total / (double)n : NAN;
}

static double deviation_of(const struct tbk_moments *moments)
{
    return moments->n > 1 ? sqrt(moments->squares / (double)(moments->n - 1)) : NAN;
}

static struct tbk_drawdown drawdown_of(const struct tbk_curve *curve)
{
    const bool is_known = curve->n > 0 && tbk_exact_falls_are_known(curve->total, curve->high, curve->low);
    struct tbk_drawdown drawdown = {.depth = is_known ? curve->depth.high : NAN,
                                    .peak_us = TBK_NO_TIME,
                                    .trough_us = TBK_NO_TIME,
                                    .recovery_us = TBK_NO_TIME};
    if (drawdown.depth > 0) {
        drawdown.peak_us = curve->peak_us;
        drawdown.trough_us = curve->trough_us;
        drawdown.recovery_us = curve->recovery_us;
        const int64_t begin = curve->peak_us != TBK_NO_TIME ? curve->peak_us : curve->first_us;
        const int64_t end = curve->recovery_us != TBK_NO_TIME ? curve->recovery_us : curve->last_us;
        drawdown.duration_us = end - begin;
    }
    return drawdown;
}

static struct tbk_profit profit_of(const struct tbk_profit_sums *sums)
{
    return (struct tbk_profit){
        .n = sums->curve.n,
        .total = sums->curve.total.high,
        .mean = mean_of(sums->curve.total.high, sums->curve.n),
        .standard_deviation = deviation_of(&sums->moments),
        .mean_win = mean_of(sums->win_total, sums->wins),
        .mean_loss = mean_of(sums->loss_total, sums->losses),
        .gross_gain = sums->gain,
        .gross_loss = sums->loss,
        .drawdown = drawdown_of(&sums->curve),
    };
}

/* Figures per day: the days with trades, and the rest with a return of 0. */
static void set_days(struct tbk_tally *tally, int64_t days, struct tbk_performance *figures)
{
    figures->day_mean = figures->day_standard_deviation = figures->day_downside = figures->day_gross = NAN;
    if (days == 0) {
        return;
    }
    if (tally->has_day) {
        finish_day(tally);
    }
    const int64_t idle = days - tally->days.n;
    const struct tbk_moments without_trades = {.n = idle};
    tbk_moments_merge(&tally->days, &without_trades);
    tally->downside += (double)idle * squared_shortfall(tally, 0.0);
    figures->day_mean = tally->days.mean - tally->risk_free;
    figures->day_standard_deviation = deviation_of(&tally->days);
    figures->day_downside = sqrt(tally->downside / (double)days);
    figures->day_gross = (figures->percent.gross_gain - figures->percent.gross_loss) / (double)days;
}

enum tbk_status tbk_tally_finish(struct tbk_tally *tally, struct tbk_series *series,
                                 const struct tbk_selection *selection, int64_t days,
                                 struct tbk_performance *ret_figures, struct tbk_error *error)
{
    const enum tbk_status status = tbk_recovery_find(tally, series, selection, error);
    if (status != TBK_OK) {
        return status;
    }
    const struct tbk_sums *sums = &tally->sums;
    *ret_figures = (struct tbk_performance){
        .n = sums->n,
        .wins = sums->kinds[TBK_KIND_WIN],
        .losses = sums->kinds[TBK_KIND_LOSS],
        .breakevens = sums->kinds[TBK_KIND_OTHER],
        .percent = profit_of(&sums->profits[TBK_PROFIT_PERCENT]),
        .usd = profit_of(&sums->profits[TBK_PROFIT_USD]),
        .r_n = sums->r.n,
        .r_mean = sums->r.n > 0 ? sums->r.mean : NAN,
        .r_standard_deviation = deviation_of(&sums->r),
    };
    set_days(tally, days, ret_figures);
    return TBK_OK;
}
