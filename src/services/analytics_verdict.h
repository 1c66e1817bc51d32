/*
 * What a comparison of two strategies concludes.
 */
#ifndef TBK_SERVICES_ANALYTICS_VERDICT_H
#define TBK_SERVICES_ANALYTICS_VERDICT_H

#include "analytics/analytics.h"
#include "analytics/statistics.h"
#include "tradebook/v1/analytics.pb-c.h"

struct tbk_ab_arm {
    const char *strategy;
    int64_t signals;
    struct tbk_performance figures;
};

/* The arms, their signals and the expected share are given; the rest is computed
 * by tbk_ab_test, NaN where not defined. */
struct tbk_ab {
    struct tbk_ab_arm a, b;
    double expected_share_a;

    double rate_difference; /* of the win rates, a - b */
    struct tbk_proportion_test rates;
    struct tbk_mean_test means; /* of pnl_percent */
    double corrected[2];        /* p-values of rates and means, for both together */
    double chi_squared, split_p_value;
    bool alarm; /* the split of the signals is off */
};

struct tbk_share tbk_ab_wins(const struct tbk_ab_arm *arm);
Tradebook__V1__ProportionTest tbk_proportion_test_kind(const struct tbk_proportion_test *test);

void tbk_ab_test(struct tbk_ab *comparison);

/* The verdict, see CompareStrategiesResponse, and its reason in one sentence, in
 * the arena; NULL when that is exhausted. */
Tradebook__V1__Verdict tbk_ab_verdict(const struct tbk_ab *comparison, struct tbk_arena *arena, char **ret_reason);

#endif
