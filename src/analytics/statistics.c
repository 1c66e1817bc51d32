#include "analytics/statistics.h"

#include <float.h>
#include <stdlib.h>

static const struct tbk_interval NO_INTERVAL = {NAN, NAN};

static double rate(struct tbk_share share)
{
    return (double)share.successes / (double)share.n;
}

struct tbk_interval tbk_wilson(int64_t successes, int64_t n)
{
    if (n == 0) {
        return NO_INTERVAL;
    }
    double k = (double)successes;
    double count = (double)n;
    double z2 = TBK_NORMAL_975 * TBK_NORMAL_975;
    double sum = k + z2 / 2 + TBK_NORMAL_975 * sqrt(k * (count - k) / count + z2 / 4);
    /* The lower bound by the product of both, which loses no digits near 0. */
    return (struct tbk_interval){
        .lower = k / count * k / sum,
        .upper = successes == n ? 1 : sum / (count + z2),
    };
}

struct tbk_interval tbk_newcombe(struct tbk_share a, struct tbk_share b)
{
    if (a.n == 0 || b.n == 0) {
        return NO_INTERVAL;
    }
    struct tbk_interval of_a = tbk_wilson(a.successes, a.n);
    struct tbk_interval of_b = tbk_wilson(b.successes, b.n);
    double difference = rate(a) - rate(b);
    return (struct tbk_interval){
        .lower = difference - hypot(rate(a) - of_a.lower, of_b.upper - rate(b)),
        .upper = difference + hypot(of_a.upper - rate(a), rate(b) - of_b.lower),
    };
}

/* Standard error of the difference of two shares if both had the pooled rate. */
static double pooled_error(struct tbk_share a, struct tbk_share b)
{
    double n = (double)a.n + (double)b.n;
    double pooled = ((double)a.successes + (double)b.successes) / n;
    return sqrt(pooled * (1 - pooled) * n / ((double)a.n * (double)b.n));
}

static double smallest_expected_cell(struct tbk_share a, struct tbk_share b)
{
    double n = (double)a.n + (double)b.n;
    double successes = (double)a.successes + (double)b.successes;
    return fmin(successes, n - successes) * fmin((double)a.n, (double)b.n) / n;
}

struct tbk_proportion_test tbk_compare_shares(struct tbk_share a, struct tbk_share b)
{
    if (a.n == 0 || b.n == 0) {
        return (struct tbk_proportion_test){.statistic = NAN, .p_value = NAN};
    }
    if (smallest_expected_cell(a, b) < 5) {
        return (struct tbk_proportion_test){.is_exact = true, .statistic = NAN, .p_value = tbk_fisher_exact(a, b)};
    }
    double z = (rate(a) - rate(b)) / pooled_error(a, b);
    return (struct tbk_proportion_test){.statistic = z, .p_value = tbk_normal_p_value(z)};
}

/* All tables with the margins of one. x is the successes in a. */
struct tables {
    double n_a, n_b, successes;
    int64_t first, last, mode; /* smallest, largest and most probable x */
};

static struct tables tables_like(struct tbk_share a, struct tbk_share b)
{
    const int64_t successes = a.successes + b.successes;
    struct tables tables = {
        .n_a = (double)a.n,
        .n_b = (double)b.n,
        .successes = (double)successes,
        .first = successes > b.n ? successes - b.n : 0,
        .last = successes < a.n ? successes : a.n,
    };
    const double mode = (tables.n_a + 1) * (tables.successes + 1) / (tables.n_a + tables.n_b + 2);
    tables.mode = (int64_t)fmin(fmax(floor(mode), (double)tables.first), (double)tables.last);
    return tables;
}

/* Probability of table x + 1 over that of x. */
static double step_up(const struct tables *tables, int64_t table)
{
    const double x = (double)table;
    return (tables->n_a - x) * (tables->successes - x) / ((x + 1) * (tables->n_b - tables->successes + x + 1));
}

/* Probability of a table over that of the most probable one. */
static double weight_of(const struct tables *tables, int64_t table)
{
    double weight = 1;
    for (int64_t x = tables->mode; x < table && weight > 0; x++) {
        weight *= step_up(tables, x);
    }
    for (int64_t x = tables->mode; x > table && weight > 0; x--) {
        weight /= step_up(tables, x - 1);
    }
    return weight;
}

/* Sums the weights of the tables relative to the most probable one, so that
 * nothing overflows. The ratio of neighbours is exact to a few roundings, where
 * factorials by lgamma would lose nine digits at a million observations. */
double tbk_fisher_exact(struct tbk_share a, struct tbk_share b)
{
    const struct tables tables = tables_like(a, b);
    const double limit = weight_of(&tables, a.successes) * (1 + 1e-7);
    double all = 0;
    double extreme = 0;
    double weight = 1;
    for (int64_t x = tables.mode; x <= tables.last && weight > 0; x++) {
        all += weight;
        extreme += weight <= limit ? weight : 0;
        weight *= step_up(&tables, x);
    }
    weight = 1;
    for (int64_t x = tables.mode; x > tables.first && weight > 0; x--) {
        weight /= step_up(&tables, x - 1);
        all += weight;
        extreme += weight <= limit ? weight : 0;
    }
    return fmin(extreme / all, 1);
}

double tbk_detectable_share(struct tbk_share a, struct tbk_share b)
{
    if (a.n == 0 || b.n == 0) {
        return NAN;
    }
    double error = pooled_error(a, b);
    return error > 0 ? tbk_detectable_mean(error) : NAN;
}

double tbk_detectable_mean(double standard_error)
{
    return (TBK_NORMAL_975 + TBK_NORMAL_800) * standard_error;
}

struct tbk_mean_test tbk_compare_means(struct tbk_sample a, struct tbk_sample b)
{
    struct tbk_mean_test test = {
        .difference = a.n > 0 && b.n > 0 ? a.mean - b.mean : NAN,
        .standard_error = NAN,
        .interval = NO_INTERVAL,
        .statistic = NAN,
        .degrees_of_freedom = NAN,
        .p_value = NAN,
    };
    if (a.n < 2 || b.n < 2) {
        return test;
    }
    double error_a = a.standard_deviation / sqrt((double)a.n);
    double error_b = b.standard_deviation / sqrt((double)b.n);
    double error = hypot(error_a, error_b);
    double size = fmax(fabs(a.mean), fabs(b.mean));
    if (!isfinite(error) || !isfinite(test.difference) || tbk_is_rounding(error, size)) {
        return test;
    }
    double share_a = pow(error_a / error, 4) / (double)(a.n - 1);
    double share_b = pow(error_b / error, 4) / (double)(b.n - 1);
    test.standard_error = error;
    test.statistic = test.difference / error;
    test.degrees_of_freedom = 1 / (share_a + share_b);
    test.p_value = tbk_student_p_value(test.statistic, test.degrees_of_freedom);
    double half = tbk_student_975(test.degrees_of_freedom) * error;
    test.interval = (struct tbk_interval){test.difference - half, test.difference + half};
    return test;
}

double tbk_normal_p_value(double z)
{
    return erfc(fabs(z) / sqrt(2));
}

double tbk_chi_squared_p_value(double chi_squared)
{
    return erfc(sqrt(chi_squared / 2));
}

/* gamma(a + 1/2) / gamma(a): the asymptotic series (Tricomi and Erdélyi 1951),
 * after the recurrence has made a large enough for it. */
static double gamma_ratio(double a)
{
    double factor = 1;
    while (a < 30) {
        factor *= a / (a + 0.5);
        a += 1;
    }
    static const double terms[] = {
        1, -1.0 / 8, 1.0 / 128, 5.0 / 1024, -21.0 / 32768, -399.0 / 262144, 869.0 / 4194304, 39325.0 / 33554432};
    double series = 0;
    for (size_t i = sizeof terms / sizeof terms[0]; i-- > 0;) {
        series = series / a + terms[i];
    }
    return factor * sqrt(a) * series;
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22) by the
 * modified method of Lentz; converges in about sqrt(max(a, b)) steps when x is
 * below (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    static const double tiny = 1e-300;
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int step = 1; step < 100000; step++) {
        const double m = step;
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double change = 1;
        const double steps[] = {even, odd};
        for (int i = 0; i < 2; i++) {
            d = 1 + steps[i] * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + steps[i] / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            value *= change;
        }
        if (fabs(change - 1) <= DBL_EPSILON) {
            break;
        }
    }
    return value;
}

/* The normal variable that is as far out (Hill 1970, to the first order), for many
 * degrees of freedom, where the fraction above loses digits. */
static double student_as_normal(double t, double degrees_of_freedom)
{
    double a = degrees_of_freedom - 0.5;
    double w = sqrt(a * log1p(t * t / degrees_of_freedom));
    return w + (w * w + 3) * w / (48 * a * a);
}

/* The regularised incomplete beta function I_x(df / 2, 1/2), x = df / (df + t²). */
double tbk_student_p_value(double t, double degrees_of_freedom)
{
    if (isnan(t)) {
        return NAN;
    }
    if (isinf(t)) {
        return 0;
    }
    if (degrees_of_freedom > 1e5) {
        return tbk_normal_p_value(student_as_normal(t, degrees_of_freedom));
    }
    double a = degrees_of_freedom / 2;
    double ratio = t * t / degrees_of_freedom;
    double x = 1 / (1 + ratio);
    double y = ratio / (1 + ratio);
    double front = exp(-a * log1p(ratio)) * sqrt(y / M_PI) * gamma_ratio(a);
    if (x < (a + 1) / (a + 2.5)) {
        return front / a * beta_fraction(a, 0.5, x);
    }
    return 1 - front / 0.5 * beta_fraction(0.5, a, y);
}

static double student_density(double t, double degrees_of_freedom)
{
    double a = degrees_of_freedom / 2;
    return gamma_ratio(a) / sqrt(M_PI * degrees_of_freedom) * exp(-(a + 0.5) * log1p(t * t / degrees_of_freedom));
}

/* Newton's method from the normal quantile, which is below: the p-value falls and
 * is convex in t > 0, so the steps go up to the root and never beyond it. */
double tbk_student_975(double degrees_of_freedom)
{
    double t = TBK_NORMAL_975;
    for (int i = 0; i < 100; i++) {
        double step =
            (tbk_student_p_value(t, degrees_of_freedom) - 0.05) / (2 * student_density(t, degrees_of_freedom));
        t += step;
        if (!(step > 4 * DBL_EPSILON * t)) {
            break;
        }
    }
    return t;
}

static int compare_p_values(const void *left, const void *right, void *context)
{
    const double *p_values = context;
    double a = p_values[*(const size_t *)left];
    double b = p_values[*(const size_t *)right];
    return (a > b) - (a < b);
}

void tbk_holm(size_t count, const double p_values[], size_t order[], double ret_corrected[])
{
    size_t tests = 0;
    for (size_t i = 0; i < count; i++) {
        ret_corrected[i] = NAN;
        if (!isnan(p_values[i])) {
            order[tests++] = i;
        }
    }
    qsort_r(order, tests, sizeof *order, compare_p_values, (void *)(uintptr_t)p_values);
    double highest = 0;
    for (size_t i = 0; i < tests; i++) {
        highest = fmax(highest, (double)(tests - i) * p_values[order[i]]);
        ret_corrected[order[i]] = fmin(highest, 1);
    }
}
