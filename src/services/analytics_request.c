#include "services/analytics_request.h"

#include <string.h>

#include "base/timestamp.h"

enum { DAYS_A_YEAR = 365 };

struct tbk_analytics_query tbk_analytics_query_of(const struct tbk_call *call)
{
    return (struct tbk_analytics_query){
        .start_us = TBK_NO_TIME,
        .end_us = TBK_NO_TIME,
        .dimension = TBK_DIMENSION_NONE,
        .now_us = call->now_us,
        .deadline_us = call->deadline_us,
    };
}

static void read_time(const Google__Protobuf__Timestamp *time, const char *field, int64_t *ret_us,
                      struct tbk_error *error)
{
    if (time != NULL && !tbk_timestamp_from_proto(time->seconds, time->nanos, ret_us)) {
        tbk_error_violation(error, field, "must be in the years 0001 to 9999 with nanos from 0 to 999999999");
    }
}

void tbk_analytics_read_window(const Google__Protobuf__Timestamp *start, const Google__Protobuf__Timestamp *end,
                               struct tbk_analytics_query *query, struct tbk_error *error)
{
    read_time(start, "start_time", &query->start_us, error);
    read_time(end, "end_time", &query->end_us, error);
    if (query->start_us != TBK_NO_TIME && query->end_us != TBK_NO_TIME && query->end_us <= query->start_us) {
        tbk_error_violation(error, "end_time", "must be after start_time");
    }
}

void tbk_analytics_read_slice(const Tradebook__V1__Slice *slice, struct tbk_analytics_query *query,
                              struct tbk_error *error)
{
    if (slice == NULL) {
        return;
    }
    if (!slice->has_dimension || slice->dimension == TRADEBOOK__V1__DIMENSION__DIMENSION_UNSPECIFIED) {
        tbk_error_violation(error, "slice.dimension", "is required in a slice");
    }
    query->dimension = (enum tbk_dimension)slice->dimension;
    query->value = slice->value;
}

void tbk_analytics_read_risk_free(double rate, struct tbk_analytics_query *query, struct tbk_error *error)
{
    if (!(rate >= -1 && rate <= 1)) {
        tbk_error_violation(error, "risk_free_rate", "must be from -1.0 to 1.0 a year (0.04 is 4 %%), is %g",
                            rate);
    }
    query->risk_free_percent = 100 * rate / DAYS_A_YEAR;
}

enum tbk_status tbk_analytics_prepare(struct tbk_call *call, const void *prepared, size_t bytes)
{
    const enum tbk_status status = tbk_error_finish(call->error);
    if (status != TBK_OK) {
        return status;
    }
    call->prepared = tbk_arena_alloc(call->arena, bytes);
    if (call->prepared == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    memcpy(call->prepared, prepared, bytes);
    return TBK_OK;
}
