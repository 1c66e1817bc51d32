#include "services/analytics_figures.h"

#include "analytics/statistics.h"
#include "base/timestamp.h"
#include "services/analytics_definitions.h"

enum { DAYS_A_YEAR = 365, SQN_TRADES_MAX = 100 };

void *tbk_make(struct tbk_maker *maker, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = tbk_message_create(descriptor, maker->arena);
    maker->failed |= message == NULL;
    return message;
}

void *tbk_make_list(struct tbk_maker *maker, size_t count)
{
    void *list = tbk_arena_alloc(maker->arena, (count + 1) * sizeof(void *));
    maker->failed |= list == NULL;
    return list;
}

enum tbk_status tbk_make_end(const struct tbk_maker *maker, struct tbk_call *call, ProtobufCMessage *response,
                             ProtobufCMessage **ret_response)
{
    if (maker->failed) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED,
                             "The answer needs more memory than one request may have; ask for less of it.");
    }
    *ret_response = response;
    return TBK_OK;
}

Google__Protobuf__Timestamp *tbk_make_time(struct tbk_maker *maker, int64_t us)
{
    if (us == TBK_NO_TIME) {
        return NULL;
    }
    Google__Protobuf__Timestamp *time = tbk_make(maker, &google__protobuf__timestamp__descriptor);
    if (time != NULL) {
        tbk_timestamp_to_proto(us, &time->seconds, &time->nanos);
    }
    return time;
}

Tradebook__V1__Proportion *tbk_make_proportion(struct tbk_maker *maker, int64_t successes, int64_t n)
{
    Tradebook__V1__Proportion *proportion = tbk_make(maker, &tradebook__v1__proportion__descriptor);
    if (proportion == NULL) {
        return NULL;
    }
    const struct tbk_interval interval = tbk_wilson(successes, n);
    TBK_SET_FIGURE(proportion, value, (double)successes / (double)n);
    TBK_SET_FIGURE(proportion, lower, interval.lower);
    TBK_SET_FIGURE(proportion, upper, interval.upper);
    TBK_SET(proportion, n, n);
    return proportion;
}

Tradebook__V1__Drawdown *tbk_make_drawdown(struct tbk_maker *maker, const struct tbk_drawdown *drawdown)
{
    if (isnan(drawdown->depth)) {
        return NULL;
    }
    Tradebook__V1__Drawdown *message = tbk_make(maker, &tradebook__v1__drawdown__descriptor);
    if (message == NULL) {
        return NULL;
    }
    TBK_SET_FIGURE(message, depth, drawdown->depth);
    message->peak_time = tbk_make_time(maker, drawdown->peak_us);
    message->trough_time = tbk_make_time(maker, drawdown->trough_us);
    message->recovery_time = tbk_make_time(maker, drawdown->recovery_us);
    TBK_SET(message, duration_seconds, drawdown->duration_us / 1000000);
    return message;
}

/* numerator / denominator, or NaN when the denominator is 0 or not defined, or
 * beyond a double, by which the ratio would be 0. */
static double ratio(double numerator, double denominator)
{
    return denominator == 0 || !isfinite(denominator) ? NAN : numerator / denominator;
}

/* figure / deviation, or NaN when values of this size do not deviate. */
static double per_deviation(double figure, double deviation, double size)
{
    return tbk_is_rounding(deviation, size) ? NAN : ratio(figure, deviation);
}

static Tradebook__V1__ProfitFigures *make_profit(struct tbk_maker *maker, const struct tbk_profit *profit)
{
    Tradebook__V1__ProfitFigures *message = tbk_make(maker, &tradebook__v1__profit_figures__descriptor);
    if (message == NULL) {
        return NULL;
    }
    TBK_SET(message, n, profit->n);
    TBK_SET_FIGURE(message, total, profit->total);
    TBK_SET_FIGURE(message, mean, profit->mean);
    TBK_SET_FIGURE(message, standard_deviation, profit->standard_deviation);
    TBK_SET_FIGURE(message, mean_win, profit->mean_win);
    TBK_SET_FIGURE(message, mean_loss, profit->mean_loss);
    TBK_SET_FIGURE(message, gross_gain, profit->gross_gain);
    TBK_SET_FIGURE(message, gross_loss, profit->gross_loss);
    TBK_SET_FIGURE(message, profit_factor, ratio(profit->gross_gain, fabs(profit->gross_loss)));
    TBK_SET_FIGURE(message, payoff, ratio(profit->mean_win, fabs(profit->mean_loss)));
    message->max_drawdown = tbk_make_drawdown(maker, &profit->drawdown);
    return message;
}

static void set_day_ratios(Tradebook__V1__Performance *message, const struct tbk_performance *figures,
                           double risk_free_percent)
{
    const double root = sqrt(DAYS_A_YEAR);
    const double mean_return = figures->day_mean + risk_free_percent;
    TBK_SET_FIGURE(message, sharpe,
                   per_deviation(figures->day_mean, figures->day_standard_deviation, figures->day_gross) * root);
    TBK_SET_FIGURE(message, sortino,
                   per_deviation(figures->day_mean, figures->day_downside, figures->day_gross) * root);
    TBK_SET_FIGURE(message, calmar, ratio(DAYS_A_YEAR * mean_return, figures->percent.drawdown.depth));
}

Tradebook__V1__Performance *tbk_make_performance(struct tbk_maker *maker, const struct tbk_performance *figures,
                                                 const struct tbk_analytics_query *query)
{
    Tradebook__V1__Performance *message = tbk_make(maker, &tradebook__v1__performance__descriptor);
    if (message == NULL) {
        return NULL;
    }
    TBK_SET(message, n, figures->n);
    TBK_SET(message, wins, figures->wins);
    TBK_SET(message, losses, figures->losses);
    TBK_SET(message, breakevens, figures->breakevens);
    message->win_rate = tbk_make_proportion(maker, figures->wins, figures->n);
    message->decisive_win_rate = tbk_make_proportion(maker, figures->wins, figures->wins + figures->losses);
    message->percent = make_profit(maker, &figures->percent);
    message->usd = make_profit(maker, &figures->usd);
    TBK_SET(message, r_n, figures->r_n);
    TBK_SET_FIGURE(message, r_mean, figures->r_mean);
    TBK_SET_FIGURE(message, r_standard_deviation, figures->r_standard_deviation);
    const double root = sqrt(fmin((double)figures->r_n, SQN_TRADES_MAX));
    TBK_SET_FIGURE(message, sqn,
                   per_deviation(root * figures->r_mean, figures->r_standard_deviation, figures->r_mean));
    set_day_ratios(message, figures, query->risk_free_percent);
    return message;
}

Tradebook__V1__Basis *tbk_make_basis(struct tbk_maker *maker, const ProtobufCMessageDescriptor *response,
                                     const struct tbk_analytics_query *query, Tradebook__V1__Slice *slice,
                                     const struct tbk_basis *basis)
{
    Tradebook__V1__Basis *message = tbk_make(maker, &tradebook__v1__basis__descriptor);
    if (message == NULL) {
        return NULL;
    }
    message->start_time = tbk_make_time(maker, query->start_us);
    message->end_time = tbk_make_time(maker, query->end_us);
    message->slice = slice;
    if (basis != NULL) {
        TBK_SET(message, trades, basis->trades);
        TBK_SET(message, undated_trades, basis->undated_trades);
        message->has_days = basis->days > 0;
        message->days = basis->days;
    }
    maker->failed |= !tbk_definitions_of(response, maker->arena, message);
    return message;
}
