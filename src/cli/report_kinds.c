#include "cli/report_kinds.h"

#include "cli/report_view.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define SUBJECTS(array) .subjects = (array), .subject_count = COUNT_OF(array)
#define FIGURES(array)  .figures = (array), .figure_count = COUNT_OF(array)
#define SECTIONS(array) .sections = (array), .section_count = COUNT_OF(array)

/* --- performance --- */

static const struct tbk_figure outcome_figures[] = {
    {"trades", "n", TBK_FIGURE_COUNT, 0},
    {"wins", "wins", TBK_FIGURE_COUNT, 0},
    {"losses", "losses", TBK_FIGURE_COUNT, 0},
    {"breakevens", "breakevens", TBK_FIGURE_COUNT, 0},
    {"win rate", "win_rate", TBK_FIGURE_PROPORTION, 0},
    {"win rate without breakevens", "decisive_win_rate", TBK_FIGURE_PROPORTION, 0},
};
static const struct tbk_figure profit_figures[] = {
    {"trades", "n", TBK_FIGURE_COUNT, 0},
    {"total", "total", TBK_FIGURE_GAIN, 0},
    {"mean (expectancy)", "mean", TBK_FIGURE_GAIN, 0},
    {"standard deviation", "standard_deviation", TBK_FIGURE_AMOUNT, 0},
    {"mean win", "mean_win", TBK_FIGURE_GAIN, 0},
    {"mean loss", "mean_loss", TBK_FIGURE_GAIN, 0},
    {"gross gain", "gross_gain", TBK_FIGURE_GAIN, 0},
    {"gross loss", "gross_loss", TBK_FIGURE_GAIN, 0},
    {"profit factor", "profit_factor", TBK_FIGURE_RATIO, 0},
    {"payoff", "payoff", TBK_FIGURE_RATIO, 0},
    {"max drawdown", "max_drawdown.depth", TBK_FIGURE_AMOUNT, 0},
    {"  lasted", "max_drawdown.duration_seconds", TBK_FIGURE_DURATION, 0},
};
static const struct tbk_figure risk_figures[] = {
    {"trades with R", "r_n", TBK_FIGURE_COUNT, 0},
    {"mean R", "r_mean", TBK_FIGURE_SCORE, 0},
    {"standard deviation of R", "r_standard_deviation", TBK_FIGURE_RATIO, 0},
    {"SQN", "sqn", TBK_FIGURE_SCORE, 0},
    {"Sharpe", "sharpe", TBK_FIGURE_SCORE, 0},
    {"Sortino", "sortino", TBK_FIGURE_SCORE, 0},
    {"Calmar", "calmar", TBK_FIGURE_SCORE, 0},
};
static const struct tbk_figure group_figures[] = {
    {NULL, "value", TBK_FIGURE_TEXT, 0},
    {"trades", "performance.n", TBK_FIGURE_COUNT, 0},
    {"win rate", "performance.win_rate", TBK_FIGURE_PROPORTION, 0},
    {"mean", "performance.percent.mean", TBK_FIGURE_GAIN, TBK_UNIT_PERCENT},
    {"USD", "performance.usd.total", TBK_FIGURE_GAIN, TBK_UNIT_USD},
    {"profit factor", "performance.usd.profit_factor", TBK_FIGURE_RATIO, 0},
    {"drawdown", "performance.percent.max_drawdown.depth", TBK_FIGURE_AMOUNT, TBK_UNIT_PERCENT},
    {"mean R", "performance.r_mean", TBK_FIGURE_SCORE, 0},
    {"SQN", "performance.sqn", TBK_FIGURE_SCORE, 0},
    {"Sharpe", "performance.sharpe", TBK_FIGURE_SCORE, 0},
};
static const struct tbk_report_subject total_subject[] = {{"all", "total", TBK_UNIT_NONE}};
static const struct tbk_report_subject profit_subjects[] = {
    {"percent", "total.percent", TBK_UNIT_PERCENT},
    {"USD", "total.usd", TBK_UNIT_USD},
};
static const struct tbk_report_section performance_sections[] = {
    {.title = "Trades", .down = true, SUBJECTS(total_subject), FIGURES(outcome_figures)},
    {.title = "Profit and loss", .down = true, SUBJECTS(profit_subjects), FIGURES(profit_figures)},
    {.title = "For the risk", .down = true, SUBJECTS(total_subject), FIGURES(risk_figures)},
    {.rows = "groups", FIGURES(group_figures)},
};

/* --- equity, series --- */

static const struct tbk_figure drawdown_figures[] = {
    {"depth", "depth", TBK_FIGURE_AMOUNT, 0},
    {"peak", "peak_time", TBK_FIGURE_TIME, 0},
    {"bottom", "trough_time", TBK_FIGURE_TIME, 0},
    {"recovery", "recovery_time", TBK_FIGURE_TIME, 0},
    {"lasted", "duration_seconds", TBK_FIGURE_DURATION, 0},
};
static const struct tbk_report_subject drawdown_subjects[] = {
    {"percent", "max_drawdown_percent", TBK_UNIT_PERCENT},
    {"USD", "max_drawdown_usd", TBK_UNIT_USD},
};
static const struct tbk_report_section equity_sections[] = {
    {.append = tbk_view_equity},
    {.title = "Max drawdown", .down = true, SUBJECTS(drawdown_subjects), FIGURES(drawdown_figures)},
};

static const struct tbk_figure period_figures[] = {
    {"from", "start_time", TBK_FIGURE_DATE, 0},
    {"trades", "performance.n", TBK_FIGURE_COUNT, 0},
    {"wins", "performance.wins", TBK_FIGURE_COUNT, 0},
    {"losses", "performance.losses", TBK_FIGURE_COUNT, 0},
    {"win rate", "performance.win_rate.value", TBK_FIGURE_RATE, 0},
    {"mean", "performance.percent.mean", TBK_FIGURE_GAIN, TBK_UNIT_PERCENT},
    {"total", "performance.percent.total", TBK_FIGURE_GAIN, TBK_UNIT_PERCENT},
    {"USD", "performance.usd.total", TBK_FIGURE_GAIN, TBK_UNIT_USD},
    {"profit factor", "performance.usd.profit_factor", TBK_FIGURE_RATIO, 0},
};
static const struct tbk_report_section series_sections[] = {
    {.append = tbk_view_series},
    {.rows = "periods", FIGURES(period_figures)},
};

/* --- comparison --- */

static const struct tbk_figure arm_figures[] = {
    {"strategy", "strategy", TBK_FIGURE_TEXT, 0},
    {"signals", "signals", TBK_FIGURE_COUNT, 0},
    {"trades", "performance.n", TBK_FIGURE_COUNT, 0},
    {"wins", "performance.wins", TBK_FIGURE_COUNT, 0},
    {"losses", "performance.losses", TBK_FIGURE_COUNT, 0},
    {"breakevens", "performance.breakevens", TBK_FIGURE_COUNT, 0},
    {"win rate", "performance.win_rate", TBK_FIGURE_PROPORTION, 0},
    {"mean", "performance.percent.mean", TBK_FIGURE_GAIN, TBK_UNIT_PERCENT},
    {"standard deviation", "performance.percent.standard_deviation", TBK_FIGURE_AMOUNT, TBK_UNIT_PERCENT},
    {"total USD", "performance.usd.total", TBK_FIGURE_GAIN, TBK_UNIT_USD},
    {"profit factor", "performance.usd.profit_factor", TBK_FIGURE_RATIO, 0},
    {"max drawdown", "performance.percent.max_drawdown.depth", TBK_FIGURE_AMOUNT, TBK_UNIT_PERCENT},
    {"mean R", "performance.r_mean", TBK_FIGURE_SCORE, 0},
    {"Sharpe", "performance.sharpe", TBK_FIGURE_SCORE, 0},
};
static const struct tbk_report_subject arm_subjects[] = {{"A", "a", TBK_UNIT_NONE}, {"B", "b", TBK_UNIT_NONE}};
static const struct tbk_figure rate_test_figures[] = {
    {"A - B", "win_rate_difference", TBK_FIGURE_RATE_DIFFERENCE, 0},
    {"p-value", "win_rate_difference.p_value", TBK_FIGURE_PROBABILITY, 0},
    {"test", "win_rate_difference.test", TBK_FIGURE_ENUM, 0},
    {"z", "win_rate_difference.statistic", TBK_FIGURE_RATIO, 0},
    {"detectable effect", "win_rate_difference.minimum_detectable_effect", TBK_FIGURE_POINTS, 0},
};
static const struct tbk_figure mean_test_figures[] = {
    {"A - B", "pnl_percent_difference", TBK_FIGURE_GAIN_DIFFERENCE, TBK_UNIT_PERCENT},
    {"p-value", "pnl_percent_difference.p_value", TBK_FIGURE_PROBABILITY, 0},
    {"Welch's t", "pnl_percent_difference.statistic", TBK_FIGURE_RATIO, 0},
    {"degrees of freedom", "pnl_percent_difference.degrees_of_freedom", TBK_FIGURE_RATIO, 0},
    {"detectable effect", "pnl_percent_difference.minimum_detectable_effect", TBK_FIGURE_AMOUNT, TBK_UNIT_PERCENT},
};
static const struct tbk_report_subject difference_subject[] = {{"difference", "", TBK_UNIT_NONE}};
static const struct tbk_report_section ab_sections[] = {
    {.append = tbk_view_split},
    {.title = "Arms", .down = true, SUBJECTS(arm_subjects), FIGURES(arm_figures)},
    {.title = "Win rate", .down = true, SUBJECTS(difference_subject), FIGURES(rate_test_figures)},
    {.title = "Mean profit and loss", .down = true, SUBJECTS(difference_subject), FIGURES(mean_test_figures)},
    {.append = tbk_view_verdict},
};

/* --- rankings and calibration --- */

static const struct tbk_figure theory_figures[] = {
    {"theory", "theory_name", TBK_FIGURE_TEXT, 0},
    {"graded", "accuracy.n", TBK_FIGURE_COUNT, 0},
    {"correct", "correct", TBK_FIGURE_COUNT, 0},
    {"accuracy", "accuracy", TBK_FIGURE_PROPORTION, 0},
    {"contribution", "mean_contribution", TBK_FIGURE_FRACTION, 0},
    {"lift", "lift", TBK_FIGURE_RATIO, 0},
    {"p (Holm)", "p_value_holm", TBK_FIGURE_PROBABILITY, 0},
    {"place by lower bound", "rank_by_lower_bound", TBK_FIGURE_COUNT, 0},
};
static const struct tbk_report_section theory_sections[] = {
    {.append = tbk_view_theories},
    {.rows = "theories", .nothing = "No theory has a graded record.", FIGURES(theory_figures)},
};

static const struct tbk_figure pattern_figures[] = {
    {"pattern", "pattern.name", TBK_FIGURE_TEXT, 0},
    {"trades", "pattern.total", TBK_FIGURE_COUNT, 0},
    {"wins", "pattern.wins", TBK_FIGURE_COUNT, 0},
    {"win rate", "win_rate", TBK_FIGURE_PROPORTION, 0},
    {"place", "rank_by_rate", TBK_FIGURE_COUNT, 0},
    {"place by lower bound", "rank_by_lower_bound", TBK_FIGURE_COUNT, 0},
};
static const struct tbk_report_section pattern_sections[] = {
    {.rows = "patterns", .nothing = "No pattern is that strong.", FIGURES(pattern_figures)},
};

static const struct tbk_figure calibration_figures[] = {
    {"wins and losses", "n", TBK_FIGURE_COUNT, 0},
    {"share of wins", "base_rate", TBK_FIGURE_PROPORTION, 0},
    {"Brier score", "brier_score", TBK_FIGURE_FRACTION, 0},
    {"Brier skill score", "brier_skill_score", TBK_FIGURE_FRACTION, 0},
};
static const struct tbk_report_subject response_subject[] = {{"all", "", TBK_UNIT_NONE}};
static const struct tbk_figure bin_figures[] = {
    {"confidence from", "confidence_min", TBK_FIGURE_RATE, 0},
    {"to", "confidence_max", TBK_FIGURE_RATE, 0},
    {"trades", "win_rate.n", TBK_FIGURE_COUNT, 0},
    {"mean confidence", "mean_confidence", TBK_FIGURE_RATE, 0},
    {"won", "win_rate", TBK_FIGURE_PROPORTION, 0},
};
static const struct tbk_report_section calibration_sections[] = {
    {.title = "Calibration", .down = true, SUBJECTS(response_subject), FIGURES(calibration_figures)},
    {.rows = "bins", FIGURES(bin_figures)},
};

/* --- lists --- */

static const struct tbk_figure signal_figures[] = {
    {"id", "id", TBK_FIGURE_ID, 0},
    {"time (UTC)", "timestamp", TBK_FIGURE_TIME, 0},
    {"symbol", "symbol", TBK_FIGURE_TEXT, 0},
    {"direction", "direction", TBK_FIGURE_ENUM, 0},
    {"confidence", "confidence", TBK_FIGURE_RATE, 0},
    {"entry", "entry_price", TBK_FIGURE_PRICE, 0},
    {"take profit", "tp_price", TBK_FIGURE_PRICE, 0},
    {"stop loss", "sl_price", TBK_FIGURE_PRICE, 0},
    {"result", "result", TBK_FIGURE_ENUM, 0},
    {"USD", "pnl", TBK_FIGURE_GAIN, TBK_UNIT_USD},
    {"strategy", "strategy", TBK_FIGURE_TEXT, 0},
};
static const struct tbk_report_section signal_sections[] = {
    {.rows = "signals", .nothing = "There are none.", FIGURES(signal_figures)},
};

static const struct tbk_figure open_figures[] = {
    {"signal", "signal_id", TBK_FIGURE_ID, 0},
    {"symbol", "symbol", TBK_FIGURE_TEXT, 0},
    {"direction", "direction", TBK_FIGURE_ENUM, 0},
    {"entry", "entry_price", TBK_FIGURE_PRICE, 0},
    {"opened (UTC)", "entry_timestamp", TBK_FIGURE_TIME, 0},
    {"take profit", "tp_price", TBK_FIGURE_PRICE, 0},
    {"stop loss", "sl_price", TBK_FIGURE_PRICE, 0},
    {"quantity", "quantity", TBK_FIGURE_PRICE, 0},
    {"strategy", "strategy", TBK_FIGURE_TEXT, 0},
};
static const struct tbk_report_section open_sections[] = {
    {.rows = "open_positions", .nothing = "No trade is open.", FIGURES(open_figures)},
};

static const struct tbk_figure model_figures[] = {
    {"type", "model_type", TBK_FIGURE_TEXT, 0},
    {"version", "version", TBK_FIGURE_TEXT, 0},
    {"deployed (UTC)", "deployed_at", TBK_FIGURE_TIME, 0},
    {"metrics", "metrics_json", TBK_FIGURE_TEXT, 0},
    {"path", "model_path", TBK_FIGURE_TEXT, 0},
};
static const struct tbk_report_section model_sections[] = {
    {.rows = "model_deployments", .nothing = "No model is in production.", FIGURES(model_figures)},
};

enum { DAYS_DEFAULT = 30, SIGNALS_DEFAULT = 10 };

const struct tbk_report tbk_reports[] = {
    {.name = "performance",
     .title = "Performance",
     .method = "/tradebook.v1.AnalyticsService/GetPerformance",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_SLICE | TBK_REPORT_BY | TBK_REPORT_RISK_FREE,
     .days = DAYS_DEFAULT,
     .csv_by = "groups",
     .csv_one = "total",
     .basis = tbk_view_basis,
     SECTIONS(performance_sections)},
    {.name = "open",
     .title = "Open positions, newest first",
     .method = "/tradebook.v1.TradeService/ListOpenPositions",
     .options = TBK_REPORT_SYMBOL | TBK_REPORT_LIMIT,
     .limit = INT64_MAX,
     .csv_rows = "open_positions",
     SECTIONS(open_sections)},
    {.name = "ab",
     .title = "Comparison of two strategies",
     .method = "/tradebook.v1.AnalyticsService/CompareStrategies",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_ARMS,
     .days = DAYS_DEFAULT,
     .csv_one = "",
     .basis = tbk_view_basis,
     SECTIONS(ab_sections)},
    {.name = "theories",
     .title = "Theories, best first",
     .method = "/tradebook.v1.AnalyticsService/RankTheories",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_ORDER | TBK_REPORT_MIN | TBK_REPORT_LIMIT,
     .limit = INT64_MAX,
     .min_name = "min_n",
     .min = "1",
     .csv_rows = "theories",
     .basis = tbk_view_basis,
     SECTIONS(theory_sections)},
    {.name = "patterns",
     .title = "Patterns, best first",
     .method = "/tradebook.v1.AnalyticsService/RankPatterns",
     .options = TBK_REPORT_ORDER | TBK_REPORT_MIN | TBK_REPORT_MIN_RATE | TBK_REPORT_LIMIT,
     .limit = INT64_MAX,
     .min_name = "min_total",
     .min = "10",
     .min_rate = "0.65",
     .csv_rows = "patterns",
     .basis = tbk_view_pattern_bounds,
     SECTIONS(pattern_sections)},
    {.name = "models",
     .title = "Models in production, newest first",
     .method = "/tradebook.v1.AnalyticsService/ListProductionModels",
     .options = TBK_REPORT_TYPE | TBK_REPORT_LIMIT,
     .limit = INT64_MAX,
     .csv_rows = "model_deployments",
     SECTIONS(model_sections)},
    {.name = "signals",
     .title = "Signals of tier high with a confidence above 65 %, newest first",
     .method = "/tradebook.v1.SignalService/ListSignals",
     .options = TBK_REPORT_LIMIT,
     .filter = "tier = 'high' AND confidence > 0.65",
     .order_by = "timestamp desc",
     .limit = SIGNALS_DEFAULT,
     .csv_rows = "signals",
     SECTIONS(signal_sections)},
    {.name = "equity",
     .title = "Equity: profit and loss added up",
     .method = "/tradebook.v1.AnalyticsService/GetEquityCurve",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_SLICE | TBK_REPORT_POINTS,
     .days = DAYS_DEFAULT,
     .csv_rows = "points",
     .basis = tbk_view_basis,
     SECTIONS(equity_sections)},
    {.name = "calibration",
     .title = "Confidence against outcome",
     .method = "/tradebook.v1.AnalyticsService/GetCalibration",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_SLICE | TBK_REPORT_BINS,
     .csv_rows = "bins",
     .basis = tbk_view_basis,
     SECTIONS(calibration_sections)},
    {.name = "series",
     .title = "Performance by period, newest first",
     .method = "/tradebook.v1.AnalyticsService/GetPerformanceSeries",
     .options = TBK_REPORT_WINDOW | TBK_REPORT_SLICE | TBK_REPORT_PERIOD | TBK_REPORT_RISK_FREE | TBK_REPORT_LIMIT,
     .days = DAYS_DEFAULT,
     .limit = INT64_MAX,
     .csv_rows = "periods",
     .basis = tbk_view_basis,
     SECTIONS(series_sections)},
};

const size_t tbk_report_count = COUNT_OF(tbk_reports);
