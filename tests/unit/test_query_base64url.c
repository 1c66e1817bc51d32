#include <string.h>

#include "cmocka_all.h"
#include "query/base64url.h"

static void test_base64url_encode_known_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *text;
    } cases[] = {
        {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xFB\xFF\xBF", "-_-_"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        const size_t length = strlen(cases[i].bytes);
        tbk_base64url_encode((const uint8_t *)cases[i].bytes, length, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(tbk_base64url_encoded_length(length), strlen(cases[i].text));
    }
}

static void test_base64url_decode_reads_back_every_length(void **state)
{
    (void)state;
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 151 + 7);
    }
    for (size_t length = 0; length <= sizeof bytes; length++) {
        char text[300];
        uint8_t back[200];
        tbk_base64url_encode(bytes, length, text);
        assert_int_equal(tbk_base64url_decoded_length(strlen(text)), length);
        assert_true(tbk_base64url_decode(text, strlen(text), back));
        assert_memory_equal(back, bytes, length);
    }
}

static void test_base64url_decode_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"Z",    "Zm9vY", "Zg==", "Zm8=", "Zm 8",
                                        "Zm+v", "Zm/v",  "Zh",   "Zm9",  "\xC3\xA9Zg"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[16];
        if (tbk_base64url_decode(cases[i], strlen(cases[i]), bytes)) {
            fail_msg("%s is accepted", cases[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64url_encode_known_text),
        cmocka_unit_test(test_base64url_decode_reads_back_every_length),
        cmocka_unit_test(test_base64url_decode_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
