/*
 * What reading and writing JSON share: the place of a value for messages, access
 * to message fields, and the types whose JSON is not an object of fields.
 */
#ifndef TBK_JSON_TYPES_H
#define TBK_JSON_TYPES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    TBK_JSON_DEPTH_MAX = 64,      /* messages within messages */
    TBK_JSON_PATH_BYTES_MAX = 96, /* a longer path is shown from its end */
    TBK_JSON_NAME_BYTES_MAX = 96,
};

/* Where a value is: a member of an object, or an element of an array when name
 * is NULL. Lives on the stack of the function that descends; the parent of a
 * top-level member is NULL. */
struct tbk_json_path {
    const struct tbk_json_path *parent;
    const char *name;
    size_t index;
};

/* "signals[3].entryPrice"; "the message" for NULL. */
void tbk_json_path_format(const struct tbk_json_path *path, char out[TBK_JSON_PATH_BYTES_MAX]);

/* The lowerCamelCase name of a field, as protoc derives it. Cut when longer than
 * TBK_JSON_NAME_BYTES_MAX - 1. Returns its length. */
size_t tbk_json_name(const char *field_name, char out[TBK_JSON_NAME_BYTES_MAX]);

/* Types with a JSON form of their own. */
enum tbk_json_form {
    TBK_JSON_FIELDS, /* an object of the fields: every other type */
    TBK_JSON_TIMESTAMP,
    TBK_JSON_DURATION,
    TBK_JSON_FIELD_MASK,
    TBK_JSON_ANY,
};
enum tbk_json_form tbk_json_form(const ProtobufCMessageDescriptor *descriptor);

/* Bytes that one value of the field takes in a message's struct, 0 for a type
 * unknown to protobuf-c 1.4. */
size_t tbk_field_size(const ProtobufCFieldDescriptor *field);
/* Whether the field is set; a repeated one, whether it has elements. */
bool tbk_field_present(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message);

/* Finds the type of the message inside a google.protobuf.Any by its full name,
 * such as "tradebook.v1.Signal"; NULL when it is unknown. */
typedef const ProtobufCMessageDescriptor *tbk_json_find_type(const void *argument, const char *full_name);

#endif
