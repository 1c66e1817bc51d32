/*
 * Sums without rounding. A cumulated curve is compared with its own peak, and is
 * added up from pieces that differ from one query to the next; plain doubles
 * would find another recovery for each way to cut it. A pair of doubles has 106
 * bits, enough to add up decimal fractions of any trading account exactly.
 * (Dekker 1971; Knuth, The Art of Computer Programming 4.2.2.)
 */
#ifndef TBK_ANALYTICS_EXACT_H
#define TBK_ANALYTICS_EXACT_H

#include <math.h>
#include <stdbool.h>

/* high + low, |low| at most half a unit of high's last place. */
struct tbk_exact {
    double high, low;
};

/* a + b and the error of that addition. */
static inline struct tbk_exact tbk_exact_of_sum(double a, double b)
{
    const double sum = a + b;
    const double b_part = sum - a;
    return (struct tbk_exact){.high = sum, .low = (a - (sum - b_part)) + (b - b_part)};
}

static inline struct tbk_exact tbk_exact_add(struct tbk_exact a, struct tbk_exact b)
{
    struct tbk_exact high = tbk_exact_of_sum(a.high, b.high);
    const struct tbk_exact low = tbk_exact_of_sum(a.low, b.low);
    high = tbk_exact_of_sum(high.high, high.low + low.high);
    return tbk_exact_of_sum(high.high, high.low + low.low);
}

static inline struct tbk_exact tbk_exact_add_double(struct tbk_exact a, double b)
{
    const struct tbk_exact sum = tbk_exact_of_sum(a.high, b);
    return tbk_exact_of_sum(sum.high, sum.low + a.low);
}

static inline struct tbk_exact tbk_exact_subtract(struct tbk_exact a, struct tbk_exact b)
{
    return tbk_exact_add(a, (struct tbk_exact){.high = -b.high, .low = -b.low});
}

static inline bool tbk_exact_less(struct tbk_exact a, struct tbk_exact b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* Whether the falls of a curve are known: neither its sum nor the way from its highest
 * to its lowest value has overflowed. A sum that has is NaN from then on. */
static inline bool tbk_exact_falls_are_known(struct tbk_exact total, struct tbk_exact high, struct tbk_exact low)
{
    return isfinite(total.high) && isfinite(high.high - low.high);
}

#endif
