#include "services/trade_result.h"

#include <math.h>
#include <string.h>

enum { US_PER_SECOND = 1000000, SECONDS_PER_MINUTE = 60 };

static Tradebook__V1__Outcome outcome_of(double pnl_percent, double band_percent)
{
    if (pnl_percent > band_percent) {
        return TRADEBOOK__V1__OUTCOME__OUTCOME_WIN;
    }
    return pnl_percent < -band_percent ? TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS
                                       : TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN;
}

/* Turns -0.0 into the 0.0 that is stored. */
static double plain(double number)
{
    return number + 0.0;
}

bool tbk_trade_result_compute(const struct tbk_closed_trade *trade, struct tbk_trade_result *ret_result)
{
    const double move = trade->side * (trade->exit_price - trade->entry_price);
    const double pnl_usd = plain(move * trade->quantity - trade->fees_usd);
    const double pnl_percent = plain(pnl_usd / (trade->entry_price * trade->quantity) * 100);
    if (!isfinite(pnl_usd) || !isfinite(pnl_percent)) {
        return false;
    }
    const double r_realized = trade->has_sl_price ? move / fabs(trade->entry_price - trade->sl_price) : NAN;
    const int64_t seconds = (trade->exit_us - trade->entry_us) / US_PER_SECOND;
    *ret_result = (struct tbk_trade_result){
        .pnl_usd = pnl_usd,
        .pnl_percent = pnl_percent,
        .outcome = outcome_of(pnl_percent, trade->band_percent),
        .hold_duration_minutes = seconds / SECONDS_PER_MINUTE,
        .hold_duration_seconds = seconds,
        .has_r_realized = isfinite(r_realized),
        .r_realized = isfinite(r_realized) ? plain(r_realized) : 0,
    };
    return true;
}

Tradebook__V1__Result tbk_trade_outcome_result(Tradebook__V1__Outcome outcome)
{
    switch (outcome) {
    case TRADEBOOK__V1__OUTCOME__OUTCOME_WIN:
        return TRADEBOOK__V1__RESULT__RESULT_WIN;
    case TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS:
        return TRADEBOOK__V1__RESULT__RESULT_LOSS;
    default:
        return TRADEBOOK__V1__RESULT__RESULT_UNSPECIFIED;
    }
}

bool tbk_trade_reached_limit(const char *exit_reason)
{
    return strcmp(exit_reason, "tp_hit") == 0 || strcmp(exit_reason, "sl_hit") == 0;
}

int tbk_trade_side(Tradebook__V1__Direction direction)
{
    switch (direction) {
    case TRADEBOOK__V1__DIRECTION__DIRECTION_LONG:
        return 1;
    case TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT:
        return -1;
    default:
        return 0;
    }
}
