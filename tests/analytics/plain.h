/*
 * The same figures as analytics.h, computed from the rows of the file in the
 * plainest way: one array, one loop, and numbers wide enough to be exact.
 * Failures end the present cmocka test.
 */
#ifndef TBK_TESTS_PLAIN_H
#define TBK_TESTS_PLAIN_H

#include "analytics/analytics.h"
#include "raw.h"

struct plain_trade {
    int64_t time_us, id; /* TBK_UNDATED without a time */
    char outcome;        /* w, l, b */
    double values[4];    /* percent, usd, r, confidence; NaN: NULL */
    char *dimensions[7]; /* NULL: none */
};

struct plain_trades {
    struct plain_trade *items;
    size_t count;
};

/* All closed trades, by time and id. */
struct plain_trades plain_read(sqlite3 *db);
void plain_free(struct plain_trades *trades);

/* Those of the query, without copies of their texts: free(items) only. */
struct plain_trades plain_select(const struct plain_trades *all, const struct tbk_analytics_query *query);
struct tbk_basis plain_basis(const struct plain_trades *all, const struct tbk_analytics_query *query);
/* Figures of trades that are selected, over these days. */
struct tbk_performance plain_performance(const struct plain_trades *trades, int64_t days, double risk_free);
struct tbk_calibration plain_calibration(const struct plain_trades *trades);
/* First and last day of the basis; there is a trade. */
void plain_days(const struct plain_trades *trades, const struct tbk_analytics_query *query, int64_t *ret_first,
                int64_t *ret_last);
int64_t plain_day(int64_t time_us);

void plain_assert_performance(const struct tbk_performance *actual, const struct tbk_performance *expected);
void plain_assert_calibration(const struct tbk_calibration *actual, const struct tbk_calibration *expected);
void plain_assert_drawdown(const struct tbk_drawdown *actual, const struct tbk_drawdown *expected);
/* Equal to a billionth, or both NaN. */
void plain_assert_near(double actual, double expected);

#endif
