/*
 * On which side of each other the prices of a trade must be: take-profit beyond the
 * entry, stop-loss before it, as seen by a long; the other way round by a short.
 * Pure.
 */
#ifndef TBK_SERVICES_LEVELS_H
#define TBK_SERVICES_LEVELS_H

#include <stdbool.h>

struct tbk_levels {
    int side; /* +1 long, -1 short */
    bool has_entry_price;
    bool has_tp_price;
    bool has_sl_price;
    double entry_price;
    double tp_price;
    double sl_price;
};

/* From a message with fields of these names. */
#define TBK_LEVELS_OF(message, its_side)                                                                          \
    {                                                                                                             \
        .side = (its_side), .has_entry_price = (message)->has_entry_price,                                        \
        .has_tp_price = (message)->has_tp_price, .has_sl_price = (message)->has_sl_price,                         \
        .entry_price = (message)->entry_price, .tp_price = (message)->tp_price, .sl_price = (message)->sl_price,  \
    }

/* What is wrong with one of them, as a violation says it; NULL: nothing. Without an
 * entry price the take-profit is held against the stop-loss. */
const char *tbk_levels_tp_fault(const struct tbk_levels *levels);
const char *tbk_levels_sl_fault(const struct tbk_levels *levels);

#endif
