#include "analytics/calendar.h"

#include "base/timestamp.h"

#define US_PER_DAY (INT64_C(86400) * 1000000)

/* 1970-01-01 was a Thursday. */
enum { DAYS_PER_WEEK = 7, MONDAY_BEFORE_1970 = -3, MONTHS_PER_YEAR = 12 };
/* Years are counted from 1 March, with the leap day last; 0000-03-01 is this many
 * days before 1970-01-01. */
enum { DAYS_PER_400_YEARS = 146097, DAYS_TO_1970 = 719468, MARCH = 2 };

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Months since 0000-01 of a day. */
static int64_t month_of(int64_t day)
{
    const int64_t since = day + DAYS_TO_1970;
    const int64_t era = floor_divide(since, DAYS_PER_400_YEARS);
    const int64_t of_era = since - era * DAYS_PER_400_YEARS;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    return (era * 400 + year) * MONTHS_PER_YEAR + (5 * of_year + 2) / 153 + MARCH;
}

static int64_t first_day_of_month(int64_t month)
{
    const int64_t since_march = month - MARCH;
    const int64_t year = floor_divide(since_march, MONTHS_PER_YEAR);
    const int64_t march_month = since_march - year * MONTHS_PER_YEAR;
    const int64_t leap_days = floor_divide(year, 4) - floor_divide(year, 100) + floor_divide(year, 400);
    return year * 365 + leap_days + (153 * march_month + 2) / 5 - DAYS_TO_1970;
}

int64_t tbk_period_of(enum tbk_period period, int64_t day)
{
    switch (period) {
    case TBK_PERIOD_WEEK:
        return floor_divide(day - MONDAY_BEFORE_1970, DAYS_PER_WEEK);
    case TBK_PERIOD_MONTH:
        return month_of(day);
    default:
        return day;
    }
}

int64_t tbk_period_first_day(enum tbk_period period, int64_t number)
{
    switch (period) {
    case TBK_PERIOD_WEEK:
        return number * DAYS_PER_WEEK + MONDAY_BEFORE_1970;
    case TBK_PERIOD_MONTH:
        return first_day_of_month(number);
    default:
        return number;
    }
}

int64_t tbk_day_start(int64_t day)
{
    const int64_t us = day * US_PER_DAY;
    if (us < TBK_TIMESTAMP_MIN) {
        return TBK_TIMESTAMP_MIN;
    }
    return us > TBK_TIMESTAMP_MAX ? TBK_TIMESTAMP_MAX : us;
}
