/*
 * Statistics: intervals, tests and corrections, from counts and moments alone.
 *
 * Pure functions for any thread. Counts are not negative and successes not above
 * their n. NaN is a figure that is not defined for the data at hand. Intervals
 * have 95 % confidence, p-values are two-sided. Relative errors are below 1e-10
 * for every p-value that is a normal double.
 */
#ifndef TBK_ANALYTICS_STATISTICS_H
#define TBK_ANALYTICS_STATISTICS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a number is only what rounding leaves of values of this size. A price has
 * 53 bits, so the profit in percent of a move by a thousandth of the price is known
 * to 2e-13 of itself. By that much values differ that are meant to be equal, such
 * as R-multiples of 5/3 by different prices, and is left where they cancel out;
 * what a trader would call a difference is many orders above. */
static inline bool tbk_is_rounding(double number, double size)
{
    return fabs(number) <= 1e-12 * fabs(size);
}

/* The 0.975 and the 0.8 quantile of the normal distribution. */
#define TBK_NORMAL_975 1.959963984540054
#define TBK_NORMAL_800 0.8416212335729143

struct tbk_interval {
    double lower, upper; /* both NaN when there is none */
};

/* A sample: how many, their mean, their standard deviation (divisor n - 1). */
struct tbk_sample {
    int64_t n;
    double mean;
    double standard_deviation; /* not looked at when n is below 2 */
};

/* Successes among n. */
struct tbk_share {
    int64_t successes, n;
};

struct tbk_proportion_test {
    bool is_exact;    /* Fisher's, because an expected cell is below 5 */
    double statistic; /* z; NaN when is_exact */
    double p_value;   /* NaN when either share has no observation */
};

/* Every figure is NaN when it is not defined: difference without observations,
 * the others with fewer than 2 in a sample, when the standard error is 0 or, by the
 * means, only rounding, and when it or the difference is beyond a double. */
struct tbk_mean_test {
    double difference; /* a - b */
    double standard_error;
    struct tbk_interval interval;
    double statistic; /* t */
    double degrees_of_freedom;
    double p_value;
};

/* The score interval of a proportion (Wilson 1927). n is 0: none. */
struct tbk_interval tbk_wilson(int64_t successes, int64_t n);

/* Interval of rate(a) - rate(b): the square-and-add of both Wilson intervals
 * (Newcombe 1998, method 10). */
struct tbk_interval tbk_newcombe(struct tbk_share a, struct tbk_share b);

/* Whether two shares differ: the z test with the pooled proportion (Pearson
 * 1900), or Fisher's exact test when an expected cell of the table is below 5. */
struct tbk_proportion_test tbk_compare_shares(struct tbk_share a, struct tbk_share b);

/* Fisher's exact test (1922): the probability of all tables with the same margins
 * that are not more probable than this one; probabilities whose ratio is below
 * 1 + 1e-7 count as equal. */
double tbk_fisher_exact(struct tbk_share a, struct tbk_share b);

/* Smallest difference of two shares that these sizes show with 80 % power at the
 * 5 % level (Cohen 1988), from the pooled rate. NaN when that is 0 or 1. */
double tbk_detectable_share(struct tbk_share a, struct tbk_share b);
/* The same of two means with this standard error of their difference. */
double tbk_detectable_mean(double standard_error);

/* Whether two means differ (Welch 1947, degrees of freedom by Satterthwaite 1946). */
struct tbk_mean_test tbk_compare_means(struct tbk_sample a, struct tbk_sample b);

/* Probability of a normal variable further from 0 than z. */
double tbk_normal_p_value(double z);
/* Probability of a chi-squared with 1 degree of freedom at least as large. */
double tbk_chi_squared_p_value(double chi_squared);
/* Probability of Student's t further from 0 than t; degrees_of_freedom > 0. */
double tbk_student_p_value(double t, double degrees_of_freedom);
/* The 0.975 quantile of Student's t; degrees_of_freedom >= 1. */
double tbk_student_975(double degrees_of_freedom);

/* P-values corrected for their number by the step-down method (Holm 1979). A NaN
 * stays NaN and does not count. order is scratch for count entries. */
void tbk_holm(size_t count, const double p_values[], size_t order[], double ret_corrected[]);

#endif
