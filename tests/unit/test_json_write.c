#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_support.h"

/* Checks the JSON of message. */
static void check(const Tbktest__Types *message, const char *expected)
{
    char *text = json_test_write(message);
    assert_string_equal(text, expected);
    free(text);
}

static enum tbk_status write_fails(const Tbktest__Types *message, size_t bytes_max, struct tbk_error *error)
{
    static const struct tbk_json_style style = {.find_type = json_test_find_type};
    struct tbk_dynbuf out;
    tbk_dynbuf_init(&out, bytes_max);
    tbk_error_init(error);
    enum tbk_status status = tbk_json_write(&message->base, &style, &out, error);
    tbk_dynbuf_fini(&out);
    return status;
}

static void test_json_write_absent_fields_prints_nothing(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    check(&message, "{}");
}

static void test_json_write_present_zeros_prints_them(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.has_f_double = message.has_f_int32 = message.has_f_int64 = message.has_f_bool = 1;
    message.has_f_enum = message.has_f_bytes = 1;
    message.f_string = (char *)"";
    check(&message, "{\"fDouble\":0,\"fInt32\":0,\"fInt64\":\"0\",\"fBool\":false,\"fString\":\"\","
                    "\"fBytes\":\"\",\"fEnum\":\"COLOUR_UNSPECIFIED\"}");
}

static void test_json_write_integers_prints_64_bits_as_strings(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.has_f_int32 = message.has_f_int64 = message.has_f_uint32 = message.has_f_uint64 = 1;
    message.f_int32 = INT32_MIN;
    message.f_int64 = INT64_MIN;
    message.f_uint32 = UINT32_MAX;
    message.f_uint64 = UINT64_MAX;
    check(&message, "{\"fInt32\":-2147483648,\"fInt64\":\"-9223372036854775808\",\"fUint32\":4294967295,"
                    "\"fUint64\":\"18446744073709551615\"}");
}

static void test_json_write_doubles_prints_shortest(void **state)
{
    (void)state;
    double doubles[] = {0.1, 42000, 1e22, -0.0, 5e-324, NAN, INFINITY, -INFINITY, 0.30000000000000004};
    float floats[] = {0.1F, 16777216.0F, 3.4028235e38F, -0.0F, NAN};
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.n_r_double = sizeof doubles / sizeof doubles[0];
    message.r_double = doubles;
    message.n_r_float = sizeof floats / sizeof floats[0];
    message.r_float = floats;
    check(&message, "{\"rDouble\":[0.1,42000,1e+22,-0.0,4.94065645841247e-324,\"NaN\",\"Infinity\",\"-Infinity\","
                    "0.30000000000000004],\"rFloat\":[0.1,16777216,3.4028235e+38,-0.0,\"NaN\"]}");
}

static void test_json_write_enums_prints_names_and_unknown_numbers(void **state)
{
    (void)state;
    Tbktest__Colour colours[] = {TBKTEST__COLOUR__COLOUR_RED, TBKTEST__COLOUR__COLOUR_BELOW, (Tbktest__Colour)9};
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.n_r_enum = 3;
    message.r_enum = colours;
    check(&message, "{\"rEnum\":[\"COLOUR_RED\",\"COLOUR_BELOW\",9]}");
}

static void test_json_write_text_escapes_controls_and_replaces_bad_utf8(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.f_string = (char *)"q\"b\\n\nt\tc\x01\x7F\xC2\x9B"
                               "2J \xE2\x82\xAC \xFF \xED\xA0\x80 \xE2\x82";
    check(&message, "{\"fString\":\"q\\\"b\\\\n\\nt\\tc\\u0001\\u007f\\u009b2J \xE2\x82\xAC \xEF\xBF\xBD "
                    "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\"}");
}

static void test_json_write_bytes_prints_padded_base64(void **state)
{
    (void)state;
    uint8_t bytes[] = {0xFB, 0xFF, 0x00, 0x10};
    ProtobufCBinaryData values[] = {{0, NULL}, {1, bytes}, {2, bytes}, {3, bytes}, {4, bytes}};
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.n_r_bytes = 5;
    message.r_bytes = values;
    check(&message, "{\"rBytes\":[\"\",\"+w==\",\"+/8=\",\"+/8A\",\"+/8AEA==\"]}");
}

static void test_json_write_timestamps_prints_0_3_6_or_9_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } times[] = {{0, 0}, {0, 250000000}, {-1, 1000}, {-62135596800, 0}, {253402300799, 999999999}};
    enum { COUNT = sizeof times / sizeof times[0] };
    Google__Protobuf__Timestamp stamps[COUNT];
    Google__Protobuf__Timestamp *pointers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        google__protobuf__timestamp__init(&stamps[i]);
        stamps[i].seconds = times[i].seconds;
        stamps[i].nanos = times[i].nanos;
        pointers[i] = &stamps[i];
    }
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.n_r_timestamp = COUNT;
    message.r_timestamp = pointers;
    check(&message,
          "{\"rTimestamp\":[\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00.250Z\","
          "\"1969-12-31T23:59:59.000001Z\",\"0001-01-01T00:00:00Z\",\"9999-12-31T23:59:59.999999999Z\"]}");
}

static void test_json_write_timestamp_out_of_range_fails_with_path(void **state)
{
    (void)state;
    struct tbk_error error;
    Google__Protobuf__Timestamp good = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Google__Protobuf__Timestamp bad = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Google__Protobuf__Timestamp *pointers[] = {&good, &bad};
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    bad.seconds = INT64_C(253402300800);
    message.n_r_timestamp = 2;
    message.r_timestamp = pointers;
    assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_INVALID_ARGUMENT);
    assert_string_equal(error.message, "rTimestamp[1]: the time is outside the years 0001 to 9999");
    bad.seconds = 0;
    bad.nanos = -1;
    assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_INVALID_ARGUMENT);
}

static void test_json_write_duration_prints_sign_once(void **state)
{
    (void)state;
    Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.f_duration = &duration;
    check(&message, "{\"fDuration\":\"0s\"}");
    duration.nanos = -500000000;
    check(&message, "{\"fDuration\":\"-0.500s\"}");
    duration.seconds = -315576000000;
    check(&message, "{\"fDuration\":\"-315576000000.500s\"}");
    struct tbk_error error;
    duration.seconds = 1;
    assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_INVALID_ARGUMENT);
}

static void test_json_write_mask_prints_camel_case_paths(void **state)
{
    (void)state;
    char *paths[] = {(char *)"entry_price", (char *)"signal.time_to_tp_sl_seconds", (char *)"notes"};
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    mask.n_paths = 3;
    mask.paths = paths;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.f_mask = &mask;
    check(&message, "{\"fMask\":\"entryPrice,signal.timeToTpSlSeconds,notes\"}");
    struct tbk_error error;
    const char *const unwritable[] = {"no_2", "Notes", "", "notes,symbol", "no tes", "n\xc3\xb6tes"};
    for (size_t i = 0; i < sizeof unwritable / sizeof unwritable[0]; i++) {
        paths[2] = (char *)unwritable[i];
        assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_INVALID_ARGUMENT);
    }
}

static void set_any(Google__Protobuf__Any *any, const char *type_url, uint8_t *bytes, size_t length)
{
    google__protobuf__any__init(any);
    any->type_url = (char *)type_url;
    any->value.data = bytes;
    any->value.len = length;
}

static void test_json_write_any_prints_fields_value_or_base64(void **state)
{
    (void)state;
    uint8_t x_is_5[] = {0x08, 0x05};
    uint8_t cut[] = {0x08};
    Google__Protobuf__Any anys[5];
    Google__Protobuf__Any *pointers[] = {&anys[0], &anys[1], &anys[2], &anys[3], &anys[4]};
    set_any(&anys[0], "type.googleapis.com/tbktest.Inner", x_is_5, 2);
    set_any(&anys[1], "type.googleapis.com/google.protobuf.Timestamp", x_is_5, 2);
    set_any(&anys[2], "type.googleapis.com/no.such.Type", x_is_5, 2);
    set_any(&anys[3], "type.googleapis.com/tbktest.Inner", cut, 1);
    set_any(&anys[4], "", NULL, 0);
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.n_r_any = 5;
    message.r_any = pointers;
    check(&message,
          "{\"rAny\":[{\"@type\":\"type.googleapis.com/tbktest.Inner\",\"x\":5},"
          "{\"@type\":\"type.googleapis.com/google.protobuf.Timestamp\",\"value\":\"1970-01-01T00:00:05Z\"},"
          "{\"@type\":\"type.googleapis.com/no.such.Type\",\"value\":\"CAU=\"},"
          "{\"@type\":\"type.googleapis.com/tbktest.Inner\",\"value\":\"CA==\"},{}]}");
}

static void test_json_write_default_value_counts_as_absent(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.text_with_default = (char *)"given";
    message.has_number_with_default = 1;
    check(&message, "{\"textWithDefault\":\"given\",\"numberWithDefault\":7}");
}

static void test_json_write_oneof_prints_the_chosen_member(void **state)
{
    (void)state;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.choice_case = TBKTEST__TYPES__CHOICE_CHOICE_NUMBER;
    message.choice_number = 0;
    check(&message, "{\"choiceNumber\":0}");
    message.choice_case = TBKTEST__TYPES__CHOICE_CHOICE_TEXT;
    message.choice_text = (char *)"a";
    check(&message, "{\"choiceText\":\"a\"}");
}

static void test_json_write_pretty_indents_by_two(void **state)
{
    (void)state;
    static const struct tbk_json_style style = {.pretty = true};
    int32_t numbers[] = {1, 2};
    Tbktest__Inner inner = TBKTEST__INNER__INIT;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.f_message = &inner;
    message.n_r_int32 = 2;
    message.r_int32 = numbers;
    struct tbk_dynbuf out;
    struct tbk_error error;
    tbk_dynbuf_init(&out, JSON_TEST_BYTES_MAX);
    assert_int_equal(tbk_json_write(&message.base, &style, &out, &error), TBK_OK);
    assert_string_equal(tbk_dynbuf_text(&out), "{\n  \"fMessage\": {},\n  \"rInt32\": [\n    1,\n    2\n  ]\n}");
    tbk_dynbuf_fini(&out);
}

static void test_json_write_fields_keeps_their_order(void **state)
{
    (void)state;
    static const struct tbk_json_style style = {0};
    const ProtobufCFieldDescriptor *fields[] = {
        protobuf_c_message_descriptor_get_field_by_name(&tbktest__types__descriptor, "f_int32"),
        protobuf_c_message_descriptor_get_field_by_name(&tbktest__types__descriptor, "f_string"),
        protobuf_c_message_descriptor_get_field_by_name(&tbktest__types__descriptor, "f_bool"),
    };
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.has_f_int32 = message.has_f_bool = message.has_f_double = 1;
    struct tbk_dynbuf out;
    struct tbk_error error;
    tbk_dynbuf_init(&out, JSON_TEST_BYTES_MAX);
    assert_int_equal(tbk_json_write_fields(&message.base, fields, 3, &style, &out, &error), TBK_OK);
    assert_string_equal(tbk_dynbuf_text(&out), "{\"fInt32\":0,\"fBool\":false}");
    tbk_dynbuf_fini(&out);
}

static void test_json_write_nesting_beyond_limit_fails(void **state)
{
    (void)state;
    struct tbk_error error;
    Tbktest__Inner inners[TBK_JSON_DEPTH_MAX];
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    for (size_t i = 0; i < TBK_JSON_DEPTH_MAX; i++) {
        tbktest__inner__init(&inners[i]);
        if (i > 0)
            inners[i - 1].inner = &inners[i];
    }
    message.f_message = &inners[0];
    assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "nested too deep"));
    assert_memory_equal(error.message, "...", 3);
    inners[TBK_JSON_DEPTH_MAX - 2].inner = NULL;
    assert_int_equal(write_fails(&message, JSON_TEST_BYTES_MAX, &error), TBK_OK);
}

static void test_json_write_full_buffer_fails(void **state)
{
    (void)state;
    struct tbk_error error;
    Tbktest__Types message = TBKTEST__TYPES__INIT;
    message.f_string = (char *)"0123456789";
    assert_int_equal(write_fails(&message, 24, &error), TBK_OK);
    assert_int_equal(write_fails(&message, 23, &error), TBK_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write_absent_fields_prints_nothing),
        cmocka_unit_test(test_json_write_present_zeros_prints_them),
        cmocka_unit_test(test_json_write_integers_prints_64_bits_as_strings),
        cmocka_unit_test(test_json_write_doubles_prints_shortest),
        cmocka_unit_test(test_json_write_enums_prints_names_and_unknown_numbers),
        cmocka_unit_test(test_json_write_text_escapes_controls_and_replaces_bad_utf8),
        cmocka_unit_test(test_json_write_bytes_prints_padded_base64),
        cmocka_unit_test(test_json_write_timestamps_prints_0_3_6_or_9_digits),
        cmocka_unit_test(test_json_write_timestamp_out_of_range_fails_with_path),
        cmocka_unit_test(test_json_write_duration_prints_sign_once),
        cmocka_unit_test(test_json_write_mask_prints_camel_case_paths),
        cmocka_unit_test(test_json_write_any_prints_fields_value_or_base64),
        cmocka_unit_test(test_json_write_default_value_counts_as_absent),
        cmocka_unit_test(test_json_write_oneof_prints_the_chosen_member),
        cmocka_unit_test(test_json_write_pretty_indents_by_two),
        cmocka_unit_test(test_json_write_fields_keeps_their_order),
        cmocka_unit_test(test_json_write_nesting_beyond_limit_fails),
        cmocka_unit_test(test_json_write_full_buffer_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
