#include "services/analytics_verdict.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* Trades that an arm needs for a verdict. */
enum { TRADES_MIN = 30, P_VALUE_CHARS_MAX = 32, PERCENT_CHARS_MAX = DBL_MAX_10_EXP + 16 };
static const double SIGNIFICANT_P_VALUE = 0.05;
static const double ALARM_P_VALUE = 0.001;

struct tbk_share tbk_ab_wins(const struct tbk_ab_arm *arm)
{
    return (struct tbk_share){arm->figures.wins, arm->figures.n};
}

Tradebook__V1__ProportionTest tbk_proportion_test_kind(const struct tbk_proportion_test *test)
{
    return test->is_exact ? TRADEBOOK__V1__PROPORTION_TEST__PROPORTION_TEST_FISHER
                          : TRADEBOOK__V1__PROPORTION_TEST__PROPORTION_TEST_Z;
}

static double win_rate(const struct tbk_ab_arm *arm)
{
    return (double)arm->figures.wins / (double)arm->figures.n;
}

static struct tbk_sample percents(const struct tbk_ab_arm *arm)
{
    const struct tbk_profit *percent = &arm->figures.percent;
    return (struct tbk_sample){percent->n, percent->mean, percent->standard_deviation};
}

static void test_split(struct tbk_ab *comparison)
{
    const double signals = (double)(comparison->a.signals + comparison->b.signals);
    const double expected = signals * comparison->expected_share_a;
    const double off = (double)comparison->a.signals - expected;
    comparison->chi_squared = signals > 0 ? off * off / (expected * (1 - comparison->expected_share_a)) : NAN;
    comparison->split_p_value = tbk_chi_squared_p_value(comparison->chi_squared);
    comparison->alarm = comparison->split_p_value < ALARM_P_VALUE;
}

/* Whether the mean profits are of as many trades as a verdict needs. */
static bool has_enough_profits(const struct tbk_ab *comparison)
{
    return comparison->a.figures.percent.n >= TRADES_MIN && comparison->b.figures.percent.n >= TRADES_MIN;
}

void tbk_ab_test(struct tbk_ab *comparison)
{
    comparison->rate_difference = win_rate(&comparison->a) - win_rate(&comparison->b);
    comparison->rates = tbk_compare_shares(tbk_ab_wins(&comparison->a), tbk_ab_wins(&comparison->b));
    comparison->means = tbk_compare_means(percents(&comparison->a), percents(&comparison->b));
    const double p_values[] = {comparison->rates.p_value,
                               has_enough_profits(comparison) ? comparison->means.p_value : NAN};
    size_t order[2];
    tbk_holm(2, p_values, order, comparison->corrected);
    test_split(comparison);
}

/* "0.012", "below 1e-300", "not defined" */
static const char *show_p_value(double p_value, char out[P_VALUE_CHARS_MAX])
{
    if (isnan(p_value)) {
        return "not defined";
    }
    if (p_value < 1e-300) {
        return "below 1e-300";
    }
    snprintf(out, P_VALUE_CHARS_MAX, "%.2g", p_value);
    return out;
}

/* "0.012 %", "not defined" */
static const char *show_percent(double percent, char out[PERCENT_CHARS_MAX])
{
    if (!isfinite(percent)) {
        return "not defined";
    }
    snprintf(out, PERCENT_CHARS_MAX, "%.3f %%", percent);
    return out;
}

static char *reason_split(const struct tbk_ab *comparison, struct tbk_arena *arena)
{
    char p_value[P_VALUE_CHARS_MAX];
    const double signals = (double)(comparison->a.signals + comparison->b.signals);
    return tbk_arena_printf(
        arena,
        "Not enough data: the signals are split %lld to %lld between %s and %s, which is %.1f %% instead of the "
        "expected %.1f %% (p-value %s), so something other than chance decides which strategy gets a signal.",
        (long long)comparison->a.signals, (long long)comparison->b.signals, comparison->a.strategy,
        comparison->b.strategy, 100 * (double)comparison->a.signals / signals, 100 * comparison->expected_share_a,
        show_p_value(comparison->split_p_value, p_value));
}

static char *reason_few_trades(const struct tbk_ab *comparison, struct tbk_arena *arena)
{
    return tbk_arena_printf(
        arena, "Not enough data: %s has %lld closed trades and %s has %lld, and each needs at least %d.",
        comparison->a.strategy, (long long)comparison->a.figures.n, comparison->b.strategy,
        (long long)comparison->b.figures.n, TRADES_MIN);
}

static char *reason_conflict(const struct tbk_ab *comparison, struct tbk_arena *arena)
{
    const bool rate_favours_a = comparison->rate_difference > 0;
    char of_a[PERCENT_CHARS_MAX];
    char of_b[PERCENT_CHARS_MAX];
    return tbk_arena_printf(
        arena,
        "Not enough data: the win rates (%.1f %% to %.1f %%) favour %s, but the mean profits (%s to %s) "
        "favour %s.",
        100 * win_rate(&comparison->a), 100 * win_rate(&comparison->b),
        rate_favours_a ? comparison->a.strategy : comparison->b.strategy,
        show_percent(comparison->a.figures.percent.mean, of_a),
        show_percent(comparison->b.figures.percent.mean, of_b),
        rate_favours_a ? comparison->b.strategy : comparison->a.strategy);
}

static char *reason_chance(const struct tbk_ab *comparison, struct tbk_arena *arena)
{
    char of_rates[P_VALUE_CHARS_MAX];
    char of_means[P_VALUE_CHARS_MAX];
    char of_a[PERCENT_CHARS_MAX];
    char of_b[PERCENT_CHARS_MAX];
    return tbk_arena_printf(
        arena,
        "Not enough data: chance alone explains the difference of the win rates (%.1f %% of %lld to %.1f %% of "
        "%lld, p-value %s) and of the mean profits (%s to %s, p-value %s), corrected for two tests; "
        "below %g is needed.",
        100 * win_rate(&comparison->a), (long long)comparison->a.figures.n, 100 * win_rate(&comparison->b),
        (long long)comparison->b.figures.n, show_p_value(comparison->corrected[0], of_rates),
        show_percent(comparison->a.figures.percent.mean, of_a),
        show_percent(comparison->b.figures.percent.mean, of_b), show_p_value(comparison->corrected[1], of_means),
        SIGNIFICANT_P_VALUE);
}

static char *reason_better(const struct tbk_ab *comparison, bool is_a, struct tbk_arena *arena)
{
    const struct tbk_ab_arm *better = is_a ? &comparison->a : &comparison->b;
    const struct tbk_ab_arm *other = is_a ? &comparison->b : &comparison->a;
    char of_rates[P_VALUE_CHARS_MAX];
    char of_means[P_VALUE_CHARS_MAX];
    char of_better[PERCENT_CHARS_MAX];
    char of_other[PERCENT_CHARS_MAX];
    return tbk_arena_printf(
        arena,
        "%s is better than %s: it wins %.1f %% of %lld trades against %.1f %% of %lld (p-value %s), and "
        "its mean profit is %s against %s (p-value %s), corrected for two tests.",
        better->strategy, other->strategy, 100 * win_rate(better), (long long)better->figures.n,
        100 * win_rate(other), (long long)other->figures.n, show_p_value(comparison->corrected[0], of_rates),
        show_percent(better->figures.percent.mean, of_better), show_percent(other->figures.percent.mean, of_other),
        show_p_value(comparison->corrected[1], of_means));
}

/* Which arm the win rates favour: 1 A, -1 B, 0 neither. Equal rates are equal
 * doubles. */
static int favoured_by_rates(const struct tbk_ab *comparison)
{
    return (comparison->rate_difference > 0) - (comparison->rate_difference < 0);
}

/* The same of the mean profits; what is only rounding, or of too few, favours neither. */
static int favoured_by_means(const struct tbk_ab *comparison)
{
    const double difference = comparison->means.difference;
    const double size = fmax(fabs(comparison->a.figures.percent.mean), fabs(comparison->b.figures.percent.mean));
    return !has_enough_profits(comparison) || tbk_is_rounding(difference, size)
               ? 0
               : (difference > 0) - (difference < 0);
}

Tradebook__V1__Verdict tbk_ab_verdict(const struct tbk_ab *comparison, struct tbk_arena *arena, char **ret_reason)
{
    const bool rates_differ = comparison->corrected[0] < SIGNIFICANT_P_VALUE;
    const bool means_differ = comparison->corrected[1] < SIGNIFICANT_P_VALUE;
    if (comparison->alarm) {
        *ret_reason = reason_split(comparison, arena);
    } else if (comparison->a.figures.n < TRADES_MIN || comparison->b.figures.n < TRADES_MIN) {
        *ret_reason = reason_few_trades(comparison, arena);
    } else if (!rates_differ && !means_differ) {
        *ret_reason = reason_chance(comparison, arena);
    } else if (favoured_by_rates(comparison) * favoured_by_means(comparison) < 0) {
        *ret_reason = reason_conflict(comparison, arena);
    } else {
        const bool is_a = (rates_differ ? favoured_by_rates(comparison) : favoured_by_means(comparison)) > 0;
        *ret_reason = reason_better(comparison, is_a, arena);
        return is_a ? TRADEBOOK__V1__VERDICT__VERDICT_A : TRADEBOOK__V1__VERDICT__VERDICT_B;
    }
    return TRADEBOOK__V1__VERDICT__VERDICT_NOT_ENOUGH_DATA;
}
