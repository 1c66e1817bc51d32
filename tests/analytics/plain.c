#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "cmocka_all.h"

typedef _Float128 wide;

static double number_of(sqlite3_stmt *statement, int column)
{
    const int type = sqlite3_column_type(statement, column);
    return type == SQLITE_FLOAT || type == SQLITE_INTEGER ? sqlite3_column_double(statement, column) : NAN;
}

static struct plain_trade read_trade(sqlite3_stmt *statement)
{
    struct plain_trade trade = {.id = sqlite3_column_int64(statement, 0), .time_us = TBK_UNDATED};
    const char *time = (const char *)sqlite3_column_text(statement, 1);
    if (time != NULL) {
        tbk_timestamp_parse(time, strlen(time), &trade.time_us);
    }
    trade.outcome = (char)(sqlite3_column_text(statement, 2)[0] | 0x20);
    for (int i = 0; i < 4; i++) {
        trade.values[i] = number_of(statement, 3 + i);
    }
    for (int i = 0; i < 7; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, 7 + i);
        trade.dimensions[i] = text != NULL ? strdup(text) : NULL;
    }
    return trade;
}

static int compare(const void *a, const void *b)
{
    const struct plain_trade *left = a;
    const struct plain_trade *right = b;
    if (left->time_us != right->time_us) {
        return left->time_us < right->time_us ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

struct plain_trades plain_read(sqlite3 *db)
{
    static const char sql[] =
        "SELECT r.id, r.exit_timestamp, r.outcome, r.pnl_percent, r.pnl_usd, "
        "(SELECT r_realized FROM risk_book_snapshots WHERE signal_id=CAST(r.signal_id AS TEXT)), s.confidence, "
        "s.strategy, s.symbol, s.session, lower(s.tier), lower(s.direction), r.exit_reason, s.model_version "
        "FROM signal_results r LEFT JOIN signals s ON s.id=r.signal_id "
        "WHERE lower(outcome) IN ('win','loss','breakeven')";
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    struct plain_trades trades = {0};
    size_t capacity = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        if (trades.count == capacity) {
            capacity = 2 * capacity + 64;
            trades.items = realloc(trades.items, capacity * sizeof *trades.items);
            assert_non_null(trades.items);
        }
        trades.items[trades.count++] = read_trade(statement);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    if (trades.count > 0) {
        qsort(trades.items, trades.count, sizeof *trades.items, compare);
    }
    return trades;
}

void plain_free(struct plain_trades *trades)
{
    for (size_t i = 0; i < trades->count; i++) {
        for (int d = 0; d < 7; d++) {
            free(trades->items[i].dimensions[d]);
        }
    }
    free(trades->items);
}

static bool has_value(const struct plain_trade *trade, const struct tbk_analytics_query *query)
{
    if (query->dimension == TBK_DIMENSION_NONE) {
        return true;
    }
    const char *value = trade->dimensions[query->dimension - 1];
    return value == NULL || query->value == NULL ? value == query->value : strcmp(value, query->value) == 0;
}

struct plain_trades plain_select(const struct plain_trades *all, const struct tbk_analytics_query *query)
{
    struct plain_trades selected = {.items = malloc((all->count + 1) * sizeof *selected.items)};
    assert_non_null(selected.items);
    for (size_t i = 0; i < all->count; i++) {
        const struct plain_trade *trade = &all->items[i];
        const bool is_after = query->start_us == TBK_NO_TIME || trade->time_us >= query->start_us;
        const bool is_before = query->end_us == TBK_NO_TIME || trade->time_us < query->end_us;
        if (trade->time_us != TBK_UNDATED && is_after && is_before && has_value(trade, query)) {
            selected.items[selected.count++] = *trade;
        }
    }
    return selected;
}

int64_t plain_day(int64_t time_us)
{
    return (int64_t)floorl((long double)time_us / 86400e6L);
}

void plain_days(const struct plain_trades *trades, const struct tbk_analytics_query *query, int64_t *ret_first,
                int64_t *ret_last)
{
    *ret_first = plain_day(query->start_us != TBK_NO_TIME ? query->start_us : trades->items[0].time_us);
    const bool is_open = query->end_us == TBK_NO_TIME || query->end_us > query->now_us;
    *ret_last = plain_day(is_open ? trades->items[trades->count - 1].time_us : query->end_us - 1);
}

struct tbk_basis plain_basis(const struct plain_trades *all, const struct tbk_analytics_query *query)
{
    struct plain_trades selected = plain_select(all, query);
    struct tbk_basis basis = {.trades = (int64_t)selected.count};
    for (size_t i = 0; i < all->count; i++) {
        basis.undated_trades += all->items[i].time_us == TBK_UNDATED && has_value(&all->items[i], query);
    }
    if (selected.count > 0) {
        int64_t first;
        int64_t last;
        plain_days(&selected, query, &first, &last);
        basis.days = last - first + 1;
    }
    free(selected.items);
    return basis;
}

/* Mean and sample deviation in two passes. */
static void describe(const struct plain_trades *trades, int value, int64_t *ret_n, double *ret_total,
                     double *ret_mean, double *ret_deviation)
{
    wide total = 0;
    wide squares = 0;
    int64_t n = 0;
    for (size_t i = 0; i < trades->count; i++) {
        if (!isnan(trades->items[i].values[value])) {
            total += trades->items[i].values[value];
            n++;
        }
    }
    for (size_t i = 0; i < trades->count; i++) {
        if (!isnan(trades->items[i].values[value])) {
            const wide deviation = trades->items[i].values[value] - total / n;
            squares += deviation * deviation;
        }
    }
    *ret_n = n;
    *ret_total = (double)total;
    *ret_mean = n > 0 ? (double)(total / n) : NAN;
    *ret_deviation = n > 1 ? sqrt((double)(squares / (n - 1))) : NAN;
}

static double mean_of_outcome(const struct plain_trades *trades, int value, char outcome)
{
    wide total = 0;
    int n = 0;
    for (size_t i = 0; i < trades->count; i++) {
        if (trades->items[i].outcome == outcome && !isnan(trades->items[i].values[value])) {
            total += trades->items[i].values[value];
            n++;
        }
    }
    return n > 0 ? (double)(total / n) : NAN;
}

static struct tbk_drawdown drawdown_of(const struct plain_trades *trades, int value)
{
    struct tbk_drawdown drawdown = {
        .depth = NAN, .peak_us = TBK_NO_TIME, .trough_us = TBK_NO_TIME, .recovery_us = TBK_NO_TIME};
    wide total = 0;
    wide high = 0;
    wide depth = 0;
    wide peak = 0;
    int64_t high_us = TBK_NO_TIME;
    int64_t first_us = TBK_NO_TIME;
    int64_t last_us = TBK_NO_TIME;
    for (size_t i = 0; i < trades->count; i++) {
        const struct plain_trade *trade = &trades->items[i];
        if (isnan(trade->values[value])) {
            continue;
        }
        first_us = first_us == TBK_NO_TIME ? trade->time_us : first_us;
        last_us = trade->time_us;
        total += trade->values[value];
        if (depth > 0 && total >= peak && drawdown.recovery_us == TBK_NO_TIME) {
            drawdown.recovery_us = trade->time_us;
        }
        if (total > high) {
            high = total;
            high_us = trade->time_us;
        }
        if (high - total > depth) {
            depth = high - total;
            peak = high;
            drawdown.peak_us = high_us;
            drawdown.trough_us = trade->time_us;
            drawdown.recovery_us = TBK_NO_TIME;
        }
    }
    if (first_us != TBK_NO_TIME) {
        drawdown.depth = (double)depth;
    }
    if (depth > 0) {
        drawdown.duration_us = (drawdown.recovery_us != TBK_NO_TIME ? drawdown.recovery_us : last_us) -
                               (drawdown.peak_us != TBK_NO_TIME ? drawdown.peak_us : first_us);
    }
    return drawdown;
}

static struct tbk_profit profit_of(const struct plain_trades *trades, int value)
{
    struct tbk_profit profit = {.mean_win = mean_of_outcome(trades, value, 'w'),
                                .mean_loss = mean_of_outcome(trades, value, 'l'),
                                .drawdown = drawdown_of(trades, value)};
    describe(trades, value, &profit.n, &profit.total, &profit.mean, &profit.standard_deviation);
    for (size_t i = 0; i < trades->count; i++) {
        const double x = trades->items[i].values[value];
        profit.gross_gain += x > 0 ? x : 0;
        profit.gross_loss += x < 0 ? x : 0;
    }
    return profit;
}

static void set_days(struct tbk_performance *figures, const struct plain_trades *trades, int64_t days, double f)
{
    figures->day_mean = figures->day_standard_deviation = figures->day_downside = figures->day_gross = NAN;
    if (days == 0) {
        return;
    }
    double *returns = calloc((size_t)days, sizeof *returns);
    assert_non_null(returns);
    int64_t used = 0;
    for (size_t i = 0; i < trades->count; i++) {
        const bool is_same =
            i > 0 && plain_day(trades->items[i].time_us) == plain_day(trades->items[i - 1].time_us);
        used += !is_same;
        returns[used - 1] += isnan(trades->items[i].values[0]) ? 0 : trades->items[i].values[0];
    }
    assert_true(used <= days);
    wide sum = 0;
    wide squares = 0;
    wide below = 0;
    for (int64_t i = 0; i < days; i++) {
        sum += returns[i] - f;
    }
    for (int64_t i = 0; i < days; i++) {
        const wide excess = returns[i] - f;
        squares += (excess - sum / days) * (excess - sum / days);
        below += excess < 0 ? excess * excess : 0;
    }
    figures->day_mean = (double)(sum / days);
    figures->day_standard_deviation = days > 1 ? sqrt((double)(squares / (days - 1))) : NAN;
    figures->day_downside = sqrt((double)(below / days));
    figures->day_gross = (figures->percent.gross_gain - figures->percent.gross_loss) / (double)days;
    free(returns);
}

struct tbk_performance plain_performance(const struct plain_trades *trades, int64_t days, double risk_free)
{
    struct tbk_performance figures = {
        .n = (int64_t)trades->count, .percent = profit_of(trades, 0), .usd = profit_of(trades, 1)};
    double total;
    describe(trades, 2, &figures.r_n, &total, &figures.r_mean, &figures.r_standard_deviation);
    for (size_t i = 0; i < trades->count; i++) {
        figures.wins += trades->items[i].outcome == 'w';
        figures.losses += trades->items[i].outcome == 'l';
        figures.breakevens += trades->items[i].outcome == 'b';
    }
    set_days(&figures, trades, days, risk_free);
    return figures;
}

struct tbk_calibration plain_calibration(const struct plain_trades *trades)
{
    struct tbk_calibration calibration = {0};
    for (size_t i = 0; i < trades->count; i++) {
        const double confidence = trades->items[i].values[3];
        const bool is_win = trades->items[i].outcome == 'w';
        if (trades->items[i].outcome == 'b' || !(confidence >= 0 && confidence <= 1)) {
            continue;
        }
        int cell = 0;
        while (cell < TBK_CALIBRATION_CELLS - 1 && confidence >= (cell + 1) / 100.0) {
            cell++;
        }
        calibration.wins += is_win;
        calibration.losses += !is_win;
        calibration.squared_error += (confidence - is_win) * (confidence - is_win);
        calibration.cells[cell].n++;
        calibration.cells[cell].wins += is_win;
        calibration.cells[cell].confidence += confidence;
    }
    return calibration;
}

void plain_assert_near(double actual, double expected)
{
    const double scale = fmax(1.0, fmax(fabs(actual), fabs(expected)));
    if (isnan(actual) != isnan(expected) || fabs(actual - expected) > 1e-9 * scale) {
        fail_msg("%.17g instead of %.17g", actual, expected);
    }
}

void plain_assert_drawdown(const struct tbk_drawdown *actual, const struct tbk_drawdown *expected)
{
    plain_assert_near(actual->depth, expected->depth);
    assert_int_equal(actual->peak_us, expected->peak_us);
    assert_int_equal(actual->trough_us, expected->trough_us);
    assert_int_equal(actual->recovery_us, expected->recovery_us);
    assert_int_equal(actual->duration_us, expected->duration_us);
}

static void assert_profit(const struct tbk_profit *actual, const struct tbk_profit *expected)
{
    assert_int_equal(actual->n, expected->n);
    plain_assert_near(actual->total, expected->total);
    plain_assert_near(actual->mean, expected->mean);
    plain_assert_near(actual->standard_deviation, expected->standard_deviation);
    plain_assert_near(actual->mean_win, expected->mean_win);
    plain_assert_near(actual->mean_loss, expected->mean_loss);
    plain_assert_near(actual->gross_gain, expected->gross_gain);
    plain_assert_near(actual->gross_loss, expected->gross_loss);
    plain_assert_drawdown(&actual->drawdown, &expected->drawdown);
}

void plain_assert_performance(const struct tbk_performance *actual, const struct tbk_performance *expected)
{
    assert_int_equal(actual->n, expected->n);
    assert_int_equal(actual->wins, expected->wins);
    assert_int_equal(actual->losses, expected->losses);
    assert_int_equal(actual->breakevens, expected->breakevens);
    assert_profit(&actual->percent, &expected->percent);
    assert_profit(&actual->usd, &expected->usd);
    assert_int_equal(actual->r_n, expected->r_n);
    plain_assert_near(actual->r_mean, expected->r_mean);
    plain_assert_near(actual->r_standard_deviation, expected->r_standard_deviation);
    plain_assert_near(actual->day_mean, expected->day_mean);
    plain_assert_near(actual->day_standard_deviation, expected->day_standard_deviation);
    plain_assert_near(actual->day_downside, expected->day_downside);
    plain_assert_near(actual->day_gross, expected->day_gross);
}

void plain_assert_calibration(const struct tbk_calibration *actual, const struct tbk_calibration *expected)
{
    assert_int_equal(actual->wins, expected->wins);
    assert_int_equal(actual->losses, expected->losses);
    plain_assert_near(actual->squared_error, expected->squared_error);
    for (int i = 0; i < TBK_CALIBRATION_CELLS; i++) {
        assert_int_equal(actual->cells[i].n, expected->cells[i].n);
        assert_int_equal(actual->cells[i].wins, expected->cells[i].wins);
        plain_assert_near(actual->cells[i].confidence, expected->cells[i].confidence);
    }
}
