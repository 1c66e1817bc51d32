#include <math.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "services/trade_result.h"

#define SECOND INT64_C(1000000)

/* A long of one unit from 100 to 110 in an hour, with a stop at 95. */
static const struct tbk_closed_trade base = {
    .side = 1,
    .entry_price = 100,
    .exit_price = 110,
    .quantity = 1,
    .entry_us = 0,
    .exit_us = 3600 * SECOND,
    .has_sl_price = true,
    .sl_price = 95,
};

static struct tbk_trade_result compute(struct tbk_closed_trade trade)
{
    struct tbk_trade_result result;
    assert_true(tbk_trade_result_compute(&trade, &result));
    return result;
}

static void assert_number(double actual, double expected)
{
    assert_true(fabs(actual - expected) <= 1e-12 * fmax(1, fabs(expected)));
}

static void test_trade_result_long_gains_when_the_price_rises(void **state)
{
    (void)state;
    const struct tbk_trade_result result = compute(base);
    assert_number(result.pnl_usd, 10);
    assert_number(result.pnl_percent, 10);
    assert_int_equal(result.outcome, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN);
    assert_true(result.has_r_realized);
    assert_number(result.r_realized, 2);
}

static void test_trade_result_short_gains_when_the_price_falls(void **state)
{
    (void)state;
    struct tbk_closed_trade trade = base;
    trade.side = -1;
    trade.sl_price = 104;
    assert_number(compute(trade).pnl_usd, -10);
    assert_number(compute(trade).r_realized, -2.5);
    assert_int_equal(compute(trade).outcome, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS);
    trade.exit_price = 92;
    assert_number(compute(trade).pnl_usd, 8);
    assert_number(compute(trade).r_realized, 2);
    assert_int_equal(compute(trade).outcome, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN);
}

static void test_trade_result_counts_quantity_and_fees(void **state)
{
    (void)state;
    struct tbk_closed_trade trade = base;
    trade.quantity = 0.25;
    trade.fees_usd = 0.5;
    assert_number(compute(trade).pnl_usd, 2);
    assert_number(compute(trade).pnl_percent, 8);
    assert_number(compute(trade).r_realized, 2); /* of the prices alone */
}

static void test_trade_result_on_the_edge_of_the_band_breakeven(void **state)
{
    (void)state;
    static const struct {
        double exit_price;
        double band;
        Tradebook__V1__Outcome outcome;
    } cases[] = {
        {100, 0, TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN},
        {100.0000001, 0, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN},
        {99.9999999, 0, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS},
        {100.5, 0.5, TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN},
        {99.5, 0.5, TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN},
        {100.51, 0.5, TRADEBOOK__V1__OUTCOME__OUTCOME_WIN},
        {99.49, 0.5, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_closed_trade trade = base;
        trade.exit_price = cases[i].exit_price;
        trade.band_percent = cases[i].band;
        assert_int_equal(compute(trade).outcome, cases[i].outcome);
    }
}

static void test_trade_result_fees_make_a_standstill_a_loss(void **state)
{
    (void)state;
    struct tbk_closed_trade trade = base;
    trade.exit_price = 100;
    trade.fees_usd = 0.01;
    assert_int_equal(compute(trade).outcome, TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS);
}

static void test_trade_result_times_are_rounded_down(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        int64_t seconds;
        int64_t minutes;
    } cases[] = {
        {0, 0, 0},
        {SECOND - 1, 0, 0},
        {60 * SECOND - 1, 59, 0},
        {60 * SECOND, 60, 1},
        {119 * SECOND + 999999, 119, 1},
        {INT64_C(315537897599999999), INT64_C(315537897599), INT64_C(5258964959)}, /* of all years there are */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_closed_trade trade = base;
        trade.entry_us = -62135596800 * SECOND;
        trade.exit_us = trade.entry_us + cases[i].us;
        assert_int_equal(compute(trade).hold_duration_seconds, cases[i].seconds);
        assert_int_equal(compute(trade).hold_duration_minutes, cases[i].minutes);
    }
}

static void test_trade_result_without_risk_has_no_r(void **state)
{
    (void)state;
    struct tbk_closed_trade trade = base;
    trade.has_sl_price = false;
    assert_false(compute(trade).has_r_realized);
    trade.has_sl_price = true;
    trade.sl_price = trade.entry_price;
    assert_false(compute(trade).has_r_realized);
    trade.exit_price = trade.entry_price; /* 0 / 0 */
    assert_false(compute(trade).has_r_realized);
}

static void test_trade_result_r_goes_by_side_even_beyond_the_stop(void **state)
{
    (void)state;
    struct tbk_closed_trade trade = base;
    trade.sl_price = 101; /* a long that was filled below its stop */
    trade.exit_price = 102;
    assert_number(compute(trade).r_realized, 2);
}

static void test_trade_result_not_finite_refused(void **state)
{
    (void)state;
    struct tbk_trade_result result;
    struct tbk_closed_trade trade = base;
    trade.exit_price = 1e300;
    trade.quantity = 1e300;
    assert_false(tbk_trade_result_compute(&trade, &result));
    trade = base;
    trade.entry_price = 1e-200;
    trade.quantity = 1e-200;
    assert_false(tbk_trade_result_compute(&trade, &result));
    trade = base;
    trade.fees_usd = INFINITY;
    assert_false(tbk_trade_result_compute(&trade, &result));
}

/* Any trade: the mirror image gains what it loses, and percent is the share of
 * what was paid. */
static void test_trade_result_of_random_trades_is_consistent(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 10000; i++) {
        struct tbk_closed_trade trade = base;
        trade.entry_price = 1 + rand() % 100000 / 100.0;
        trade.exit_price = 1 + rand() % 100000 / 100.0;
        trade.quantity = 0.001 + rand() % 10000 / 1000.0;
        trade.band_percent = rand() % 3 / 2.0;
        struct tbk_closed_trade mirror = trade;
        mirror.side = -1;
        const struct tbk_trade_result result = compute(trade);
        assert_true(result.pnl_usd == -compute(mirror).pnl_usd);
        assert_number(result.pnl_percent / 100 * trade.entry_price * trade.quantity, result.pnl_usd);
        assert_int_equal(result.outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_WIN,
                         compute(mirror).outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS);
        assert_int_equal(result.outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN,
                         fabs(result.pnl_percent) <= trade.band_percent);
    }
}

static void test_trade_side_only_of_what_is_traded(void **state)
{
    (void)state;
    assert_int_equal(tbk_trade_side(TRADEBOOK__V1__DIRECTION__DIRECTION_LONG), 1);
    assert_int_equal(tbk_trade_side(TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT), -1);
    assert_int_equal(tbk_trade_side(TRADEBOOK__V1__DIRECTION__DIRECTION_HOLD), 0);
    assert_int_equal(tbk_trade_side(TRADEBOOK__V1__DIRECTION__DIRECTION_UNSPECIFIED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trade_result_long_gains_when_the_price_rises),
        cmocka_unit_test(test_trade_result_short_gains_when_the_price_falls),
        cmocka_unit_test(test_trade_result_counts_quantity_and_fees),
        cmocka_unit_test(test_trade_result_on_the_edge_of_the_band_breakeven),
        cmocka_unit_test(test_trade_result_fees_make_a_standstill_a_loss),
        cmocka_unit_test(test_trade_result_times_are_rounded_down),
        cmocka_unit_test(test_trade_result_without_risk_has_no_r),
        cmocka_unit_test(test_trade_result_r_goes_by_side_even_beyond_the_stop),
        cmocka_unit_test(test_trade_result_not_finite_refused),
        cmocka_unit_test(test_trade_result_of_random_trades_is_consistent),
        cmocka_unit_test(test_trade_side_only_of_what_is_traded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
