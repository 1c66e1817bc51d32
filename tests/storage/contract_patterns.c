/* What patterns are ranked by. */
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "tradebook/v1/pattern.pb-c.h"

enum { COUNTS_BYTES_MAX = 1 << 16 };

static int64_t insert(struct tbk_store *store, int64_t number, int64_t wins, int64_t total)
{
    Tradebook__V1__Pattern *pattern =
        (Tradebook__V1__Pattern *)tbk_store_message(store, TBK_PATTERNS, TBK_FILL_MANDATORY, number);
    pattern->wins = wins;
    pattern->total = total;
    return tbk_store_insert(store, TBK_PATTERNS, &pattern->base);
}

static int by_id(const void *a, const void *b)
{
    const struct tbk_pattern_counts *left = a;
    const struct tbk_pattern_counts *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/* The counts, by id, in the store's arena. */
static struct tbk_pattern_counts *read(struct tbk_store *store, int64_t min_total, size_t *ret_count)
{
    struct tbk_dynbuf bytes;
    tbk_dynbuf_init(&bytes, COUNTS_BYTES_MAX);
    expect_ok(store, store->ops->pattern_counts(store->reader, min_total, &bytes, &store->error));
    struct tbk_pattern_counts *counts = tbk_arena_alloc(store->arena, bytes.length + 1);
    assert_non_null(counts);
    memcpy(counts, tbk_dynbuf_text(&bytes), bytes.length);
    *ret_count = bytes.length / sizeof *counts;
    tbk_dynbuf_fini(&bytes);
    qsort(counts, *ret_count, sizeof *counts, by_id);
    return counts;
}

static void assert_counts(struct tbk_pattern_counts counts, int64_t id, int64_t wins, int64_t total)
{
    assert_int_equal(counts.id, id);
    assert_int_equal(counts.wins, wins);
    assert_int_equal(counts.total, total);
}

static void test_pattern_counts_are_those_of_enough_trades(void **state)
{
    struct tbk_store *store = *state;
    size_t count = 1;
    read(store, 1, &count);
    assert_int_equal(count, 0);
    tbk_store_begin(store);
    const int64_t few = insert(store, 1, 0, 1);
    insert(store, 2, 0, 0);
    const int64_t many = insert(store, 3, INT64_MAX, INT64_MAX);
    const int64_t ten = insert(store, 4, 3, 10);
    tbk_store_commit(store);
    struct tbk_pattern_counts *counts = read(store, 1, &count);
    assert_int_equal(count, 3);
    assert_counts(counts[0], few, 0, 1);
    assert_counts(counts[1], many, INT64_MAX, INT64_MAX);
    assert_counts(counts[2], ten, 3, 10);
    counts = read(store, 10, &count);
    assert_int_equal(count, 2);
    counts = read(store, 11, &count);
    assert_int_equal(count, 1);
    assert_counts(counts[0], many, INT64_MAX, INT64_MAX);
}

static void test_pattern_counts_leave_out_the_impossible(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    insert(store, 1, 6, 5);
    insert(store, 2, -1, 5);
    const int64_t possible = insert(store, 3, 5, 5);
    tbk_store_commit(store);
    size_t count = 0;
    const struct tbk_pattern_counts *counts = read(store, 1, &count);
    assert_int_equal(count, 1);
    assert_counts(counts[0], possible, 5, 5);
}

static void test_pattern_counts_beyond_the_room_resource_exhausted(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    insert(store, 1, 1, 2);
    insert(store, 2, 1, 2);
    tbk_store_commit(store);
    struct tbk_dynbuf bytes;
    tbk_dynbuf_init(&bytes, sizeof(struct tbk_pattern_counts));
    expect_status(store, store->ops->pattern_counts(store->reader, 1, &bytes, &store->error),
                  TBK_RESOURCE_EXHAUSTED);
    tbk_dynbuf_fini(&bytes);
}

int tbk_contract_run_patterns(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_pattern_counts_are_those_of_enough_trades),
        contract_test(test_pattern_counts_leave_out_the_impossible),
        contract_test(test_pattern_counts_beyond_the_room_resource_exhausted),
    };
    return cmocka_run_group_tests_name("contract: patterns", tests, NULL, NULL);
}
