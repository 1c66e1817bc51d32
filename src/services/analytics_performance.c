/* AnalyticsService/GetPerformance: every figure of a window, and of each value of a dimension. */
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/handlers.h"

enum { GROUPS_MAX = 1000 };

_Static_assert((int)TBK_DIMENSION_MODEL_VERSION == (int)TRADEBOOK__V1__DIMENSION__DIMENSION_MODEL_VERSION,
               "the dimensions are the same numbers");

/* What check leaves for run. */
struct performance_request {
    struct tbk_analytics_query query;
    enum tbk_dimension breakdown;
};

enum tbk_status tbk_analytics_check_performance(struct tbk_call *call, const struct tbk_method *method,
                                                ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__GetPerformanceRequest *message = (const Tradebook__V1__GetPerformanceRequest *)request;
    struct performance_request read = {.query = tbk_analytics_query_of(call)};
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    tbk_analytics_read_slice(message->slice, &read.query, call->error);
    tbk_analytics_read_risk_free(message->risk_free_rate, &read.query, call->error);
    if (message->has_breakdown) {
        read.breakdown = (enum tbk_dimension)message->breakdown;
        if (message->breakdown == TRADEBOOK__V1__DIMENSION__DIMENSION_UNSPECIFIED) {
            tbk_error_violation(call->error, "breakdown", "must not be UNSPECIFIED; leave it out for no groups");
        }
        if (message->slice != NULL) {
            tbk_error_violation(call->error, "breakdown", "must not be given together with slice");
        }
    }
    return tbk_analytics_prepare(call, &read, sizeof read);
}

static void add_groups(struct tbk_maker *maker, const struct tbk_performance_group *groups, size_t count,
                       const struct tbk_analytics_query *query, Tradebook__V1__GetPerformanceResponse *response)
{
    response->groups = tbk_make_list(maker, count);
    for (size_t i = 0; i < count && !maker->failed; i++) {
        Tradebook__V1__PerformanceGroup *group = tbk_make(maker, &tradebook__v1__performance_group__descriptor);
        if (group != NULL) {
            group->value = (char *)(uintptr_t)groups[i].value;
            group->performance = tbk_make_performance(maker, &groups[i].figures, query);
            response->groups[response->n_groups++] = group;
        }
    }
}

enum tbk_status tbk_analytics_get_performance(struct tbk_call *call, const struct tbk_method *method,
                                              ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct performance_request *read = call->prepared;
    struct tbk_basis basis;
    struct tbk_performance total;
    struct tbk_performance_group *groups = NULL;
    size_t count = 0;
    size_t left_out = 0;
    const enum tbk_status status = tbk_analytics_performance(call->context->analytics, call->session, &read->query,
                                                             read->breakdown, GROUPS_MAX, call->arena, &basis,
                                                             &total, &groups, &count, &left_out, call->error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__GetPerformanceResponse *response = tbk_make(&maker, method->response);
    if (response != NULL) {
        Tradebook__V1__Slice *slice = ((Tradebook__V1__GetPerformanceRequest *)request)->slice;
        response->basis = tbk_make_basis(&maker, method->response, &read->query, slice, &basis);
        response->total = tbk_make_performance(&maker, &total, &read->query);
        add_groups(&maker, groups, count, &read->query, response);
        TBK_SET(response, groups_left_out, (int64_t)left_out);
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
