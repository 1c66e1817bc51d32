#include "cli/field_path.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/timestamp.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/types.h"

enum { NAME_BYTES_MAX = 64 };

/* The field that the first step of *path names; moves *path behind it. */
static const ProtobufCFieldDescriptor *next_field(const ProtobufCMessageDescriptor *descriptor, const char **path)
{
    char name[NAME_BYTES_MAX];
    size_t length = strcspn(*path, ".");
    if (length >= sizeof name)
        return NULL;
    memcpy(name, *path, length);
    name[length] = '\0';
    *path += length + ((*path)[length] == '.');
    return protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
}

const ProtobufCFieldDescriptor *tbk_field_resolve(const ProtobufCMessageDescriptor *descriptor, const char *path)
{
    while (true) {
        const ProtobufCFieldDescriptor *field = next_field(descriptor, &path);
        if (field == NULL || *path == '\0')
            return field;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
            return NULL;
        descriptor = field->descriptor;
    }
}

const void *tbk_field_value(const ProtobufCMessage *message, const char *path,
                            const ProtobufCFieldDescriptor **ret_field)
{
    while (true) {
        const ProtobufCFieldDescriptor *field = next_field(message->descriptor, &path);
        assert(field != NULL && field->label != PROTOBUF_C_LABEL_REPEATED);
        if (!tbk_field_present(field, message))
            return NULL;
        const void *value = (const char *)message + field->offset;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            value = *(const ProtobufCMessage *const *)value;
        if (*path == '\0') {
            *ret_field = field;
            return value;
        }
        assert(field->type == PROTOBUF_C_TYPE_MESSAGE);
        message = value;
    }
}

bool tbk_field_double(const ProtobufCMessage *message, const char *path, double *ret_value)
{
    const ProtobufCFieldDescriptor *field;
    const void *value = tbk_field_value(message, path, &field);
    if (value == NULL)
        return false;
    assert(field->type == PROTOBUF_C_TYPE_DOUBLE);
    *ret_value = *(const double *)value;
    return true;
}

bool tbk_field_int64(const ProtobufCMessage *message, const char *path, int64_t *ret_value)
{
    const ProtobufCFieldDescriptor *field;
    const void *value = tbk_field_value(message, path, &field);
    if (value == NULL)
        return false;
    assert(field->type == PROTOBUF_C_TYPE_INT64);
    *ret_value = *(const int64_t *)value;
    return true;
}

bool tbk_field_bool(const ProtobufCMessage *message, const char *path, bool *ret_value)
{
    const ProtobufCFieldDescriptor *field;
    const void *value = tbk_field_value(message, path, &field);
    if (value == NULL)
        return false;
    assert(field->type == PROTOBUF_C_TYPE_BOOL);
    *ret_value = *(const protobuf_c_boolean *)value != 0;
    return true;
}

bool tbk_field_time(const ProtobufCMessage *message, const char *path, int64_t *ret_us)
{
    const Google__Protobuf__Timestamp *time =
        (const Google__Protobuf__Timestamp *)tbk_field_message(message, path);
    return time != NULL && tbk_timestamp_from_proto(time->seconds, time->nanos, ret_us);
}

const char *tbk_field_text(const ProtobufCMessage *message, const char *path)
{
    const ProtobufCFieldDescriptor *field;
    const void *value = tbk_field_value(message, path, &field);
    if (value == NULL)
        return NULL;
    assert(field->type == PROTOBUF_C_TYPE_STRING);
    return *(const char *const *)value;
}

const ProtobufCMessage *tbk_field_message(const ProtobufCMessage *message, const char *path)
{
    const ProtobufCFieldDescriptor *field;
    const ProtobufCMessage *value = tbk_field_value(message, path, &field);
    assert(value == NULL || field->type == PROTOBUF_C_TYPE_MESSAGE);
    return value;
}

ProtobufCMessage *const *tbk_field_rows(const ProtobufCMessage *message, const char *path, size_t *ret_count)
{
    const ProtobufCFieldDescriptor *field = next_field(message->descriptor, &path);
    assert(field != NULL && field->label == PROTOBUF_C_LABEL_REPEATED && *path == '\0');
    *ret_count = *(const size_t *)((const char *)message + field->quantifier_offset);
    return *(ProtobufCMessage *const *const *)((const char *)message + field->offset);
}

size_t tbk_enum_prefix(const ProtobufCEnumDescriptor *descriptor)
{
    const ProtobufCEnumValue *none = protobuf_c_enum_descriptor_get_value(descriptor, 0);
    const char *end = none != NULL ? strstr(none->name, "UNSPECIFIED") : NULL;
    return end != NULL ? (size_t)(end - none->name) : 0;
}

void tbk_enum_text(const ProtobufCEnumDescriptor *descriptor, int number, struct tbk_dynbuf *out)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    if (value == NULL) {
        tbk_dynbuf_printf(out, "%d", number);
        return;
    }
    for (const char *c = value->name + tbk_enum_prefix(descriptor); *c != '\0'; c++)
        tbk_dynbuf_putc(out, (char)tolower((unsigned char)*c));
}
