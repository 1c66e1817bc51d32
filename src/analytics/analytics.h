/*
 * Analytics: the sums behind every figure, over any window, in microseconds to a
 * few milliseconds however many trades there are.
 *
 * Three series are kept beside the database: closed trades by exit time, graded
 * theory records by creation time, signals by their time. Each is sorted by (time,
 * id) and cut into blocks; a block's columns lie in an unnamed scratch file, its
 * sums in memory, but for the calibration of each value of a dimension, which lies
 * in the file. A query adds up whole blocks and reads only the rows of blocks that
 * a window cuts. The tables stay the truth: series are made from them when the
 * server starts, and before every query the rows that the database reports as
 * changed (tb_events, tb_changes) are brought up to date, so that an answer is
 * what plain SQL in the same snapshot would give.
 *
 * Threads: any number; queries run one at a time. A session given to a query
 * must not be in a transaction: the query runs one of its own.
 *
 * In results, NaN is a figure that is not defined for the data at hand, and
 * TBK_NO_TIME a time that does not exist. Results are in the caller's arena.
 *
 * Statuses of every query: those of storage; RESOURCE_EXHAUSTED (arena, scratch
 * file); UNAVAILABLE while the first reading of the tables has not ended by
 * query.deadline_us, the sentence says how far it is; DEADLINE_EXCEEDED when
 * others ask until then.
 */
#ifndef TBK_ANALYTICS_ANALYTICS_H
#define TBK_ANALYTICS_ANALYTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "storage/storage.h"

#define TBK_NO_TIME INT64_MIN

/* What trades are told apart by; same order as enum Dimension of analytics.proto. */
enum tbk_dimension {
    TBK_DIMENSION_NONE,
    TBK_DIMENSION_STRATEGY,
    TBK_DIMENSION_SYMBOL,
    TBK_DIMENSION_SESSION,
    TBK_DIMENSION_TIER,
    TBK_DIMENSION_DIRECTION,
    TBK_DIMENSION_EXIT_REASON,
    TBK_DIMENSION_MODEL_VERSION,
};

enum tbk_period { TBK_PERIOD_DAY, TBK_PERIOD_WEEK, TBK_PERIOD_MONTH };

/* What a query is about. */
struct tbk_analytics_query {
    int64_t start_us;             /* included; TBK_NO_TIME: no limit */
    int64_t end_us;               /* excluded; TBK_NO_TIME: no limit */
    enum tbk_dimension dimension; /* NONE: all rows */
    const char *value;            /* of that dimension, as on disk; NULL: rows that have none */
    double risk_free_percent;     /* per day, subtracted from daily returns */
    int64_t now_us;               /* wall clock, for the days of a window that ends in the future */
    int64_t deadline_us;          /* monotonic */
};

/* See message Drawdown. The peak is where the highest value was first reached; of
 * equally deep falls the first counts. */
struct tbk_drawdown {
    double depth;
    int64_t peak_us, trough_us, recovery_us; /* or TBK_NO_TIME */
    int64_t duration_us;
};

/* See message ProfitFigures; x is pnl_percent or pnl_usd. */
struct tbk_profit {
    int64_t n;
    double total, mean, standard_deviation;
    double mean_win, mean_loss;
    double gross_gain, gross_loss;
    struct tbk_drawdown drawdown; /* depth NaN when n is 0 */
};

/* See message Performance; the rates and ratios that follow from these are the
 * caller's to compute. */
struct tbk_performance {
    int64_t n, wins, losses, breakevens;
    struct tbk_profit percent, usd;
    int64_t r_n;
    double r_mean, r_standard_deviation;
    double day_mean;               /* mean over the days of the basis of (sum of pnl_percent - risk free) */
    double day_standard_deviation; /* divisor days - 1; NaN with fewer than 2 */
    double day_downside;           /* sqrt(sum of min(return - risk free, 0)^2 / days) */
    double day_gross;              /* sum of |pnl_percent| / days: the size of what these three are made of */
};

/* See message Basis. */
struct tbk_basis {
    int64_t trades, undated_trades;
    int64_t days; /* 0: absent */
};

/* One value of a dimension. */
struct tbk_performance_group {
    const char *value; /* NULL: trades that have none */
    struct tbk_performance figures;
};

struct tbk_performance_period {
    int64_t start_us, end_us;
    struct tbk_performance figures;
};

/* See message EquityPoint. Spans are counted from the day of the first trade. */
struct tbk_equity_point {
    int64_t time_us, trades;
    double equity_percent, equity_usd;
    double drawdown_percent, drawdown_usd;
};

struct tbk_equity_curve {
    struct tbk_equity_point *points;
    size_t count;
    int64_t span_days; /* 0: each point is one trade */
    struct tbk_drawdown percent, usd;
};

enum { TBK_CALIBRATION_CELLS = 100 };

/* See message GetCalibrationResponse. Cell k has confidences from k/100 up to,
 * not including, (k+1)/100; the last one includes 1. Trades whose confidence is
 * missing or not from 0 to 1 are left out. */
struct tbk_calibration {
    int64_t wins, losses;
    double squared_error; /* sum of (confidence - outcome)^2 */
    struct {
        int64_t n, wins;
        double confidence; /* sum */
    } cells[TBK_CALIBRATION_CELLS];
};

struct tbk_theory_sums {
    const char *name;
    int64_t n, correct;
    int64_t contributions; /* records whose contribution_score is a finite number */
    double contribution;   /* their sum */
};

struct tbk_signal_count {
    const char *strategy; /* NULL: signals that have none */
    int64_t signals;
};

/* Signals and trades of the strategies at one moment. */
struct tbk_strategies {
    struct tbk_signal_count *signals; /* most first, ties by name, NULL last */
    size_t signals_count;
    struct tbk_performance_group *groups; /* as those of a breakdown */
    size_t groups_count;
    struct tbk_basis basis; /* of all trades */
};

struct tbk_analytics;

/* Starts to read the tables on a thread of its own. The scratch files lie in the
 * folder of the database and have no name, so nothing of them stays. */
enum tbk_status tbk_analytics_create(const struct tbk_storage_ops *ops, struct tbk_storage *storage,
                                     struct tbk_analytics **ret_analytics, struct tbk_error *error) TBK_MUST_CHECK;
/* The server is to stop: from now on queries answer UNAVAILABLE instead of waiting
 * for the tables to be read, and so do those that wait. Any thread. */
void tbk_analytics_quiesce(struct tbk_analytics *analytics);
/* Accepts NULL. No query may be running. */
void tbk_analytics_destroy(struct tbk_analytics *analytics);

/* All trades of the query, and one group for each value of breakdown (NONE: no
 * groups), most trades first, ties by value, NULL last; at most groups_max. */
enum tbk_status tbk_analytics_performance(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, enum tbk_dimension breakdown,
                                          size_t groups_max, struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                          struct tbk_performance *ret_total,
                                          struct tbk_performance_group **ret_groups, size_t *ret_group_count,
                                          size_t *ret_groups_left_out, struct tbk_error *error);

/* The periods of the query's window, newest first, from the one before the period
 * that contains before_us (TBK_NO_TIME: from the newest) on; at most limit. Periods
 * without a trade between the first and the last are included; the first and the
 * last are cut by the window. Figures per day use the days that a period and the
 * basis have in common. */
enum tbk_status tbk_analytics_periods(struct tbk_analytics *analytics, struct tbk_session *session,
                                      const struct tbk_analytics_query *query, enum tbk_period period,
                                      int64_t before_us, size_t limit, struct tbk_arena *arena,
                                      struct tbk_basis *ret_basis, struct tbk_performance_period **ret_periods,
                                      size_t *ret_count, bool *ret_more, struct tbk_error *error);

enum tbk_status tbk_analytics_equity(struct tbk_analytics *analytics, struct tbk_session *session,
                                     const struct tbk_analytics_query *query, size_t points_max,
                                     struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                     struct tbk_equity_curve *ret_curve, struct tbk_error *error);

enum tbk_status tbk_analytics_calibration(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, struct tbk_basis *ret_basis,
                                          struct tbk_calibration *ret_calibration, struct tbk_error *error);

/* Graded records in the window, one entry for each theory, by name. */
enum tbk_status tbk_analytics_theories(struct tbk_analytics *analytics, struct tbk_session *session,
                                       const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                       struct tbk_theory_sums **ret_theories, size_t *ret_count,
                                       struct tbk_error *error);

/* Signals and trades in the window for each strategy, from one snapshot. */
enum tbk_status tbk_analytics_strategies(struct tbk_analytics *analytics, struct tbk_session *session,
                                         const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                         struct tbk_strategies *ret_strategies, struct tbk_error *error);

#endif
