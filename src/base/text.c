#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Number of bytes at the start of text that are ASCII, eight at a time. */
static size_t ascii_prefix(const char *text, size_t length)
{
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        if ((word & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    while (i < length && (unsigned char)text[i] < 0x80) {
        i++;
    }
    return i;
}

/* Length of the well-formed character of two or more bytes at the start of
 * text, 0 when it is none (table 3-7 of the Unicode standard). */
static size_t multibyte_length(const unsigned char *text, size_t length)
{
    unsigned char lead = text[0];
    unsigned char second_min = 0x80;
    unsigned char second_max = 0xBF;
    size_t need;
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 3;
        if (lead == 0xE0) {
            second_min = 0xA0;
        } else if (lead == 0xED) {
            second_max = 0x9F;
        }
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 4;
        if (lead == 0xF0) {
            second_min = 0x90;
        } else if (lead == 0xF4) {
            second_max = 0x8F;
        }
    } else {
        return 0;
    }
    if (length < need || text[1] < second_min || text[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return need;
}

bool tbk_utf8_valid(const char *text, size_t length)
{
    size_t i = ascii_prefix(text, length);
    while (i < length) {
        size_t step = multibyte_length((const unsigned char *)text + i, length - i);
        if (step == 0) {
            return false;
        }
        i += step;
        i += ascii_prefix(text + i, length - i);
    }
    return true;
}

size_t tbk_utf8_decode(const char *text, size_t length, uint32_t *ret_code_point)
{
    unsigned char lead = (unsigned char)text[0];
    if (lead < 0x80) {
        *ret_code_point = lead;
        return 1;
    }
    size_t need = multibyte_length((const unsigned char *)text, length);
    if (need == 0) {
        return 0;
    }
    uint32_t code_point = lead & (0xFFU >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        code_point = code_point << 6 | ((unsigned char)text[i] & 0x3FU);
    }
    *ret_code_point = code_point;
    return need;
}

size_t tbk_utf8_count(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return count;
}

bool tbk_utf8_has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F) {
            return true;
        }
        /* U+0080 to U+009F are C2 80 to C2 9F. */
        if (c == 0xC2 && i + 1 < length && (unsigned char)text[i + 1] <= 0x9F) {
            return true;
        }
    }
    return false;
}

/* snprintf and strtod use the "C" locale: no program of ours calls setlocale. */
size_t tbk_double_format(double value, char out[TBK_DOUBLE_CHARS_MAX])
{
    assert(isfinite(value));
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(out, TBK_DOUBLE_CHARS_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    return (size_t)length;
}

void tbk_hex_encode(const uint8_t *bytes, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0x0F];
    }
    out[2 * length] = '\0';
}
