#include "cmocka_all.h"

#include <pthread.h>

#include "metrics/distribution.h"

static uint64_t count_of(const struct tbk_distribution *distribution, unsigned bucket)
{
    return atomic_load(&distribution->counts[bucket]);
}

static void test_distribution_new_empty(void **state)
{
    (void)state;
    struct tbk_distribution distribution;
    tbk_distribution_init(&distribution, &tbk_bounds_durations);
    for (unsigned i = 0; i <= tbk_bounds_durations.count; i++)
        assert_int_equal(count_of(&distribution, i), 0);
    assert_int_equal(atomic_load(&distribution.sum), 0);
}

static void test_distribution_value_at_an_end_belongs_to_its_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < tbk_bounds_durations.count; i++) {
        struct tbk_distribution distribution;
        const int64_t end = (int64_t)tbk_bounds_durations.ends[i];
        tbk_distribution_init(&distribution, &tbk_bounds_durations);
        tbk_distribution_record(&distribution, end);
        tbk_distribution_record(&distribution, end + 1);
        assert_int_equal(count_of(&distribution, i), 1);
        assert_int_equal(count_of(&distribution, i + 1), 1);
        assert_int_equal(atomic_load(&distribution.sum), 2 * end + 1);
    }
}

static void test_distribution_extremes_in_the_outer_buckets(void **state)
{
    (void)state;
    struct tbk_distribution distribution;
    tbk_distribution_init(&distribution, &tbk_bounds_counts);
    tbk_distribution_record(&distribution, -5);
    tbk_distribution_record(&distribution, 0);
    tbk_distribution_record(&distribution, INT64_MAX);
    assert_int_equal(count_of(&distribution, 0), 2);
    assert_int_equal(count_of(&distribution, tbk_bounds_counts.count), 1);
    assert_int_equal(atomic_load(&distribution.sum), INT64_MAX);
}

static void test_bounds_ascend(void **state)
{
    (void)state;
    const struct tbk_bounds *all[] = {&tbk_bounds_durations, &tbk_bounds_counts};
    for (int b = 0; b < 2; b++) {
        assert_in_range(all[b]->count, 2, TBK_BOUNDS_MAX);
        for (unsigned i = 1; i < all[b]->count; i++)
            assert_true(all[b]->ends[i - 1] < all[b]->ends[i]);
    }
}

enum { THREADS = 4, VALUES = 10000 };

static void *record_many(void *argument)
{
    for (int64_t i = 0; i < VALUES; i++)
        tbk_distribution_record(argument, i);
    return NULL;
}

static void test_distribution_threads_lose_nothing(void **state)
{
    (void)state;
    struct tbk_distribution distribution;
    pthread_t threads[THREADS];
    tbk_distribution_init(&distribution, &tbk_bounds_counts);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, &distribution), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t total = 0;
    for (unsigned i = 0; i <= tbk_bounds_counts.count; i++)
        total += count_of(&distribution, i);
    assert_int_equal(total, THREADS * VALUES);
    assert_int_equal(atomic_load(&distribution.sum), (int64_t)THREADS * VALUES * (VALUES - 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution_new_empty),
        cmocka_unit_test(test_distribution_value_at_an_end_belongs_to_its_bucket),
        cmocka_unit_test(test_distribution_extremes_in_the_outer_buckets),
        cmocka_unit_test(test_bounds_ascend),
        cmocka_unit_test(test_distribution_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
