#include "json/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/base64.h"
#include "json/wellknown.h"

struct writer {
    const struct tbk_json_style *style;
    struct tbk_dynbuf *out;
    struct tbk_error *error;
    unsigned level; /* of indentation */
    unsigned depth; /* of messages */
};

static enum tbk_status fail(const struct writer *writer, const struct tbk_json_path *path, const char *reason)
{
    char text[TBK_JSON_PATH_BYTES_MAX];
    tbk_json_path_format(path, text);
    return tbk_error_set(writer->error, TBK_INVALID_ARGUMENT, "%s: %s", text, reason);
}

static void write_line_break(struct writer *writer)
{
    if (!writer->style->pretty)
        return;
    tbk_dynbuf_putc(writer->out, '\n');
    for (unsigned i = 0; i < writer->level; i++)
        tbk_dynbuf_puts(writer->out, "  ");
}

/* Objects and arrays: begin, item before each item, end. */
static void begin(struct writer *writer, char bracket)
{
    tbk_dynbuf_putc(writer->out, bracket);
    writer->level++;
}

static void item(struct writer *writer, bool *first)
{
    if (!*first)
        tbk_dynbuf_putc(writer->out, ',');
    *first = false;
    write_line_break(writer);
}

static void end(struct writer *writer, char bracket, bool empty)
{
    writer->level--;
    if (!empty)
        write_line_break(writer);
    tbk_dynbuf_putc(writer->out, bracket);
}

static void write_name(struct writer *writer, const char *name, bool *first)
{
    item(writer, first);
    tbk_json_write_string(name, strlen(name), writer->out);
    tbk_dynbuf_puts(writer->out, writer->style->pretty ? ": " : ":");
}

static void write_character(const char *text, size_t length, uint32_t code_point, struct tbk_dynbuf *out)
{
    switch (code_point) {
    case '"':
        tbk_dynbuf_puts(out, "\\\"");
        return;
    case '\\':
        tbk_dynbuf_puts(out, "\\\\");
        return;
    case '\n':
        tbk_dynbuf_puts(out, "\\n");
        return;
    case '\r':
        tbk_dynbuf_puts(out, "\\r");
        return;
    case '\t':
        tbk_dynbuf_puts(out, "\\t");
        return;
    default:
        break;
    }
    /* JSON asks for the first 32 only; a terminal obeys the others as well. */
    if (code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F))
        tbk_dynbuf_printf(out, "\\u%04" PRIx32, code_point);
    else
        tbk_dynbuf_append(out, text, length);
}

void tbk_json_write_string(const char *text, size_t length, struct tbk_dynbuf *out)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    tbk_dynbuf_putc(out, '"');
    for (size_t i = 0; i < length;) {
        uint32_t code_point;
        size_t step = tbk_utf8_decode(text + i, length - i, &code_point);
        if (step == 0) {
            tbk_dynbuf_puts(out, replacement);
            i++;
            continue;
        }
        write_character(text + i, step, code_point, out);
        i += step;
    }
    tbk_dynbuf_putc(out, '"');
}

static void write_double(double value, struct tbk_dynbuf *out)
{
    char text[TBK_DOUBLE_CHARS_MAX];
    if (isnan(value))
        tbk_dynbuf_puts(out, "\"NaN\"");
    else if (isinf(value))
        tbk_dynbuf_puts(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else if (value == 0 && signbit(value))
        tbk_dynbuf_puts(out, "-0.0"); /* many readers take -0 for an integer and lose the sign */
    else
        tbk_dynbuf_append(out, text, tbk_double_format(value, text));
}

/* The shortest text that reads back as the same float. */
static void write_float(float value, struct tbk_dynbuf *out)
{
    if (!isfinite(value) || value == 0) {
        write_double((double)value, out);
        return;
    }
    char text[TBK_DOUBLE_CHARS_MAX];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    tbk_dynbuf_puts(out, text);
}

static void write_enum(const ProtobufCEnumDescriptor *type, int number, struct tbk_dynbuf *out)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    if (value == NULL)
        tbk_dynbuf_printf(out, "%d", number);
    else
        tbk_dynbuf_printf(out, "\"%s\"", value->name);
}

static void write_bytes(const ProtobufCBinaryData *bytes, struct tbk_dynbuf *out)
{
    tbk_dynbuf_putc(out, '"');
    tbk_base64_encode(bytes->data, bytes->len, out);
    tbk_dynbuf_putc(out, '"');
}

static enum tbk_status write_message(struct writer *writer, const ProtobufCMessage *message,
                                     const struct tbk_json_path *path);

/* Writes one value of a field from its place in the struct. */
static enum tbk_status write_value(struct writer *writer, const ProtobufCFieldDescriptor *field, const void *value,
                                   const struct tbk_json_path *path)
{
    struct tbk_dynbuf *out = writer->out;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        tbk_dynbuf_printf(out, "%" PRId32, *(const int32_t *)value);
        return TBK_OK;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        tbk_dynbuf_printf(out, "%" PRIu32, *(const uint32_t *)value);
        return TBK_OK;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        tbk_dynbuf_printf(out, "\"%" PRId64 "\"", *(const int64_t *)value);
        return TBK_OK;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        tbk_dynbuf_printf(out, "\"%" PRIu64 "\"", *(const uint64_t *)value);
        return TBK_OK;
    case PROTOBUF_C_TYPE_FLOAT:
        write_float(*(const float *)value, out);
        return TBK_OK;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_double(*(const double *)value, out);
        return TBK_OK;
    case PROTOBUF_C_TYPE_BOOL:
        tbk_dynbuf_puts(out, *(const protobuf_c_boolean *)value ? "true" : "false");
        return TBK_OK;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(field->descriptor, *(const int *)value, out);
        return TBK_OK;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)value;
        tbk_json_write_string(text, strlen(text), out);
        return TBK_OK;
    }
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(value, out);
        return TBK_OK;
    case PROTOBUF_C_TYPE_MESSAGE:
        return write_message(writer, *(ProtobufCMessage *const *)value, path);
    }
    return fail(writer, path, "has a type that JSON output does not know");
}

static enum tbk_status write_repeated(struct writer *writer, const ProtobufCFieldDescriptor *field,
                                      const ProtobufCMessage *message, const struct tbk_json_path *path)
{
    size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
    const char *values = *(const char *const *)((const char *)message + field->offset);
    bool first = true;
    begin(writer, '[');
    for (size_t i = 0; i < count; i++) {
        const struct tbk_json_path element = {.parent = path, .index = i};
        item(writer, &first);
        enum tbk_status status = write_value(writer, field, values + i * tbk_field_size(field), &element);
        if (status != TBK_OK)
            return status;
    }
    end(writer, ']', first);
    return TBK_OK;
}

/* Writes "name": value when the field is present. */
static enum tbk_status write_field(struct writer *writer, const ProtobufCFieldDescriptor *field,
                                   const ProtobufCMessage *message, const struct tbk_json_path *parent,
                                   bool *first)
{
    if (!tbk_field_present(field, message))
        return TBK_OK;
    char name[TBK_JSON_NAME_BYTES_MAX];
    tbk_json_name(field->name, name);
    const struct tbk_json_path path = {.parent = parent, .name = name};
    write_name(writer, name, first);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return write_repeated(writer, field, message, &path);
    return write_value(writer, field, (const char *)message + field->offset, &path);
}

/* Writes all fields as members of the object that has been begun. */
static enum tbk_status write_members(struct writer *writer, const ProtobufCMessage *message,
                                     const struct tbk_json_path *path, bool *first)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        enum tbk_status status = write_field(writer, &message->descriptor->fields[i], message, path, first);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static enum tbk_status write_timestamp(struct writer *writer, const Google__Protobuf__Timestamp *timestamp,
                                       const struct tbk_json_path *path)
{
    char text[TBK_JSON_TIME_BYTES_MAX];
    if (!tbk_json_timestamp_format(timestamp->seconds, timestamp->nanos, text))
        return fail(writer, path, "the time is outside the years 0001 to 9999");
    tbk_dynbuf_printf(writer->out, "\"%s\"", text);
    return TBK_OK;
}

static enum tbk_status write_duration(struct writer *writer, const Google__Protobuf__Duration *duration,
                                      const struct tbk_json_path *path)
{
    char text[TBK_JSON_TIME_BYTES_MAX];
    if (!tbk_json_duration_format(duration->seconds, duration->nanos, text))
        return fail(writer, path, "the duration is out of range");
    tbk_dynbuf_printf(writer->out, "\"%s\"", text);
    return TBK_OK;
}

static enum tbk_status write_field_mask(struct writer *writer, const Google__Protobuf__FieldMask *mask,
                                        const struct tbk_json_path *path)
{
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, writer->out->length_max);
    bool converted = true;
    for (size_t i = 0; i < mask->n_paths && converted; i++) {
        size_t length = strlen(mask->paths[i]);
        char *camel = malloc(length + 1);
        converted = camel != NULL && tbk_json_mask_format(mask->paths[i], length, camel);
        if (converted)
            tbk_dynbuf_printf(&text, "%s%s", i > 0 ? "," : "", camel);
        free(camel);
    }
    if (converted)
        tbk_json_write_string(tbk_dynbuf_text(&text), text.length, writer->out);
    tbk_dynbuf_fini(&text);
    return converted ? TBK_OK : fail(writer, path, "a path of the mask is no name of a field");
}

static const ProtobufCMessageDescriptor *find_type(const struct writer *writer, const char *type_url)
{
    const char *slash = strrchr(type_url, '/');
    if (slash == NULL || writer->style->find_type == NULL)
        return NULL;
    return writer->style->find_type(writer->style->find_type_argument, slash + 1);
}

/* The value of a known Any: its fields next to "@type", or "value" for a type
 * with a form of its own. */
static enum tbk_status write_known_any(struct writer *writer, const ProtobufCMessage *inner,
                                       const struct tbk_json_path *path, bool *first)
{
    if (tbk_json_form(inner->descriptor) == TBK_JSON_FIELDS)
        return write_members(writer, inner, path, first);
    const struct tbk_json_path value = {.parent = path, .name = "value"};
    write_name(writer, value.name, first);
    return write_message(writer, inner, &value);
}

static enum tbk_status write_any(struct writer *writer, const Google__Protobuf__Any *any,
                                 const struct tbk_json_path *path)
{
    bool first = true;
    enum tbk_status status = TBK_OK;
    begin(writer, '{');
    if (any->type_url[0] != '\0' || any->value.len > 0) {
        write_name(writer, "@type", &first);
        tbk_json_write_string(any->type_url, strlen(any->type_url), writer->out);
        const ProtobufCMessageDescriptor *type = find_type(writer, any->type_url);
        ProtobufCMessage *inner = NULL;
        if (type != NULL)
            inner = protobuf_c_message_unpack(type, NULL, any->value.len, any->value.data);
        if (inner != NULL) {
            status = write_known_any(writer, inner, path, &first);
        } else {
            write_name(writer, "value", &first);
            write_bytes(&any->value, writer->out);
        }
        protobuf_c_message_free_unpacked(inner, NULL);
    }
    end(writer, '}', first);
    return status;
}

static enum tbk_status write_object(struct writer *writer, const ProtobufCMessage *message,
                                    const struct tbk_json_path *path)
{
    bool first = true;
    begin(writer, '{');
    enum tbk_status status = write_members(writer, message, path, &first);
    end(writer, '}', first);
    return status;
}

static enum tbk_status write_message(struct writer *writer, const ProtobufCMessage *message,
                                     const struct tbk_json_path *path)
{
    if (writer->depth == TBK_JSON_DEPTH_MAX)
        return fail(writer, path, "messages are nested too deep");
    writer->depth++;
    enum tbk_status status = TBK_OK;
    switch (tbk_json_form(message->descriptor)) {
    case TBK_JSON_FIELDS:
        status = write_object(writer, message, path);
        break;
    case TBK_JSON_TIMESTAMP:
        status = write_timestamp(writer, (const Google__Protobuf__Timestamp *)message, path);
        break;
    case TBK_JSON_DURATION:
        status = write_duration(writer, (const Google__Protobuf__Duration *)message, path);
        break;
    case TBK_JSON_FIELD_MASK:
        status = write_field_mask(writer, (const Google__Protobuf__FieldMask *)message, path);
        break;
    case TBK_JSON_ANY:
        status = write_any(writer, (const Google__Protobuf__Any *)message, path);
        break;
    }
    writer->depth--;
    return status;
}

static enum tbk_status finish(const struct writer *writer, enum tbk_status status)
{
    if (status == TBK_OK && tbk_dynbuf_failed(writer->out))
        return tbk_error_set(writer->error, TBK_RESOURCE_EXHAUSTED, "The JSON text is longer than %zu bytes.",
                             writer->out->length_max);
    return status;
}

enum tbk_status tbk_json_write(const ProtobufCMessage *message, const struct tbk_json_style *style,
                               struct tbk_dynbuf *out, struct tbk_error *error)
{
    struct writer writer = {.style = style, .out = out, .error = error};
    return finish(&writer, write_message(&writer, message, NULL));
}

enum tbk_status tbk_json_write_fields(const ProtobufCMessage *message,
                                      const ProtobufCFieldDescriptor *const *fields, size_t field_count,
                                      const struct tbk_json_style *style, struct tbk_dynbuf *out,
                                      struct tbk_error *error)
{
    struct writer writer = {.style = style, .out = out, .error = error};
    enum tbk_status status = TBK_OK;
    bool first = true;
    begin(&writer, '{');
    for (size_t i = 0; i < field_count && status == TBK_OK; i++)
        status = write_field(&writer, fields[i], message, NULL, &first);
    end(&writer, '}', first);
    return finish(&writer, status);
}
