/* Pages of answers that are no list of one table's rows. */
#include <string.h>

#include "cmocka_all.h"
#include "query/page.h"

#define SECRET  UINT64_C(0x0123456789ABCDEF)
#define FOREIGN "it belongs to another request; start again from the first page"

static const enum tbk_value_type types[] = {TBK_VALUE_INTEGER, TBK_VALUE_REAL, TBK_VALUE_TEXT};
enum { TYPES = sizeof types / sizeof types[0] };

static struct tbk_arena *arena;
static struct tbk_error error;

static int setup(void **state)
{
    (void)state;
    arena = tbk_arena_create(4096, 1 << 20);
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tbk_arena_destroy(arena);
    return 0;
}

static enum tbk_status build(const char *scope, const char *token, struct tbk_page *page)
{
    tbk_error_init(&error);
    const struct tbk_page_request request = {.page_token = token, .scope = scope};
    return tbk_page_build(&request, types, TYPES, SECRET, arena, page, &error);
}

static char *token_of(const char *scope)
{
    const struct tbk_value values[TYPES] = {
        {.type = TBK_VALUE_INTEGER, .integer = -7},
        {.type = TBK_VALUE_REAL, .real = 0.1},
        {.type = TBK_VALUE_TEXT, .text = {"na\xc3\xafve", 6}},
    };
    struct tbk_page page;
    assert_int_equal(build(scope, NULL, &page), TBK_OK);
    char *token = tbk_page_next(&page, values, TYPES, SECRET, arena);
    assert_non_null(token);
    return token;
}

static void assert_refused(const char *scope, const char *token, const char *why)
{
    struct tbk_page page;
    assert_int_equal(build(scope, token, &page), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 1);
    assert_string_equal(error.violations[0].field, "page_token");
    assert_string_equal(error.violations[0].description, why);
    assert_false(page.continues);
}

static void test_page_without_a_token_is_the_first(void **state)
{
    (void)state;
    struct tbk_page page;
    assert_int_equal(build("Rank", NULL, &page), TBK_OK);
    assert_false(page.continues);
    assert_int_equal(page.limit, TBK_PAGE_SIZE_DEFAULT);
    assert_int_equal(build("Rank", "", &page), TBK_OK);
    assert_false(page.continues);
}

static void test_page_continues_after_the_values_of_its_token(void **state)
{
    (void)state;
    struct tbk_page page;
    assert_int_equal(build("Rank", token_of("Rank"), &page), TBK_OK);
    assert_true(page.continues);
    assert_int_equal(page.after[0].integer, -7);
    assert_true(page.after[1].real == 0.1);
    assert_string_equal(page.after[2].text.data, "na\xc3\xafve");
    assert_int_equal(page.after[2].text.length, 6);
}

static void test_page_token_of_another_scope_is_refused(void **state)
{
    (void)state;
    assert_refused("Rank", token_of("Rank by name"), FOREIGN);
}

static void test_page_token_of_other_values_is_refused(void **state)
{
    (void)state;
    static const struct tbk_value wrong[][TYPES + 1] = {
        {{.type = TBK_VALUE_INTEGER}, {.type = TBK_VALUE_REAL}, {.type = TBK_VALUE_NULL}},
        {{.type = TBK_VALUE_REAL}, {.type = TBK_VALUE_REAL}, {.type = TBK_VALUE_TEXT, .text = {"", 0}}},
    };
    struct tbk_page page;
    assert_int_equal(build("Rank", NULL, &page), TBK_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused("Rank", tbk_page_next(&page, wrong[i], TYPES, SECRET, arena), FOREIGN);
    }
    assert_refused("Rank", tbk_page_next(&page, wrong[0], 2, SECRET, arena), FOREIGN);
    assert_refused("Rank", tbk_page_next(&page, wrong[0], TYPES + 1, SECRET, arena), FOREIGN);
}

static void test_page_token_damaged_is_refused(void **state)
{
    (void)state;
    char *token = token_of("Rank");
    token[3] = token[3] == 'A' ? 'B' : 'A';
    assert_refused("Rank", token,
                   "it is damaged or was not made by this database; start again from the first page");
}

static void test_page_violations_are_reported_at_once(void **state)
{
    (void)state;
    struct tbk_page page;
    const struct tbk_page_request request = {
        .has_page_size = true, .page_size = -1, .page_token = "x", .scope = "Rank"};
    tbk_error_init(&error);
    assert_int_equal(tbk_page_build(&request, types, TYPES, SECRET, arena, &page, &error), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 2);
    assert_string_equal(error.violations[0].field, "page_size");
    assert_string_equal(error.violations[1].field, "page_token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_page_without_a_token_is_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_continues_after_the_values_of_its_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_token_of_another_scope_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_token_of_other_values_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_token_damaged_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_violations_are_reported_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
