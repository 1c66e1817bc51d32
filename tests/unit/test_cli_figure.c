#include <stdlib.h>
#include <string.h>

#include "cli/figure.h"
#include "cmocka_all.h"
#include "tradebook/v1/analytics.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

static void check_tone(const struct tbk_figure *figure, const ProtobufCMessage *message, bool utf8,
                       const char *expected, enum tbk_tone expected_tone)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 1000);
    enum tbk_tone tone = tbk_figure_append(figure, TBK_UNIT_USD, message, utf8, &text);
    assert_string_equal(tbk_dynbuf_text(&text), expected);
    assert_int_equal(tone, expected_tone);
    tbk_dynbuf_fini(&text);
}

static void check_double(enum tbk_figure_form form, enum tbk_unit unit, double value, const char *expected,
                         enum tbk_tone tone)
{
    const struct tbk_figure figure = {"mean", "mean", form, unit};
    Tradebook__V1__ProfitFigures profit = TRADEBOOK__V1__PROFIT_FIGURES__INIT;
    profit.has_mean = 1;
    profit.mean = value;
    check_tone(&figure, &profit.base, true, expected, tone);
}

static void test_figure_gain_has_sign_unit_and_tone(void **state)
{
    (void)state;
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, 1.234, "+1.23 %", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, -12.5, "-12.50 %", TBK_TONE_LOSS);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, 0, "0.00 %", TBK_TONE_NONE);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, -0.0, "0.00 %", TBK_TONE_NONE);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, -0.0012, "-0.001 %", TBK_TONE_LOSS);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, 0.005, "+0.01 %", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_SCORE, TBK_UNIT_NONE, -1.5, "-1.50", TBK_TONE_LOSS);
}

static void test_figure_unit_of_figure_wins_over_subject(void **state)
{
    (void)state;
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_NONE, 3, "+3.00", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_PERCENT, 3, "+3.00 %", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_AMOUNT, TBK_UNIT_PERCENT, 3, "3.00 %", TBK_TONE_NONE);
}

static void test_figure_thousands_are_separated(void **state)
{
    (void)state;
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_NONE, 999.994, "+999.99", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_NONE, 1000, "+1,000.00", TBK_TONE_GAIN);
    check_double(TBK_FIGURE_GAIN, TBK_UNIT_NONE, -1234567.891, "-1,234,567.89", TBK_TONE_LOSS);
    check_double(TBK_FIGURE_AMOUNT, TBK_UNIT_NONE, 123456, "123,456.00", TBK_TONE_NONE);
}

static void test_figure_numbers_without_unit(void **state)
{
    (void)state;
    check_double(TBK_FIGURE_RATE, TBK_UNIT_NONE, 0.5234, "52.3 %", TBK_TONE_NONE);
    check_double(TBK_FIGURE_FRACTION, TBK_UNIT_NONE, 0.12345, "0.1235", TBK_TONE_NONE);
    check_double(TBK_FIGURE_PROBABILITY, TBK_UNIT_NONE, 0.0312, "0.0312", TBK_TONE_NONE);
    check_double(TBK_FIGURE_PROBABILITY, TBK_UNIT_NONE, 0.00009, "< 0.0001", TBK_TONE_NONE);
    check_double(TBK_FIGURE_PRICE, TBK_UNIT_NONE, 64000.5, "64000.5", TBK_TONE_NONE);
    check_double(TBK_FIGURE_RATIO, TBK_UNIT_NONE, 1.256, "1.26", TBK_TONE_NONE);
}

static void test_figure_proportion_shows_its_interval(void **state)
{
    (void)state;
    static const struct tbk_figure rate = {"win rate", "win_rate", TBK_FIGURE_PROPORTION, TBK_UNIT_NONE};
    Tradebook__V1__Performance performance = TRADEBOOK__V1__PERFORMANCE__INIT;
    Tradebook__V1__Proportion proportion = TRADEBOOK__V1__PROPORTION__INIT;
    check_tone(&rate, &performance.base, true, "-", TBK_TONE_NONE);
    performance.win_rate = &proportion;
    check_tone(&rate, &performance.base, true, "-", TBK_TONE_NONE);
    proportion.has_value = 1, proportion.value = 0.5228;
    check_tone(&rate, &performance.base, true, "52.3 %", TBK_TONE_NONE);
    proportion.has_lower = 1, proportion.lower = 0.491;
    proportion.has_upper = 1, proportion.upper = 0.5549;
    check_tone(&rate, &performance.base, true, "52.3 % (49.1 \xE2\x80\xA6 55.5)", TBK_TONE_NONE);
    check_tone(&rate, &performance.base, false, "52.3 % (49.1 .. 55.5)", TBK_TONE_NONE);
    check_tone(&rate, NULL, false, "-", TBK_TONE_NONE);
}

static void test_figure_difference_shows_signs(void **state)
{
    (void)state;
    static const struct tbk_figure rates = {"", "win_rate_difference", TBK_FIGURE_RATE_DIFFERENCE, TBK_UNIT_NONE};
    static const struct tbk_figure means = {"", "pnl_percent_difference", TBK_FIGURE_GAIN_DIFFERENCE,
                                            TBK_UNIT_PERCENT};
    Tradebook__V1__ProportionDifference rate = TRADEBOOK__V1__PROPORTION_DIFFERENCE__INIT;
    rate.has_value = 1, rate.value = 0.021;
    rate.has_lower = 1, rate.lower = -0.01;
    rate.has_upper = 1, rate.upper = 0.052;
    Tradebook__V1__MeanDifference mean = TRADEBOOK__V1__MEAN_DIFFERENCE__INIT;
    mean.has_value = 1, mean.value = -0.2;
    Tradebook__V1__CompareStrategiesResponse response = TRADEBOOK__V1__COMPARE_STRATEGIES_RESPONSE__INIT;
    response.win_rate_difference = &rate;
    response.pnl_percent_difference = &mean;
    check_tone(&rates, &response.base, false, "+2.1 pp (-1.0 .. +5.2)", TBK_TONE_NONE);
    check_tone(&means, &response.base, false, "-0.20 %", TBK_TONE_NONE);
    mean.has_lower = 1, mean.lower = -0.5;
    mean.has_upper = 1, mean.upper = 0.1;
    check_tone(&means, &response.base, false, "-0.20 % (-0.50 .. +0.10)", TBK_TONE_NONE);
}

static void check_duration(enum tbk_figure_form form, int64_t value, const char *expected)
{
    const struct tbk_figure figure = {"held", "hold_duration_minutes", form, TBK_UNIT_NONE};
    Tradebook__V1__SignalResult result = TRADEBOOK__V1__SIGNAL_RESULT__INIT;
    result.has_hold_duration_minutes = 1;
    result.hold_duration_minutes = value;
    check_tone(&figure, &result.base, true, expected, TBK_TONE_NONE);
}

static void test_figure_durations_have_two_units(void **state)
{
    (void)state;
    check_duration(TBK_FIGURE_DURATION, 0, "0 s");
    check_duration(TBK_FIGURE_DURATION, 59, "59 s");
    check_duration(TBK_FIGURE_DURATION, 61, "1 min");
    check_duration(TBK_FIGURE_DURATION, 3600, "1 h 0 min");
    check_duration(TBK_FIGURE_DURATION, 86399, "23 h 59 min");
    check_duration(TBK_FIGURE_DURATION, 86400 * 1234 + 7200, "1,234 d 2 h");
    check_duration(TBK_FIGURE_MINUTES, 90, "1 h 30 min");
    check_duration(TBK_FIGURE_COUNT, 1234567, "1,234,567");
    check_duration(TBK_FIGURE_COUNT, -1234, "-1,234");
    check_duration(TBK_FIGURE_ID, 1234567, "1234567");
}

static void test_figure_texts_and_times(void **state)
{
    (void)state;
    static const struct tbk_figure outcome = {"", "outcome", TBK_FIGURE_ENUM, TBK_UNIT_NONE};
    static const struct tbk_figure reason = {"", "exit_reason", TBK_FIGURE_TEXT, TBK_UNIT_NONE};
    static const struct tbk_figure time = {"", "exit_timestamp", TBK_FIGURE_TIME, TBK_UNIT_NONE};
    static const struct tbk_figure date = {"", "exit_timestamp", TBK_FIGURE_DATE, TBK_UNIT_NONE};
    Google__Protobuf__Timestamp noon = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    noon.seconds = 1714564800;
    Tradebook__V1__SignalResult result = TRADEBOOK__V1__SIGNAL_RESULT__INIT;
    result.has_outcome = 1;
    result.outcome = TRADEBOOK__V1__OUTCOME__OUTCOME_WIN;
    result.exit_reason = (char *)"tp_hit";
    result.exit_timestamp = &noon;
    check_tone(&outcome, &result.base, true, "win", TBK_TONE_GAIN);
    check_tone(&reason, &result.base, true, "tp_hit", TBK_TONE_NONE);
    check_tone(&time, &result.base, true, "2024-05-01 12:00:00", TBK_TONE_NONE);
    check_tone(&date, &result.base, true, "2024-05-01", TBK_TONE_NONE);
    result.outcome = TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS;
    check_tone(&outcome, &result.base, true, "loss", TBK_TONE_LOSS);
    result.outcome = TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN;
    check_tone(&outcome, &result.base, true, "breakeven", TBK_TONE_NONE);
    result.outcome = (Tradebook__V1__Outcome)77;
    check_tone(&outcome, &result.base, true, "77", TBK_TONE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figure_gain_has_sign_unit_and_tone),
        cmocka_unit_test(test_figure_unit_of_figure_wins_over_subject),
        cmocka_unit_test(test_figure_thousands_are_separated),
        cmocka_unit_test(test_figure_numbers_without_unit),
        cmocka_unit_test(test_figure_proportion_shows_its_interval),
        cmocka_unit_test(test_figure_difference_shows_signs),
        cmocka_unit_test(test_figure_durations_have_two_units),
        cmocka_unit_test(test_figure_texts_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
