#include "analytics/internal.h"
#include "base/timestamp.h"

enum tbk_status tbk_query_out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                         "Out of memory while computing figures; ask for a shorter window or fewer groups.");
}

static enum tbk_status refresh(struct tbk_analytics *analytics, struct tbk_session *session, int64_t deadline_us,
                               struct tbk_error *error)
{
    bool has_more = true;
    enum tbk_status status = TBK_OK;
    while (status == TBK_OK && has_more) {
        status = tbk_refresh_step(analytics, session, &has_more, error);
        if (status == TBK_OK && has_more && tbk_monotonic_us() >= deadline_us) {
            status = tbk_error_set(error, TBK_UNAVAILABLE,
                                   "The figures are still catching up with many changed rows. Try again in a few "
                                   "seconds.");
        }
    }
    return status;
}

void tbk_query_end(struct tbk_analytics *analytics, struct tbk_session *session)
{
    analytics->ops->rollback(session);
    tbk_gate_leave(analytics);
}

enum tbk_status tbk_query_begin(struct tbk_analytics *analytics, struct tbk_session *session,
                                enum tbk_series_id series, const struct tbk_analytics_query *query,
                                struct tbk_error *error)
{
    enum tbk_status status;
    do {
        status = tbk_gate_enter(analytics, series, query->deadline_us, error);
        if (status != TBK_OK) {
            return status;
        }
        status = analytics->ops->begin(session, error);
        if (status != TBK_OK) {
            tbk_gate_leave(analytics);
            return status;
        }
        status = refresh(analytics, session, query->deadline_us, error);
        if (status != TBK_OK) {
            tbk_query_end(analytics, session);
        }
    } while (status == TBK_OUT_OF_RANGE); /* the thread reads the tables anew; wait for it */
    return status;
}

bool tbk_query_select(const struct tbk_series *series, const struct tbk_analytics_query *query,
                      struct tbk_selection *ret_selection)
{
    *ret_selection = (struct tbk_selection){
        .start_us = query->start_us != TBK_NO_TIME ? query->start_us : TBK_UNDATED + 1,
        .end_us = query->end_us != TBK_NO_TIME ? query->end_us : INT64_MAX,
        .dimension = (int)query->dimension - 1,
    };
    return query->dimension == TBK_DIMENSION_NONE ||
           tbk_dictionary_find(&series->dictionaries[query->dimension - 1], query->value, &ret_selection->code);
}

static enum tbk_status count_undated(struct tbk_series *series, const struct tbk_selection *selection,
                                     int64_t *ret_count, struct tbk_error *error)
{
    struct tbk_tally tally;
    struct tbk_selection undated = *selection;
    undated.start_us = TBK_UNDATED;
    undated.end_us = TBK_UNDATED + 1;
    tbk_tally_start(&tally, 0.0);
    const struct tbk_visitor visitor = tbk_tally_visitor(&tally);
    const enum tbk_status status = tbk_walk(series, &undated, &visitor, error);
    *ret_count = tally.sums.n;
    return status;
}

static struct tbk_days days_of(const struct tbk_analytics_query *query, const struct tbk_sums *sums)
{
    const bool has_ended = query->end_us != TBK_NO_TIME && query->end_us <= query->now_us;
    return (struct tbk_days){
        .first = tbk_day_of(query->start_us != TBK_NO_TIME ? query->start_us : sums->first_us),
        .last = tbk_day_of(has_ended ? query->end_us - 1 : sums->last_us),
    };
}

enum tbk_status tbk_query_total(struct tbk_series *series, const struct tbk_analytics_query *query,
                                const struct tbk_selection *selection, struct tbk_tally *tally,
                                struct tbk_basis *ret_basis, struct tbk_days *ret_days, struct tbk_error *error)
{
    struct tbk_basis basis = {0};
    tbk_tally_start(tally, query->risk_free_percent);
    const struct tbk_visitor visitor = tbk_tally_visitor(tally);
    enum tbk_status status = tbk_walk(series, selection, &visitor, error);
    if (status == TBK_OK) {
        status = count_undated(series, selection, &basis.undated_trades, error);
    }
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_days days = {0};
    basis.trades = tally->sums.n;
    if (basis.trades > 0) {
        days = days_of(query, &tally->sums);
        basis.days = (int64_t)days.last - days.first + 1;
    }
    *ret_basis = basis;
    *ret_days = days;
    return TBK_OK;
}
