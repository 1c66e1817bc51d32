#include <string.h>

#include "base/arena.h"
#include "cmocka_all.h"

static void test_arena_alloc_is_aligned_and_distinct(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(256, 4096);
    char *memory[20];
    for (size_t i = 0; i < 20; i++) {
        memory[i] = tbk_arena_alloc(arena, i + 1);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % _Alignof(max_align_t), 0);
        memset(memory[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(memory[i][j], i);
        }
    }
    tbk_arena_destroy(arena);
}

static void test_arena_alloc_at_limit_succeeds_above_fails(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 1024);
    assert_non_null(tbk_arena_alloc(arena, 64));
    assert_non_null(tbk_arena_alloc(arena, 960));
    assert_false(tbk_arena_overflowed(arena));
    assert_null(tbk_arena_alloc(arena, 1));
    assert_true(tbk_arena_overflowed(arena));
    tbk_arena_destroy(arena);
}

static void test_arena_alloc_of_huge_size_fails(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 1024);
    assert_null(tbk_arena_alloc(arena, SIZE_MAX));
    assert_null(tbk_arena_alloc(arena, SIZE_MAX - 8));
    assert_true(tbk_arena_overflowed(arena));
    tbk_arena_destroy(arena);
}

static void test_arena_alloc_of_nothing_is_not_null(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 64);
    assert_non_null(tbk_arena_alloc(arena, 0));
    tbk_arena_destroy(arena);
}

static void test_arena_reset_gives_the_whole_limit_again(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 1024);
    void *first = tbk_arena_alloc(arena, 64);
    assert_null(tbk_arena_alloc(arena, 2000));
    tbk_arena_reset(arena);
    assert_false(tbk_arena_overflowed(arena));
    assert_ptr_equal(tbk_arena_alloc(arena, 64), first);
    assert_non_null(tbk_arena_alloc(arena, 960));
    tbk_arena_destroy(arena);
}

static void test_arena_zalloc_after_reset_is_zero(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 64);
    memset(tbk_arena_alloc(arena, 64), 0xFF, 64);
    tbk_arena_reset(arena);
    static const char zero[64];
    assert_memory_equal(tbk_arena_zalloc(arena, 64), zero, 64);
    assert_null(tbk_arena_zalloc(arena, 1));
    tbk_arena_destroy(arena);
}

static void test_arena_text_is_terminated(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 64);
    assert_string_equal(tbk_arena_strndup(arena, "BTC-USD", 3), "BTC");
    assert_string_equal(tbk_arena_printf(arena, "%s has %d", "x", 12), "x has 12");
    assert_null(tbk_arena_printf(arena, "%100d", 1));
    assert_true(tbk_arena_overflowed(arena));
    tbk_arena_destroy(arena);
}

static void test_arena_allocator_allocates_from_arena(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(64, 64);
    ProtobufCAllocator *allocator = tbk_arena_allocator(arena);
    void *memory = allocator->alloc(allocator->allocator_data, 64);
    assert_non_null(memory);
    allocator->free(allocator->allocator_data, memory);
    assert_null(allocator->alloc(allocator->allocator_data, 1));
    tbk_arena_destroy(arena);
    tbk_arena_destroy(NULL);
}

static void test_budget_is_shared_and_given_back(void **state)
{
    (void)state;
    struct tbk_budget budget = {.bytes_max = 1000};
    struct tbk_arena *arenas[] = {tbk_arena_create(64, 10000), tbk_arena_create(64, 10000)};
    tbk_arena_set_budget(arenas[0], &budget);
    tbk_arena_set_budget(arenas[1], &budget);
    assert_non_null(tbk_arena_alloc(arenas[0], 64)); /* the first block is not counted */
    assert_int_equal(budget.used, 0);
    assert_non_null(tbk_arena_alloc(arenas[0], 600));
    assert_null(tbk_arena_alloc(arenas[1], 600));
    assert_true(tbk_arena_starved(arenas[1]));
    assert_false(tbk_arena_overflowed(arenas[1]));
    tbk_arena_reset(arenas[0]);
    assert_int_equal(budget.used, 0);
    tbk_arena_reset(arenas[1]);
    assert_false(tbk_arena_starved(arenas[1]));
    assert_non_null(tbk_arena_alloc(arenas[1], 600));
    tbk_arena_destroy(arenas[0]);
    tbk_arena_destroy(arenas[1]);
    assert_int_equal(budget.used, 0);
}

static void test_budget_that_is_ignored_counts_all_the_same(void **state)
{
    (void)state;
    struct tbk_budget budget = {.bytes_max = 100};
    struct tbk_arena *arena = tbk_arena_create(64, 10000);
    tbk_arena_set_budget(arena, &budget);
    tbk_arena_ignore_budget(arena);
    assert_non_null(tbk_arena_alloc(arena, 600));
    assert_true(budget.used >= 600);
    assert_false(tbk_budget_fits(&budget, 1));
    tbk_arena_reset(arena);
    assert_int_equal(budget.used, 0);
    assert_null(tbk_arena_alloc(arena, 600));
    tbk_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc_is_aligned_and_distinct),
        cmocka_unit_test(test_arena_alloc_at_limit_succeeds_above_fails),
        cmocka_unit_test(test_arena_alloc_of_huge_size_fails),
        cmocka_unit_test(test_arena_alloc_of_nothing_is_not_null),
        cmocka_unit_test(test_arena_reset_gives_the_whole_limit_again),
        cmocka_unit_test(test_arena_zalloc_after_reset_is_zero),
        cmocka_unit_test(test_arena_text_is_terminated),
        cmocka_unit_test(test_arena_allocator_allocates_from_arena),
        cmocka_unit_test(test_budget_is_shared_and_given_back),
        cmocka_unit_test(test_budget_that_is_ignored_counts_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
