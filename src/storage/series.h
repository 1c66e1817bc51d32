/*
 * The rows that figures are made of, as the storage hands them out. A series is
 * a set of rows of the tables that are filed by a time.
 */
#ifndef TBK_STORAGE_SERIES_H
#define TBK_STORAGE_SERIES_H

#include <stdint.h>

#include "base/error.h"

enum tbk_series_id {
    TBK_SERIES_TRADES = 1,   /* closed trades by exit_timestamp */
    TBK_SERIES_THEORIES = 2, /* theory records graded 0 or 1 by created_at */
    TBK_SERIES_SIGNALS = 3,  /* signals by timestamp */
};

enum { TBK_SERIES_VALUES_MAX = 4, TBK_SERIES_DIMENSIONS_MAX = 7 };

/* The time of a row whose timestamp is NULL or cannot be read. */
#define TBK_UNDATED (INT64_MIN + 1)

/* What became of it: of a trade, of a theory (right: WIN, wrong: LOSS). A signal
 * is always OTHER. */
enum tbk_series_kind { TBK_KIND_WIN, TBK_KIND_LOSS, TBK_KIND_OTHER, TBK_KIND_COUNT };

/* Positions in tbk_series_row.values. */
enum { TBK_TRADE_PERCENT, TBK_TRADE_USD, TBK_TRADE_R, TBK_TRADE_CONFIDENCE };
enum { TBK_THEORY_CONTRIBUTION };

/* Dimensions of trades are strategy, symbol, session, tier, direction,
 * exit_reason and model_version of the trade or its signal, tier and direction in
 * lower case; of theories theory_name; of signals strategy. */
struct tbk_series_row {
    int64_t time_us; /* or TBK_UNDATED */
    int64_t id;
    enum tbk_series_kind kind;
    double values[TBK_SERIES_VALUES_MAX];              /* NaN: NULL or no finite number */
    const char *dimensions[TBK_SERIES_DIMENSIONS_MAX]; /* NULL: none */
};

/* Takes a row, which is valid during the call. */
typedef enum tbk_status tbk_series_sink(void *argument, const struct tbk_series_row *row, struct tbk_error *error);

/* How far the reported changes of all series have been read. */
struct tbk_series_position {
    int64_t events;
    int64_t changes;
    int64_t signal_id; /* largest; new signals are not reported but have larger ones */
};

/* A row that may have entered, changed or left a series. */
struct tbk_series_change {
    enum tbk_series_id series;
    int64_t id;
    int64_t filed_us; /* under which time it may have been before */
};

#endif
