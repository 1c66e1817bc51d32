/*
 * The fields that analytics requests share, read into a query. Each reports what
 * is wrong as a violation; for check handlers.
 */
#ifndef TBK_SERVICES_ANALYTICS_REQUEST_H
#define TBK_SERVICES_ANALYTICS_REQUEST_H

#include "services/service.h"
#include "tradebook/v1/analytics.pb-c.h"

/* A query over everything, for this call. */
struct tbk_analytics_query tbk_analytics_query_of(const struct tbk_call *call);

/* start_time and end_time; NULL when absent. */
void tbk_analytics_read_window(const Google__Protobuf__Timestamp *start, const Google__Protobuf__Timestamp *end,
                               struct tbk_analytics_query *query, struct tbk_error *error);

/* slice; NULL when absent. */
void tbk_analytics_read_slice(const Tradebook__V1__Slice *slice, struct tbk_analytics_query *query,
                              struct tbk_error *error);

/* risk_free_rate, a year's. */
void tbk_analytics_read_risk_free(double rate, struct tbk_analytics_query *query, struct tbk_error *error);

/* A copy of what check read, for run. Sets call->prepared; INVALID_ARGUMENT when
 * there are violations. */
enum tbk_status tbk_analytics_prepare(struct tbk_call *call, const void *prepared, size_t bytes) TBK_MUST_CHECK;

#endif
