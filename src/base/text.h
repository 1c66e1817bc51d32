/*
 * Text helpers without locale: UTF-8, numbers, hexadecimal.
 */
#ifndef TBK_BASE_TEXT_H
#define TBK_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TBK_DOUBLE_CHARS_MAX = 32 };

/* Whether text is UTF-8 as RFC 3629 defines it: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
bool tbk_utf8_valid(const char *text, size_t length);
/* Reads the character at the start of text, which is not empty. Returns its
 * length in bytes, or 0 when there is no well-formed character. */
size_t tbk_utf8_decode(const char *text, size_t length, uint32_t *ret_code_point);
/* Number of characters of valid UTF-8. */
size_t tbk_utf8_count(const char *text, size_t length);
/* Whether valid UTF-8 holds a control character (C0, DEL, C1). */
bool tbk_utf8_has_control(const char *text, size_t length);

/* The shortest decimal text that reads back as the same double (subnormal
 * numbers get 15 digits or more). value is finite. Returns the length. */
size_t tbk_double_format(double value, char out[TBK_DOUBLE_CHARS_MAX]);

/* Lower-case hexadecimal of length bytes and a NUL; out has 2 * length + 1. */
void tbk_hex_encode(const uint8_t *bytes, size_t length, char *out);

#endif
