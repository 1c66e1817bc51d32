#include "json/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double exact_end = 9007199254740992.0; /* 2^53: from here on, neighbours read as the same */

/* A whole number of either sign, wide enough for both 64-bit types. */
struct whole {
    bool negative;
    uint64_t magnitude;
};

static bool from_string(const char *text, size_t length, struct whole *ret)
{
    ret->negative = text[0] == '-';
    const char *digits = text + (ret->negative ? 1 : 0);
    if (!isdigit((unsigned char)digits[0]))
        return false;
    char *end;
    errno = 0;
    ret->magnitude = strtoull(digits, &end, 10);
    return errno == 0 && end == text + length;
}

static bool from_json(const json_t *json, struct whole *ret)
{
    if (json_is_string(json))
        return from_string(json_string_value(json), json_string_length(json), ret);
    if (json_is_integer(json)) {
        int64_t value = json_integer_value(json);
        ret->negative = value < 0;
        ret->magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        return true;
    }
    double value = json_real_value(json); /* 0.0 for other types */
    if (!json_is_real(json) || value != trunc(value) || fabs(value) >= exact_end)
        return false;
    ret->negative = value < 0;
    ret->magnitude = (uint64_t)fabs(value);
    return true;
}

bool tbk_json_int64(const json_t *json, int64_t *ret_value)
{
    struct whole whole;
    if (!from_json(json, &whole) || whole.magnitude > (uint64_t)INT64_MAX + (whole.negative ? 1 : 0))
        return false;
    *ret_value = (int64_t)(whole.negative ? -whole.magnitude : whole.magnitude);
    return true;
}

bool tbk_json_uint64(const json_t *json, uint64_t *ret_value)
{
    struct whole whole;
    if (!from_json(json, &whole) || (whole.negative && whole.magnitude > 0))
        return false;
    *ret_value = whole.magnitude;
    return true;
}

static bool double_from_string(const char *text, size_t length, double *ret_value)
{
    if (strcmp(text, "NaN") == 0) {
        *ret_value = (double)NAN;
        return true;
    }
    if (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0) {
        *ret_value = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    /* strtod takes more than JSON does: spaces, hexadecimal, "inf". */
    if (length == 0 || strspn(text, "0123456789+-.eE") != length || text[0] == '+')
        return false;
    char *end;
    double value = strtod(text, &end);
    if (end != text + length || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

bool tbk_json_double(const json_t *json, double *ret_value)
{
    if (json_is_string(json))
        return double_from_string(json_string_value(json), json_string_length(json), ret_value);
    if (!json_is_number(json))
        return false;
    *ret_value = json_number_value(json);
    return true;
}
