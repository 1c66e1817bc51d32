#include "cmocka_all.h"

#include <string.h>
#include <unistd.h>

#include "http/listen.h"

static void test_address_wellformed_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:7603",   "localhost:0",       "[::1]:65535",
                                       "http://0.0.0.0:1", "http://[::]:7603/", "metrics.example:80/"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct tbk_error error;
        tbk_error_init(&error);
        if (tbk_http_check_address(good[i], &error) != TBK_OK)
            fail_msg("%s: %s", good[i], error.message);
    }
}

static void test_address_malformed_refused_with_its_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        ":",          ":80",       "7603",   "localhost",  "localhost:",
                                      "a:b:80",  "[::1]80",    "[]:80",     "::1:80", "[a]:80",     "host:65536",
                                      "host:-1", "http://:80", "host:80/x", "u@h:80", "tcp://h:80", "h:123456"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tbk_error error;
        tbk_error_init(&error);
        if (tbk_http_check_address(bad[i], &error) != TBK_INVALID_ARGUMENT)
            fail_msg("\"%s\" is accepted", bad[i]);
        assert_non_null(strstr(error.message, bad[i]));
    }
}

static void test_address_longer_than_any_host_refused(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'h', sizeof text);
    memcpy(text + sizeof text - 4, ":80", 4);
    struct tbk_error error;
    tbk_error_init(&error);
    assert_int_equal(tbk_http_check_address(text, &error), TBK_INVALID_ARGUMENT);
}

static void test_listen_port_0_tells_the_port_which_is_then_in_use(void **state)
{
    (void)state;
    struct tbk_error error;
    char url[TBK_HTTP_ADDRESS_BYTES_MAX];
    char second[TBK_HTTP_ADDRESS_BYTES_MAX];
    int fd = -1;
    int other = -1;
    tbk_error_init(&error);
    assert_int_equal(tbk_http_listen("127.0.0.1:0", &fd, url, &error), TBK_OK);
    assert_memory_equal(url, "http://127.0.0.1:", strlen("http://127.0.0.1:"));
    assert_string_not_equal(url, "http://127.0.0.1:0");
    assert_int_equal(tbk_http_listen(url, &other, second, &error), TBK_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, url));
    assert_non_null(strstr(error.message, "in use"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_wellformed_accepted),
        cmocka_unit_test(test_address_malformed_refused_with_its_text),
        cmocka_unit_test(test_address_longer_than_any_host_refused),
        cmocka_unit_test(test_listen_port_0_tells_the_port_which_is_then_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
