/*
 * Base64 (RFC 4648).
 */
#ifndef TBK_JSON_BASE64_H
#define TBK_JSON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dynbuf.h"

/* Appends the standard alphabet with padding. */
void tbk_base64_encode(const uint8_t *bytes, size_t length, struct tbk_dynbuf *out);

/* Most bytes that length characters can stand for. */
size_t tbk_base64_decoded_max(size_t length);

/* Reads the standard or the URL-safe alphabet, with or without padding, into
 * out, which has tbk_base64_decoded_max bytes. False when text is neither. */
bool tbk_base64_decode(const char *text, size_t length, uint8_t *out, size_t *ret_length);

#endif
