#include "base/status.h"
#include "cmocka_all.h"

static void test_status_name_known_is_grpc_name(void **state)
{
    (void)state;
    assert_string_equal(tbk_status_name(TBK_OK), "OK");
    assert_string_equal(tbk_status_name(TBK_INVALID_ARGUMENT), "INVALID_ARGUMENT");
    assert_string_equal(tbk_status_name((enum tbk_status)16), "UNAUTHENTICATED");
}

static void test_status_name_outside_table_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(tbk_status_name((enum tbk_status)17), "UNKNOWN");
    assert_string_equal(tbk_status_name((enum tbk_status) - 1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_name_known_is_grpc_name),
        cmocka_unit_test(test_status_name_outside_table_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
