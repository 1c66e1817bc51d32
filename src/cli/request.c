#include "cli/request.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "cli/field_path.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "json/wellknown.h"

enum { JSON_BYTES_MAX = 1024 * 1024, ENUM_NAME_BYTES_MAX = 96, ENUM_VALUES_BYTES_MAX = 1024 };

void tbk_request_init(struct tbk_request *request)
{
    tbk_dynbuf_init(&request->json, JSON_BYTES_MAX);
    tbk_dynbuf_putc(&request->json, '{');
}

void tbk_request_fini(struct tbk_request *request)
{
    tbk_dynbuf_fini(&request->json);
}

static void add_member(struct tbk_request *request, const char *name, const char *json)
{
    bool first = request->json.length == strlen("{");
    tbk_dynbuf_printf(&request->json, "%s\"%s\":", first ? "" : ",", name);
    tbk_dynbuf_puts(&request->json, json);
}

void tbk_request_bool(struct tbk_request *request, const char *name, bool value)
{
    add_member(request, name, value ? "true" : "false");
}

void tbk_request_text(struct tbk_request *request, const char *name, const char *text)
{
    add_member(request, name, "");
    tbk_json_write_string(text, strlen(text), &request->json);
}

void tbk_request_texts(struct tbk_request *request, const char *name, const char *const *texts, size_t count)
{
    add_member(request, name, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tbk_dynbuf_putc(&request->json, ',');
        tbk_json_write_string(texts[i], strlen(texts[i]), &request->json);
    }
    tbk_dynbuf_putc(&request->json, ']');
}

void tbk_request_time(struct tbk_request *request, const char *name, int64_t us)
{
    char text[TBK_JSON_TIME_BYTES_MAX];
    int64_t seconds;
    int32_t nanos;
    tbk_timestamp_to_proto(us, &seconds, &nanos);
    if (tbk_json_timestamp_format(seconds, nanos, text))
        tbk_request_text(request, name, text);
}

bool tbk_request_number(struct tbk_request *request, const char *name, const char *text)
{
    char *end;
    char shortest[TBK_DOUBLE_CHARS_MAX];
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    tbk_double_format(value, shortest);
    /* As a string, which JSON takes for a number whatever its form. */
    tbk_request_text(request, name, shortest);
    return true;
}

bool tbk_request_whole(struct tbk_request *request, const char *name, const char *text)
{
    char *end;
    errno = 0;
    strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    const char *digits = text + strspn(text, " +");
    tbk_request_text(request, name, digits);
    return true;
}

static const ProtobufCEnumValue *find_value(const ProtobufCEnumDescriptor *descriptor, const char *text)
{
    char name[ENUM_NAME_BYTES_MAX];
    size_t length = tbk_enum_prefix(descriptor);
    const ProtobufCEnumValue *none = protobuf_c_enum_descriptor_get_value(descriptor, 0);
    if (length + strlen(text) >= sizeof name)
        return NULL;
    memcpy(name, none->name, length);
    for (const char *c = text; *c != '\0'; c++)
        name[length++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    name[length] = '\0';
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);
    return value != none ? value : NULL;
}

bool tbk_request_enum(struct tbk_request *request, const char *name, const ProtobufCEnumDescriptor *descriptor,
                      const char *text)
{
    const ProtobufCEnumValue *value = find_value(descriptor, text);
    if (value == NULL)
        return false;
    tbk_request_text(request, name, value->name);
    return true;
}

void tbk_request_message(struct tbk_request *request, const char *name, struct tbk_request *inner)
{
    tbk_dynbuf_putc(&inner->json, '}');
    add_member(request, name, tbk_dynbuf_text(&inner->json));
    tbk_request_fini(inner);
}

/* The values of an enumeration in lower case: "a, b or c". */
static void append_values(const ProtobufCEnumDescriptor *descriptor, struct tbk_dynbuf *out)
{
    for (unsigned i = 1; i < descriptor->n_values; i++) {
        if (i > 1)
            tbk_dynbuf_puts(out, i + 1 < descriptor->n_values ? ", " : " or ");
        tbk_enum_text(descriptor, descriptor->values[i].value, out);
    }
}

static enum tbk_status refuse(const struct tbk_member *member, const char *text, const char *expected,
                              struct tbk_error *error)
{
    return tbk_error_set(error, TBK_INVALID_ARGUMENT, "%s: \"%s\" is not %s.", member->option, text, expected);
}

static enum tbk_status refuse_value(const struct tbk_member *member, const char *text, struct tbk_error *error)
{
    struct tbk_dynbuf known;
    tbk_dynbuf_init(&known, ENUM_VALUES_BYTES_MAX);
    append_values(member->values, &known);
    const enum tbk_status status = refuse(member, text, tbk_dynbuf_text(&known), error);
    tbk_dynbuf_fini(&known);
    return status;
}

static enum tbk_status add_enum_text(struct tbk_request *request, const struct tbk_member *member,
                                     const char *text, struct tbk_error *error)
{
    const ProtobufCEnumValue *value = find_value(member->values, text);
    if (value == NULL)
        return refuse_value(member, text, error);
    struct tbk_dynbuf on_disk;
    tbk_dynbuf_init(&on_disk, ENUM_NAME_BYTES_MAX);
    tbk_enum_text(member->values, value->value, &on_disk);
    tbk_request_text(request, member->name, tbk_dynbuf_text(&on_disk));
    tbk_dynbuf_fini(&on_disk);
    return TBK_OK;
}

static enum tbk_status add_time(struct tbk_request *request, const struct tbk_member *member, const char *text,
                                struct tbk_error *error)
{
    int64_t us;
    if (!tbk_timestamp_parse(text, strlen(text), &us))
        return refuse(member, text, "a time such as 2026-11-22 or \"2026-11-22 08:30:00\"", error);
    tbk_request_time(request, member->name, us);
    return TBK_OK;
}

enum tbk_status tbk_request_add(struct tbk_request *request, const struct tbk_member *member, const char *text,
                                struct tbk_error *error)
{
    /* JSON would replace other bytes in silence. */
    if (!tbk_utf8_valid(text, strlen(text)))
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "%s: the value is not UTF-8.", member->option);
    switch (member->kind) {
    case TBK_MEMBER_NONE:
        return TBK_OK;
    case TBK_MEMBER_TEXT:
        tbk_request_text(request, member->name, text);
        return TBK_OK;
    case TBK_MEMBER_NUMBER:
        return tbk_request_number(request, member->name, text) ? TBK_OK : refuse(member, text, "a number", error);
    case TBK_MEMBER_WHOLE:
        return tbk_request_whole(request, member->name, text) ? TBK_OK
                                                              : refuse(member, text, "a whole number", error);
    case TBK_MEMBER_TIME:
        return add_time(request, member, text, error);
    case TBK_MEMBER_ENUM:
        return tbk_request_enum(request, member->name, member->values, text) ? TBK_OK
                                                                             : refuse_value(member, text, error);
    case TBK_MEMBER_ENUM_TEXT:
        return add_enum_text(request, member, text, error);
    }
    return TBK_OK;
}

enum tbk_status tbk_request_read(struct tbk_request *request, const ProtobufCMessageDescriptor *descriptor,
                                 struct tbk_arena *arena, ProtobufCMessage **ret_message, struct tbk_error *error)
{
    tbk_dynbuf_putc(&request->json, '}');
    if (tbk_dynbuf_failed(&request->json))
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The options are too long.");
    const struct tbk_json_source source = {.text = tbk_dynbuf_text(&request->json),
                                           .length = request->json.length};
    return tbk_json_read(&source, descriptor, arena, ret_message, error);
}
