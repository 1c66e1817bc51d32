/* When dispatch says that it does not serve, and what it counts. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"

enum { METHODS = 2, MINUTE_US = 60 * 1000 * 1000 };

static int set_up(void **state)
{
    struct tbk_dispatch *dispatch = calloc(1, sizeof *dispatch);
    struct tbk_error error;
    assert_int_equal(tbk_counts_init(&dispatch->counts, METHODS, &error), TBK_OK);
    *state = dispatch;
    return 0;
}

static int tear_down(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    tbk_counts_fini(&dispatch->counts);
    free(dispatch);
    return 0;
}

static void expect_not_serving(struct tbk_dispatch *dispatch, const char *reason)
{
    struct tbk_error error;
    tbk_error_init(&error);
    assert_int_equal(tbk_dispatch_check(dispatch, &error), TBK_UNAVAILABLE);
    if (strstr(error.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, reason);
}

static void expect_serving(struct tbk_dispatch *dispatch)
{
    struct tbk_error error;
    tbk_error_init(&error);
    assert_int_equal(tbk_dispatch_check(dispatch, &error), TBK_OK);
}

static void test_check_idle_serves(void **state)
{
    expect_serving(*state);
}

static void test_check_draining_says_so(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    atomic_store(&dispatch->draining, true);
    expect_not_serving(dispatch, "stopping");
}

static void test_check_undecided_commit_says_so_even_while_stopping(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    atomic_store(&dispatch->draining, true);
    atomic_store(&dispatch->writer.broken, true);
    expect_not_serving(dispatch, "outcome of a commit");
}

static void test_check_writer_held_up_for_long_says_how_long(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    atomic_store(&dispatch->counts.busy_since_us, tbk_monotonic_us());
    expect_serving(dispatch);
    atomic_store(&dispatch->counts.busy_since_us, tbk_monotonic_us() - MINUTE_US);
    expect_not_serving(dispatch, "for 60 s");
}

static void test_counts_by_method_and_status(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct tbk_counts *counts = &dispatch->counts;
    const struct tbk_method first = {.position = 0};
    const struct tbk_method last = {.position = METHODS - 1};
    tbk_counts_request(counts, &first, TBK_OK, 10);
    tbk_counts_request(counts, &first, TBK_UNAUTHENTICATED, 20);
    tbk_counts_request(counts, &last, TBK_OK, 30);
    tbk_counts_request(counts, NULL, TBK_INVALID_ARGUMENT, 40);
    assert_int_equal(counts->methods[0].by_status[TBK_OK], 1);
    assert_int_equal(counts->methods[0].by_status[TBK_UNAUTHENTICATED], 1);
    assert_int_equal(counts->methods[0].durations.sum, 30);
    assert_int_equal(counts->methods[METHODS - 1].durations.sum, 30);
    assert_int_equal(counts->methods[METHODS].by_status[TBK_INVALID_ARGUMENT], 1);
    assert_int_equal(counts->methods[METHODS].durations.sum, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check_idle_serves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_draining_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_undecided_commit_says_so_even_while_stopping, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_check_writer_held_up_for_long_says_how_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts_by_method_and_status, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
