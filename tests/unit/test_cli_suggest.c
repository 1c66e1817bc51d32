#include "cli/suggest.h"
#include "cmocka_all.h"

static void test_suggest_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(tbk_name_distance("", ""), 0);
    assert_int_equal(tbk_name_distance("", "abc"), 3);
    assert_int_equal(tbk_name_distance("abc", ""), 3);
    assert_int_equal(tbk_name_distance("serve", "SERVE"), 0);
    assert_int_equal(tbk_name_distance("serve", "sreve"), 1);
    assert_int_equal(tbk_name_distance("kitten", "sitting"), 3);
    assert_int_equal(tbk_name_distance("signals", "signal"), 1);
}

static void test_suggest_distance_of_long_names_is_bounded(void **state)
{
    (void)state;
    char a[300];
    char b[300];
    for (size_t i = 0; i < sizeof a - 1; i++) {
        a[i] = 'a';
        b[i] = 'b';
    }
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    assert_int_equal(tbk_name_distance(a, b), 95);
}

static void test_suggest_nearest_finds_typos_and_prefixes_only(void **state)
{
    (void)state;
    static const char *const names[] = {"serve", "call", "list", "version"};
    assert_string_equal(tbk_name_nearest("lits", names, 4), "list");
    assert_string_equal(tbk_name_nearest("Sevre", names, 4), "serve");
    assert_string_equal(tbk_name_nearest("vers", names, 4), "version");
    assert_null(tbk_name_nearest("backup", names, 4));
    assert_null(tbk_name_nearest("x", names, 4));
    assert_null(tbk_name_nearest("x", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suggest_distance_counts_edits),
        cmocka_unit_test(test_suggest_distance_of_long_names_is_bounded),
        cmocka_unit_test(test_suggest_nearest_finds_typos_and_prefixes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
