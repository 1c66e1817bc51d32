/*
 * Computes cases of src/analytics/statistics.h that it reads: lines of a name and
 * numbers. Answers one line of numbers for each. For integration/test_statistics.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/statistics.h"

enum { ARGUMENTS_MAX = 64 };

static void print(size_t count, const double *numbers)
{
    for (size_t i = 0; i < count; i++) {
        printf("%.17g%c", numbers[i], i + 1 < count ? ' ' : '\n');
    }
}

#define PRINT(...) print(sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})

static void compute(const char *name, size_t count, const double *x)
{
    const struct tbk_share a = {(int64_t)x[0], (int64_t)x[1]};
    const struct tbk_share b = {(int64_t)x[2], (int64_t)x[3]};
    if (strcmp(name, "wilson") == 0) {
        const struct tbk_interval interval = tbk_wilson(a.successes, a.n);
        PRINT(interval.lower, interval.upper);
    } else if (strcmp(name, "shares") == 0) {
        const struct tbk_proportion_test test = tbk_compare_shares(a, b);
        const struct tbk_interval interval = tbk_newcombe(a, b);
        PRINT(test.is_exact, test.statistic, test.p_value, interval.lower, interval.upper,
              tbk_detectable_share(a, b));
    } else if (strcmp(name, "fisher") == 0) {
        PRINT(tbk_fisher_exact(a, b));
    } else if (strcmp(name, "means") == 0) {
        const struct tbk_mean_test test = tbk_compare_means((struct tbk_sample){(int64_t)x[0], x[1], x[2]},
                                                            (struct tbk_sample){(int64_t)x[3], x[4], x[5]});
        PRINT(test.difference, test.standard_error, test.interval.lower, test.interval.upper, test.statistic,
              test.degrees_of_freedom, test.p_value, tbk_detectable_mean(test.standard_error));
    } else if (strcmp(name, "student") == 0) {
        PRINT(tbk_student_p_value(x[0], x[1]), tbk_student_975(x[1]));
    } else if (strcmp(name, "tails") == 0) {
        PRINT(tbk_normal_p_value(x[0]), tbk_chi_squared_p_value(x[0]));
    } else if (strcmp(name, "holm") == 0) {
        double corrected[ARGUMENTS_MAX];
        size_t order[ARGUMENTS_MAX];
        tbk_holm(count, x, order, corrected);
        print(count, corrected);
    } else {
        fprintf(stderr, "there is no case %s\n", name);
        exit(1);
    }
}

int main(void)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        double arguments[ARGUMENTS_MAX] = {0};
        size_t count = 0;
        char *rest = NULL;
        const char *name = strtok_r(line, " \n", &rest);
        for (char *word; count < ARGUMENTS_MAX && (word = strtok_r(NULL, " \n", &rest)) != NULL;) {
            arguments[count++] = strtod(word, NULL);
        }
        compute(name, count, arguments);
    }
    return 0;
}
