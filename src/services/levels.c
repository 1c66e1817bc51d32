#include "services/levels.h"

#include <stddef.h>

const char *tbk_levels_tp_fault(const struct tbk_levels *levels)
{
    const bool is_long = levels->side > 0;
    if (!levels->has_tp_price) {
        return NULL;
    }
    if (levels->has_entry_price) {
        if (levels->side * (levels->tp_price - levels->entry_price) > 0) {
            return NULL;
        }
        return is_long ? "must be above entry_price for a long" : "must be below entry_price for a short";
    }
    if (!levels->has_sl_price || levels->side * (levels->tp_price - levels->sl_price) > 0) {
        return NULL;
    }
    return is_long ? "must be above sl_price for a long" : "must be below sl_price for a short";
}

const char *tbk_levels_sl_fault(const struct tbk_levels *levels)
{
    if (!levels->has_sl_price || !levels->has_entry_price ||
        levels->side * (levels->entry_price - levels->sl_price) > 0) {
        return NULL;
    }
    return levels->side > 0 ? "must be below entry_price for a long" : "must be above entry_price for a short";
}
