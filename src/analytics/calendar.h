/*
 * UTC days, weeks from Monday and months, as days since 1970-01-01.
 */
#ifndef TBK_ANALYTICS_CALENDAR_H
#define TBK_ANALYTICS_CALENDAR_H

#include <stdint.h>

#include "analytics/analytics.h"

/* Number of the period that contains a day; periods that follow each other have
 * numbers that do. */
int64_t tbk_period_of(enum tbk_period period, int64_t day);
/* First day of the period with this number. */
int64_t tbk_period_first_day(enum tbk_period period, int64_t number);
/* Midnight at which a day begins; cut to the range of timestamps. */
int64_t tbk_day_start(int64_t day);

#endif
