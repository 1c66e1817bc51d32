"""The statistics of src/analytics against scipy, which shares no code with them."""

import math
import os
import random
import subprocess
from fractions import Fraction

import pytest
from scipy import special, stats

Z = stats.norm.ppf(0.975)
POWER = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)


def compute(cases):
    """The numbers that the program answers for each case (name, number...)."""
    text = "".join(f"{' '.join(map(str, case))}\n" for case in cases)
    done = subprocess.run([os.environ["TRADEBOOK_STATISTICS"]], input=text, capture_output=True, text=True,
                          timeout=120, check=True)
    answers = [[float(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    return answers


def close(expected, relative=1e-12, absolute=1e-300):
    return pytest.approx(expected, rel=relative, abs=absolute, nan_ok=True)


def shares(count, largest, seed):
    chance = random.Random(seed)
    for _ in range(count):
        n = [int(10 ** chance.uniform(0, math.log10(largest))) for _ in range(2)]
        rate = chance.choice([chance.random(), 10 ** chance.uniform(-6, 0)])
        yield [min(size, sum(chance.random() < rate for _ in range(size)) if size < 2000 else
                   max(0, round(chance.gauss(size * rate, (size * rate * (1 - rate)) ** 0.5)))) for size in n], n


def test_wilson_is_the_root_of_its_equation():
    cases = [(k, n) for n in [1, 2, 3, 10, 29, 1000, 10**6, 10**9] for k in sorted({0, 1, n // 3, n - 1, n})]
    for (k, n), (lower, upper) in zip(cases, compute([("wilson", *case) for case in cases])):
        interval = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (lower, upper) == close((interval.low, interval.high), absolute=1e-16)
        if k:
            # The bound p solves (k/n - p)² = z² p (1 - p) / n, in exact arithmetic.
            z2, p, rate = Fraction(1.959963984540054) ** 2, Fraction(lower), Fraction(k, n)
            off = (rate - p) ** 2 - z2 * p * (1 - p) / n
            slope = -2 * (rate - p) - z2 * (1 - 2 * p) / n
            assert abs(off / slope / p) < 1e-15


def test_shares_z_test_newcombe_and_detectable_effect():
    cases = list(shares(400, 10**6, 1))
    answers = compute([("shares", k[0], n[0], k[1], n[1]) for k, n in cases])
    seen = set()
    for (k, n), (exact, statistic, p_value, lower, upper, effect) in zip(cases, answers):
        pooled = Fraction(sum(k), sum(n))
        expected = [[(k[0] + k[1]) * Fraction(size, sum(n)), (sum(n) - sum(k)) * Fraction(size, sum(n))] for size in n]
        assert exact == (min(min(row) for row in expected) < 5)
        seen.add(exact)
        if exact:
            assert math.isnan(statistic)
        else:
            table = [[k[i], n[i] - k[i]] for i in range(2)]
            chi2, p, _, _ = stats.chi2_contingency(table, correction=False)
            assert statistic**2 == close(chi2, 1e-9, 1e-18)
            assert p_value == close(2 * stats.norm.sf(abs(statistic)), 1e-11)
            assert p_value == close(p, 1e-6)
            assert math.copysign(1, statistic) == math.copysign(1, Fraction(k[0], n[0]) - Fraction(k[1], n[1]))
        ci = [stats.binomtest(k[i], n[i]).proportion_ci(method="wilson") for i in range(2)]
        rate = [k[i] / n[i] for i in range(2)]
        d = rate[0] - rate[1]
        assert lower == close(d - math.hypot(rate[0] - ci[0].low, ci[1].high - rate[1]), 1e-10, 1e-14)
        assert upper == close(d + math.hypot(ci[0].high - rate[0], rate[1] - ci[1].low), 1e-10, 1e-14)
        error = math.sqrt(float(pooled * (1 - pooled) * (Fraction(1, n[0]) + Fraction(1, n[1]))))
        assert effect == close(POWER * error if error else math.nan)
    assert seen == {0, 1}


def exact_fisher(k, n):
    """By exact fractions, with R's rule for what is as extreme."""
    total = sum(k)
    weights = [math.comb(n[0], x) * math.comb(n[1], total - x)
               for x in range(max(0, total - n[1]), min(n[0], total) + 1)]
    observed = math.comb(n[0], k[0]) * math.comb(n[1], k[1])
    limit = observed * (10**7 + 1)
    return float(Fraction(sum(w for w in weights if w * 10**7 <= limit), sum(weights)))


def test_fisher_exact_arithmetic():
    cases = list(shares(300, 300, 2))
    for (k, n), (p_value,) in zip(cases, compute([("fisher", k[0], n[0], k[1], n[1]) for k, n in cases])):
        assert p_value == close(exact_fisher(k, n), 1e-12)


def test_fisher_large_tables_are_scipys():
    cases = [((k0, k1), n) for n in [(10**6, 4), (10**5, 900), (10**6, 10**6), (3, 10**7)]
             for k0, k1 in [(0, 0), (1, 1), (3, 4), (n[0] // 2, n[1] // 2), (0, n[1]), (n[0], n[1] - 1)]
             if k0 <= n[0] and k1 <= n[1]]
    cases += [((1000, 40), (10**6, 5000)), ((500_100, 499_000), (10**6, 10**6)), ((2, 9), (10**6, 10**6))]
    for (k, n), (p_value,) in zip(cases, compute([("fisher", k[0], n[0], k[1], n[1]) for k, n in cases])):
        _, expected = stats.fisher_exact([[k[0], n[0] - k[0]], [k[1], n[1] - k[1]]])
        # scipy's own probabilities lose digits in large tables, by factorials.
        assert p_value == close(expected, 1e-7, 1e-280)


def test_student_is_scipys():
    frees = [1, 1.5, 2, 3.7, 10, 17.776, 100, 1234.5, 1e5 - 1, 1e5 + 1, 1e6, 1e7]
    cases = [(t, df) for df in frees for t in (0, 1e-9, 0.1, -0.7, 1, 1.96, -3, 5, 12, 40)]
    for (t, df), (p_value, quantile) in zip(cases, compute([("student", *case) for case in cases])):
        assert p_value == close(2 * special.stdtr(df, -abs(t)), 1e-10)
        # Judged by the distribution: scipy's own quantiles are good to nine digits.
        assert 2 * special.stdtr(df, -quantile) == close(0.05, 1e-10)


def test_means_are_scipys():
    chance = random.Random(3)
    samples = []
    for _ in range(300):
        spread = [10 ** chance.uniform(-3, 3) for _ in range(2)]
        base = chance.gauss(0, 10)
        samples.append([[chance.gauss(base, s) for _ in range(int(10 ** chance.uniform(0.4, 3)))] for s in spread])
    moments = [[(len(x), stats.tmean(x), stats.tstd(x)) for x in pair] for pair in samples]
    for pair, answer in zip(samples, compute([("means", *m[0], *m[1]) for m in moments])):
        difference, error, lower, upper, statistic, df, p_value, effect = answer
        expected = stats.ttest_ind(*pair, equal_var=False)
        variances = [stats.tvar(x) / len(x) for x in pair]
        assert difference == close(stats.tmean(pair[0]) - stats.tmean(pair[1]), 1e-12, 1e-12)
        assert error == close(math.sqrt(sum(variances)))
        assert statistic == close(expected.statistic, 1e-9)
        assert p_value == close(expected.pvalue, 1e-9)
        free = sum(variances) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, pair))
        assert df == close(free)
        assert 2 * special.stdtr(free, (lower - difference) / error) == close(0.05, 1e-10)
        assert 2 * special.stdtr(free, (difference - upper) / error) == close(0.05, 1e-10)
        assert effect == close(POWER * error)


def test_tails_are_scipys():
    cases = [0, 1e-12, 0.3, 1, 1.96, 3.84, 10.83, 30, 100, 700]
    for x, (normal, chi) in zip(cases, compute([("tails", x) for x in cases])):
        assert normal == close(2 * stats.norm.sf(x), 1e-12, 5e-324)
        assert chi == close(stats.chi2.sf(x, 1), 1e-11)


def test_holm_by_its_definition():
    chance = random.Random(4)
    cases = [[chance.choice([chance.random(), 10 ** chance.uniform(-12, 0), 0.05]) for _ in range(size)]
             for size in (1, 2, 3, 10, 50)]
    for p_values, corrected in zip(cases, compute([("holm", *case) for case in cases])):
        m = len(p_values)
        for p, answer in zip(p_values, corrected):
            # The largest over all smaller p-values of p times the tests still open.
            steps = [min(1, q * (m - sum(r < q for r in p_values))) for q in p_values if q <= p]
            assert answer == close(max(steps))
