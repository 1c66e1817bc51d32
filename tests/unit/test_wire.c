#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "cmocka_all.h"
#include "dispatch/wire.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "tradebook/v1/rpc.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"

#define SIGNAL  &tradebook__v1__signal__descriptor
#define CREATE  &tradebook__v1__create_signal_request__descriptor
#define BATCH   &tradebook__v1__batch_create_signals_request__descriptor
#define REQUEST &tradebook__v1__request__descriptor

static struct tbk_error error;

static enum tbk_status check(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length)
{
    tbk_error_init(&error);
    /* A copy of exactly this size, so that the sanitizer sees reading beyond it. */
    uint8_t *copy = length > 0 ? malloc(length) : NULL;
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    const enum tbk_status status = tbk_wire_check(descriptor, copy, length, &error);
    free(copy);
    assert_int_equal(status, error.violation_count > 0 ? TBK_INVALID_ARGUMENT : TBK_OK);
    return status;
}

/* Bytes written as a literal, which may hold NULs. */
struct literal {
    const char *bytes;
    size_t length;
};
#define BYTES(text)                                                                                               \
    {                                                                                                             \
        text, sizeof(text) - 1                                                                                    \
    }

static void test_wire_valid_messages_pass(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        struct literal message;
    } cases[] = {
        {SIGNAL, BYTES("")},
        {SIGNAL, BYTES("\x08\x01")},
        {SIGNAL, BYTES("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")}, /* id: -1 */
        {SIGNAL, BYTES("\x1A\x00")},                                     /* symbol: empty */
        {SIGNAL, BYTES("\x1A\x03\xE2\x82\xAC")},
        {SIGNAL, BYTES("\x1A\x01"
                       "a\x1A\x01"
                       "b")},                        /* twice: the last one wins */
        {SIGNAL, BYTES("\x20\x00\x20\x03")},         /* UNSPECIFIED and HOLD */
        {SIGNAL, BYTES("\x29\0\0\0\0\0\0\xF8\x7F")}, /* NaN is for a later check */
        {SIGNAL, BYTES("\x12\x04\x08\x01\x10\x02")},
        {SIGNAL, BYTES("\x12\x00")},
        {SIGNAL, BYTES("\x78\x02")}, /* executed: any number is true */
        {SIGNAL, BYTES("\x1A\x01"
                       "a\x08\x01\x30\x01\x08\x02")}, /* any order */
        {SIGNAL,
         BYTES("\xC0\x3E\x05\xC2\x3E\x02\xFF\xFE\xC1\x3E\0\0\0\0\0\0\0\0\xC5\x3E\0\0\0\0")}, /* unknown 1000 */
        {SIGNAL, BYTES("\xF8\xFF\xFF\xFF\x0F\x01")}, /* the highest field number */
        {CREATE, BYTES("\x0A\x05\x1A\x03"
                       "BTC")},
        {REQUEST, BYTES("\x0A\x01/\x12\x02\0\xFF\x2A\x01\xFF")}, /* bytes may be anything */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (check(cases[i].descriptor, cases[i].message.bytes, cases[i].message.length) != TBK_OK) {
            fail_msg("case %zu: %s", i, error.violations[0].description);
        }
    }
}

static void test_wire_wrong_bytes_are_named_with_field(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        struct literal message;
        const char *field;
        const char *description;
    } cases[] = {
        {SIGNAL, BYTES("\x1A\x02\xC3\x28"), "symbol", "is not valid UTF-8"},
        {SIGNAL, BYTES("\x1A\x03\xED\xA0\x80"), "symbol", "is not valid UTF-8"},
        {SIGNAL,
         BYTES("\x1A\x03"
               "a\0b"),
         "symbol", "contains a NUL character"},
        {CREATE,
         BYTES("\x0A\x05\x1A\x03"
               "a\0b"),
         "signal.symbol", "contains a NUL character"},
        {SIGNAL, BYTES("\x20\x04"), "direction", "4 is not a value of Direction"},
        {SIGNAL, BYTES("\x20\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "direction",
         "-1 is not a value of Direction"},
        {SIGNAL, BYTES("\x20\x81\x80\x80\x80\x10"), "direction", "4294967297 is not a value of Direction"},
        {BATCH, BYTES("\x0A\x02\x30\x01\x0A\x00\x0A\x02\x30\x01\x0A\x02\x30\x09"), "signals[3].tier",
         "9 is not a value of Tier"},
        {BATCH, BYTES("\x98\x06\x01\x9A\x06\x01x\x99\x06\0\0\0\0\0\0\0\0\x9D\x06\0\0\0\0\x0A\x00\x0A\x02\x30\x09"),
         "signals[1].tier", "9 is not a value of Tier"},
        {SIGNAL, BYTES("\x0A\x01x"), "id",
         "has the wrong wire type: expected a varint, found length-delimited bytes"},
        {SIGNAL, BYTES("\x18\x01"), "symbol",
         "has the wrong wire type: expected length-delimited bytes, found a varint"},
        {SIGNAL, BYTES("\x2D\0\0\0\0"), "confidence", "has the wrong wire type: expected 64 bits, found 32 bits"},
        {SIGNAL, BYTES("\x11\0\0\0\0\0\0\0\0"), "timestamp",
         "has the wrong wire type: expected length-delimited bytes, found 64 bits"},
        {BATCH, BYTES("\x0A\x00\x08\x01"), "signals[1]",
         "has the wrong wire type: expected length-delimited bytes, found a varint"},
        {SIGNAL, BYTES("\x08"), "id", "malformed message: the end in the middle of a varint at byte 1"},
        {SIGNAL, BYTES("\x08\x80"), "id", "malformed message: the end in the middle of a varint at byte 1"},
        {SIGNAL, BYTES("\x80"), "", "malformed message: the end in the middle of a varint at byte 0"},
        {SIGNAL, BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "id",
         "malformed message: a varint with too many bytes at byte 1"},
        {SIGNAL, BYTES("\x88\x80\x80\x80\x80\x00\x01"), "",
         "malformed message: a varint with too many bytes at byte 0"},
        {SIGNAL, BYTES("\xFF\xFF\xFF\xFF\x1F\x01"), "", "malformed message: an impossible field number at byte 0"},
        {SIGNAL, BYTES("\x08\x01\x00\x01"), "", "malformed message: an impossible field number at byte 2"},
        {SIGNAL, BYTES("\x29\0\0\0\0\0\0\0"), "confidence",
         "malformed message: the end in the middle of a number at byte 1"},
        {SIGNAL, BYTES("\xC5\x3E\0\0\0"), "", "malformed message: the end in the middle of a number at byte 2"},
        {SIGNAL,
         BYTES("\x1A\x04"
               "BTC"),
         "symbol", "malformed message: a length beyond the end of the message at byte 1"},
        {SIGNAL, BYTES("\x1A\xFF\xFF\xFF\xFF\x0F"), "symbol",
         "malformed message: a length beyond the end of the message at byte 1"},
        {SIGNAL, BYTES("\x1A\x80\x80\x80\x80\x80\x01"), "symbol",
         "malformed message: a varint with too many bytes at byte 1"},
        {SIGNAL, BYTES("\x1A\x80"), "symbol", "malformed message: the end in the middle of a varint at byte 1"},
        {CREATE,
         BYTES("\x0A\x03\x1A\x02"
               "BTC"),
         "signal.symbol", "malformed message: a length beyond the end of the message at byte 3"},
        {CREATE, BYTES("\x0A\x02\x12\x05\x08\x01\x10\x02\x08"), "signal.timestamp",
         "malformed message: a length beyond the end of the message at byte 3"},
        {SIGNAL, BYTES("\xC3\x3E\x08\x01\xC4\x3E"), "",
         "malformed message: a group, which is not supported at byte 0"},
        {SIGNAL, BYTES("\x0C"), "id", "malformed message: a group, which is not supported at byte 0"},
        {SIGNAL, BYTES("\x08\x01\x0E"), "id", "malformed message: an unknown wire type at byte 2"},
        {SIGNAL, BYTES("\x0F"), "id", "malformed message: an unknown wire type at byte 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (check(cases[i].descriptor, cases[i].message.bytes, cases[i].message.length) == TBK_OK) {
            fail_msg("case %zu is accepted", i);
        }
        assert_int_equal(error.violation_count, 1);
        assert_string_equal(error.violations[0].field, cases[i].field);
        assert_string_equal(error.violations[0].description, cases[i].description);
    }
}

static void test_wire_every_violation_is_reported(void **state)
{
    (void)state;
    static const struct literal message =
        BYTES("\x0A\x0B\x1A\x02\0\xFF\x20\x09\x0D\0\0\0\0\x0A\x02\x30\x09\x0A\x03\x1A\x09x");
    assert_int_equal(check(BATCH, message.bytes, message.length), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 6);
    static const char *const fields[] = {"signals[0].symbol", "signals[0].symbol", "signals[0].direction",
                                         "signals[0].id",     "signals[1].tier",   "signals[2].symbol"};
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(error.violations[i].field, fields[i]);
    }
}

static const ProtobufCEnumValue color_values[] = {{"RED", "RED", 1}, {"BLUE", "BLUE", 5}};
static const ProtobufCIntRange color_ranges[] = {{1, 0}, {5, 1}, {0, 2}};
static const ProtobufCEnumDescriptor color = {.short_name = "Color",
                                              .n_values = 2,
                                              .values = color_values,
                                              .n_value_ranges = 2,
                                              .value_ranges = color_ranges};
static const ProtobufCFieldDescriptor lists_fields[] = {
    {.name = "colors",
     .id = 1,
     .label = PROTOBUF_C_LABEL_REPEATED,
     .type = PROTOBUF_C_TYPE_ENUM,
     .descriptor = &color},
    {.name = "floats", .id = 2, .label = PROTOBUF_C_LABEL_REPEATED, .type = PROTOBUF_C_TYPE_FLOAT},
    {.name = "doubles", .id = 3, .label = PROTOBUF_C_LABEL_REPEATED, .type = PROTOBUF_C_TYPE_DOUBLE},
    {.name = "names", .id = 4, .label = PROTOBUF_C_LABEL_REPEATED, .type = PROTOBUF_C_TYPE_STRING},
};
static const ProtobufCIntRange lists_ranges[] = {{1, 0}, {0, 4}};
static const ProtobufCMessageDescriptor lists = {
    .name = "Lists", .n_fields = 4, .fields = lists_fields, .n_field_ranges = 1, .field_ranges = lists_ranges};

static void test_wire_repeated_numbers_may_be_packed(void **state)
{
    (void)state;
    static const struct {
        struct literal message;
        const char *field; /* NULL: valid */
        const char *description;
    } cases[] = {
        {BYTES("\x0A\x03\x01\x05\x01\x08\x05\x0A\x00"), NULL, NULL},
        {BYTES("\x12\x08\0\0\0\0\0\0\0\0\x15\0\0\0\0\x1A\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x19\0\0\0\0\0\0\0\0"),
         NULL, NULL},
        {BYTES("\x0A\x03\x01\x02\x01"), "colors[1]", "2 is not a value of Color"},
        {BYTES("\x08\x01\x0A\x02\x05\x01\x15\0\0\0\0\x0A\x02\x01\x02"), "colors[4]", "2 is not a value of Color"},
        {BYTES("\x0A\x02\x01\x05\x08\x07"), "colors[2]", "7 is not a value of Color"},
        {BYTES("\x12\x08\0\0\0\0\0\0\0\0\x10\x01"), "floats[2]",
         "has the wrong wire type: expected 32 bits, found a varint"},
        {BYTES("\x1A\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x18\x01"), "doubles[2]",
         "has the wrong wire type: expected 64 bits, found a varint"},
        {BYTES("\x22\x01"
               "a\x22\x01\xFF"),
         "names[1]", "is not valid UTF-8"},
        {BYTES("\x12\x05\0\0\0\0\0"), "floats[0]",
         "malformed message: the end in the middle of a packed number at byte 7"},
        {BYTES("\x0A\x02\x01\x81\x01"), "colors[1]", "malformed message: an incomplete packed varint at byte 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum tbk_status status = check(&lists, cases[i].message.bytes, cases[i].message.length);
        if (cases[i].field == NULL) {
            assert_int_equal(status, TBK_OK);
            continue;
        }
        assert_int_equal(status, TBK_INVALID_ARGUMENT);
        assert_int_equal(error.violation_count, 1);
        assert_string_equal(error.violations[0].field, cases[i].field);
        assert_string_equal(error.violations[0].description, cases[i].description);
    }
}

/* count empty signals. */
static enum tbk_status check_batch_of(size_t count)
{
    char *bytes = malloc(2 * count);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + 2 * i, "\x0A\x00", 2);
    }
    const enum tbk_status status = check(BATCH, bytes, 2 * count);
    free(bytes);
    return status;
}

static void test_wire_submessage_limit_is_exact(void **state)
{
    (void)state;
    assert_int_equal(check_batch_of(TBK_WIRE_SUBMESSAGES_MAX), TBK_OK);
    assert_int_equal(check_batch_of(TBK_WIRE_SUBMESSAGES_MAX + 5), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 1);
    assert_string_equal(error.violations[0].field, "signals[20000]");
    assert_string_equal(error.violations[0].description,
                        "more than 20000 messages inside the request; send fewer at once");
}

/* DescriptorProto holds DescriptorProtos in its field 3. */
static enum tbk_status check_nested(size_t depth)
{
    uint8_t bytes[200];
    for (size_t i = 0; i < depth; i++) {
        bytes[2 * i] = 0x1A;
        bytes[2 * i + 1] = (uint8_t)(2 * (depth - 1 - i));
    }
    return check(&google__protobuf__descriptor_proto__descriptor, bytes, 2 * depth);
}

static void test_wire_depth_limit_is_exact(void **state)
{
    (void)state;
    assert_int_equal(check_nested(TBK_WIRE_DEPTH_MAX), TBK_OK);
    assert_int_equal(check_nested(TBK_WIRE_DEPTH_MAX + 1), TBK_INVALID_ARGUMENT);
    assert_int_equal(check_nested(60), TBK_INVALID_ARGUMENT);
    assert_string_equal(error.violations[0].description, "more than 16 messages inside each other");
    assert_memory_equal(error.violations[0].field, "nested_type[0].nested_type[0].", 30);
}

/* A violation that is not kept must not cost a path. */
static void test_wire_many_violations_are_counted(void **state)
{
    (void)state;
    const size_t count = 500000;
    char *bytes = malloc(2 * count);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + 2 * i, "\x08\x02", 2);
    }
    assert_int_equal(check(&lists, bytes, 2 * count), TBK_INVALID_ARGUMENT);
    free(bytes);
    assert_int_equal(error.violation_count, count);
    assert_string_equal(error.violations[TBK_VIOLATIONS_MAX - 1].field, "colors[31]");
}

static size_t pack_request(uint8_t *out)
{
    Google__Protobuf__Timestamp timestamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    timestamp.seconds = 1772360430;
    timestamp.nanos = 123456000;
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.timestamp = &timestamp;
    signal.symbol = (char *)"BTC-USD";
    signal.has_direction = 1;
    signal.direction = TRADEBOOK__V1__DIRECTION__DIRECTION_LONG;
    signal.has_tier = 1;
    signal.tier = TRADEBOOK__V1__TIER__TIER_HIGH;
    signal.has_confidence = signal.has_ensemble_prediction = signal.has_entry_price = signal.has_tp_price =
        signal.has_sl_price = signal.has_latency_ms = 1;
    signal.confidence = 0.75;
    signal.entry_price = 67250.25;
    signal.session = (char *)"new_york";
    signal.model_version = (char *)"v7.2.1";
    signal.notes = (char *)"caf\xC3\xA9 breakout";
    signal.strategy = (char *)"v7_full_math";
    Tradebook__V1__CreateSignalRequest request = TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
    request.signal = &signal;
    return tradebook__v1__create_signal_request__pack(&request, out);
}

/* Whatever a byte is changed to: no crash, and what passes can be unpacked. */
static void test_wire_mutated_message_is_refused_or_can_be_unpacked(void **state)
{
    (void)state;
    uint8_t bytes[512];
    const size_t length = pack_request(bytes);
    assert_int_equal(check(CREATE, bytes, length), TBK_OK);
    for (size_t i = 0; i < length; i++) {
        const uint8_t kept = bytes[i];
        for (unsigned value = 0; value < 256; value++) {
            bytes[i] = (uint8_t)value;
            if (check(CREATE, bytes, length) != TBK_OK) {
                continue;
            }
            ProtobufCMessage *message = protobuf_c_message_unpack(CREATE, NULL, length, bytes);
            if (message == NULL) {
                fail_msg("byte %zu = %u passes but cannot be unpacked", i, value);
            }
            protobuf_c_message_free_unpacked(message, NULL);
        }
        bytes[i] = kept;
        check(CREATE, bytes, i); /* cut */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_valid_messages_pass),
        cmocka_unit_test(test_wire_wrong_bytes_are_named_with_field),
        cmocka_unit_test(test_wire_every_violation_is_reported),
        cmocka_unit_test(test_wire_repeated_numbers_may_be_packed),
        cmocka_unit_test(test_wire_submessage_limit_is_exact),
        cmocka_unit_test(test_wire_depth_limit_is_exact),
        cmocka_unit_test(test_wire_many_violations_are_counted),
        cmocka_unit_test(test_wire_mutated_message_is_refused_or_can_be_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
