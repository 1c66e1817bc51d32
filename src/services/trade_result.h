/*
 * What a closed trade came to, computed from its prices alone. Pure: no database,
 * no clock.
 */
#ifndef TBK_SERVICES_TRADE_RESULT_H
#define TBK_SERVICES_TRADE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "tradebook/v1/types.pb-c.h"

/* A trade that is over. Prices and quantity are positive, the exit is not before
 * the entry. */
struct tbk_closed_trade {
    int side; /* +1 long, -1 short */
    double entry_price;
    double exit_price;
    double quantity;
    double fees_usd;     /* of opening and closing */
    double band_percent; /* breakeven band, not negative */
    int64_t entry_us;
    int64_t exit_us;
    bool has_sl_price;
    double sl_price;
};

struct tbk_trade_result {
    double pnl_usd;                 /* side * (exit - entry) * quantity - fees */
    double pnl_percent;             /* pnl_usd / (entry * quantity) * 100 */
    Tradebook__V1__Outcome outcome; /* WIN above the band, LOSS below its negative, else BREAKEVEN */
    int64_t hold_duration_minutes;  /* whole minutes */
    int64_t hold_duration_seconds;  /* whole seconds */
    bool has_r_realized;            /* false without a stop-loss, or with one too near the entry */
    double r_realized;              /* side * (exit - entry) / |entry - sl| */
};

/* False when the profit is not a finite number, as with absurd prices;
 * *ret_result is then undefined. */
bool tbk_trade_result_compute(const struct tbk_closed_trade *trade, struct tbk_trade_result *ret_result);

/* +1 for a long, -1 for a short, 0 for what is not traded. */
int tbk_trade_side(Tradebook__V1__Direction direction);

/* What a signal and its snapshot say of this outcome; UNSPECIFIED: nothing, as of an
 * open trade or a breakeven. */
Tradebook__V1__Result tbk_trade_outcome_result(Tradebook__V1__Outcome outcome);

/* Whether a trade was closed by its take-profit or stop-loss. */
bool tbk_trade_reached_limit(const char *exit_reason);

#endif
