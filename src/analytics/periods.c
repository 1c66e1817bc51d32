/* Figures of each day, week or month of a window. */
#include "analytics/calendar.h"
#include "analytics/internal.h"
#include "base/timestamp.h"

struct page {
    enum tbk_period period;
    int64_t first, last; /* numbers of the periods that there are */
    int64_t newest;      /* of this page */
    size_t count;
};

static struct page page_of(enum tbk_period period, const struct tbk_sums *sums, int64_t before_us, size_t limit)
{
    struct page page = {.period = period,
                        .first = tbk_period_of(period, tbk_day_of(sums->first_us)),
                        .last = tbk_period_of(period, tbk_day_of(sums->last_us))};
    page.newest = page.last;
    if (before_us != TBK_NO_TIME) {
        const int64_t before = tbk_period_of(period, tbk_day_of(before_us));
        page.newest = before - 1 < page.last ? before - 1 : page.last;
    }
    if (page.newest >= page.first) {
        const int64_t rest = page.newest - page.first + 1;
        page.count = rest < (int64_t)limit ? (size_t)rest : limit;
    }
    return page;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Figures of one period, within the window and the days of the basis. */
static enum tbk_status compute(struct tbk_series *series, const struct tbk_analytics_query *query,
                               const struct tbk_selection *window, enum tbk_period period, int64_t number,
                               struct tbk_days basis_days, struct tbk_performance_period *ret_period,
                               struct tbk_error *error)
{
    const int64_t first_day = tbk_period_first_day(period, number);
    const int64_t next_day = tbk_period_first_day(period, number + 1);
    const int64_t days = earlier(next_day - 1, basis_days.last) - later(first_day, basis_days.first) + 1;
    struct tbk_tally tally;
    struct tbk_selection selection = *window;
    selection.start_us = later(window->start_us, tbk_day_start(first_day));
    selection.end_us = earlier(window->end_us, tbk_day_start(next_day));
    ret_period->start_us = selection.start_us;
    ret_period->end_us = selection.end_us;
    if (window->end_us == INT64_MAX && selection.end_us == TBK_TIMESTAMP_MAX) {
        selection.end_us = INT64_MAX; /* the last microsecond there is */
    }
    tbk_tally_start(&tally, query->risk_free_percent);
    const struct tbk_visitor visitor = tbk_tally_visitor(&tally);
    const enum tbk_status status = tbk_walk(series, &selection, &visitor, error);
    return status == TBK_OK
               ? tbk_tally_finish(&tally, series, &selection, later(days, 0), &ret_period->figures, error)
               : status;
}

static enum tbk_status compute_page(struct tbk_series *series, const struct tbk_analytics_query *query,
                                    const struct tbk_selection *window, const struct page *page,
                                    struct tbk_days days, struct tbk_arena *arena,
                                    struct tbk_performance_period **ret_periods, struct tbk_error *error)
{
    struct tbk_performance_period *periods = tbk_arena_alloc(arena, (page->count + 1) * sizeof *periods);
    if (periods == NULL) {
        return tbk_query_out_of_memory(error);
    }
    enum tbk_status status = TBK_OK;
    for (size_t i = 0; status == TBK_OK && i < page->count; i++) {
        status = compute(series, query, window, page->period, page->newest - (int64_t)i, days, &periods[i], error);
    }
    *ret_periods = periods;
    return status;
}

enum tbk_status tbk_analytics_periods(struct tbk_analytics *analytics, struct tbk_session *session,
                                      const struct tbk_analytics_query *query, enum tbk_period period,
                                      int64_t before_us, size_t limit, struct tbk_arena *arena,
                                      struct tbk_basis *ret_basis, struct tbk_performance_period **ret_periods,
                                      size_t *ret_count, bool *ret_more, struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_TRADES, query, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_series *series = &analytics->series[TBK_SERIES_TRADES];
    struct tbk_selection selection;
    struct tbk_basis basis = {0};
    struct tbk_performance_period *periods = NULL;
    struct page page = {0};
    if (tbk_query_select(series, query, &selection)) {
        struct tbk_tally tally;
        struct tbk_days days;
        status = tbk_query_total(series, query, &selection, &tally, &basis, &days, error);
        if (status == TBK_OK && basis.trades > 0) {
            page = page_of(period, &tally.sums, before_us, limit);
            status = compute_page(series, query, &selection, &page, days, arena, &periods, error);
        }
    }
    tbk_query_end(analytics, session);
    if (status == TBK_OK) {
        *ret_basis = basis;
        *ret_periods = periods;
        *ret_count = page.count;
        *ret_more = page.count > 0 && page.newest - (int64_t)page.count >= page.first;
    }
    return status;
}
