/*
 * Fields of messages by path, such as "total.win_rate".
 */
#ifndef TBK_CLI_FIELD_PATH_H
#define TBK_CLI_FIELD_PATH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dynbuf.h"

/* The field that path names in messages of this type; NULL when there is none. */
const ProtobufCFieldDescriptor *tbk_field_resolve(const ProtobufCMessageDescriptor *descriptor, const char *path);

/* The value at path: a pointer to it as in the message's struct, for a message
 * the message itself. NULL when it or a message on the way is absent. path exists
 * and names no repeated field. */
const void *tbk_field_value(const ProtobufCMessage *message, const char *path,
                            const ProtobufCFieldDescriptor **ret_field);

/* The same for values of known type; false when absent. */
bool tbk_field_double(const ProtobufCMessage *message, const char *path, double *ret_value);
bool tbk_field_int64(const ProtobufCMessage *message, const char *path, int64_t *ret_value);
bool tbk_field_bool(const ProtobufCMessage *message, const char *path, bool *ret_value);
bool tbk_field_time(const ProtobufCMessage *message, const char *path, int64_t *ret_us);
const char *tbk_field_text(const ProtobufCMessage *message, const char *path);
const ProtobufCMessage *tbk_field_message(const ProtobufCMessage *message, const char *path);

/* The elements of the repeated message field that path names. */
ProtobufCMessage *const *tbk_field_rows(const ProtobufCMessage *message, const char *path, size_t *ret_count);

/* What the names of an enumeration's values have in common, "DIRECTION_": every
 * one of ours begins with its own X_UNSPECIFIED. Returns its length. */
size_t tbk_enum_prefix(const ProtobufCEnumDescriptor *descriptor);
/* An enumeration value as on disk: DIRECTION_LONG is "long". A number this build
 * does not know stays a number. */
void tbk_enum_text(const ProtobufCEnumDescriptor *descriptor, int number, struct tbk_dynbuf *out);

#endif
