#include "json/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tbk_base64_encode(const uint8_t *bytes, size_t length, struct tbk_dynbuf *out)
{
    for (size_t i = 0; i < length; i += 3) {
        size_t given = length - i < 3 ? length - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (given > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (given > 2)
            group |= bytes[i + 2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
        if (given > 1)
            text[2] = digits[group >> 6 & 63];
        if (given > 2)
            text[3] = digits[group & 63];
        tbk_dynbuf_append(out, text, sizeof text);
    }
}

size_t tbk_base64_decoded_max(size_t length)
{
    return length / 4 * 3 + 3;
}

static bool digit_value(char c, uint32_t *ret_value)
{
    if (c >= 'A' && c <= 'Z')
        *ret_value = (uint32_t)(c - 'A');
    else if (c >= 'a' && c <= 'z')
        *ret_value = (uint32_t)(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
        *ret_value = (uint32_t)(c - '0') + 52;
    else if (c == '+' || c == '-')
        *ret_value = 62;
    else if (c == '/' || c == '_')
        *ret_value = 63;
    else
        return false;
    return true;
}

bool tbk_base64_decode(const char *text, size_t length, uint8_t *out, size_t *ret_length)
{
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - padding - 1] == '=')
        padding++;
    if (padding > 0 && length % 4 != 0)
        return false;
    length -= padding;
    if (length % 4 == 1)
        return false;

    size_t written = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t value;
        if (!digit_value(text[i], &value))
            return false;
        group = group << 6 | value;
        /* Every digit but the first of four completes a byte. */
        if (i % 4 != 0)
            out[written++] = (uint8_t)(group >> (6 - 2 * (i % 4)));
    }
    *ret_length = written;
    return true;
}
