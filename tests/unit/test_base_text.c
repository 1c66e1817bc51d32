#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmocka_all.h"

static size_t encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3F));
    }
    out[0] = (char)((0xF00U >> bytes) | c);
    return bytes;
}

static void test_utf8_every_scalar_value_is_valid_and_decodes(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x1FFFFF; c++) {
        char text[4];
        size_t length = encode(c, text);
        bool scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        uint32_t decoded = 0;
        size_t decoded_length = tbk_utf8_decode(text, length, &decoded);
        if (tbk_utf8_valid(text, length) != scalar || decoded_length != (scalar ? length : 0) ||
            (scalar && decoded != c)) {
            fail_msg("U+%04X", c);
        }
        if (scalar && length > 1 && tbk_utf8_valid(text, length - 1)) {
            fail_msg("U+%04X is valid when cut", c);
        }
    }
}

static void test_utf8_malformed_is_invalid_at_every_offset(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFE",
        "\xFF",
        "\xC3",
        "\xC3(",
        "\xE2\x82",
        "\xE2(\xA1",
        "\xF0\x9F\x92",
        "\xF0\x9F(\xA5",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t offset = 0; offset < 20; offset++) {
            char text[64];
            memset(text, 'a', sizeof text);
            memcpy(text + offset, cases[i], strlen(cases[i]));
            if (tbk_utf8_valid(text, sizeof text)) {
                fail_msg("case %zu at offset %zu", i, offset);
            }
            assert_true(tbk_utf8_valid(text, offset));
        }
    }
}

static void test_utf8_count_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(tbk_utf8_count("", 0), 0);
    assert_int_equal(tbk_utf8_count("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x92\xA5", 10), 4);
}

static void test_utf8_has_control_finds_c0_del_c1(void **state)
{
    (void)state;
    static const char *const with[] = {"a\n", "\x1F", "\x7F", "\xC2\x80", "x\xC2\x9F"};
    static const char *const without[] = {"", "BTC-USD", " ~", "\xC2\xA0", "\xC3\x80", "\xE2\x82\x80"};
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
        assert_true(tbk_utf8_has_control(with[i], strlen(with[i])));
    }
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        assert_false(tbk_utf8_has_control(without[i], strlen(without[i])));
    }
    assert_true(tbk_utf8_has_control("\0", 1));
}

static void test_double_format_is_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {67250.25, "67250.25"},
        {1e22, "1e+22"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789012345678.0, "1.2345678901234568e+17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TBK_DOUBLE_CHARS_MAX];
        assert_int_equal(tbk_double_format(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void test_double_format_reads_back(void **state)
{
    (void)state;
    static const double extremes[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN, DBL_EPSILON};
    uint64_t bits = 1;
    for (size_t i = 0; i < 100000; i++) {
        double value;
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&value, &bits, sizeof value);
        if (i < sizeof extremes / sizeof extremes[0]) {
            value = extremes[i];
        }
        if (!(value >= -DBL_MAX && value <= DBL_MAX)) {
            continue;
        }
        char text[TBK_DOUBLE_CHARS_MAX];
        tbk_double_format(value, text);
        double back = strtod(text, NULL);
        if (memcmp(&back, &value, sizeof value) != 0) {
            fail_msg("%s", text);
        }
    }
}

static void test_hex_encode_is_lower_case(void **state)
{
    (void)state;
    char text[9];
    tbk_hex_encode((const uint8_t[]){0x00, 0x9F, 0xAB, 0xFF}, 4, text);
    assert_string_equal(text, "009fabff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_every_scalar_value_is_valid_and_decodes),
        cmocka_unit_test(test_utf8_malformed_is_invalid_at_every_offset),
        cmocka_unit_test(test_utf8_count_counts_characters),
        cmocka_unit_test(test_utf8_has_control_finds_c0_del_c1),
        cmocka_unit_test(test_double_format_is_short),
        cmocka_unit_test(test_double_format_reads_back),
        cmocka_unit_test(test_hex_encode_is_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
