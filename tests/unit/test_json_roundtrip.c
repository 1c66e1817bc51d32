/*
 * Random messages of every type of the protocol, and of one with every kind of
 * field, survive the way to JSON and back byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/catalog.h"
#include "json_support.h"

enum { ROUNDS = 100, ELEMENTS_MAX = 3, NESTING_MAX = 4 };

/* Deterministic: xorshift64*. */
static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static size_t random_below(size_t end)
{
    return (size_t)(random_bits() >> 32) % end;
}

static struct tbk_arena *arena;
static struct tbk_catalog *catalog;

static const ProtobufCMessageDescriptor *find_type(const void *argument, const char *full_name)
{
    const ProtobufCMessageDescriptor *type = json_test_find_type(NULL, full_name);
    return type != NULL ? type : tbk_catalog_find_type(argument, full_name);
}

static char *random_text(void)
{
    static const char *const pieces[] = {
        "a", "BTC-USD", "\"",   "\\", "\n", "\x01", "\x7F", "\xC2\x85", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        " ", "/",       "<>&'", "{}"};
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 1024);
    for (size_t i = random_below(6); i > 0; i--)
        tbk_dynbuf_puts(&text, pieces[random_below(sizeof pieces / sizeof pieces[0])]);
    char *copy = tbk_arena_strndup(arena, tbk_dynbuf_text(&text), text.length);
    tbk_dynbuf_fini(&text);
    return copy;
}

static double random_double(void)
{
    double value;
    do {
        uint64_t bits = random_bits();
        memcpy(&value, &bits, sizeof value);
    } while (value != value);
    return random_below(2) == 0 ? value : (double)random_below(1000000) / 100;
}

static float random_float(void)
{
    float value;
    do {
        uint32_t bits = (uint32_t)random_bits();
        memcpy(&value, &bits, sizeof value);
    } while (value != value);
    return value;
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, unsigned nesting);

static void fill_value(const ProtobufCFieldDescriptor *field, void *value, unsigned nesting)
{
    uint64_t bits = random_bits() >> random_below(64);
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)value = random_float();
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)value = random_double();
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)value = bits & 1;
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *type = field->descriptor;
        *(int *)value = bits % 8 == 0 ? 77 : type->values[random_below(type->n_values)].value;
        break;
    }
    case PROTOBUF_C_TYPE_STRING:
        *(char **)value = random_text();
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *bytes = value;
        bytes->len = random_below(8);
        bytes->data = tbk_arena_alloc(arena, bytes->len);
        for (size_t i = 0; i < bytes->len; i++)
            bytes->data[i] = (uint8_t)random_bits();
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)value = random_message(field->descriptor, nesting + 1);
        break;
    default:
        memcpy(value, &bits, tbk_field_size(field)); /* integers; little-endian machines only */
        break;
    }
}

static void fill_any(Google__Protobuf__Any *any, unsigned nesting)
{
    const ProtobufCMessageDescriptor *type =
        nesting % 2 == 0 ? &tbktest__inner__descriptor : &google__protobuf__timestamp__descriptor;
    ProtobufCMessage *inner = random_message(type, nesting + 1);
    any->type_url =
        tbk_arena_printf(arena, "type.googleapis.com/%s%s", type->name, nesting == 3 ? ".unknown" : "");
    any->value.len = protobuf_c_message_get_packed_size(inner);
    any->value.data = tbk_arena_alloc(arena, any->value.len);
    protobuf_c_message_pack(inner, any->value.data);
}

static void fill_form(ProtobufCMessage *message, unsigned nesting)
{
    static char *const paths[] = {(char *)"entry_price", (char *)"notes", (char *)"a.b_c"};
    switch (tbk_json_form(message->descriptor)) {
    case TBK_JSON_TIMESTAMP: {
        Google__Protobuf__Timestamp *timestamp = (Google__Protobuf__Timestamp *)message;
        timestamp->seconds = (int64_t)(random_bits() % UINT64_C(315537897600)) - INT64_C(62135596800);
        timestamp->nanos = (int32_t)random_below(1000000000);
        break;
    }
    case TBK_JSON_DURATION: {
        Google__Protobuf__Duration *duration = (Google__Protobuf__Duration *)message;
        duration->seconds = (int64_t)random_below(1000);
        duration->nanos = (int32_t)random_below(1000000000);
        break;
    }
    case TBK_JSON_FIELD_MASK: {
        Google__Protobuf__FieldMask *mask = (Google__Protobuf__FieldMask *)message;
        mask->n_paths = random_below(4);
        mask->paths = (char **)paths;
        break;
    }
    case TBK_JSON_ANY:
        fill_any((Google__Protobuf__Any *)message, nesting);
        break;
    case TBK_JSON_FIELDS:
        break;
    }
}

static void fill_field(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message, unsigned nesting)
{
    char *value = (char *)message + field->offset;
    void *quantifier = (char *)message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = random_below(ELEMENTS_MAX + 1);
        char *elements = tbk_arena_zalloc(arena, count * tbk_field_size(field));
        for (size_t i = 0; i < count; i++)
            fill_value(field, elements + i * tbk_field_size(field), nesting);
        *(size_t *)quantifier = count;
        *(char **)value = elements;
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        if (*(uint32_t *)quantifier != 0)
            return;
        *(uint32_t *)quantifier = field->id;
    } else if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)quantifier = 1;
    }
    fill_value(field, value, nesting);
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, unsigned nesting)
{
    ProtobufCMessage *message = tbk_arena_alloc(arena, type->sizeof_message);
    protobuf_c_message_init(type, message);
    fill_form(message, nesting);
    for (unsigned i = 0; tbk_json_form(type) == TBK_JSON_FIELDS && i < type->n_fields; i++) {
        bool too_deep = type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE && nesting == NESTING_MAX;
        if (!too_deep && random_below(3) > 0)
            fill_field(&type->fields[i], message, nesting);
    }
    return message;
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_length)
{
    *ret_length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = tbk_arena_alloc(arena, *ret_length);
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void check_roundtrip(const ProtobufCMessage *message, bool pretty)
{
    const struct tbk_json_style style = {.pretty = pretty, .find_type = find_type, .find_type_argument = catalog};
    struct tbk_error error;
    struct tbk_dynbuf text;
    tbk_error_init(&error);
    tbk_dynbuf_init(&text, JSON_TEST_BYTES_MAX);
    if (tbk_json_write(message, &style, &text, &error) != TBK_OK)
        fail_msg("%s: %s", message->descriptor->name, error.message);

    const struct tbk_json_source source = {
        .text = text.data, .length = text.length, .find_type = find_type, .find_type_argument = catalog};
    ProtobufCMessage *again = NULL;
    if (tbk_json_read(&source, message->descriptor, arena, &again, &error) != TBK_OK)
        fail_msg("%s: %s\n%s", message->descriptor->name, error.message, text.data);

    size_t length;
    size_t length_again;
    const uint8_t *bytes = pack(message, &length);
    const uint8_t *bytes_again = pack(again, &length_again);
    if (length != length_again || memcmp(bytes, bytes_again, length) != 0)
        fail_msg("%s changed: %s", message->descriptor->name, text.data);
    tbk_dynbuf_fini(&text);
}

static void check_type(const ProtobufCMessageDescriptor *type)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        check_roundtrip(random_message(type, 0), round % 2 == 0);
        tbk_arena_reset(arena);
    }
}

static void test_json_roundtrip_every_kind_of_field_keeps_bytes(void **state)
{
    (void)state;
    check_type(&tbktest__types__descriptor);
}

static void test_json_roundtrip_every_request_and_response_keeps_bytes(void **state)
{
    (void)state;
    size_t count;
    const struct tbk_rpc *rpcs = tbk_catalog_rpcs(catalog, &count);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        check_type(rpcs[i].descriptor->input);
        check_type(rpcs[i].descriptor->output);
    }
}

static int setup(void **state)
{
    (void)state;
    struct tbk_error error;
    random_state = UINT64_C(88172645463325252);
    arena = tbk_arena_create(64 * 1024, JSON_TEST_BYTES_MAX);
    return arena == NULL || tbk_catalog_create(&catalog, &error) != TBK_OK;
}

static int teardown(void **state)
{
    (void)state;
    tbk_catalog_destroy(catalog);
    tbk_arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_roundtrip_every_kind_of_field_keeps_bytes),
        cmocka_unit_test(test_json_roundtrip_every_request_and_response_keeps_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
