/* One line for each figure: its formula and the source of it. The comments of
 * analytics.proto say the same at more length, with when a figure is absent. */
#include "services/analytics_definitions.h"

#include <stddef.h>

struct figure {
    const char *name; /* message and field */
    const char *definition;
};

static const struct figure proportion[] = {
    {"Proportion.value", "successes / n"},
    {"Proportion.lower",
     "lower bound of the 95 % score interval: (p + z²/2n - z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n), "
     "z = 1.959963984540054 (Wilson 1927)"},
    {"Proportion.upper", "upper bound of the same interval, with + before the root (Wilson 1927)"},
    {"Proportion.n", "observations"},
};

static const struct figure drawdown[] = {
    {"Drawdown.depth",
     "max over time of (highest value so far - value) of the cumulated curve, which starts at 0 and moves at "
     "every exit (Magdon-Ismail and Atiya 2004)"},
    {"Drawdown.duration_seconds",
     "seconds from the peak, or the first exit when the peak is the start, to the recovery, or the last exit "
     "when there is none"},
};

static const struct figure profit_figures[] = {
    {"ProfitFigures.n", "trades that have x, which is pnl_percent or pnl_usd"},
    {"ProfitFigures.total", "Σx"},
    {"ProfitFigures.mean", "expectancy: Σx / n (Tharp 1998)"},
    {"ProfitFigures.standard_deviation", "√(Σ(x - mean)² / (n - 1))"},
    {"ProfitFigures.mean_win", "mean of x over trades with outcome win"},
    {"ProfitFigures.mean_loss", "mean of x over trades with outcome loss"},
    {"ProfitFigures.gross_gain", "sum of all positive x"},
    {"ProfitFigures.gross_loss", "sum of all negative x"},
    {"ProfitFigures.profit_factor", "gross_gain / |gross_loss|"},
    {"ProfitFigures.payoff", "mean_win / |mean_loss|"},
    {"ProfitFigures.max_drawdown", "deepest fall of the cumulated x (Magdon-Ismail and Atiya 2004)"},
};

static const struct figure performance[] = {
    {"Performance.n", "closed trades: W + L + B"},
    {"Performance.wins", "W: trades with outcome win"},
    {"Performance.losses", "L: trades with outcome loss"},
    {"Performance.breakevens", "B: trades with outcome breakeven"},
    {"Performance.win_rate", "W / (W + L + B)"},
    {"Performance.decisive_win_rate", "W / (W + L)"},
    {"Performance.percent", "figures of pnl_percent, each trade's profit in percent of its stake"},
    {"Performance.usd", "figures of pnl_usd, each trade's profit in USD net of fees"},
    {"Performance.r_n", "trades that have an R-multiple: r_realized of their risk snapshot"},
    {"Performance.r_mean", "mean R-multiple"},
    {"Performance.r_standard_deviation", "√(Σ(R - r_mean)² / (r_n - 1))"},
    {"Performance.sqn", "system quality number: √min(r_n, 100) · r_mean / r_standard_deviation (Tharp 2008)"},
    {"Performance.sharpe",
     "mean(r - f) / s(r) · √365 over all days, idle ones included; r = sum of pnl_percent of a day, "
     "f = 100 · risk_free_rate / 365 (Sharpe 1994)"},
    {"Performance.sortino", "mean(r - f) / d · √365, d = √(Σ min(r - f, 0)² / days) (Sortino and Price 1994)"},
    {"Performance.calmar", "365 · mean(r) / percent.max_drawdown.depth, over the window (Young 1991)"},
};

static const struct figure get_performance[] = {
    {"GetPerformanceResponse.groups_left_out", "values of the breakdown beyond the 1,000 that are answered"},
};

static const struct figure equity_point[] = {
    {"EquityPoint.trades", "closed trades from the start of the window up to here"},
    {"EquityPoint.equity_percent", "Σ pnl_percent of these trades"},
    {"EquityPoint.equity_usd", "Σ pnl_usd of these trades"},
    {"EquityPoint.drawdown_percent", "max over the span of (highest equity_percent so far - equity_percent)"},
    {"EquityPoint.drawdown_usd", "max over the span of (highest equity_usd so far - equity_usd)"},
};

static const struct figure equity_curve[] = {
    {"GetEquityCurveResponse.span_days",
     "days in a point: the fewest that give no more than max_points points; absent when a point is a trade"},
    {"GetEquityCurveResponse.max_drawdown_percent",
     "deepest fall of the cumulated pnl_percent (Magdon-Ismail and Atiya 2004)"},
    {"GetEquityCurveResponse.max_drawdown_usd",
     "deepest fall of the cumulated pnl_usd (Magdon-Ismail and Atiya 2004)"},
};

static const struct figure arm[] = {
    {"Arm.signals", "signals of the strategy in the window by their timestamp, traded or not"},
};

static const struct figure proportion_difference[] = {
    {"ProportionDifference.value", "win rate of A - win rate of B"},
    {"ProportionDifference.lower",
     "lower bound of the 95 % interval: square-and-add of both Wilson intervals (Newcombe 1998, method 10)"},
    {"ProportionDifference.upper", "upper bound of the same interval (Newcombe 1998, method 10)"},
    {"ProportionDifference.test", "Fisher's when an expected cell is below 5, else z"},
    {"ProportionDifference.statistic", "z: difference / √(p(1-p)(1/nA + 1/nB)), p the pooled rate (Pearson 1900)"},
    {"ProportionDifference.p_value",
     "two-sided probability of a difference at least as large if the arms were equal, of the z test (Pearson "
     "1900) or the exact test (Fisher 1922)"},
    {"ProportionDifference.minimum_detectable_effect",
     "(z(0.975) + z(0.8)) · √(p(1-p)(1/nA + 1/nB)): 80 % power at the 5 % level (Cohen 1988)"},
};

static const struct figure mean_difference[] = {
    {"MeanDifference.value", "mean pnl_percent of A - mean pnl_percent of B"},
    {"MeanDifference.lower", "lower bound of the 95 % interval by Student's t (Welch 1947)"},
    {"MeanDifference.upper", "upper bound of the same interval (Welch 1947)"},
    {"MeanDifference.statistic", "t: difference / √(sA²/nA + sB²/nB) (Welch 1947)"},
    {"MeanDifference.degrees_of_freedom",
     "(sA²/nA + sB²/nB)² / ((sA²/nA)²/(nA - 1) + (sB²/nB)²/(nB - 1)) (Welch and Satterthwaite 1946)"},
    {"MeanDifference.p_value",
     "two-sided probability of a |t| at least as large if the means were equal (Welch 1947)"},
    {"MeanDifference.minimum_detectable_effect",
     "(z(0.975) + z(0.8)) · √(sA²/nA + sB²/nB): 80 % power at the 5 % level (Cohen 1988)"},
};

static const struct figure sample_ratio[] = {
    {"SampleRatio.expected_share_a", "share of both arms' signals that A should have, as asked"},
    {"SampleRatio.observed_share_a", "signals of A / signals of both arms"},
    {"SampleRatio.chi_squared", "Σ (observed - expected)² / expected, 1 degree of freedom (Pearson 1900)"},
    {"SampleRatio.p_value", "probability of a χ² at least as large if the split were as intended (Pearson 1900)"},
    {"SampleRatio.alarm", "p_value < 0.001 (Fabijan et al. 2019)"},
};

static const struct figure comparison[] = {
    {"CompareStrategiesResponse.verdict",
     "the arm that a difference favours whose p_value, corrected for two tests (Holm 1979), is below 0.05; not "
     "enough data when there is none, when the differences favour different arms, below 30 trades in an arm, "
     "and at a sample-ratio alarm"},
};

static const struct figure theory_rank[] = {
    {"TheoryRank.correct", "graded records that were right"},
    {"TheoryRank.accuracy", "correct / graded records"},
    {"TheoryRank.mean_contribution", "mean contribution_score of the graded records that have a finite one"},
    {"TheoryRank.lift", "accuracy / accuracy of all graded records of the window"},
    {"TheoryRank.p_value",
     "two-sided probability of a difference at least as large between this theory and all other graded records "
     "if there were none, of the z test (Pearson 1900) or the exact test (Fisher 1922)"},
    {"TheoryRank.test", "Fisher's when an expected cell is below 5, else z"},
    {"TheoryRank.p_value_holm", "p_value corrected for the number of theories ranked (Holm 1979)"},
    {"TheoryRank.rank_by_rate", "place by accuracy, ties by n, then by name"},
    {"TheoryRank.rank_by_lower_bound", "place by the lower bound of accuracy, ties by n, then by name"},
};

static const struct figure theory_ranking[] = {
    {"RankTheoriesResponse.overall_accuracy", "correct / graded records of the window, of all theories together"},
};

static const struct figure pattern_rank[] = {
    {"PatternRank.win_rate", "wins / total of the pattern"},
    {"PatternRank.rank_by_rate", "place by win rate, ties by total, then by id"},
    {"PatternRank.rank_by_lower_bound", "place by the lower bound of the win rate, ties by total, then by id"},
};

static const struct figure reliability_bin[] = {
    {"ReliabilityBin.confidence_min", "lower end of the interval of confidence, included"},
    {"ReliabilityBin.confidence_max", "upper end of the interval, excluded except for 1.0"},
    {"ReliabilityBin.mean_confidence", "mean confidence of the trades in the interval"},
    {"ReliabilityBin.win_rate", "W / (W + L) of the trades in the interval"},
};

static const struct figure calibration[] = {
    {"GetCalibrationResponse.n", "trades that count: W + L"},
    {"GetCalibrationResponse.brier_score",
     "mean((c - o)²), c = confidence of the signal, o = 1 for a win and 0 for a loss (Brier 1950)"},
    {"GetCalibrationResponse.base_rate", "W / (W + L)"},
    {"GetCalibrationResponse.brier_skill_score", "1 - brier_score / (base rate · (1 - base rate)) (Murphy 1973)"},
};

static const struct {
    const ProtobufCMessageDescriptor *message;
    const struct figure *figures;
    size_t count;
} sections[] = {
#define SECTION(message, figures)                                                                                 \
    {                                                                                                             \
        &tradebook__v1__##message##__descriptor, (figures), sizeof(figures) / sizeof((figures)[0])                \
    }
    SECTION(get_performance_response, get_performance),
    SECTION(performance, performance),
    SECTION(profit_figures, profit_figures),
    SECTION(drawdown, drawdown),
    SECTION(get_equity_curve_response, equity_curve),
    SECTION(equity_point, equity_point),
    SECTION(compare_strategies_response, comparison),
    SECTION(arm, arm),
    SECTION(proportion_difference, proportion_difference),
    SECTION(mean_difference, mean_difference),
    SECTION(sample_ratio, sample_ratio),
    SECTION(rank_theories_response, theory_ranking),
    SECTION(theory_rank, theory_rank),
    SECTION(pattern_rank, pattern_rank),
    SECTION(get_calibration_response, calibration),
    SECTION(reliability_bin, reliability_bin),
    SECTION(proportion, proportion),
};

enum { SECTION_COUNT = sizeof sections / sizeof sections[0] };

/* Marks the sections of a message and of all messages that it can hold. Our
 * messages are not recursive. */
static void mark(const ProtobufCMessageDescriptor *message, bool marked[SECTION_COUNT])
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        marked[i] |= sections[i].message == message;
    }
    for (unsigned i = 0; i < message->n_fields; i++) {
        if (message->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            mark(message->fields[i].descriptor, marked);
        }
    }
}

static bool add(const struct figure *figure, struct tbk_arena *arena, Tradebook__V1__Basis *basis)
{
    Tradebook__V1__Definition *definition = tbk_arena_alloc(arena, sizeof *definition);
    if (definition == NULL) {
        return false;
    }
    tradebook__v1__definition__init(definition);
    definition->figure = (char *)(uintptr_t)figure->name;
    definition->definition = (char *)(uintptr_t)figure->definition;
    basis->definitions[basis->n_definitions++] = definition;
    return true;
}

bool tbk_definitions_of(const ProtobufCMessageDescriptor *response, struct tbk_arena *arena,
                        Tradebook__V1__Basis *basis)
{
    bool marked[SECTION_COUNT] = {false};
    mark(response, marked);
    size_t count = 0;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        count += marked[i] ? sections[i].count : 0;
    }
    basis->definitions = tbk_arena_alloc(arena, (count + 1) * sizeof *basis->definitions);
    bool ok = basis->definitions != NULL;
    for (size_t i = 0; ok && i < SECTION_COUNT; i++) {
        for (size_t f = 0; ok && marked[i] && f < sections[i].count; f++) {
            ok = add(&sections[i].figures[f], arena, basis);
        }
    }
    return ok;
}
