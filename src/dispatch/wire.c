#include "dispatch/wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP_START = 3, GROUP_END = 4, FIXED32 = 5 };

enum {
    VARINT_BYTES_MAX = 10,
    /* Tags and lengths are 32 bits wide. */
    VARINT32_BYTES_MAX = 5,
    PATH_BYTES_MAX = 2 * TBK_VIOLATION_FIELD_BYTES_MAX,
};

static const char *const wire_type_names[] = {
    [VARINT] = "a varint",     [FIXED64] = "64 bits",        [LENGTH] = "length-delimited bytes",
    [GROUP_START] = "a group", [GROUP_END] = "end of group", [FIXED32] = "32 bits",
};

static const uint8_t field_wire_types[] = {
    [PROTOBUF_C_TYPE_INT32] = VARINT,    [PROTOBUF_C_TYPE_SINT32] = VARINT,   [PROTOBUF_C_TYPE_SFIXED32] = FIXED32,
    [PROTOBUF_C_TYPE_INT64] = VARINT,    [PROTOBUF_C_TYPE_SINT64] = VARINT,   [PROTOBUF_C_TYPE_SFIXED64] = FIXED64,
    [PROTOBUF_C_TYPE_UINT32] = VARINT,   [PROTOBUF_C_TYPE_FIXED32] = FIXED32, [PROTOBUF_C_TYPE_UINT64] = VARINT,
    [PROTOBUF_C_TYPE_FIXED64] = FIXED64, [PROTOBUF_C_TYPE_FLOAT] = FIXED32,   [PROTOBUF_C_TYPE_DOUBLE] = FIXED64,
    [PROTOBUF_C_TYPE_BOOL] = VARINT,     [PROTOBUF_C_TYPE_ENUM] = VARINT,     [PROTOBUF_C_TYPE_STRING] = LENGTH,
    [PROTOBUF_C_TYPE_BYTES] = LENGTH,    [PROTOBUF_C_TYPE_MESSAGE] = LENGTH,
};

struct walker {
    const uint8_t *begin;
    unsigned submessages;
    struct tbk_error *error;
};

/* A message being walked, and where in it the walk is. */
struct frame {
    const struct frame *parent;
    unsigned depth;
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *begin;
    const uint8_t *end;
    const uint8_t *tag;                    /* of the field being read */
    const ProtobufCFieldDescriptor *field; /* being read; NULL when unknown */
    size_t packed_index;                   /* within a packed field being read */
};

static const uint8_t *read_long_varint(const uint8_t *at, const uint8_t *end, unsigned bytes_max,
                                       uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max && at < end; i++) {
        const uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* Returns the byte behind the varint, or NULL when it does not end before end or
 * within bytes_max. Most tags, lengths and numbers are one byte. */
static inline const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, unsigned bytes_max,
                                         uint64_t *ret_value)
{
    if (at < end && *at < 0x80) {
        *ret_value = *at;
        return at + 1;
    }
    return read_long_varint(at, end, bytes_max, ret_value);
}

static bool is_packable(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && field_wire_types[field->type] != LENGTH;
}

/* Elements in the packed content of a repeated field. */
static size_t packed_count(const ProtobufCFieldDescriptor *field, const uint8_t *at, const uint8_t *end)
{
    const uint8_t wire_type = field_wire_types[field->type];
    if (wire_type != VARINT) {
        return (size_t)(end - at) / (wire_type == FIXED64 ? 8 : 4);
    }
    size_t count = 0;
    for (; at < end; at++) {
        count += *at < 0x80;
    }
    return count;
}

/* Index of the element being read among all of its repeated field. Counts from
 * the start of the message, which only a message with a violation has to pay
 * for; everything up to the present field is known to be well-formed. */
static size_t element_index(const struct frame *frame)
{
    size_t index = frame->packed_index;
    for (const uint8_t *at = frame->begin; at < frame->tag;) {
        uint64_t tag = 0;
        uint64_t value = 0;
        at = read_varint(at, frame->end, VARINT32_BYTES_MAX, &tag);
        const bool same = tag >> 3 == frame->field->id;
        switch (tag & 7) {
        case VARINT:
            at = read_varint(at, frame->end, VARINT_BYTES_MAX, &value);
            index += same;
            break;
        case FIXED64:
            at += 8;
            index += same;
            break;
        case FIXED32:
            at += 4;
            index += same;
            break;
        default:
            at = read_varint(at, frame->end, VARINT32_BYTES_MAX, &value);
            at += value;
            if (same) {
                index += is_packable(frame->field) ? packed_count(frame->field, at - value, at) : 1;
            }
            break;
        }
    }
    return index;
}

/* Writes "signals[3].tier", starting with the outermost message; returns its length. */
static size_t write_path(const struct frame *frame, char out[PATH_BYTES_MAX])
{
    size_t length = frame->parent != NULL ? write_path(frame->parent, out) : 0;
    if (frame->field == NULL) {
        return length;
    }
    char step[PATH_BYTES_MAX];
    int step_length = snprintf(step, sizeof step, "%s%s", length > 0 ? "." : "", frame->field->name);
    if (frame->field->label == PROTOBUF_C_LABEL_REPEATED) {
        step_length = snprintf(step, sizeof step, "%s%s[%zu]", length > 0 ? "." : "", frame->field->name,
                               element_index(frame));
    }
    if ((size_t)step_length < PATH_BYTES_MAX - length) {
        memcpy(out + length, step, (size_t)step_length + 1);
        length += (size_t)step_length;
    }
    return length;
}

static void violation(struct walker *walker, const struct frame *frame, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Violations that are not kept cost no path, so that a hostile message is cheap. */
static void violation(struct walker *walker, const struct frame *frame, const char *format, ...)
{
    char path[PATH_BYTES_MAX] = "";
    char text[TBK_VIOLATION_TEXT_BYTES_MAX] = "";
    if (tbk_error_violations_kept(walker->error) < TBK_VIOLATIONS_MAX) {
        write_path(frame, path);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
    }
    tbk_error_violation(walker->error, path, "%s", text);
}

/* Ends the walk. */
static bool malformed(struct walker *walker, const struct frame *frame, const uint8_t *at, const char *what)
{
    violation(walker, frame, "malformed message: %s at byte %zu", what, (size_t)(at - walker->begin));
    return false;
}

/* Says why read_varint failed. */
static bool malformed_varint(struct walker *walker, const struct frame *frame, const uint8_t *at,
                             unsigned bytes_max)
{
    const bool truncated = frame->end - at < (ptrdiff_t)bytes_max;
    return malformed(walker, frame, at,
                     truncated ? "the end in the middle of a varint" : "a varint with too many bytes");
}

static void check_enum(struct walker *walker, const struct frame *frame, uint64_t value)
{
    const ProtobufCEnumDescriptor *type = frame->field->descriptor;
    const int64_t number = (int64_t)value;
    if (number == 0) {
        return;
    }
    if (number < INT32_MIN || number > INT32_MAX ||
        protobuf_c_enum_descriptor_get_value(type, (int)number) == NULL) {
        violation(walker, frame, "%lld is not a value of %s", (long long)number, type->short_name);
    }
}

static void check_string(struct walker *walker, const struct frame *frame, const uint8_t *data, size_t length)
{
    if (memchr(data, '\0', length) != NULL) {
        violation(walker, frame, "contains a NUL character");
    }
    if (!tbk_utf8_valid((const char *)data, length)) {
        violation(walker, frame, "is not valid UTF-8");
    }
}

static bool check_packed(struct walker *walker, struct frame *frame, const uint8_t *at, const uint8_t *end)
{
    const ProtobufCFieldDescriptor *field = frame->field;
    const uint8_t wire_type = field_wire_types[field->type];
    if (wire_type != VARINT) {
        return (end - at) % (wire_type == FIXED64 ? 8 : 4) == 0 ||
               malformed(walker, frame, end, "the end in the middle of a packed number");
    }
    while (at < end) {
        uint64_t value;
        const uint8_t *next = read_varint(at, end, VARINT_BYTES_MAX, &value);
        if (next == NULL) {
            return malformed(walker, frame, at, "an incomplete packed varint");
        }
        if (field->type == PROTOBUF_C_TYPE_ENUM) {
            check_enum(walker, frame, value);
        }
        frame->packed_index++;
        at = next;
    }
    frame->packed_index = 0;
    return true;
}

static bool walk_message(struct walker *walker, struct frame *frame);

static bool check_submessage(struct walker *walker, const struct frame *frame, const uint8_t *at,
                             const uint8_t *end)
{
    if (++walker->submessages > TBK_WIRE_SUBMESSAGES_MAX) {
        violation(walker, frame, "more than %d messages inside the request; send fewer at once",
                  TBK_WIRE_SUBMESSAGES_MAX);
        return false;
    }
    if (frame->depth == TBK_WIRE_DEPTH_MAX) {
        violation(walker, frame, "more than %d messages inside each other", TBK_WIRE_DEPTH_MAX);
        return false;
    }
    struct frame inner = {
        .parent = frame,
        .depth = frame->depth + 1,
        .descriptor = frame->field->descriptor,
        .begin = at,
        .end = end,
    };
    return walk_message(walker, &inner);
}

/* The content of a length-delimited field that may be one. */
static bool check_content(struct walker *walker, struct frame *frame, const uint8_t *at, const uint8_t *end)
{
    switch (frame->field->type) {
    case PROTOBUF_C_TYPE_STRING:
        check_string(walker, frame, at, (size_t)(end - at));
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        return check_submessage(walker, frame, at, end);
    default:
        return check_packed(walker, frame, at, end);
    }
}

/* Whether the field is known and has the wire type that its type asks for. */
static bool fits(struct walker *walker, const struct frame *frame, unsigned wire_type)
{
    if (frame->field == NULL) {
        return false;
    }
    const uint8_t expected = field_wire_types[frame->field->type];
    if (wire_type == expected || (wire_type == LENGTH && is_packable(frame->field))) {
        return true;
    }
    violation(walker, frame, "has the wrong wire type: expected %s, found %s", wire_type_names[expected],
              wire_type_names[wire_type]);
    return false;
}

/* Walks over the value at *at, which the tag says is of wire_type. */
static bool walk_value(struct walker *walker, struct frame *frame, unsigned wire_type, const uint8_t **at)
{
    uint64_t value;
    const uint8_t *next;
    switch (wire_type) {
    case VARINT:
        next = read_varint(*at, frame->end, VARINT_BYTES_MAX, &value);
        if (next == NULL) {
            return malformed_varint(walker, frame, *at, VARINT_BYTES_MAX);
        }
        *at = next;
        if (fits(walker, frame, wire_type) && frame->field->type == PROTOBUF_C_TYPE_ENUM) {
            check_enum(walker, frame, value);
        }
        return true;
    case FIXED64:
    case FIXED32:
        value = wire_type == FIXED64 ? 8 : 4;
        if ((size_t)(frame->end - *at) < value) {
            return malformed(walker, frame, *at, "the end in the middle of a number");
        }
        *at += value;
        fits(walker, frame, wire_type);
        return true;
    case LENGTH:
        next = read_varint(*at, frame->end, VARINT32_BYTES_MAX, &value);
        if (next == NULL) {
            return malformed_varint(walker, frame, *at, VARINT32_BYTES_MAX);
        }
        if (value > (size_t)(frame->end - next)) {
            return malformed(walker, frame, *at, "a length beyond the end of the message");
        }
        *at = next + value;
        return !fits(walker, frame, wire_type) || check_content(walker, frame, next, next + value);
    case GROUP_START:
    case GROUP_END:
        return malformed(walker, frame, frame->tag, "a group, which is not supported");
    default:
        return malformed(walker, frame, frame->tag, "an unknown wire type");
    }
}

/* Fields mostly come in the order of their numbers: *position is where the one
 * before was found. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor, uint64_t number,
                                                  unsigned *position)
{
    const ProtobufCFieldDescriptor *fields = descriptor->fields;
    unsigned i = *position;
    if (i < descriptor->n_fields && fields[i].id < number) {
        i++;
    }
    if (i < descriptor->n_fields && fields[i].id == number) {
        *position = i;
        return &fields[i];
    }
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)number);
    if (field != NULL) {
        *position = (unsigned)(field - fields);
    }
    return field;
}

static bool walk_message(struct walker *walker, struct frame *frame)
{
    unsigned position = 0;
    const uint8_t *at = frame->begin;
    while (at < frame->end) {
        uint64_t tag;
        frame->tag = at;
        frame->field = NULL;
        at = read_varint(at, frame->end, VARINT32_BYTES_MAX, &tag);
        if (at == NULL) {
            return malformed_varint(walker, frame, frame->tag, VARINT32_BYTES_MAX);
        }
        if (tag > UINT32_MAX || tag >> 3 == 0) {
            return malformed(walker, frame, frame->tag, "an impossible field number");
        }
        frame->field = find_field(frame->descriptor, tag >> 3, &position);
        if (!walk_value(walker, frame, (unsigned)(tag & 7), &at)) {
            return false;
        }
    }
    return true;
}

enum tbk_status tbk_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
                               struct tbk_error *error)
{
    if (length == 0) {
        return TBK_OK; /* data may be NULL */
    }
    struct walker walker = {.begin = data, .error = error};
    struct frame frame = {.descriptor = descriptor, .begin = data, .end = data + length};
    const size_t violations = error->violation_count;
    walk_message(&walker, &frame);
    return error->violation_count > violations ? TBK_INVALID_ARGUMENT : TBK_OK;
}
