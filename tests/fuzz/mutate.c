#include "mutate.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "support.h"
#include "json/types.h"

enum { TEXT_BYTES_MAX = 256, ELEMENTS_MAX = 16, DEPTH_MAX = 6, ARENA_BYTES_MAX = 16 << 20 };

/* Texts that a field of this name, or any field, is tried with. */
static const struct hint {
    const char *field; /* NULL: any */
    const char *text;
} hints[] = {
    {"symbol", "BTC-USD"},
    {"symbol", "ETH-USD"},
    {"symbol", "a/b%\u00e4"},
    {"topic", "trade.closed/"},
    {"topic", "trade.closed/BTC-USD/"},
    {"version", "v1"},
    {"version", "v2"},
    {"version", "v3"},
    {"model_type", "lstm"},
    {"model_type", "rl"},
    {"strategy", "v7_full_math"},
    {"strategy", "v7_deepseek_only"},
    {"strategy_a", "v7_full_math"},
    {"strategy_b", "v7_deepseek_only"},
    {"theory_name", "random_forest"},
    {"theory_name", "fourier"},
    {"session", "london"},
    {"exit_reason", "tp_hit"},
    {"exit_reason", "sl_hit"},
    {"value", "v7_full_math"},
    {"name", "alerts"},
    {"name", "risk"},
    {"service", "tradebook.v1.SignalService"},
    {"snapshot_key", "1"},
    {"signal_key", "1"},
    {"metrics_json", "{\"accuracy\": 0.5}"},
    {"metrics_json", "[[1e999]]"},
    {"pattern_hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"pattern_hash", "ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"pattern_hashes", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"pattern_hashes", "ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"paths", "confidence"},
    {"paths", "notes"},
    {"paths", "entry_price"},
    {"paths", "win_rate"},
    {"paths", "id"},
    {"filter", "id > 1"},
    {"filter", "id != 2 AND (id < 9 OR id = 3)"},
    {"filter", "NOT (symbol = 'BTC-USD')"},
    {"filter", "tier = 'high' AND confidence >= 0.5"},
    {"filter", "created_at > '2026-01-01T00:00:00Z'"},
    {"filter", "entry_price = NULL"},
    {"order_by", "id desc"},
    {"order_by", "timestamp desc, symbol"},
    {"order_by", "created_at, confidence desc"},
    {"order_by", "outcome, pnl_usd"},
    {"key", "client-id"},
    {NULL, ""},
    {NULL, " "},
    {NULL, "x"},
    {NULL, "'; DROP TABLE signals; --"},
    {NULL, "line\nbreak"},
    {NULL, "\x7f"},
    {NULL, "\u202e\xc2\x85"},
    {NULL, "\xff\xfe"},
    {NULL, "\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600"},
};

enum { HINT_COUNT = sizeof hints / sizeof hints[0] };

static const double reals[] = {0,   -0.0, 0.5,  1,     -1,     0.65,   100,     105,      95,
                               110, 90,   2.5,  1e-12, 5e-324, 1e300,  1.7e308, -1.7e308, NAN,
                               1e9, 1.01, 0.01, 99.9,  1e15,   1e-300, 1e18,    INFINITY, -INFINITY};
static const int64_t integers[] = {0,
                                   1,
                                   2,
                                   3,
                                   4,
                                   5,
                                   6,
                                   7,
                                   8,
                                   10,
                                   64,
                                   100,
                                   1000,
                                   1001,
                                   -1,
                                   INT32_MAX,
                                   INT32_MIN,
                                   60000,
                                   3600,
                                   INT64_MAX,
                                   INT64_MIN,
                                   253402300799,
                                   253402300800,
                                   -62135596800,
                                   -62135596801,
                                   1767225600};

#define PICK(list) ((list)[fuzz_random_below(sizeof(list) / sizeof((list)[0]))])

static void fill_message(ProtobufCMessage *message, struct tbk_arena *arena, unsigned depth);

static int64_t random_integer(void)
{
    switch (fuzz_random_below(4)) {
    case 0:
        return PICK(integers);
    case 1:
        return (int64_t)fuzz_random();
    default:
        return (int64_t)fuzz_random_below(12);
    }
}

static double random_real(void)
{
    if (fuzz_random_below(8) == 0) {
        const uint64_t bits = fuzz_random();
        double real;
        memcpy(&real, &bits, sizeof real);
        return real;
    }
    return fuzz_random_below(2) == 0 ? PICK(reals) : (double)fuzz_random_below(20000) / 100;
}

static const char *pick_hint(const char *field)
{
    unsigned matching[HINT_COUNT];
    unsigned count = 0;
    const bool any = fuzz_random_below(6) == 0;
    for (unsigned i = 0; i < HINT_COUNT; i++) {
        if (hints[i].field == NULL ? any : strcmp(hints[i].field, field) == 0)
            matching[count++] = i;
    }
    return count > 0 ? hints[matching[fuzz_random_below(count)]].text : "text";
}

/* From a hint, or from the old text, changed by libFuzzer. */
static char *random_text(const char *field, const char *old, struct tbk_arena *arena)
{
    char *text = tbk_arena_zalloc(arena, TEXT_BYTES_MAX);
    if (text == NULL)
        return NULL;
    const char *from = old != NULL && fuzz_random_below(2) == 0 ? old : pick_hint(field);
    size_t length = strnlen(from, TEXT_BYTES_MAX - 1);
    memcpy(text, from, length);
    if (from == old || fuzz_random_below(8) == 0) {
        length = LLVMFuzzerMutate((uint8_t *)text, length, TEXT_BYTES_MAX - 1);
        text[length] = '\0';
    }
    return text;
}

static ProtobufCBinaryData random_bytes(struct tbk_arena *arena)
{
    const size_t length = fuzz_random_below(3) == 0 ? fuzz_random_below(40) : 16;
    uint8_t *data = tbk_arena_alloc(arena, length + 1);
    for (size_t i = 0; data != NULL && i < length; i++)
        data[i] = (uint8_t)(fuzz_random_below(4) == 0 ? fuzz_random() : 7);
    return (ProtobufCBinaryData){.len = data != NULL ? length : 0, .data = data};
}

/* Sets a single value of the field at value. False: memory is exhausted. */
static bool set_value(const ProtobufCFieldDescriptor *field, void *value, bool is_new, struct tbk_arena *arena,
                      unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)value = random_real();
        return true;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)value = (float)fuzz_random_below(1000);
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)value = (protobuf_c_boolean)fuzz_random_below(2);
        return true;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *type = field->descriptor;
        *(int *)value = fuzz_random_below(16) == 0 ? (int)fuzz_random()
                                                   : type->values[fuzz_random_below(type->n_values)].value;
        return true;
    }
    case PROTOBUF_C_TYPE_STRING:
        *(char **)value = random_text(field->name, is_new ? NULL : *(char **)value, arena);
        return *(char **)value != NULL;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)value = random_bytes(arena);
        return true;
    case PROTOBUF_C_TYPE_MESSAGE: {
        ProtobufCMessage *message =
            tbk_arena_zalloc(arena, ((const ProtobufCMessageDescriptor *)field->descriptor)->sizeof_message);
        if (message == NULL)
            return false;
        protobuf_c_message_init(field->descriptor, message);
        fill_message(message, arena, depth + 1);
        *(ProtobufCMessage **)value = message;
        return true;
    }
    default: {
        const int64_t number = random_integer();
        memcpy(value, &number, tbk_field_size(field));
        return true;
    }
    }
}

static void *value_of(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    return (char *)message + field->offset;
}

static void *quantifier_of(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    return (char *)message + field->quantifier_offset;
}

/* A pointer that is not NULL is present, and proto3's fields always are. */
static bool has_quantifier(const ProtobufCFieldDescriptor *field)
{
    return field->label != PROTOBUF_C_LABEL_NONE && field->type != PROTOBUF_C_TYPE_STRING &&
           field->type != PROTOBUF_C_TYPE_MESSAGE;
}

/* Makes the value what it is in a message where it was never set. */
static void reset_value(const ProtobufCFieldDescriptor *field, void *value)
{
    memset(value, 0, tbk_field_size(field));
    if (field->label == PROTOBUF_C_LABEL_NONE && field->type == PROTOBUF_C_TYPE_STRING)
        *(const char **)value = protobuf_c_empty_string;
}

/* Adds an element at the end. */
static void grow(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message, struct tbk_arena *arena,
                 unsigned depth)
{
    size_t *count = quantifier_of(field, message);
    const size_t bytes = tbk_field_size(field);
    char *elements = tbk_arena_zalloc(arena, (*count + 1) * bytes);
    if (elements == NULL)
        return;
    if (*count > 0)
        memcpy(elements, *(char **)value_of(field, message), *count * bytes);
    if (set_value(field, elements + *count * bytes, true, arena, depth)) {
        *(char **)value_of(field, message) = elements;
        ++*count;
    }
}

static void set_field(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message, struct tbk_arena *arena,
                      unsigned depth)
{
    const bool is_new = !tbk_field_present(field, message);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        grow(field, message, arena, depth);
        return;
    }
    if (!set_value(field, value_of(field, message), is_new, arena, depth)) {
        reset_value(field, value_of(field, message));
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        *(uint32_t *)quantifier_of(field, message) = field->id;
    else if (has_quantifier(field))
        *(protobuf_c_boolean *)quantifier_of(field, message) = 1;
}

static void clear_field(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t *count = quantifier_of(field, message);
        *count -= *count > 0;
    } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        *(uint32_t *)quantifier_of(field, message) = 0;
    } else if (has_quantifier(field)) {
        *(protobuf_c_boolean *)quantifier_of(field, message) = 0;
    } else {
        reset_value(field, value_of(field, message));
    }
}

/* A time within the last years, mostly. */
static void fill_timestamp(ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *seconds = protobuf_c_message_descriptor_get_field(message->descriptor, 1);
    *(int64_t *)value_of(seconds, message) = 1767225600 + (int64_t)fuzz_random_below(30 * 86400);
}

static void fill_message(ProtobufCMessage *message, struct tbk_arena *arena, unsigned depth)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (tbk_json_form(type) == TBK_JSON_TIMESTAMP && fuzz_random_below(8) > 0) {
        fill_timestamp(message);
        return;
    }
    const size_t sparseness = 1 + fuzz_random_below(4);
    for (unsigned i = 0; i < type->n_fields && depth < DEPTH_MAX; i++) {
        if (fuzz_random_below(sparseness + 1) < sparseness)
            set_field(&type->fields[i], message, arena, depth);
    }
}

ProtobufCMessage *fuzz_message_create(const ProtobufCMessageDescriptor *type, struct tbk_arena *arena)
{
    ProtobufCMessage *message = tbk_arena_zalloc(arena, type->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(type, message);
        fill_message(message, arena, 0);
    }
    return message;
}

/* The message of a field, or one of its elements; NULL when there is none. */
static ProtobufCMessage *inner_message(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || !tbk_field_present(field, message))
        return NULL;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return *(ProtobufCMessage **)value_of(field, message);
    const size_t count = *(size_t *)quantifier_of(field, message);
    return (*(ProtobufCMessage ***)value_of(field, message))[fuzz_random_below(count)];
}

void fuzz_message_mutate(ProtobufCMessage *message, struct tbk_arena *arena)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type->n_fields == 0)
        return;
    const ProtobufCFieldDescriptor *field = &type->fields[fuzz_random_below(type->n_fields)];
    ProtobufCMessage *inner = inner_message(field, message);
    if (inner != NULL && fuzz_random_below(8) > 0)
        fuzz_message_mutate(inner, arena);
    else if (tbk_field_present(field, message) && fuzz_random_below(4) == 0)
        clear_field(field, message);
    else if (field->label != PROTOBUF_C_LABEL_REPEATED || *(size_t *)quantifier_of(field, message) < ELEMENTS_MAX)
        set_field(field, message, arena, 0);
}

size_t fuzz_message_write(const ProtobufCMessage *message, uint8_t *data, size_t size_max)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    return size <= size_max ? protobuf_c_message_pack(message, data) : 0;
}

struct tbk_arena *fuzz_mutation_arena(void)
{
    static struct tbk_arena *arena;
    if (arena == NULL)
        arena = tbk_arena_create(1 << 16, ARENA_BYTES_MAX);
    tbk_arena_reset(arena);
    return arena;
}

size_t fuzz_bytes_mutate(const ProtobufCMessageDescriptor *type, uint8_t *data, size_t size, size_t size_max)
{
    struct tbk_arena *arena = fuzz_mutation_arena();
    ProtobufCMessage *message =
        size > 0 ? protobuf_c_message_unpack(type, tbk_arena_allocator(arena), size, data) : NULL;
    if (message == NULL)
        message = fuzz_message_create(type, arena);
    else
        fuzz_message_mutate(message, arena);
    return message != NULL ? fuzz_message_write(message, data, size_max) : 0;
}
