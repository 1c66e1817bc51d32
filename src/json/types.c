#include "json/types.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

/* Writes from the end of the buffer towards its start, innermost step first, so
 * that a path too long loses its beginning. */
void tbk_json_path_format(const struct tbk_json_path *path, char out[TBK_JSON_PATH_BYTES_MAX])
{
    char step[TBK_JSON_PATH_BYTES_MAX];
    char text[TBK_JSON_PATH_BYTES_MAX];
    size_t start = sizeof text - 1;
    text[start] = '\0';
    if (path == NULL) {
        static const char whole[] = "the message";
        start = sizeof text - sizeof whole;
        memcpy(text + start, whole, sizeof whole);
    }
    for (; path != NULL; path = path->parent) {
        if (path->name == NULL)
            snprintf(step, sizeof step, "[%zu]", path->index);
        else
            snprintf(step, sizeof step, "%s%s", path->parent != NULL ? "." : "", path->name);
        size_t length = strlen(step);
        if (length + strlen("...") > start) {
            memcpy(text + (start -= strlen("...")), "...", strlen("..."));
            break;
        }
        memcpy(text + (start -= length), step, length);
    }
    memcpy(out, text + start, sizeof text - start);
}

size_t tbk_json_name(const char *field_name, char out[TBK_JSON_NAME_BYTES_MAX])
{
    size_t length = 0;
    bool capital = false;
    for (const char *c = field_name; *c != '\0' && length < TBK_JSON_NAME_BYTES_MAX - 1; c++) {
        if (*c == '_') {
            capital = true;
            continue;
        }
        out[length++] = capital ? (char)toupper((unsigned char)*c) : *c;
        capital = false;
    }
    out[length] = '\0';
    return length;
}

enum tbk_json_form tbk_json_form(const ProtobufCMessageDescriptor *descriptor)
{
    if (descriptor == &google__protobuf__timestamp__descriptor)
        return TBK_JSON_TIMESTAMP;
    if (descriptor == &google__protobuf__duration__descriptor)
        return TBK_JSON_DURATION;
    if (descriptor == &google__protobuf__field_mask__descriptor)
        return TBK_JSON_FIELD_MASK;
    if (descriptor == &google__protobuf__any__descriptor)
        return TBK_JSON_ANY;
    return TBK_JSON_FIELDS;
}

size_t tbk_field_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(float);
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

bool tbk_field_present(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
    const void *quantifier = (const char *)message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)quantifier > 0;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && *(const uint32_t *)quantifier != field->id)
        return false;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const void *value = *(const void *const *)((const char *)message + field->offset);
        return value != NULL && value != field->default_value;
    }
    if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
        return true;
    return *(const int *)quantifier != 0;
}
