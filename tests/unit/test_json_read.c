#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json_support.h"

static struct tbk_arena *arena;

static int create_arena(void **state)
{
    (void)state;
    arena = tbk_arena_create(4096, JSON_TEST_BYTES_MAX);
    return arena == NULL;
}

static int destroy_arena(void **state)
{
    (void)state;
    tbk_arena_destroy(arena);
    return 0;
}

static Tbktest__Types *read_ok(const char *text)
{
    struct tbk_error error;
    Tbktest__Types *message = NULL;
    if (json_test_read(text, arena, &message, &error) != TBK_OK)
        fail_msg("%s: %s", text, error.message);
    return message;
}

/* Checks that text is refused with this sentence. */
static void check_refused(const char *text, const char *expected)
{
    struct tbk_error error;
    Tbktest__Types *message = NULL;
    assert_int_equal(json_test_read(text, arena, &message, &error), TBK_INVALID_ARGUMENT);
    assert_null(message);
    assert_string_equal(error.message, expected);
}

static void test_json_read_names_accepts_camel_case_and_original(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"fInt32\": 1, \"f_int64\": 2, \"f_message\": {\"x\": 3}}");
    assert_int_equal(message->f_int32, 1);
    assert_int_equal(message->f_int64, 2);
    assert_int_equal(message->f_message->x, 3);
    assert_false(message->has_f_double);
}

static void test_json_read_null_leaves_absent(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"fInt32\": null, \"fString\": null, \"rInt32\": null, \"fMessage\": null,"
                                      "\"choiceNumber\": null, \"choiceText\": \"a\", \"rString\": []}");
    assert_false(message->has_f_int32);
    assert_null(message->f_string);
    assert_null(message->f_message);
    assert_int_equal(message->n_r_int32, 0);
    assert_int_equal(message->choice_case, TBKTEST__TYPES__CHOICE_CHOICE_TEXT);
    check_refused("{\"rInt32\": [1, null]}",
                  "rInt32[1]: expected a whole number from -2147483648 to 2147483647, found null");
}

static void test_json_read_unknown_name_fails_with_path(void **state)
{
    (void)state;
    check_refused("{\"fMessage\": {\"y\": 1}}", "fMessage.y: Inner has no such field");
    check_refused("{\"rMessage\": [{}, {\"inner\": {\"fInt\": 1}}]}",
                  "rMessage[1].inner.fInt: Inner has no such field");
}

static void test_json_read_repeated_name_fails(void **state)
{
    (void)state;
    check_refused("{\"fInt32\": 1, \"f_int32\": 1}", "f_int32: is given twice, under both of its names");
    struct tbk_error error;
    Tbktest__Types *message = NULL;
    assert_int_equal(json_test_read("{\"fInt32\": 1,\n \"fInt32\": 1}", arena, &message, &error),
                     TBK_INVALID_ARGUMENT);
    assert_memory_equal(error.message, "line 2, column 9: duplicate object key", 38);
}

static void test_json_read_integers_checks_exact_range(void **state)
{
    (void)state;
    Tbktest__Types *message =
        read_ok("{\"fInt32\": \"-2147483648\", \"fUint32\": 4294967295, \"fInt64\": 9223372036854775807,"
                "\"fSint64\": -9223372036854775808, \"fUint64\": \"18446744073709551615\", \"fSint32\": 2e3,"
                "\"fFixed64\": 9007199254740993, \"fSfixed32\": -1.0}");
    assert_int_equal(message->f_int32, INT32_MIN);
    assert_int_equal(message->f_uint32, UINT32_MAX);
    assert_true(message->f_int64 == INT64_MAX);
    assert_true(message->f_sint64 == INT64_MIN);
    assert_true(message->f_uint64 == UINT64_MAX);
    assert_int_equal(message->f_sint32, 2000);
    assert_true(message->f_fixed64 == UINT64_C(9007199254740993));
    assert_int_equal(message->f_sfixed32, -1);

    static const char *const refused[] = {
        "{\"fInt32\": 2147483648}",
        "{\"fInt32\": -2147483649}",
        "{\"fInt32\": 1.5}",
        "{\"fInt32\": \"\"}",
        "{\"fInt32\": \"-\"}",
        "{\"fInt32\": \" 1\"}",
        "{\"fInt32\": \"1 \"}",
        "{\"fInt32\": \"0x10\"}",
        "{\"fInt32\": \"+1\"}",
        "{\"fInt32\": \"--1\"}",
        "{\"fInt32\": true}",
        "{\"fInt32\": [1]}",
        "{\"fUint32\": 4294967296}",
        "{\"fUint32\": -1}",
        "{\"fInt64\": \"9223372036854775808\"}",
        "{\"fInt64\": \"-9223372036854775809\"}",
        "{\"fUint64\": \"18446744073709551616\"}",
        "{\"fUint64\": \"-1\"}",
        "{\"fInt64\": 9007199254740993.0}",
        "{\"fInt64\": 1e300}",
        "{\"fInt64\": \"1\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct tbk_error error;
        Tbktest__Types *out = NULL;
        if (json_test_read(refused[i], arena, &out, &error) != TBK_INVALID_ARGUMENT)
            fail_msg("accepted: %s", refused[i]);
    }
    check_refused("{\"fInt32\": 2147483648}",
                  "fInt32: expected a whole number from -2147483648 to 2147483647, found a number (2147483648)");
    check_refused("{\"fUint64\": 1.5}",
                  "fUint64: expected a whole number from 0 to 18446744073709551615, found a number (1.5)");
}

static void test_json_read_doubles_accepts_numbers_strings_and_specials(void **state)
{
    (void)state;
    Tbktest__Types *message =
        read_ok("{\"rDouble\": [1, -2.5, \"3e2\", \"NaN\", \"Infinity\", \"-Infinity\", -0.0, 5e-324,"
                "\"0.1\", \"1000000000000000000000\"]}");
    assert_int_equal(message->n_r_double, 10);
    assert_true(message->r_double[0] == 1 && message->r_double[1] == -2.5 && message->r_double[2] == 300);
    assert_true(isnan(message->r_double[3]));
    assert_true(isinf(message->r_double[4]) && message->r_double[4] > 0);
    assert_true(isinf(message->r_double[5]) && message->r_double[5] < 0);
    assert_true(signbit(message->r_double[6]));
    assert_true(message->r_double[7] == 5e-324);
    assert_true(message->r_double[8] == 0.1);
    assert_true(message->r_double[9] == 1e21);
    check_refused("{\"fDouble\": \"high\"}", "fDouble: expected a number, found a string (\"high\")");
    check_refused("{\"fDouble\": \"0x1p3\"}", "fDouble: expected a number, found a string (\"0x1p3\")");
    check_refused("{\"fDouble\": \"inf\"}", "fDouble: expected a number, found a string (\"inf\")");
    check_refused("{\"fDouble\": \"1e999\"}", "fDouble: expected a number, found a string (\"1e999\")");
    check_refused("{\"fDouble\": \"\"}", "fDouble: expected a number, found a string (\"\")");
    check_refused("{\"fDouble\": false}", "fDouble: expected a number, found false");
    check_refused("{\"fDouble\": {}}", "fDouble: expected a number, found an object");
}

static void test_json_read_floats_checks_range(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"rFloat\": [0.1, 3.4028235e+38, \"Infinity\", \"NaN\"]}");
    assert_true(message->r_float[0] == 0.1F);
    assert_true(message->r_float[1] == FLT_MAX);
    assert_true(isinf(message->r_float[2]) && isnan(message->r_float[3]));
    check_refused(
        "{\"fFloat\": 1e39}",
        "fFloat: expected a number in the range of a 32-bit float, found a number (9.9999999999999994e+38)");
}

static void test_json_read_bool_accepts_true_and_false_only(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"rBool\": [true, false]}");
    assert_true(message->r_bool[0]);
    assert_false(message->r_bool[1]);
    check_refused("{\"fBool\": 1}", "fBool: expected true or false, found a number (1)");
    check_refused("{\"fBool\": \"true\"}", "fBool: expected true or false, found a string (\"true\")");
}

static void test_json_read_enum_accepts_names_and_numbers(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"rEnum\": [\"COLOUR_RED\", -5, 9, 1.0]}");
    assert_int_equal(message->r_enum[0], 1);
    assert_int_equal(message->r_enum[1], -5);
    assert_int_equal(message->r_enum[2], 9);
    assert_int_equal(message->r_enum[3], 1);
    check_refused(
        "{\"fEnum\": \"red\"}",
        "fEnum: there is no value \"red\"; expected one of COLOUR_BELOW, COLOUR_UNSPECIFIED, COLOUR_RED");
    check_refused("{\"fEnum\": true}", "fEnum: expected the name of a value, found true");
    check_refused("{\"fEnum\": 2147483648}",
                  "fEnum: expected a whole number from -2147483648 to 2147483647, found a number (2147483648)");
}

static void test_json_read_text_refuses_nul(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"fString\": \"a\\n\\u20ac\\ud83d\\ude00\"}");
    assert_string_equal(message->f_string, "a\n\xE2\x82\xAC\xF0\x9F\x98\x80");
    check_refused("{\"rString\": [\"\", \"a\\u0000b\"]}",
                  "rString[1]: holds the character \\u0000, which text cannot");
    check_refused("{\"fString\": 5}", "fString: expected a string, found a number (5)");
}

static void test_json_read_bytes_accepts_both_alphabets(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xFB, 0xFF, 0x00, 0x10};
    Tbktest__Types *message = read_ok("{\"rBytes\": [\"+/8AEA==\", \"-_8AEA\", \"\", \"+w==\", \"-w\"]}");
    assert_int_equal(message->n_r_bytes, 5);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(message->r_bytes[i].len, sizeof expected);
        assert_memory_equal(message->r_bytes[i].data, expected, sizeof expected);
    }
    assert_int_equal(message->r_bytes[2].len, 0);
    assert_int_equal(message->r_bytes[3].len, 1);
    assert_int_equal(message->r_bytes[4].len, 1);
    static const char *const refused[] = {
        "A", "AAAAA", "AA=", "AAA==", "AA==AA==", "A A=", "====", "\xC3\xA4==", "="};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char text[64];
        struct tbk_error error;
        snprintf(text, sizeof text, "{\"fBytes\": \"%s\"}", refused[i]);
        message = NULL;
        if (json_test_read(text, arena, &message, &error) != TBK_INVALID_ARGUMENT)
            fail_msg("accepted: %s", text);
    }
    check_refused("{\"fBytes\": \"?\"}", "fBytes: expected base64, found a string (\"?\")");
}

static void check_timestamp(const char *text, int64_t seconds, int32_t nanos)
{
    char json[96];
    snprintf(json, sizeof json, "{\"fTimestamp\": \"%s\"}", text);
    Tbktest__Types *message = read_ok(json);
    assert_int_equal(message->f_timestamp->seconds, seconds);
    assert_int_equal(message->f_timestamp->nanos, nanos);
}

static void test_json_read_timestamp_accepts_rfc3339(void **state)
{
    (void)state;
    check_timestamp("1970-01-01T00:00:00Z", 0, 0);
    check_timestamp("1970-01-01t00:00:01.5z", 1, 500000000);
    check_timestamp("1969-12-31T23:59:59.000000001Z", -1, 1);
    check_timestamp("2024-02-29T12:00:00.123456789+05:30", 1709188200, 123456789);
    check_timestamp("2024-02-29T12:00:00-00:30", 1709209800, 0);
    check_timestamp("0001-01-01T00:00:00Z", -62135596800, 0);
    check_timestamp("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999);
    static const char *const refused[] = {
        "2024-05-01",
        "2024-05-01T12:00:00",
        "2024-05-01 12:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T12:00:00.Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
        "2024-05-01T12:00Z",
        "2024-05-01T12:00:00+0100",
        "2024-05-01T12:00:00.0000000001Z",
        "",
        "2024-05-01T12:00:00.5,0Z",
        "2024-05-01T12:00:60Z",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char json[96];
        struct tbk_error error;
        Tbktest__Types *message = NULL;
        snprintf(json, sizeof json, "{\"fTimestamp\": \"%s\"}", refused[i]);
        if (json_test_read(json, arena, &message, &error) != TBK_INVALID_ARGUMENT)
            fail_msg("accepted: %s", refused[i]);
    }
    check_refused("{\"rTimestamp\": [5]}",
                  "rTimestamp[0]: expected a time such as \"2024-05-01T12:00:00Z\", found a number (5)");
}

static void check_duration(const char *text, int64_t seconds, int32_t nanos)
{
    char json[96];
    snprintf(json, sizeof json, "{\"fDuration\": \"%s\"}", text);
    Tbktest__Types *message = read_ok(json);
    assert_int_equal(message->f_duration->seconds, seconds);
    assert_int_equal(message->f_duration->nanos, nanos);
}

static void test_json_read_duration_accepts_decimal_seconds(void **state)
{
    (void)state;
    check_duration("0s", 0, 0);
    check_duration("-0.5s", 0, -500000000);
    check_duration("-3.000000001s", -3, -1);
    check_duration("315576000000s", 315576000000, 0);
    static const char *const refused[] = {"1",  "s",   "-s", ".5s", "1.s", "1.0000000001s", "315576000001s",
                                          "1m", "1ss", "+1s"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char json[96];
        struct tbk_error error;
        Tbktest__Types *message = NULL;
        snprintf(json, sizeof json, "{\"fDuration\": \"%s\"}", refused[i]);
        if (json_test_read(json, arena, &message, &error) != TBK_INVALID_ARGUMENT)
            fail_msg("accepted: %s", refused[i]);
    }
}

static void test_json_read_mask_accepts_camel_case_and_original(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"fMask\": \"entryPrice,signal.tp_price,notes\"}");
    assert_int_equal(message->f_mask->n_paths, 3);
    assert_string_equal(message->f_mask->paths[0], "entry_price");
    assert_string_equal(message->f_mask->paths[1], "signal.tp_price");
    assert_string_equal(message->f_mask->paths[2], "notes");
    assert_int_equal(read_ok("{\"fMask\": \"\"}")->f_mask->n_paths, 0);
    check_refused("{\"fMask\": \"a,,b\"}",
                  "fMask: expected names of fields such as \"entryPrice,notes\", found a string (\"a,,b\")");
    check_refused("{\"fMask\": \"a b\"}",
                  "fMask: expected names of fields such as \"entryPrice,notes\", found a string (\"a b\")");
    check_refused("{\"fMask\": [\"a\"]}",
                  "fMask: expected names of fields such as \"entryPrice,notes\", found an array");
}

static void check_any(const Google__Protobuf__Any *any, const char *type_url, const char *bytes, size_t length)
{
    assert_string_equal(any->type_url, type_url);
    assert_int_equal(any->value.len, length);
    if (length > 0)
        assert_memory_equal(any->value.data, bytes, length);
}

static void test_json_read_any_accepts_fields_value_or_base64(void **state)
{
    (void)state;
    Tbktest__Types *message =
        read_ok("{\"rAny\": [{\"x\": 5, \"@type\": \"type.googleapis.com/tbktest.Inner\"},"
                "{\"@type\": \"a/google.protobuf.Timestamp\", \"value\": \"1970-01-01T00:00:05Z\"},"
                "{\"@type\": \"a/no.such.Type\", \"value\": \"CAU=\"}, {}]}");
    check_any(message->r_any[0], "type.googleapis.com/tbktest.Inner", "\x08\x05", 2);
    check_any(message->r_any[1], "a/google.protobuf.Timestamp", "\x08\x05", 2);
    check_any(message->r_any[2], "a/no.such.Type", "\x08\x05", 2);
    check_any(message->r_any[3], "", NULL, 0);
    check_refused("{\"fAny\": {\"x\": 5}}", "fAny: the member \"@type\" is missing");
    check_refused("{\"fAny\": {\"@type\": 5}}", "fAny.@type: expected a string, found a number (5)");
    check_refused("{\"fAny\": {\"@type\": \"tbktest.Inner\"}}",
                  "fAny.@type: expected a type such as \"type.googleapis.com/tradebook.v1.Signal\", "
                  "found a string (\"tbktest.Inner\")");
    check_refused("{\"fAny\": {\"@type\": \"a/tbktest.Inner\", \"z\": 5}}", "fAny.z: Inner has no such field");
    check_refused("{\"fAny\": {\"@type\": \"a/google.protobuf.Timestamp\"}}",
                  "fAny: expected exactly \"@type\" and \"value\"");
    check_refused("{\"fAny\": {\"@type\": \"a/no.such.Type\", \"x\": 5}}",
                  "fAny: the type is not known here; give its serialised bytes as base64 in \"value\"");
    check_refused("{\"fAny\": {\"@type\": \"a/no.such.Type\", \"value\": \"?\"}}",
                  "fAny.value: expected base64, found a string (\"?\")");
    check_refused("{\"fAny\": []}", "fAny: expected an object, found an array");
}

static void test_json_read_oneof_refuses_two_members(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{\"choiceNumber\": 0}");
    assert_int_equal(message->choice_case, TBKTEST__TYPES__CHOICE_CHOICE_NUMBER);
    check_refused("{\"choiceNumber\": 0, \"choiceText\": \"a\"}",
                  "choiceText: excludes another field that is given as well");
}

static void test_json_read_defaults_stay_absent(void **state)
{
    (void)state;
    Tbktest__Types *message = read_ok("{}");
    assert_string_equal(message->text_with_default, "usual");
    assert_false(message->has_number_with_default);
    assert_int_equal(message->number_with_default, 7);
}

static void test_json_read_wrong_shape_fails(void **state)
{
    (void)state;
    check_refused("[]", "the message: expected an object, found an array");
    check_refused("5", "the message: expected an object, found a number (5)");
    check_refused("null", "the message: expected an object, found null");
    check_refused("{\"fMessage\": 5}", "fMessage: expected an object, found a number (5)");
    check_refused("{\"rInt32\": 5}", "rInt32: expected an array, found a number (5)");
    check_refused("{\"rInt32\": {\"0\": 5}}", "rInt32: expected an array, found an object");
}

static void test_json_read_no_json_fails_with_line_and_column(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "{",
        "{\n  \"fInt32\" 5}",
        "{} x",
        "{'fInt32': 5}",
        "{\"fInt32\": 01}",
        "{\"fInt32\": 99999999999999999999}",
        "{\"fDouble\": 1e999}",
        "{\"fString\": \"\xFF\"}",
        "{\"fString\": \"\\ud800\"}",
        "{\"f\\u0000\": 1}",
        "{\"fDouble\": NaN}",
        "{\"fInt32\": 1,}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct tbk_error error;
        Tbktest__Types *message = NULL;
        if (json_test_read(broken[i], arena, &message, &error) != TBK_INVALID_ARGUMENT ||
            strncmp(error.message, "line ", 5) != 0)
            fail_msg("accepted or without a line: %s", broken[i]);
    }
    struct tbk_error error;
    Tbktest__Types *message = NULL;
    (void)!json_test_read(broken[2], arena, &message, &error);
    assert_memory_equal(error.message, "line 2, column 12: ", 19);
}

static void test_json_read_deep_nesting_fails(void **state)
{
    (void)state;
    static char text[100 * 1000 + 1];
    memset(text, '[', sizeof text - 1);
    struct tbk_error error;
    Tbktest__Types *message = NULL;
    assert_int_equal(json_test_read(text, arena, &message, &error), TBK_INVALID_ARGUMENT);

    strcpy(text, "{\"fMessage\":");
    for (int i = 0; i < TBK_JSON_DEPTH_MAX; i++)
        strcat(text, "{\"inner\":");
    strcat(text, "{}");
    for (int i = 0; i < TBK_JSON_DEPTH_MAX + 1; i++)
        strcat(text, "}");
    assert_int_equal(json_test_read(text, arena, &message, &error), TBK_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "nested too deep"));
}

static void test_json_read_small_arena_fails(void **state)
{
    (void)state;
    struct tbk_error error;
    static const char text[] =
        "{\"rInt32\": [1, 2, 3], \"fString\": \"text\", \"fBytes\": \"AAAA\", \"fMask\": \"a,b\","
        "\"rMessage\": [{\"x\": 1}], \"fAny\": {\"@type\": \"a/tbktest.Inner\", \"x\": 1}}";
    Tbktest__Types *message = NULL;
    size_t bytes = 16;
    for (;; bytes += 16) {
        struct tbk_arena *small = tbk_arena_create(bytes, bytes);
        enum tbk_status status = json_test_read(text, small, &message, &error);
        tbk_arena_destroy(small);
        if (status == TBK_OK)
            break;
        assert_int_equal(status, TBK_RESOURCE_EXHAUSTED);
    }
    assert_true(bytes > sizeof *message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_read_names_accepts_camel_case_and_original),
        cmocka_unit_test(test_json_read_null_leaves_absent),
        cmocka_unit_test(test_json_read_unknown_name_fails_with_path),
        cmocka_unit_test(test_json_read_repeated_name_fails),
        cmocka_unit_test(test_json_read_integers_checks_exact_range),
        cmocka_unit_test(test_json_read_doubles_accepts_numbers_strings_and_specials),
        cmocka_unit_test(test_json_read_floats_checks_range),
        cmocka_unit_test(test_json_read_bool_accepts_true_and_false_only),
        cmocka_unit_test(test_json_read_enum_accepts_names_and_numbers),
        cmocka_unit_test(test_json_read_text_refuses_nul),
        cmocka_unit_test(test_json_read_bytes_accepts_both_alphabets),
        cmocka_unit_test(test_json_read_timestamp_accepts_rfc3339),
        cmocka_unit_test(test_json_read_duration_accepts_decimal_seconds),
        cmocka_unit_test(test_json_read_mask_accepts_camel_case_and_original),
        cmocka_unit_test(test_json_read_any_accepts_fields_value_or_base64),
        cmocka_unit_test(test_json_read_oneof_refuses_two_members),
        cmocka_unit_test(test_json_read_defaults_stay_absent),
        cmocka_unit_test(test_json_read_wrong_shape_fails),
        cmocka_unit_test(test_json_read_no_json_fails_with_line_and_column),
        cmocka_unit_test(test_json_read_deep_nesting_fails),
        cmocka_unit_test(test_json_read_small_arena_fails),
    };
    return cmocka_run_group_tests(tests, create_arena, destroy_arena);
}
