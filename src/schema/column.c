/* Access to the message fields behind columns. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/timestamp.h"
#include "schema/schema.h"
#include "schema/timestamp_message.h"

static void *member(ProtobufCMessage *message, size_t offset)
{
    return (char *)message + offset;
}

static const void *const_member(const ProtobufCMessage *message, size_t offset)
{
    return (const char *)message + offset;
}

bool tbk_field_kind(const ProtobufCFieldDescriptor *field, enum tbk_column_kind *ret_kind)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
        *ret_kind = TBK_COLUMN_INTEGER;
        return true;
    case PROTOBUF_C_TYPE_DOUBLE:
        *ret_kind = TBK_COLUMN_REAL;
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *ret_kind = TBK_COLUMN_BOOLEAN;
        return true;
    case PROTOBUF_C_TYPE_STRING:
        *ret_kind = TBK_COLUMN_TEXT;
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        *ret_kind = TBK_COLUMN_ENUM;
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        *ret_kind = TBK_COLUMN_TIMESTAMP;
        return strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->name,
                      "google.protobuf.Timestamp") == 0;
    default:
        return false;
    }
}

/* Scalars carry a has_ flag, text and timestamps are pointers. */
static bool has_flag(enum tbk_column_kind kind)
{
    return kind != TBK_COLUMN_TEXT && kind != TBK_COLUMN_TIMESTAMP;
}

static bool field_present(const ProtobufCFieldDescriptor *field, enum tbk_column_kind kind,
                          const ProtobufCMessage *message)
{
    if (has_flag(kind)) {
        return *(const protobuf_c_boolean *)const_member(message, field->quantifier_offset) != 0;
    }
    return *(const void *const *)const_member(message, field->offset) != NULL;
}

bool tbk_column_present(const struct tbk_column *column, const ProtobufCMessage *message)
{
    return field_present(column->field, column->kind, message);
}

struct tbk_value tbk_column_get(const struct tbk_column *column, const ProtobufCMessage *message)
{
    return tbk_field_get(column->field, column->kind, message);
}

struct tbk_value tbk_field_get(const ProtobufCFieldDescriptor *descriptor, enum tbk_column_kind kind,
                               const ProtobufCMessage *message)
{
    struct tbk_value value = {.type = TBK_VALUE_NULL};
    if (!field_present(descriptor, kind, message)) {
        return value;
    }
    const void *field = const_member(message, descriptor->offset);
    switch (kind) {
    case TBK_COLUMN_INTEGER:
        value.type = TBK_VALUE_INTEGER;
        value.integer = *(const int64_t *)field;
        break;
    case TBK_COLUMN_BOOLEAN:
        value.type = TBK_VALUE_INTEGER;
        value.integer = *(const protobuf_c_boolean *)field != 0;
        break;
    case TBK_COLUMN_ENUM:
        value.type = TBK_VALUE_INTEGER;
        value.integer = *(const int *)field;
        break;
    case TBK_COLUMN_REAL:
        value.type = TBK_VALUE_REAL;
        value.real = *(const double *)field;
        break;
    case TBK_COLUMN_TEXT:
        value.type = TBK_VALUE_TEXT;
        value.text.data = *(char *const *)field;
        value.text.length = strlen(value.text.data);
        break;
    case TBK_COLUMN_TIMESTAMP: {
        const Google__Protobuf__Timestamp *timestamp = *(Google__Protobuf__Timestamp *const *)field;
        if (tbk_timestamp_from_proto(timestamp->seconds, timestamp->nanos, &value.timestamp_us)) {
            value.type = TBK_VALUE_TIMESTAMP;
        }
        break;
    }
    }
    return value;
}

static bool set_pointer(const struct tbk_column *column, void *field, struct tbk_value value,
                        struct tbk_arena *arena)
{
    if (column->kind == TBK_COLUMN_TEXT) {
        char *copy = tbk_arena_strndup(arena, value.text.data, value.text.length);
        *(char **)field = copy;
        return copy != NULL;
    }
    Google__Protobuf__Timestamp *timestamp = tbk_timestamp_create(value.timestamp_us, arena);
    *(Google__Protobuf__Timestamp **)field = timestamp;
    return timestamp != NULL;
}

bool tbk_column_set(const struct tbk_column *column, ProtobufCMessage *message, struct tbk_value value,
                    struct tbk_arena *arena)
{
    void *field = member(message, column->field->offset);
    const bool present = value.type != TBK_VALUE_NULL;
    if (!has_flag(column->kind)) {
        if (present) {
            return set_pointer(column, field, value, arena);
        }
        *(void **)field = NULL;
        return true;
    }
    *(protobuf_c_boolean *)member(message, column->field->quantifier_offset) = present;
    if (!present) {
        return true;
    }
    switch (column->kind) {
    case TBK_COLUMN_INTEGER:
        *(int64_t *)field = value.integer;
        break;
    case TBK_COLUMN_BOOLEAN:
        *(protobuf_c_boolean *)field = value.integer != 0;
        break;
    case TBK_COLUMN_ENUM:
        *(int *)field = (int)value.integer;
        break;
    case TBK_COLUMN_REAL:
        *(double *)field = value.real;
        break;
    case TBK_COLUMN_TEXT:
    case TBK_COLUMN_TIMESTAMP:
        break;
    }
    return true;
}

void tbk_column_share(const struct tbk_column *column, ProtobufCMessage *to, const ProtobufCMessage *from)
{
    static const size_t sizes[] = {
        [TBK_COLUMN_INTEGER] = sizeof(int64_t),
        [TBK_COLUMN_REAL] = sizeof(double),
        [TBK_COLUMN_BOOLEAN] = sizeof(protobuf_c_boolean),
        [TBK_COLUMN_TEXT] = sizeof(char *),
        [TBK_COLUMN_TIMESTAMP] = sizeof(void *),
        [TBK_COLUMN_ENUM] = sizeof(int),
    };
    memcpy(member(to, column->field->offset), const_member(from, column->field->offset), sizes[column->kind]);
    if (has_flag(column->kind)) {
        memcpy(member(to, column->field->quantifier_offset), const_member(from, column->field->quantifier_offset),
               sizeof(protobuf_c_boolean));
    }
}

bool tbk_message_apply_defaults(const struct tbk_table *table, ProtobufCMessage *message, int64_t now_us,
                                struct tbk_arena *arena)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if (column->sql_default == NULL || tbk_column_present(column, message)) {
            continue;
        }
        const struct tbk_value now = {.type = TBK_VALUE_TIMESTAMP, .timestamp_us = now_us};
        if (!tbk_column_set(column, message, column->default_is_now ? now : column->default_value, arena)) {
            return false;
        }
    }
    return true;
}

/* Values are named <TYPE>_<VALUE>; the prefix is as long as that of value 0,
 * <TYPE>_UNSPECIFIED. */
static size_t enum_prefix_length(const ProtobufCEnumDescriptor *type)
{
    const ProtobufCEnumValue *zero = protobuf_c_enum_descriptor_get_value(type, 0);
    return strlen(zero->name) - strlen("UNSPECIFIED");
}

int tbk_column_enum_number(const struct tbk_column *column, const char *text, size_t length)
{
    const ProtobufCEnumDescriptor *type = column->field->descriptor;
    const size_t prefix = enum_prefix_length(type);
    for (unsigned i = 0; i < type->n_values; i++) {
        const ProtobufCEnumValue *value = &type->values[i];
        const size_t full = strlen(value->name);
        if (length == full - prefix && strncasecmp(value->name + prefix, text, length) == 0) {
            return value->value;
        }
        if (length == full && memcmp(value->name, text, length) == 0) {
            return value->value;
        }
    }
    return 0;
}

const char *tbk_column_enum_text(const struct tbk_column *column, int number)
{
    if (number <= 0 || number >= TBK_ENUM_VALUES_MAX) {
        return NULL;
    }
    const char *text = column->enum_texts[number];
    return text[0] == '\0' ? NULL : text;
}

void tbk_column_read_enum_texts(struct tbk_column *column)
{
    const ProtobufCEnumDescriptor *type = column->field->descriptor;
    const size_t prefix = enum_prefix_length(type);
    for (unsigned i = 0; i < type->n_values; i++) {
        const ProtobufCEnumValue *value = &type->values[i];
        if (value->value <= 0 || value->value >= TBK_ENUM_VALUES_MAX) {
            continue;
        }
        char *out = column->enum_texts[value->value];
        for (size_t c = 0; c < TBK_ENUM_TEXT_BYTES_MAX - 1 && value->name[prefix + c] != '\0'; c++) {
            out[c] = (char)tolower((unsigned char)value->name[prefix + c]);
        }
    }
}

ProtobufCMessage *tbk_message_create(const ProtobufCMessageDescriptor *descriptor, struct tbk_arena *arena)
{
    ProtobufCMessage *message = tbk_arena_alloc(arena, descriptor->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(descriptor, message);
    }
    return message;
}
