/* Request ids: UUID version 7. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "tradebook/client.h"

enum { IDS = 50000, THREADS = 4 };

typedef uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES];

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, TRADEBOOK_REQUEST_ID_BYTES);
}

static void test_request_id_is_uuid_version_7_of_now(void **state)
{
    (void)state;
    request_id id;
    int64_t before_ms = (int64_t)time(NULL) * 1000;
    tradebook_request_id(id);
    int64_t id_ms = 0;
    for (int i = 0; i < 6; i++) {
        id_ms = id_ms << 8 | id[i];
    }
    assert_true(id_ms >= before_ms && id_ms <= before_ms + 60000);
    assert_int_equal(id[6] >> 4, 7);
    assert_int_equal(id[8] >> 6, 2);
}

static void *make_ids(void *argument)
{
    request_id *ids = argument;
    for (int i = 0; i < IDS; i++) {
        tradebook_request_id(ids[i]);
    }
    return NULL;
}

static void test_request_id_grows_in_each_thread_and_is_unique_over_all(void **state)
{
    (void)state;
    request_id *ids = calloc((size_t)IDS * THREADS, sizeof *ids);
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        pthread_create(&threads[t], NULL, make_ids, ids + t * IDS);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        for (int i = 1; i < IDS; i++) {
            assert_true(compare_ids(ids[t * IDS + i - 1], ids[t * IDS + i]) < 0);
        }
    }
    qsort(ids, (size_t)IDS * THREADS, sizeof *ids, compare_ids);
    for (int i = 1; i < IDS * THREADS; i++) {
        assert_true(compare_ids(ids[i - 1], ids[i]) < 0);
    }
    free(ids);
}

static void test_request_id_forked_child_has_other_random_bits(void **state)
{
    (void)state;
    request_id first;
    tradebook_request_id(first);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    request_id own;
    tradebook_request_id(own);
    if (child == 0) {
        _exit(write(ends[1], own, sizeof own) == sizeof own ? 0 : 1);
    }
    request_id of_child;
    assert_int_equal(read(ends[0], of_child, sizeof of_child), sizeof of_child);
    assert_memory_not_equal(own + 8, of_child + 8, 8);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_id_is_uuid_version_7_of_now),
        cmocka_unit_test(test_request_id_grows_in_each_thread_and_is_unique_over_all),
        cmocka_unit_test(test_request_id_forked_child_has_other_random_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
