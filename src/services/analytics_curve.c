/* AnalyticsService/GetEquityCurve: the cumulated profit over time. */
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/handlers.h"

enum { POINTS_DEFAULT = 500, POINTS_MAX = 10000 };

/* What check leaves for run. */
struct curve_request {
    struct tbk_analytics_query query;
    size_t points_max;
};

enum tbk_status tbk_analytics_check_equity_curve(struct tbk_call *call, const struct tbk_method *method,
                                                 ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__GetEquityCurveRequest *message = (const Tradebook__V1__GetEquityCurveRequest *)request;
    struct curve_request read = {.query = tbk_analytics_query_of(call), .points_max = POINTS_DEFAULT};
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    tbk_analytics_read_slice(message->slice, &read.query, call->error);
    if (message->has_max_points) {
        read.points_max = (size_t)message->max_points;
        if (message->max_points < 1 || message->max_points > POINTS_MAX) {
            tbk_error_violation(call->error, "max_points", "must be from 1 to %d, is %d", POINTS_MAX,
                                (int)message->max_points);
        }
    }
    return tbk_analytics_prepare(call, &read, sizeof read);
}

static Tradebook__V1__EquityPoint *make_point(struct tbk_maker *maker, const struct tbk_equity_point *point)
{
    Tradebook__V1__EquityPoint *message = tbk_make(maker, &tradebook__v1__equity_point__descriptor);
    if (message != NULL) {
        message->time = tbk_make_time(maker, point->time_us);
        TBK_SET(message, trades, point->trades);
        TBK_SET_FIGURE(message, equity_percent, point->equity_percent);
        TBK_SET_FIGURE(message, equity_usd, point->equity_usd);
        TBK_SET_FIGURE(message, drawdown_percent, point->drawdown_percent);
        TBK_SET_FIGURE(message, drawdown_usd, point->drawdown_usd);
    }
    return message;
}

enum tbk_status tbk_analytics_get_equity_curve(struct tbk_call *call, const struct tbk_method *method,
                                               ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct curve_request *read = call->prepared;
    struct tbk_basis basis;
    struct tbk_equity_curve curve;
    const enum tbk_status status =
        tbk_analytics_equity(call->context->analytics, call->session, &read->query, read->points_max, call->arena,
                             &basis, &curve, call->error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__GetEquityCurveResponse *response = tbk_make(&maker, method->response);
    if (response != NULL) {
        Tradebook__V1__Slice *slice = ((Tradebook__V1__GetEquityCurveRequest *)request)->slice;
        response->basis = tbk_make_basis(&maker, method->response, &read->query, slice, &basis);
        response->points = tbk_make_list(&maker, curve.count);
        for (size_t i = 0; i < curve.count && !maker.failed; i++) {
            response->points[response->n_points++] = make_point(&maker, &curve.points[i]);
        }
        response->has_span_days = curve.span_days > 0;
        response->span_days = curve.span_days;
        response->max_drawdown_percent = tbk_make_drawdown(&maker, &curve.percent);
        response->max_drawdown_usd = tbk_make_drawdown(&maker, &curve.usd);
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
