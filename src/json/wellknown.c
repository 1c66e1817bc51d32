#include "json/wellknown.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"

enum { NANO_DIGITS = 9, NANOS_MAX = 999999999, FRACTION_BYTES_MAX = 16 };
#define US_PER_SECOND INT64_C(1000000)

/* Writes ".250" and the like, in groups of three digits; nothing for 0. */
static void format_fraction(uint32_t nanos, char *out, size_t size)
{
    if (nanos == 0)
        out[0] = '\0';
    else if (nanos % 1000000 == 0)
        snprintf(out, size, ".%03" PRIu32, nanos / 1000000);
    else if (nanos % 1000 == 0)
        snprintf(out, size, ".%06" PRIu32, nanos / 1000);
    else
        snprintf(out, size, ".%09" PRIu32, nanos);
}

/* Reads 1 to 9 digits; returns how many, 0 when there are none or more. */
static size_t parse_fraction(const char *text, size_t length, uint32_t *ret_nanos)
{
    uint32_t nanos = 0;
    size_t count = 0;
    while (count < length && isdigit((unsigned char)text[count])) {
        if (count == NANO_DIGITS)
            return 0;
        nanos = 10 * nanos + (uint32_t)(text[count++] - '0');
    }
    for (size_t i = count; i < NANO_DIGITS; i++)
        nanos *= 10;
    *ret_nanos = nanos;
    return count;
}

bool tbk_json_timestamp_format(int64_t seconds, int32_t nanos, char out[TBK_JSON_TIME_BYTES_MAX])
{
    int64_t us;
    if (!tbk_timestamp_from_proto(seconds, nanos, &us))
        return false;
    enum { SECONDS_CHARS = 19 };
    char disk[TBK_TIMESTAMP_CHARS + 1];
    char fraction[FRACTION_BYTES_MAX];
    tbk_timestamp_format(us, disk);
    disk[10] = 'T';
    format_fraction((uint32_t)nanos, fraction, sizeof fraction);
    snprintf(out, TBK_JSON_TIME_BYTES_MAX, "%.*s%sZ", SECONDS_CHARS, disk, fraction);
    return true;
}

/* "Z", "+HH:MM" or "-HH:MM" at the end of text. */
static bool has_zone(const char *text, size_t length)
{
    if (length > 0 && (text[length - 1] == 'Z' || text[length - 1] == 'z'))
        return true;
    return length >= 6 && (text[length - 6] == '+' || text[length - 6] == '-') && text[length - 3] == ':';
}

bool tbk_json_timestamp_parse(const char *text, size_t length, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int64_t us;
    if (length <= 10 || (text[10] != 'T' && text[10] != 't') || !has_zone(text, length) ||
        !tbk_timestamp_parse(text, length, &us))
        return false;
    uint32_t nanos = 0;
    const char *point = memchr(text, '.', length);
    if (point != NULL)
        parse_fraction(point + 1, length - (size_t)(point + 1 - text), &nanos);
    int32_t us_as_nanos;
    tbk_timestamp_to_proto(us, ret_seconds, &us_as_nanos);
    *ret_nanos = (int32_t)nanos;
    return true;
}

bool tbk_json_duration_format(int64_t seconds, int32_t nanos, char out[TBK_JSON_TIME_BYTES_MAX])
{
    if (seconds < -TBK_DURATION_SECONDS_MAX || seconds > TBK_DURATION_SECONDS_MAX || nanos < -NANOS_MAX ||
        nanos > NANOS_MAX || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0))
        return false;
    char fraction[FRACTION_BYTES_MAX];
    bool negative = seconds < 0 || nanos < 0;
    format_fraction((uint32_t)(nanos < 0 ? -nanos : nanos), fraction, sizeof fraction);
    snprintf(out, TBK_JSON_TIME_BYTES_MAX, "%s%" PRId64 "%ss", negative ? "-" : "",
             seconds < 0 ? -seconds : seconds, fraction);
    return true;
}

bool tbk_json_duration_parse(const char *text, size_t length, int64_t *ret_seconds, int32_t *ret_nanos)
{
    bool negative = length > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    size_t first_digit = i;
    int64_t seconds = 0;
    for (; i < length && isdigit((unsigned char)text[i]); i++) {
        seconds = 10 * seconds + (text[i] - '0');
        if (seconds > TBK_DURATION_SECONDS_MAX)
            return false;
    }
    if (i == first_digit)
        return false;
    uint32_t nanos = 0;
    if (i < length && text[i] == '.') {
        size_t digits = parse_fraction(text + i + 1, length - i - 1, &nanos);
        if (digits == 0)
            return false;
        i += 1 + digits;
    }
    if (i + 1 != length || text[i] != 's')
        return false;
    *ret_seconds = negative ? -seconds : seconds;
    *ret_nanos = negative ? -(int32_t)nanos : (int32_t)nanos;
    return true;
}

bool tbk_json_mask_format(const char *path, size_t length, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        if (islower((unsigned char)path[i]) || isdigit((unsigned char)path[i]) || path[i] == '.') {
            out[written++] = path[i];
            continue;
        }
        if (path[i] != '_')
            return false;
        if (i + 1 == length || !islower((unsigned char)path[i + 1]))
            return false;
        out[written++] = (char)toupper((unsigned char)path[++i]);
    }
    out[written] = '\0';
    return length > 0;
}

bool tbk_json_mask_parse(const char *text, size_t length, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!isalnum((unsigned char)c) && c != '_' && c != '.')
            return false;
        if (isupper((unsigned char)c))
            out[written++] = '_';
        out[written++] = (char)tolower((unsigned char)c);
    }
    out[written] = '\0';
    return length > 0;
}
