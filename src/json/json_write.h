/*
 * Messages to JSON, by the proto3 JSON mapping over proto2 presence: fields that
 * are absent are not written, fields that are present are, zero or not.
 *
 * Names are lowerCamelCase, 64-bit integers are strings, doubles the shortest
 * text that reads back the same ("NaN" and "Infinity" as strings), enumeration
 * values their names (an unknown number stays a number), bytes base64, Timestamp
 * RFC 3339, Duration "1.5s", FieldMask "a,b". Any is written with its fields when
 * its type is found, else as {"@type": ..., "value": base64}. Bytes of text that
 * are not UTF-8 become U+FFFD; control characters are escaped.
 *
 * Any thread.
 */
#ifndef TBK_JSON_JSON_WRITE_H
#define TBK_JSON_JSON_WRITE_H

#include "base/dynbuf.h"
#include "base/error.h"
#include "json/types.h"

struct tbk_json_style {
    bool pretty;                   /* one member a line, two spaces a level; otherwise no white space */
    tbk_json_find_type *find_type; /* NULL: no type is found */
    const void *find_type_argument;
};

/* Appends message to out. INVALID_ARGUMENT: a Timestamp, Duration or FieldMask
 * has no JSON form, or messages are nested deeper than TBK_JSON_DEPTH_MAX; the
 * sentence begins with its path. RESOURCE_EXHAUSTED: out is full. On failure out
 * holds the beginning. */
enum tbk_status tbk_json_write(const ProtobufCMessage *message, const struct tbk_json_style *style,
                               struct tbk_dynbuf *out, struct tbk_error *error) TBK_MUST_CHECK;

/* The same for some fields of message, in the given order. */
enum tbk_status tbk_json_write_fields(const ProtobufCMessage *message,
                                      const ProtobufCFieldDescriptor *const *fields, size_t field_count,
                                      const struct tbk_json_style *style, struct tbk_dynbuf *out,
                                      struct tbk_error *error) TBK_MUST_CHECK;

/* Appends text as a JSON string with its quotes. */
void tbk_json_write_string(const char *text, size_t length, struct tbk_dynbuf *out);

#endif
