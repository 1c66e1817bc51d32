#include "json/json_read.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/base64.h"
#include "json/number.h"
#include "json/wellknown.h"

struct reader {
    const struct tbk_json_source *source;
    struct tbk_arena *arena;
    struct tbk_error *error;
    unsigned depth; /* of messages */
};

enum { QUOTED_CHARS_MAX = 40 };

static const char type_key[] = "@type";

static enum tbk_status fail(const struct reader *reader, const struct tbk_json_path *path, const char *reason)
{
    char text[TBK_JSON_PATH_BYTES_MAX];
    tbk_json_path_format(path, text);
    return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT, "%s: %s", text, reason);
}

static enum tbk_status out_of_memory(const struct reader *reader)
{
    return tbk_error_set(reader->error, TBK_RESOURCE_EXHAUSTED, "The request is too large.");
}

/* "expected a number, found a string ("high")". */
static enum tbk_status wrong_value(const struct reader *reader, const struct tbk_json_path *path,
                                   const char *expected, const json_t *found)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    char text[TBK_JSON_PATH_BYTES_MAX];
    tbk_json_path_format(path, text);
    const char *kind = kinds[json_typeof(found)];
    if (json_is_string(found))
        return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT, "%s: expected %s, found %s (\"%.*s\")", text,
                             expected, kind, QUOTED_CHARS_MAX, json_string_value(found));
    if (json_is_integer(found))
        return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT,
                             "%s: expected %s, found %s (%" JSON_INTEGER_FORMAT ")", text, expected, kind,
                             json_integer_value(found));
    if (json_is_real(found))
        return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT, "%s: expected %s, found %s (%.17g)", text,
                             expected, kind, json_real_value(found));
    return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT, "%s: expected %s, found %s", text, expected, kind);
}

static enum tbk_status read_signed(const struct reader *reader, const json_t *json, int64_t min, int64_t max,
                                   const struct tbk_json_path *path, int64_t *ret_value)
{
    if (tbk_json_int64(json, ret_value) && *ret_value >= min && *ret_value <= max)
        return TBK_OK;
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, min, max);
    return wrong_value(reader, path, expected, json);
}

static enum tbk_status read_unsigned(const struct reader *reader, const json_t *json, uint64_t max,
                                     const struct tbk_json_path *path, uint64_t *ret_value)
{
    if (tbk_json_uint64(json, ret_value) && *ret_value <= max)
        return TBK_OK;
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from 0 to %" PRIu64, max);
    return wrong_value(reader, path, expected, json);
}

static enum tbk_status read_double(const struct reader *reader, const json_t *json,
                                   const struct tbk_json_path *path, double *value)
{
    return tbk_json_double(json, value) ? TBK_OK : wrong_value(reader, path, "a number", json);
}

static enum tbk_status read_float(const struct reader *reader, const json_t *json,
                                  const struct tbk_json_path *path, float *value)
{
    double wide;
    if (!tbk_json_double(json, &wide))
        return wrong_value(reader, path, "a number", json);
    *value = (float)wide;
    if (isinf(*value) && !isinf(wide))
        return wrong_value(reader, path, "a number in the range of a 32-bit float", json);
    return TBK_OK;
}

static enum tbk_status read_bool(const struct reader *reader, const json_t *json, const struct tbk_json_path *path,
                                 protobuf_c_boolean *value)
{
    if (!json_is_boolean(json))
        return wrong_value(reader, path, "true or false", json);
    *value = json_is_true(json);
    return TBK_OK;
}

static enum tbk_status unknown_enum_name(const struct reader *reader, const ProtobufCEnumDescriptor *type,
                                         const char *given, const struct tbk_json_path *path)
{
    char where[TBK_JSON_PATH_BYTES_MAX];
    char names[256] = "";
    size_t length = 0;
    for (unsigned i = 0; i < type->n_values && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "",
                                   type->values[i].name);
    tbk_json_path_format(path, where);
    return tbk_error_set(reader->error, TBK_INVALID_ARGUMENT, "%s: there is no value \"%.*s\"; expected one of %s",
                         where, QUOTED_CHARS_MAX, given, names);
}

static enum tbk_status read_enum(const struct reader *reader, const ProtobufCEnumDescriptor *type,
                                 const json_t *json, const struct tbk_json_path *path, int *ret_value)
{
    if (json_is_string(json)) {
        const char *name = json_string_value(json);
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(type, name);
        if (value == NULL)
            return unknown_enum_name(reader, type, name, path);
        *ret_value = value->value;
        return TBK_OK;
    }
    if (!json_is_number(json))
        return wrong_value(reader, path, "the name of a value", json);
    int64_t number;
    enum tbk_status status = read_signed(reader, json, INT32_MIN, INT32_MAX, path, &number);
    if (status == TBK_OK)
        *ret_value = (int)number;
    return status;
}

static enum tbk_status read_string(const struct reader *reader, const json_t *json,
                                   const struct tbk_json_path *path, char **value)
{
    if (!json_is_string(json))
        return wrong_value(reader, path, "a string", json);
    size_t length = json_string_length(json);
    if (memchr(json_string_value(json), '\0', length) != NULL)
        return fail(reader, path, "holds the character \\u0000, which text cannot");
    *value = tbk_arena_strndup(reader->arena, json_string_value(json), length);
    return *value != NULL ? TBK_OK : out_of_memory(reader);
}

static enum tbk_status read_bytes(const struct reader *reader, const json_t *json,
                                  const struct tbk_json_path *path, ProtobufCBinaryData *value)
{
    if (!json_is_string(json))
        return wrong_value(reader, path, "base64", json);
    size_t length = json_string_length(json);
    value->data = tbk_arena_alloc(reader->arena, tbk_base64_decoded_max(length));
    if (value->data == NULL)
        return out_of_memory(reader);
    if (!tbk_base64_decode(json_string_value(json), length, value->data, &value->len))
        return wrong_value(reader, path, "base64", json);
    return TBK_OK;
}

static enum tbk_status read_timestamp(const struct reader *reader, const json_t *json,
                                      const struct tbk_json_path *path, Google__Protobuf__Timestamp *timestamp)
{
    if (json_is_string(json) && tbk_json_timestamp_parse(json_string_value(json), json_string_length(json),
                                                         &timestamp->seconds, &timestamp->nanos))
        return TBK_OK;
    return wrong_value(reader, path, "a time such as \"2024-05-01T12:00:00Z\"", json);
}

static enum tbk_status read_duration(const struct reader *reader, const json_t *json,
                                     const struct tbk_json_path *path, Google__Protobuf__Duration *duration)
{
    if (json_is_string(json) && tbk_json_duration_parse(json_string_value(json), json_string_length(json),
                                                        &duration->seconds, &duration->nanos))
        return TBK_OK;
    return wrong_value(reader, path, "a duration such as \"1.5s\"", json);
}

static size_t count_paths(const char *text)
{
    size_t count = text[0] != '\0' ? 1 : 0;
    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static enum tbk_status read_field_mask(const struct reader *reader, const json_t *json,
                                       const struct tbk_json_path *path, Google__Protobuf__FieldMask *mask)
{
    static const char expected[] = "names of fields such as \"entryPrice,notes\"";
    if (!json_is_string(json))
        return wrong_value(reader, path, expected, json);
    const char *text = json_string_value(json);
    size_t count = count_paths(text);
    mask->paths = tbk_arena_alloc(reader->arena, count * sizeof *mask->paths);
    if (mask->paths == NULL)
        return out_of_memory(reader);
    for (; mask->n_paths < count; mask->n_paths++) {
        size_t length = strcspn(text, ",");
        char *converted = tbk_arena_alloc(reader->arena, 2 * length + 1);
        if (converted == NULL)
            return out_of_memory(reader);
        if (!tbk_json_mask_parse(text, length, converted))
            return wrong_value(reader, path, expected, json);
        mask->paths[mask->n_paths] = converted;
        text += length + 1;
    }
    return TBK_OK;
}

static enum tbk_status read_message(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                                    json_t *json, const struct tbk_json_path *path, ProtobufCMessage **ret);

/* Reads one value of a field into its place in the struct. */
static enum tbk_status read_value(struct reader *reader, const ProtobufCFieldDescriptor *field, json_t *json,
                                  const struct tbk_json_path *path, void *value)
{
    enum tbk_status status;
    int64_t number;
    uint64_t natural;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        status = read_signed(reader, json, INT32_MIN, INT32_MAX, path, &number);
        if (status == TBK_OK)
            *(int32_t *)value = (int32_t)number;
        return status;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        status = read_unsigned(reader, json, UINT32_MAX, path, &natural);
        if (status == TBK_OK)
            *(uint32_t *)value = (uint32_t)natural;
        return status;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(reader, json, INT64_MIN, INT64_MAX, path, value);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned(reader, json, UINT64_MAX, path, value);
    case PROTOBUF_C_TYPE_FLOAT:
        return read_float(reader, json, path, value);
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(reader, json, path, value);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(reader, json, path, value);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, field->descriptor, json, path, value);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(reader, json, path, value);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, json, path, value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(reader, field->descriptor, json, path, value);
    }
    return fail(reader, path, "has a type that JSON input does not know");
}

static enum tbk_status read_repeated(struct reader *reader, const ProtobufCFieldDescriptor *field,
                                     const json_t *json, const struct tbk_json_path *path,
                                     ProtobufCMessage *message)
{
    if (!json_is_array(json))
        return wrong_value(reader, path, "an array", json);
    size_t count = json_array_size(json);
    size_t size = tbk_field_size(field);
    char *values = tbk_arena_zalloc(reader->arena, count * size);
    if (values == NULL)
        return out_of_memory(reader);
    for (size_t i = 0; i < count; i++) {
        const struct tbk_json_path element = {.parent = path, .index = i};
        enum tbk_status status = read_value(reader, field, json_array_get(json, i), &element, values + i * size);
        if (status != TBK_OK)
            return status;
    }
    *(size_t *)((char *)message + field->quantifier_offset) = count;
    *(char **)((char *)message + field->offset) = values;
    return TBK_OK;
}

/* Marks a field that is not repeated as present. */
static enum tbk_status set_present(const struct reader *reader, const ProtobufCFieldDescriptor *field,
                                   const struct tbk_json_path *path, ProtobufCMessage *message)
{
    void *quantifier = (char *)message + field->quantifier_offset;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        if (*(uint32_t *)quantifier != 0)
            return fail(reader, path, "excludes another field that is given as well");
        *(uint32_t *)quantifier = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
               field->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)quantifier = 1;
    }
    return TBK_OK;
}

static enum tbk_status read_field(struct reader *reader, const ProtobufCFieldDescriptor *field, json_t *json,
                                  const struct tbk_json_path *path, ProtobufCMessage *message)
{
    if (json_is_null(json))
        return TBK_OK;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(reader, field, json, path, message);
    enum tbk_status status = set_present(reader, field, path, message);
    if (status != TBK_OK)
        return status;
    return read_value(reader, field, json, path, (char *)message + field->offset);
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    char camel[TBK_JSON_NAME_BYTES_MAX];
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        tbk_json_name(field->name, camel);
        if (strcmp(camel, name) == 0 || strcmp(field->name, name) == 0)
            return field;
    }
    return NULL;
}

/* Reads the members of an object into message, all but the one named skip. */
static enum tbk_status read_members(struct reader *reader, json_t *json, const char *skip,
                                    const struct tbk_json_path *path, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    bool *seen = tbk_arena_zalloc(reader->arena, descriptor->n_fields);
    if (seen == NULL)
        return out_of_memory(reader);
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        if (skip != NULL && strcmp(name, skip) == 0)
            continue;
        const struct tbk_json_path member = {.parent = path, .name = name};
        const ProtobufCFieldDescriptor *field = find_field(descriptor, name);
        if (field == NULL) {
            char reason[128];
            snprintf(reason, sizeof reason, "%s has no such field", descriptor->short_name);
            return fail(reader, &member, reason);
        }
        if (seen[field - descriptor->fields])
            return fail(reader, &member, "is given twice, under both of its names");
        seen[field - descriptor->fields] = true;
        enum tbk_status status = read_field(reader, field, value, &member, message);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static enum tbk_status pack(const struct reader *reader, const ProtobufCMessage *message,
                            ProtobufCBinaryData *bytes)
{
    bytes->len = protobuf_c_message_get_packed_size(message);
    bytes->data = tbk_arena_alloc(reader->arena, bytes->len);
    if (bytes->data == NULL)
        return out_of_memory(reader);
    protobuf_c_message_pack(message, bytes->data);
    return TBK_OK;
}

static ProtobufCMessage *create_message(const struct reader *reader, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = tbk_arena_alloc(reader->arena, descriptor->sizeof_message);
    if (message != NULL)
        protobuf_c_message_init(descriptor, message);
    return message;
}

/* An Any whose type is known: "value" when the type has a form of its own,
 * otherwise the members next to "@type". */
static enum tbk_status read_known_any(struct reader *reader, const ProtobufCMessageDescriptor *type, json_t *json,
                                      const struct tbk_json_path *path, ProtobufCBinaryData *ret_bytes)
{
    ProtobufCMessage *inner;
    enum tbk_status status;
    if (tbk_json_form(type) == TBK_JSON_FIELDS) {
        inner = create_message(reader, type);
        status = inner != NULL ? read_members(reader, json, type_key, path, inner) : out_of_memory(reader);
    } else {
        const struct tbk_json_path member = {.parent = path, .name = "value"};
        json_t *value = json_object_get(json, member.name);
        if (value == NULL || json_object_size(json) != 2)
            return fail(reader, path, "expected exactly \"@type\" and \"value\"");
        status = read_message(reader, type, value, &member, &inner);
    }
    return status == TBK_OK ? pack(reader, inner, ret_bytes) : status;
}

static enum tbk_status read_unknown_any(const struct reader *reader, const json_t *json,
                                        const struct tbk_json_path *path, ProtobufCBinaryData *ret_bytes)
{
    const struct tbk_json_path member = {.parent = path, .name = "value"};
    const json_t *value = json_object_get(json, member.name);
    if (value == NULL || json_object_size(json) != 2)
        return fail(reader, path, "the type is not known here; give its serialised bytes as base64 in \"value\"");
    return read_bytes(reader, value, &member, ret_bytes);
}

static enum tbk_status read_any(struct reader *reader, json_t *json, const struct tbk_json_path *path,
                                Google__Protobuf__Any *any)
{
    if (!json_is_object(json))
        return wrong_value(reader, path, "an object", json);
    if (json_object_size(json) == 0)
        return TBK_OK;
    const struct tbk_json_path member = {.parent = path, .name = type_key};
    const json_t *type_url = json_object_get(json, type_key);
    if (type_url == NULL)
        return fail(reader, path, "the member \"@type\" is missing");
    enum tbk_status status = read_string(reader, type_url, &member, &any->type_url);
    if (status != TBK_OK)
        return status;
    const char *slash = strrchr(any->type_url, '/');
    if (slash == NULL || slash[1] == '\0')
        return wrong_value(reader, &member, "a type such as \"type.googleapis.com/tradebook.v1.Signal\"",
                           type_url);
    const ProtobufCMessageDescriptor *type = NULL;
    if (reader->source->find_type != NULL)
        type = reader->source->find_type(reader->source->find_type_argument, slash + 1);
    return type != NULL ? read_known_any(reader, type, json, path, &any->value)
                        : read_unknown_any(reader, json, path, &any->value);
}

static enum tbk_status read_form(struct reader *reader, json_t *json, const struct tbk_json_path *path,
                                 ProtobufCMessage *message)
{
    switch (tbk_json_form(message->descriptor)) {
    case TBK_JSON_TIMESTAMP:
        return read_timestamp(reader, json, path, (Google__Protobuf__Timestamp *)message);
    case TBK_JSON_DURATION:
        return read_duration(reader, json, path, (Google__Protobuf__Duration *)message);
    case TBK_JSON_FIELD_MASK:
        return read_field_mask(reader, json, path, (Google__Protobuf__FieldMask *)message);
    case TBK_JSON_ANY:
        return read_any(reader, json, path, (Google__Protobuf__Any *)message);
    case TBK_JSON_FIELDS:
        break;
    }
    if (!json_is_object(json))
        return wrong_value(reader, path, "an object", json);
    return read_members(reader, json, NULL, path, message);
}

static enum tbk_status read_message(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                                    json_t *json, const struct tbk_json_path *path, ProtobufCMessage **ret)
{
    if (reader->depth == TBK_JSON_DEPTH_MAX)
        return fail(reader, path, "messages are nested too deep");
    ProtobufCMessage *message = create_message(reader, descriptor);
    if (message == NULL)
        return out_of_memory(reader);
    reader->depth++;
    enum tbk_status status = read_form(reader, json, path, message);
    reader->depth--;
    if (status == TBK_OK)
        *ret = message;
    return status;
}

enum tbk_status tbk_json_read(const struct tbk_json_source *source, const ProtobufCMessageDescriptor *descriptor,
                              struct tbk_arena *arena, ProtobufCMessage **ret_message, struct tbk_error *error)
{
    json_error_t parse_error;
    json_t *json = json_loadb(source->text, source->length,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &parse_error);
    if (json == NULL)
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "line %d, column %d: %s", parse_error.line,
                             parse_error.column, parse_error.text);
    struct reader reader = {.source = source, .arena = arena, .error = error};
    enum tbk_status status = read_message(&reader, descriptor, json, NULL, ret_message);
    json_decref(json);
    return status;
}
