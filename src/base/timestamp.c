#include "base/timestamp.h"

#include <assert.h>
#include <time.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY    (INT64_C(86400) * US_PER_SECOND)

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t tbk_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t tbk_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* Dates are counted in years that begin on 1 March, so that the leap day is the
 * last of its year and the month lengths follow (153 * month + 2) / 5. Day 0 is
 * 0000-03-01; 0001-01-01 is day 306. */
enum { DAYS_PER_400_YEARS = 146097, DAY_OF_0001_01_01 = 306 };

static uint32_t day_from_date(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t march_month = month > 2 ? month - 3 : month + 9;
    uint32_t march_year = month > 2 ? year : year - 1;
    return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + (153 * march_month + 2) / 5 +
           day - 1;
}

static void date_from_day(uint32_t number, uint32_t *ret_year, uint32_t *ret_month, uint32_t *ret_day)
{
    uint32_t era = number / DAYS_PER_400_YEARS;
    uint32_t day_of_era = number % DAYS_PER_400_YEARS;
    /* Taking out the leap days of the era leaves years of exactly 365 days. */
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march_month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * march_month + 2) / 5 + 1;
    *ret_month = march_month < 10 ? march_month + 3 : march_month - 9;
    *ret_year = era * 400 + year_of_era + (*ret_month <= 2 ? 1 : 0);
}

static void write_2_digits(char *out, uint32_t value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

void tbk_timestamp_format(int64_t us, char out[TBK_TIMESTAMP_CHARS + 1])
{
    assert(us >= TBK_TIMESTAMP_MIN && us <= TBK_TIMESTAMP_MAX);
    uint64_t since_min = (uint64_t)(us - TBK_TIMESTAMP_MIN);
    uint64_t of_day = since_min % US_PER_DAY;
    uint32_t seconds = (uint32_t)(of_day / US_PER_SECOND);
    uint32_t fraction = (uint32_t)(of_day % US_PER_SECOND);
    uint32_t year;
    uint32_t month;
    uint32_t day;
    date_from_day((uint32_t)(since_min / US_PER_DAY) + DAY_OF_0001_01_01, &year, &month, &day);

    write_2_digits(out, year / 100);
    write_2_digits(out + 2, year % 100);
    out[4] = '-';
    write_2_digits(out + 5, month);
    out[7] = '-';
    write_2_digits(out + 8, day);
    out[10] = ' ';
    write_2_digits(out + 11, seconds / 3600);
    out[13] = ':';
    write_2_digits(out + 14, seconds / 60 % 60);
    out[16] = ':';
    write_2_digits(out + 17, seconds % 60);
    out[19] = '.';
    write_2_digits(out + 20, fraction / 10000);
    write_2_digits(out + 22, fraction / 100 % 100);
    write_2_digits(out + 24, fraction % 100);
    out[26] = '\0';
}

/* What is left of the text being read. */
struct reader {
    const char *next;
    const char *end;
};

static bool read_digits(struct reader *reader, int count, uint32_t *ret_value)
{
    if (reader->end - reader->next < count) {
        return false;
    }
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        uint32_t digit = (uint32_t)(unsigned char)reader->next[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = 10 * value + digit;
    }
    reader->next += count;
    *ret_value = value;
    return true;
}

static bool read_char(struct reader *reader, char expected)
{
    if (reader->next == reader->end || *reader->next != expected) {
        return false;
    }
    reader->next++;
    return true;
}

static bool read_date(struct reader *reader, int64_t *ret_us)
{
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t year;
    uint32_t month;
    uint32_t day;
    if (!read_digits(reader, 4, &year) || !read_char(reader, '-') || !read_digits(reader, 2, &month) ||
        !read_char(reader, '-') || !read_digits(reader, 2, &day)) {
        return false;
    }
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    uint32_t day_max = month == 2 && leap ? 29 : month_days[month - 1];
    if (day > day_max) {
        return false;
    }
    *ret_us = TBK_TIMESTAMP_MIN + (int64_t)(day_from_date(year, month, day) - DAY_OF_0001_01_01) * US_PER_DAY;
    return true;
}

/* 1 to 9 digits; those beyond the sixth are read and dropped. */
static bool read_fraction(struct reader *reader, int64_t *ret_us)
{
    int64_t us = 0;
    int count = 0;
    for (uint32_t digit; count < 9 && read_digits(reader, 1, &digit); count++) {
        if (count < 6) {
            us = 10 * us + digit;
        }
    }
    for (int i = count; i < 6; i++) {
        us *= 10;
    }
    *ret_us = us;
    return count > 0;
}

static bool read_time(struct reader *reader, int64_t *ret_us)
{
    uint32_t hours;
    uint32_t minutes;
    uint32_t seconds;
    if (!read_digits(reader, 2, &hours) || !read_char(reader, ':') || !read_digits(reader, 2, &minutes) ||
        !read_char(reader, ':') || !read_digits(reader, 2, &seconds)) {
        return false;
    }
    if (hours > 23 || minutes > 59 || seconds > 59) {
        return false;
    }
    int64_t fraction = 0;
    if (read_char(reader, '.') && !read_fraction(reader, &fraction)) {
        return false;
    }
    *ret_us = (int64_t)(hours * 3600 + minutes * 60 + seconds) * US_PER_SECOND + fraction;
    return true;
}

/* "Z", "+HH:MM", "+HHMM" or "+HH"; without any the time is UTC already. */
static bool read_offset(struct reader *reader, int64_t *ret_us)
{
    *ret_us = 0;
    if (reader->next == reader->end || read_char(reader, 'Z') || read_char(reader, 'z')) {
        return true;
    }
    bool negative = read_char(reader, '-');
    uint32_t hours;
    uint32_t minutes = 0;
    if ((!negative && !read_char(reader, '+')) || !read_digits(reader, 2, &hours)) {
        return false;
    }
    bool colon = read_char(reader, ':');
    if ((colon || reader->next != reader->end) && !read_digits(reader, 2, &minutes)) {
        return false;
    }
    if (hours > 23 || minutes > 59) {
        return false;
    }
    int64_t offset = (int64_t)(hours * 3600 + minutes * 60) * US_PER_SECOND;
    *ret_us = negative ? -offset : offset;
    return true;
}

bool tbk_timestamp_parse(const char *text, size_t length, int64_t *ret_us)
{
    struct reader reader = {.next = text, .end = text + length};
    int64_t date;
    int64_t time = 0;
    int64_t offset = 0;
    if (!read_date(&reader, &date)) {
        return false;
    }
    if (reader.next != reader.end) {
        if (!read_char(&reader, ' ') && !read_char(&reader, 'T') && !read_char(&reader, 't')) {
            return false;
        }
        if (!read_time(&reader, &time) || !read_offset(&reader, &offset) || reader.next != reader.end) {
            return false;
        }
    }
    int64_t us = date + time - offset;
    if (us < TBK_TIMESTAMP_MIN || us > TBK_TIMESTAMP_MAX) {
        return false;
    }
    *ret_us = us;
    return true;
}

bool tbk_timestamp_from_proto(int64_t seconds, int32_t nanos, int64_t *ret_us)
{
    /* Both limits are whole seconds apart, so this is the exact range. */
    if (seconds < TBK_TIMESTAMP_MIN / US_PER_SECOND || seconds > TBK_TIMESTAMP_MAX / US_PER_SECOND) {
        return false;
    }
    if (nanos < 0 || nanos > 999999999) {
        return false;
    }
    *ret_us = seconds * US_PER_SECOND + nanos / 1000;
    return true;
}

void tbk_timestamp_to_proto(int64_t us, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int64_t seconds = us / US_PER_SECOND;
    int64_t rest = us % US_PER_SECOND;
    if (rest < 0) {
        rest += US_PER_SECOND;
        seconds--;
    }
    *ret_seconds = seconds;
    *ret_nanos = (int32_t)rest * 1000;
}
