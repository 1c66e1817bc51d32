#include "cli/flat.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "cli/cell.h"
#include "cli/field_path.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/types.h"

enum { NAME_BYTES_MAX = 256 };

static bool has_inner_columns(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE && tbk_json_form(field->descriptor) == TBK_JSON_FIELDS;
}

static void append_comma(struct tbk_dynbuf *out, size_t line_start)
{
    if (out->length > line_start)
        tbk_dynbuf_putc(out, ',');
}

static void append_names(const ProtobufCMessageDescriptor *descriptor, const char *prefix, size_t line_start,
                         struct tbk_dynbuf *out)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        char name[NAME_BYTES_MAX];
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        if (prefix[0] == '\0')
            snprintf(name, sizeof name, "%s", field->name);
        else if (strcmp(field->name, "value") == 0 || strcmp(field->name, "performance") == 0)
            snprintf(name, sizeof name, "%s", prefix);
        else
            snprintf(name, sizeof name, "%s_%s", prefix, field->name);
        if (has_inner_columns(field)) {
            append_names(field->descriptor, strcmp(name, "performance") == 0 ? "" : name, line_start, out);
            continue;
        }
        append_comma(out, line_start);
        tbk_dynbuf_puts(out, name);
    }
}

void tbk_flat_header(const ProtobufCMessageDescriptor *descriptor, struct tbk_dynbuf *out)
{
    append_names(descriptor, "", out->length, out);
    tbk_dynbuf_puts(out, "\r\n");
}

static void append_time(const Google__Protobuf__Timestamp *time, struct tbk_dynbuf *out)
{
    int64_t us;
    if (tbk_timestamp_from_proto(time->seconds, time->nanos, &us))
        tbk_cell_timestamp(us, TBK_TIMESTAMP_CHARS, out);
}

static void append_value(const ProtobufCFieldDescriptor *field, const void *value, struct tbk_dynbuf *out)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        tbk_cell_csv_text(*(const char *const *)value, strlen(*(const char *const *)value), out);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        tbk_cell_double(*(const double *)value, out);
        return;
    case PROTOBUF_C_TYPE_INT64:
        tbk_dynbuf_printf(out, "%" PRId64, *(const int64_t *)value);
        return;
    case PROTOBUF_C_TYPE_INT32:
        tbk_dynbuf_printf(out, "%" PRId32, *(const int32_t *)value);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        tbk_dynbuf_putc(out, *(const protobuf_c_boolean *)value ? '1' : '0');
        return;
    case PROTOBUF_C_TYPE_ENUM:
        tbk_enum_text(field->descriptor, *(const int *)value, out);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        append_time(*(const Google__Protobuf__Timestamp *const *)value, out);
        return;
    default:
        return;
    }
}

/* first: whether no value stands on the line yet. */
static void append_values(const ProtobufCMessageDescriptor *descriptor, const ProtobufCMessage *message,
                          bool *first, struct tbk_dynbuf *out)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        bool present = message != NULL && tbk_field_present(field, message);
        const void *value = present ? (const char *)message + field->offset : NULL;
        if (has_inner_columns(field)) {
            append_values(field->descriptor, present ? *(const ProtobufCMessage *const *)value : NULL, first, out);
            continue;
        }
        if (!*first)
            tbk_dynbuf_putc(out, ',');
        *first = false;
        if (present)
            append_value(field, value, out);
    }
}

void tbk_flat_row(const ProtobufCMessageDescriptor *descriptor, const ProtobufCMessage *message,
                  struct tbk_dynbuf *out)
{
    bool first = true;
    append_values(descriptor, message, &first, out);
    tbk_dynbuf_puts(out, "\r\n");
}
