#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cmocka_all.h"

static int pipe_ends[2];
static char output[2 * TBK_LOG_LINE_BYTES_MAX];

static int setup(void **state)
{
    (void)state;
    return pipe(pipe_ends);
}

static int teardown(void **state)
{
    (void)state;
    tbk_log_configure(STDERR_FILENO, TBK_LOG_INFO, TBK_LOG_TEXT);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* The line written last, without its time, which is checked to be one. */
static const char *line_text(void)
{
    ssize_t length = read(pipe_ends[0], output, sizeof output - 1);
    assert_true(length > 0 && length <= TBK_LOG_LINE_BYTES_MAX);
    output[length] = '\0';
    assert_ptr_equal(strchr(output, '\n'), output + length - 1);
    assert_true(tbk_utf8_valid(output, (size_t)length));
    const char *after_time = strchr(output, 'Z');
    assert_non_null(after_time);
    return after_time + 1;
}

static void test_log_text_form(void **state)
{
    (void)state;
    tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, TBK_LOG_TEXT);
    tbk_log(TBK_LOG_INFO, "serving", TBK_LOG_STR("address", "tcp://127.0.0.1:7601"), TBK_LOG_INT("pid", -7),
            TBK_LOG_DOUBLE("ratio", 0.5), TBK_LOG_STR("absent", NULL));
    assert_string_equal(line_text(), " INFO serving address=tcp://127.0.0.1:7601 pid=-7 ratio=0.5\n");
    assert_int_equal(output[10], 'T');
    assert_int_equal(strchr(output, 'Z') - output, 26);
}

static void test_log_json_form(void **state)
{
    (void)state;
    tbk_log_configure(pipe_ends[1], TBK_LOG_DEBUG, TBK_LOG_JSON);
    tbk_log(TBK_LOG_WARNING, "a \"b\"", TBK_LOG_STR("address", "x y"), TBK_LOG_INT("n", INT64_MIN),
            TBK_LOG_DOUBLE("ratio", (double)NAN), TBK_LOG_STR("absent", NULL));
    assert_string_equal(line_text(), "\",\"level\":\"WARNING\",\"message\":\"a \\\"b\\\"\",\"address\":\"x y\","
                                     "\"n\":-9223372036854775808,\"ratio\":\"NaN\"}\n");
    assert_memory_equal(output, "{\"time\":\"", 9);
}

static void test_log_untrusted_text_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text;
        const char *json;
    } cases[] = {
        {"", "\"\"", "\"\""},
        {"a=b", "\"a=b\"", "\"a=b\""},
        {"it's", "\"it's\"", "\"it's\""},
        {"a\\b", "\"a\\\\b\"", "\"a\\\\b\""},
        {"\n\r\t\x1B[31m\x7F", "\"\\n\\r\\t\\u001b[31m\\u007f\"", "\"\\n\\r\\t\\u001b[31m\\u007f\""},
        {"\xC2\x85\xE2\x80\xA8\xE2\x80\xAE", "\"\\u0085\\u2028\\u202e\"", "\"\\u0085\\u2028\\u202e\""},
        {"\xC3\xA9\xE4\xA0\xA0\xF0\x9F\x92\xA5", "\xC3\xA9\xE4\xA0\xA0\xF0\x9F\x92\xA5",
         "\"\xC3\xA9\xE4\xA0\xA0\xF0\x9F\x92\xA5\""},
        {"a\xFF\xED\xA0\x80", "\"a\\xff\\xed\\xa0\\x80\"", "\"a\\ufffd\\ufffd\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, TBK_LOG_TEXT);
        tbk_log(TBK_LOG_INFO, "m", TBK_LOG_STR("v", cases[i].value));
        snprintf(expected, sizeof expected, " INFO m v=%s\n", cases[i].text);
        assert_string_equal(line_text(), expected);
        tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, TBK_LOG_JSON);
        tbk_log(TBK_LOG_INFO, "m", TBK_LOG_STR("v", cases[i].value));
        snprintf(expected, sizeof expected, "\",\"level\":\"INFO\",\"message\":\"m\",\"v\":%s}\n", cases[i].json);
        assert_string_equal(line_text(), expected);
    }
    tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, TBK_LOG_TEXT);
    tbk_log(TBK_LOG_INFO, "two\nlines", TBK_LOG_INT("n", 1));
    assert_string_equal(line_text(), " INFO two\\nlines n=1\n");
}

/* Every length around the limit, with characters that are escaped and not. */
static void test_log_long_line_is_cut_and_says_so(void **state)
{
    (void)state;
    static const char *const units[] = {"x", "\n", "\"", "\x01", "\xFF", "\xE2\x82\xAC", " "};
    static char value[5000];
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        for (int format = TBK_LOG_TEXT; format <= TBK_LOG_JSON; format++) {
            tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, (enum tbk_log_format)format);
            for (size_t length = 0; length < 4200; length += length < 500 || length > 3900 ? 1 : 100) {
                size_t unit_length = strlen(units[u]);
                for (size_t i = 0; i < length; i++) {
                    value[i] = units[u][i % unit_length];
                }
                value[length - length % unit_length] = '\0';
                tbk_log(TBK_LOG_INFO, "m", TBK_LOG_STR("v", value), TBK_LOG_INT("after", 1),
                        TBK_LOG_STR("w", value));
                const char *line = line_text();
                size_t line_length = strlen(line);
                const char *ending = format == TBK_LOG_JSON ? ",\"cut\":true}\n" : " [cut]\n";
                if (strstr(line, "cut") == NULL) {
                    assert_true(line_length >= 2 * strlen(value) && strstr(line, "after") != NULL);
                } else if (strcmp(line + line_length - strlen(ending), ending) != 0) {
                    assert_string_equal(line, ending);
                }
            }
        }
    }
}

static void test_log_long_message_and_many_fields_are_cut(void **state)
{
    (void)state;
    static char message[6000];
    memset(message, 'm', sizeof message - 1);
    for (int format = TBK_LOG_TEXT; format <= TBK_LOG_JSON; format++) {
        tbk_log_configure(pipe_ends[1], TBK_LOG_INFO, (enum tbk_log_format)format);
        struct tbk_log_field fields[600];
        for (int i = 0; i < 600; i++) {
            fields[i] = TBK_LOG_INT("field", i);
        }
        for (int i = 0; i < 64; i++) {
            tbk_log_write(TBK_LOG_INFO, message + 1920 + i, fields, 1);
            line_text();
            tbk_log_write(TBK_LOG_INFO, message + 5900 + i, fields, 600);
            assert_non_null(strstr(line_text(), "cut"));
        }
    }
}

enum { THREADS = 4, LINES_PER_THREAD = 500 };

static void *write_lines(void *argument)
{
    (void)argument;
    for (int i = 0; i < LINES_PER_THREAD; i++) {
        tbk_log(TBK_LOG_INFO, "m", TBK_LOG_STR("v", "0123456789 0123456789 0123456789"), TBK_LOG_INT("n", 5));
    }
    return NULL;
}

static void test_log_lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    tbk_log_configure(fileno(file), TBK_LOG_INFO, TBK_LOG_TEXT);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    rewind(file);
    int lines = 0;
    while (fgets(output, sizeof output, file) != NULL) {
        assert_string_equal(output + 27, " INFO m v=\"0123456789 0123456789 0123456789\" n=5\n");
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES_PER_THREAD);
    fclose(file);
}

static void test_log_level_below_is_not_evaluated(void **state)
{
    (void)state;
    int evaluated = 0;
    tbk_log_configure(pipe_ends[1], TBK_LOG_WARNING, TBK_LOG_TEXT);
    tbk_log(TBK_LOG_INFO, "m", TBK_LOG_INT("n", ++evaluated));
    assert_int_equal(evaluated, 0);
    assert_true(tbk_log_enabled(TBK_LOG_WARNING));
    assert_true(tbk_log_enabled(TBK_LOG_ERROR));
    tbk_log_configure(pipe_ends[1], TBK_LOG_OFF, TBK_LOG_TEXT);
    assert_false(tbk_log_enabled(TBK_LOG_ERROR));
    assert_false(tbk_log_enabled(TBK_LOG_OFF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_text_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_json_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_untrusted_text_is_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_long_line_is_cut_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_long_message_and_many_fields_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_lines_of_threads_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_level_below_is_not_evaluated, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
