#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cmocka_all.h"

static struct tbk_error error;

static int setup(void **state)
{
    (void)state;
    memset(&error, 0xAA, sizeof error);
    tbk_error_init(&error);
    return 0;
}

static void test_error_finish_nothing_set_is_ok(void **state)
{
    (void)state;
    assert_int_equal(tbk_error_finish(&error), TBK_OK);
    assert_string_equal(error.message, "");
    assert_int_equal(tbk_error_violations_kept(&error), 0);
}

static void test_error_set_keeps_violations(void **state)
{
    (void)state;
    tbk_error_violation(&error, "page_size", "must not be negative");
    assert_int_equal(tbk_error_set(&error, TBK_NOT_FOUND, "no signal has the id %d", 7), TBK_NOT_FOUND);
    assert_int_equal(tbk_error_finish(&error), TBK_NOT_FOUND);
    assert_string_equal(error.message, "no signal has the id 7");
    assert_int_equal(error.violation_count, 1);
}

static void test_error_finish_one_violation_is_its_sentence(void **state)
{
    (void)state;
    tbk_error_violation(&error, "signal.symbol", "must not be %s", "empty");
    assert_int_equal(tbk_error_finish(&error), TBK_INVALID_ARGUMENT);
    assert_string_equal(error.message, "signal.symbol: must not be empty");
    assert_string_equal(error.violations[0].field, "signal.symbol");
    assert_string_equal(error.violations[0].description, "must not be empty");
}

static void test_error_finish_more_violations_says_how_many(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        tbk_error_violation(&error, "", "request is wrong");
    }
    assert_int_equal(tbk_error_finish(&error), TBK_INVALID_ARGUMENT);
    assert_string_equal(error.message, "request is wrong (and 2 more)");
}

static void test_error_violation_beyond_maximum_is_counted_not_kept(void **state)
{
    (void)state;
    for (int i = 0; i < TBK_VIOLATIONS_MAX + 5; i++) {
        tbk_error_violation(&error, "f", "%d", i);
    }
    assert_int_equal(error.violation_count, TBK_VIOLATIONS_MAX + 5);
    assert_int_equal(tbk_error_violations_kept(&error), TBK_VIOLATIONS_MAX);
    assert_string_equal(error.violations[TBK_VIOLATIONS_MAX - 1].description, "31");
}

/* Every offset of a character of every length against the end of the buffer. */
static void test_error_cut_text_ends_at_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x92\xA5"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 8; lead++) {
            char text[1024];
            memset(text, 'a', lead);
            size_t length = lead;
            while (length < 900) {
                memcpy(text + length, characters[c], c + 1);
                length += c + 1;
            }
            text[length] = '\0';
            tbk_error_init(&error);
            tbk_error_violation(&error, text, "%s", text);
            tbk_error_set(&error, TBK_INTERNAL, "%s", text);
            const char *cut[] = {error.violations[0].field, error.violations[0].description, error.message};
            const size_t bytes[] = {TBK_VIOLATION_FIELD_BYTES_MAX, TBK_VIOLATION_TEXT_BYTES_MAX,
                                    TBK_ERROR_MESSAGE_BYTES_MAX};
            for (int i = 0; i < 3; i++) {
                size_t kept = strlen(cut[i]);
                assert_true(tbk_utf8_valid(cut[i], kept));
                assert_in_range(kept, bytes[i] - 1 - c, bytes[i] - 1);
                assert_memory_equal(cut[i], text, kept);
            }
        }
    }
}

static void test_error_copy_copies_what_is_set(void **state)
{
    (void)state;
    tbk_error_violation(&error, "a", "first");
    tbk_error_violation(&error, "b", "second");
    tbk_error_set(&error, TBK_INVALID_ARGUMENT, "sentence");
    struct tbk_error *copy = malloc(sizeof *copy);
    tbk_error_copy(copy, &error);
    assert_int_equal(copy->status, TBK_INVALID_ARGUMENT);
    assert_string_equal(copy->message, "sentence");
    assert_int_equal(copy->violation_count, 2);
    assert_string_equal(copy->violations[1].field, "b");
    assert_string_equal(copy->violations[1].description, "second");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_error_finish_nothing_set_is_ok, setup),
        cmocka_unit_test_setup(test_error_set_keeps_violations, setup),
        cmocka_unit_test_setup(test_error_finish_one_violation_is_its_sentence, setup),
        cmocka_unit_test_setup(test_error_finish_more_violations_says_how_many, setup),
        cmocka_unit_test_setup(test_error_violation_beyond_maximum_is_counted_not_kept, setup),
        cmocka_unit_test_setup(test_error_cut_text_ends_at_character, setup),
        cmocka_unit_test_setup(test_error_copy_copies_what_is_set, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
