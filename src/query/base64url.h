/*
 * Base64 with the URL-safe alphabet and without padding (RFC 4648, section 5).
 */
#ifndef TBK_QUERY_BASE64URL_H
#define TBK_QUERY_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that length bytes become. */
size_t tbk_base64url_encoded_length(size_t length);
/* Writes the characters and a NUL. */
void tbk_base64url_encode(const uint8_t *bytes, size_t length, char *out);

/* Bytes that length characters become. */
size_t tbk_base64url_decoded_length(size_t length);
/* Writes tbk_base64url_decoded_length bytes. False when text is anything but what
 * encode makes. */
bool tbk_base64url_decode(const char *text, size_t length, uint8_t *out);

#endif
