#include "query/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t tbk_base64url_encoded_length(size_t length)
{
    return length / 3 * 4 + (length % 3 > 0 ? length % 3 + 1 : 0);
}

size_t tbk_base64url_decoded_length(size_t length)
{
    return length / 4 * 3 + (length % 4 > 1 ? length % 4 - 1 : 0);
}

void tbk_base64url_encode(const uint8_t *bytes, size_t length, char *out)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6) {
            *out++ = digits[bits >> (bit_count - 6) & 63];
        }
    }
    if (bit_count > 0) {
        *out++ = digits[bits << (6 - bit_count) & 63];
    }
    *out = '\0';
}

static bool digit_value(char c, uint32_t *ret_value)
{
    if (c >= 'A' && c <= 'Z') {
        *ret_value = (uint32_t)(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
        *ret_value = (uint32_t)(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
        *ret_value = (uint32_t)(c - '0') + 52;
    } else if (c == '-' || c == '_') {
        *ret_value = c == '-' ? 62 : 63;
    } else {
        return false;
    }
    return true;
}

bool tbk_base64url_decode(const char *text, size_t length, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t value;
        if (!digit_value(text[i], &value)) {
            return false;
        }
        bits = bits << 6 | value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            *out++ = (uint8_t)(bits >> bit_count & 0xFF);
        }
    }
    /* What is left fills up the last character and is zero. */
    return length % 4 != 1 && (bits & ((1U << bit_count) - 1)) == 0;
}
