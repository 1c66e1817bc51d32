/* AnalyticsService/CompareStrategies: two strategies as the arms of a test. */
#include <math.h>
#include <string.h>

#include "analytics/statistics.h"
#include "schema/validate.h"
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/analytics_verdict.h"
#include "services/handlers.h"

/* What check leaves for run. */
struct comparison_request {
    struct tbk_analytics_query query;
    const char *strategy_a, *strategy_b; /* both NULL: the two with the most signals */
    double expected_share_a;
};

static void check_strategy(const struct tbk_call *call, char *strategy, const char *field)
{
    const struct tbk_table *signals = &call->context->schema->tables[TBK_SIGNALS];
    if (strategy != NULL) {
        tbk_validate_text(tbk_table_column(signals, "strategy", strlen("strategy")), strategy, field, call->error);
    }
}

static void check_strategies(const struct tbk_call *call, const Tradebook__V1__CompareStrategiesRequest *message)
{
    check_strategy(call, message->strategy_a, "strategy_a");
    check_strategy(call, message->strategy_b, "strategy_b");
    if ((message->strategy_a == NULL) != (message->strategy_b == NULL)) {
        tbk_error_violation(call->error, message->strategy_a == NULL ? "strategy_a" : "strategy_b",
                            "is required when the other strategy is named");
    } else if (message->strategy_a != NULL && strcmp(message->strategy_a, message->strategy_b) == 0) {
        tbk_error_violation(call->error, "strategy_b", "must differ from strategy_a");
    }
}

enum tbk_status tbk_analytics_check_comparison(struct tbk_call *call, const struct tbk_method *method,
                                               ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__CompareStrategiesRequest *message =
        (const Tradebook__V1__CompareStrategiesRequest *)request;
    struct comparison_request read = {
        .query = tbk_analytics_query_of(call),
        .strategy_a = message->strategy_a,
        .strategy_b = message->strategy_b,
        .expected_share_a = message->has_expected_share_a ? message->expected_share_a : 0.5,
    };
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    check_strategies(call, message);
    if (!(read.expected_share_a > 0 && read.expected_share_a < 1)) {
        tbk_error_violation(call->error, "expected_share_a", "must be greater than 0.0 and less than 1.0, is %g",
                            read.expected_share_a);
    }
    return tbk_analytics_prepare(call, &read, sizeof read);
}

static struct tbk_performance no_trades(void)
{
    const struct tbk_profit none = {
        .mean = NAN,
        .standard_deviation = NAN,
        .mean_win = NAN,
        .mean_loss = NAN,
        .drawdown = {.depth = NAN},
    };
    return (struct tbk_performance){
        .percent = none,
        .usd = none,
        .r_mean = NAN,
        .r_standard_deviation = NAN,
        .day_mean = NAN,
        .day_standard_deviation = NAN,
        .day_downside = NAN,
        .day_gross = NAN,
    };
}

static struct tbk_performance figures_of(const char *strategy, const struct tbk_performance_group *groups,
                                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (groups[i].value != NULL && strcmp(groups[i].value, strategy) == 0) {
            return groups[i].figures;
        }
    }
    return no_trades();
}

static int64_t signals_of(const char *strategy, const struct tbk_strategies *strategies)
{
    for (size_t i = 0; i < strategies->signals_count; i++) {
        const struct tbk_signal_count *count = &strategies->signals[i];
        if (count->strategy != NULL && strcmp(count->strategy, strategy) == 0) {
            return count->signals;
        }
    }
    return 0;
}

/* Names the arms, when the request does not. False: there are no two. */
static bool name_arms(const struct comparison_request *read, const struct tbk_strategies *strategies,
                      struct tbk_ab *comparison)
{
    comparison->a.strategy = read->strategy_a;
    comparison->b.strategy = read->strategy_b;
    for (size_t i = 0; i < strategies->signals_count && comparison->b.strategy == NULL; i++) {
        if (strategies->signals[i].strategy != NULL) {
            *(comparison->a.strategy == NULL ? &comparison->a.strategy : &comparison->b.strategy) =
                strategies->signals[i].strategy;
        }
    }
    return comparison->b.strategy != NULL;
}

/* Signals and figures of both arms are of one moment, and have the same days. */
static enum tbk_status read_arms(struct tbk_call *call, const struct comparison_request *read,
                                 struct tbk_ab *comparison, struct tbk_basis *basis)
{
    struct tbk_strategies strategies;
    const enum tbk_status status = tbk_analytics_strategies(call->context->analytics, call->session, &read->query,
                                                            call->arena, &strategies, call->error);
    if (status != TBK_OK) {
        return status;
    }
    if (!name_arms(read, &strategies, comparison)) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "Fewer than two strategies have signals in this window. Widen it, or name two.");
    }
    struct tbk_ab_arm *arms[] = {&comparison->a, &comparison->b};
    for (size_t i = 0; i < sizeof arms / sizeof arms[0]; i++) {
        arms[i]->signals = signals_of(arms[i]->strategy, &strategies);
        arms[i]->figures = figures_of(arms[i]->strategy, strategies.groups, strategies.groups_count);
    }
    *basis = strategies.basis;
    return TBK_OK;
}

static Tradebook__V1__Arm *make_arm(struct tbk_maker *maker, const struct tbk_ab_arm *arm,
                                    const struct tbk_analytics_query *query)
{
    Tradebook__V1__Arm *message = tbk_make(maker, &tradebook__v1__arm__descriptor);
    if (message != NULL) {
        message->strategy = (char *)(uintptr_t)arm->strategy;
        TBK_SET(message, signals, arm->signals);
        message->performance = tbk_make_performance(maker, &arm->figures, query);
    }
    return message;
}

static Tradebook__V1__ProportionDifference *make_rates(struct tbk_maker *maker, const struct tbk_ab *comparison)
{
    Tradebook__V1__ProportionDifference *message =
        tbk_make(maker, &tradebook__v1__proportion_difference__descriptor);
    if (message != NULL && !isnan(comparison->rates.p_value)) {
        const struct tbk_share a = tbk_ab_wins(&comparison->a);
        const struct tbk_share b = tbk_ab_wins(&comparison->b);
        const struct tbk_interval interval = tbk_newcombe(a, b);
        TBK_SET_FIGURE(message, value, comparison->rate_difference);
        TBK_SET_FIGURE(message, lower, interval.lower);
        TBK_SET_FIGURE(message, upper, interval.upper);
        TBK_SET(message, test, tbk_proportion_test_kind(&comparison->rates));
        TBK_SET_FIGURE(message, statistic, comparison->rates.statistic);
        TBK_SET_FIGURE(message, p_value, comparison->rates.p_value);
        TBK_SET_FIGURE(message, minimum_detectable_effect, tbk_detectable_share(a, b));
    }
    return message;
}

static Tradebook__V1__MeanDifference *make_means(struct tbk_maker *maker, const struct tbk_mean_test *means)
{
    Tradebook__V1__MeanDifference *message = tbk_make(maker, &tradebook__v1__mean_difference__descriptor);
    if (message != NULL) {
        TBK_SET_FIGURE(message, value, means->difference);
        TBK_SET_FIGURE(message, lower, means->interval.lower);
        TBK_SET_FIGURE(message, upper, means->interval.upper);
        TBK_SET_FIGURE(message, statistic, means->statistic);
        TBK_SET_FIGURE(message, degrees_of_freedom, means->degrees_of_freedom);
        TBK_SET_FIGURE(message, p_value, means->p_value);
        TBK_SET_FIGURE(message, minimum_detectable_effect, tbk_detectable_mean(means->standard_error));
    }
    return message;
}

static Tradebook__V1__SampleRatio *make_split(struct tbk_maker *maker, const struct tbk_ab *comparison)
{
    Tradebook__V1__SampleRatio *message = tbk_make(maker, &tradebook__v1__sample_ratio__descriptor);
    if (message != NULL) {
        const double signals = (double)(comparison->a.signals + comparison->b.signals);
        TBK_SET_FIGURE(message, expected_share_a, comparison->expected_share_a);
        TBK_SET_FIGURE(message, observed_share_a, (double)comparison->a.signals / signals);
        TBK_SET_FIGURE(message, chi_squared, comparison->chi_squared);
        TBK_SET_FIGURE(message, p_value, comparison->split_p_value);
        message->has_alarm = message->has_p_value;
        message->alarm = comparison->alarm;
    }
    return message;
}

enum tbk_status tbk_analytics_compare(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    const struct comparison_request *read = call->prepared;
    struct tbk_ab comparison = {.expected_share_a = read->expected_share_a};
    struct tbk_basis basis;
    const enum tbk_status status = read_arms(call, read, &comparison, &basis);
    if (status != TBK_OK) {
        return status;
    }
    tbk_ab_test(&comparison);
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__CompareStrategiesResponse *response = tbk_make(&maker, method->response);
    if (response != NULL) {
        response->basis = tbk_make_basis(&maker, method->response, &read->query, NULL, &basis);
        response->a = make_arm(&maker, &comparison.a, &read->query);
        response->b = make_arm(&maker, &comparison.b, &read->query);
        response->win_rate_difference = make_rates(&maker, &comparison);
        response->pnl_percent_difference = make_means(&maker, &comparison.means);
        response->sample_ratio = make_split(&maker, &comparison);
        TBK_SET(response, verdict, tbk_ab_verdict(&comparison, call->arena, &response->verdict_reason));
        maker.failed |= response->verdict_reason == NULL;
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
