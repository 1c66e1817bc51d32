/* AnalyticsService/GetPerformanceSeries: the figures of each day, week or month. */
#include "query/page.h"
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/handlers.h"

_Static_assert((int)TBK_PERIOD_MONTH + 1 == (int)TRADEBOOK__V1__PERIOD__PERIOD_MONTH,
               "the periods are in the same order");

/* What check leaves for run. */
struct series_request {
    struct tbk_analytics_query query;
    enum tbk_period period;
    struct tbk_page page;
};

static void read_period(const Tradebook__V1__GetPerformanceSeriesRequest *message, enum tbk_period *ret_period,
                        struct tbk_error *error)
{
    if (!message->has_period || message->period == TRADEBOOK__V1__PERIOD__PERIOD_UNSPECIFIED) {
        tbk_error_violation(error, "period", "is required");
        return;
    }
    *ret_period = (enum tbk_period)(message->period - TRADEBOOK__V1__PERIOD__PERIOD_DAY);
}

/* A page continues before the start of the last period that was answered. */
static enum tbk_status read_series_page(struct tbk_call *call, const struct tbk_method *method,
                                        const Tradebook__V1__GetPerformanceSeriesRequest *message,
                                        struct series_request *read)
{
    const struct tbk_analytics_query *query = &read->query;
    const struct tbk_page_request page = {
        .has_page_size = message->has_page_size != 0,
        .page_size = message->page_size,
        .page_token = message->page_token,
        .scope =
            tbk_arena_printf(call->arena, "%s %lld %lld %d %a %d %d %s", method->name, (long long)query->start_us,
                             (long long)query->end_us, (int)query->dimension, query->risk_free_percent,
                             (int)read->period, query->value != NULL, query->value != NULL ? query->value : ""),
    };
    if (page.scope == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    static const enum tbk_value_type types[] = {TBK_VALUE_TIMESTAMP};
    return tbk_page_build(&page, types, 1, call->context->secret, call->arena, &read->page, call->error);
}

enum tbk_status tbk_analytics_check_series(struct tbk_call *call, const struct tbk_method *method,
                                           ProtobufCMessage *request)
{
    const Tradebook__V1__GetPerformanceSeriesRequest *message =
        (const Tradebook__V1__GetPerformanceSeriesRequest *)request;
    struct series_request read = {.query = tbk_analytics_query_of(call)};
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    tbk_analytics_read_slice(message->slice, &read.query, call->error);
    tbk_analytics_read_risk_free(message->risk_free_rate, &read.query, call->error);
    read_period(message, &read.period, call->error);
    const enum tbk_status status = read_series_page(call, method, message, &read);
    return status == TBK_RESOURCE_EXHAUSTED ? status : tbk_analytics_prepare(call, &read, sizeof read);
}

static Tradebook__V1__PeriodPerformance *make_period(struct tbk_maker *maker,
                                                     const struct tbk_performance_period *period,
                                                     const struct tbk_analytics_query *query)
{
    Tradebook__V1__PeriodPerformance *message = tbk_make(maker, &tradebook__v1__period_performance__descriptor);
    if (message != NULL) {
        message->start_time = tbk_make_time(maker, period->start_us);
        message->end_time = tbk_make_time(maker, period->end_us);
        message->performance = tbk_make_performance(maker, &period->figures, query);
    }
    return message;
}

enum tbk_status tbk_analytics_get_series(struct tbk_call *call, const struct tbk_method *method,
                                         ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct series_request *read = call->prepared;
    struct tbk_basis basis;
    struct tbk_performance_period *periods = NULL;
    size_t count = 0;
    bool more = false;
    const int64_t before_us = read->page.continues ? read->page.after[0].timestamp_us : TBK_NO_TIME;
    const enum tbk_status status =
        tbk_analytics_periods(call->context->analytics, call->session, &read->query, read->period, before_us,
                              read->page.limit, call->arena, &basis, &periods, &count, &more, call->error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__GetPerformanceSeriesResponse *response = tbk_make(&maker, method->response);
    if (response != NULL) {
        Tradebook__V1__Slice *slice = ((Tradebook__V1__GetPerformanceSeriesRequest *)request)->slice;
        response->basis = tbk_make_basis(&maker, method->response, &read->query, slice, &basis);
        response->periods = tbk_make_list(&maker, count);
        for (size_t i = 0; i < count && !maker.failed; i++) {
            response->periods[response->n_periods++] = make_period(&maker, &periods[i], &read->query);
        }
        if (more) {
            const struct tbk_value last = {.type = TBK_VALUE_TIMESTAMP,
                                           .timestamp_us = periods[count - 1].start_us};
            response->next_page_token = tbk_page_next(&read->page, &last, 1, call->context->secret, call->arena);
            maker.failed |= response->next_page_token == NULL;
        }
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
