#include <string.h>

#include "base/dynbuf.h"
#include "cmocka_all.h"

static void test_dynbuf_empty_is_empty_text(void **state)
{
    (void)state;
    struct tbk_dynbuf buffer;
    tbk_dynbuf_init(&buffer, 10);
    assert_string_equal(tbk_dynbuf_text(&buffer), "");
    tbk_dynbuf_append(&buffer, NULL, 0);
    assert_false(tbk_dynbuf_failed(&buffer));
    tbk_dynbuf_fini(&buffer);
}

static void test_dynbuf_appends_follow_each_other(void **state)
{
    (void)state;
    struct tbk_dynbuf buffer;
    tbk_dynbuf_init(&buffer, 1000);
    tbk_dynbuf_puts(&buffer, "SELECT ");
    tbk_dynbuf_putc(&buffer, '*');
    tbk_dynbuf_printf(&buffer, " LIMIT %d", 5);
    tbk_dynbuf_append(&buffer, "\0x", 2);
    assert_int_equal(buffer.length, 18);
    assert_memory_equal(buffer.data, "SELECT * LIMIT 5\0x", 19);
    tbk_dynbuf_fini(&buffer);
}

static void test_dynbuf_at_maximum_fits_above_fails_and_stays_failed(void **state)
{
    (void)state;
    struct tbk_dynbuf buffer;
    tbk_dynbuf_init(&buffer, 100);
    for (int i = 0; i < 100; i++) {
        tbk_dynbuf_putc(&buffer, 'x');
    }
    assert_false(tbk_dynbuf_failed(&buffer));
    tbk_dynbuf_printf(&buffer, "%d", 1);
    assert_true(tbk_dynbuf_failed(&buffer));
    tbk_dynbuf_puts(&buffer, "");
    assert_true(tbk_dynbuf_failed(&buffer));
    assert_int_equal(strlen(tbk_dynbuf_text(&buffer)), 100);
    assert_int_equal(buffer.capacity, 101);
    tbk_dynbuf_fini(&buffer);
}

static void test_dynbuf_clear_keeps_memory_and_forgets_failure(void **state)
{
    (void)state;
    struct tbk_dynbuf buffer;
    tbk_dynbuf_init(&buffer, 4);
    tbk_dynbuf_puts(&buffer, "four");
    tbk_dynbuf_puts(&buffer, "more");
    char *data = buffer.data;
    tbk_dynbuf_clear(&buffer);
    assert_false(tbk_dynbuf_failed(&buffer));
    assert_string_equal(tbk_dynbuf_text(&buffer), "");
    tbk_dynbuf_puts(&buffer, "five");
    assert_ptr_equal(buffer.data, data);
    assert_string_equal(tbk_dynbuf_text(&buffer), "five");
    tbk_dynbuf_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynbuf_empty_is_empty_text),
        cmocka_unit_test(test_dynbuf_appends_follow_each_other),
        cmocka_unit_test(test_dynbuf_at_maximum_fits_above_fails_and_stays_failed),
        cmocka_unit_test(test_dynbuf_clear_keeps_memory_and_forgets_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
