/* The gate: who may work on the series, step by step and with real threads. */
#include "cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "analytics/internal.h"
#include "base/timestamp.h"

enum { ROUNDS = 50, PATIENCE_S = 30 };

/* A query, or the thread that reads the tables. */
struct visitor {
    struct tbk_analytics *analytics;
    pthread_t thread;
    enum tbk_status status;
    bool is_through;
};

static int set_up(void **state)
{
    static struct tbk_analytics analytics;
    pthread_condattr_t attributes;
    analytics = (struct tbk_analytics){0};
    pthread_mutex_init(&analytics.mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&analytics.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    tbk_error_init(&analytics.failure);
    *state = &analytics;
    return 0;
}

static int tear_down(void **state)
{
    struct tbk_analytics *analytics = *state;
    pthread_cond_destroy(&analytics->changed);
    pthread_mutex_destroy(&analytics->mutex);
    return 0;
}

static void *query(void *argument)
{
    struct visitor *visitor = argument;
    struct tbk_error error;
    tbk_error_init(&error);
    visitor->status = tbk_gate_enter(visitor->analytics, TBK_SERIES_TRADES,
                                     tbk_monotonic_us() + PATIENCE_S * INT64_C(1000000), &error);
    if (visitor->status == TBK_OK)
        tbk_gate_leave(visitor->analytics);
    return NULL;
}

/* Is through the gate, finds that the series are wrong, and begins to read anew. */
static void *find_damage_and_read_anew(void *argument)
{
    struct visitor *visitor = argument;
    struct tbk_analytics *analytics = visitor->analytics;
    tbk_gate_damaged(analytics, NULL);
    tbk_gate_leave(analytics);
    visitor->is_through = tbk_gate_enter_thread(analytics);
    if (!visitor->is_through)
        return NULL;
    pthread_mutex_lock(&analytics->mutex);
    analytics->is_damaged = false;
    analytics->is_ready[TBK_SERIES_TRADES] = true;
    pthread_mutex_unlock(&analytics->mutex);
    tbk_gate_leave(analytics);
    return NULL;
}

static void start(struct visitor *visitor, struct tbk_analytics *analytics, void *(*run)(void *))
{
    *visitor = (struct visitor){.analytics = analytics};
    assert_int_equal(pthread_create(&visitor->thread, NULL, run, visitor), 0);
}

/* Within a time that nobody waits for in vain. */
static void join(struct visitor *visitor)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S / 2;
    if (pthread_timedjoin_np(visitor->thread, NULL, &until) == 0)
        return;
    pthread_mutex_lock(&visitor->analytics->mutex);
    visitor->analytics->is_stopping = true; /* lets it out */
    pthread_cond_broadcast(&visitor->analytics->changed);
    pthread_mutex_unlock(&visitor->analytics->mutex);
    pthread_join(visitor->thread, NULL);
    fail_msg("one waits at the gate for nothing");
}

static void wait_until_a_query_waits(struct tbk_analytics *analytics)
{
    unsigned waiting = 0;
    while (waiting == 0) {
        sched_yield();
        pthread_mutex_lock(&analytics->mutex);
        waiting = analytics->waiting_queries;
        pthread_mutex_unlock(&analytics->mutex);
    }
}

static void test_thread_is_not_held_up_by_a_query_that_can_no_longer_begin(void **state)
{
    struct tbk_analytics *analytics = *state;
    for (int i = 0; i < ROUNDS; i++) {
        struct visitor asking;
        struct visitor reading;
        analytics->is_ready[TBK_SERIES_TRADES] = true;
        assert_true(tbk_gate_enter_thread(analytics));
        start(&asking, analytics, query);
        wait_until_a_query_waits(analytics);
        start(&reading, analytics, find_damage_and_read_anew);
        join(&reading);
        join(&asking);
        assert_true(reading.is_through);
        assert_int_equal(asking.status, TBK_OK);
    }
}

static void test_query_does_not_wait_for_a_reading_when_the_server_stops(void **state)
{
    struct tbk_analytics *analytics = *state;
    struct visitor before;
    start(&before, analytics, query);
    tbk_analytics_quiesce(analytics);
    join(&before);
    assert_int_equal(before.status, TBK_UNAVAILABLE);
    struct visitor after;
    start(&after, analytics, query);
    join(&after);
    assert_int_equal(after.status, TBK_UNAVAILABLE);
}

static void test_query_still_waits_for_its_turn_when_the_server_stops(void **state)
{
    struct tbk_analytics *analytics = *state;
    struct visitor asking;
    analytics->is_ready[TBK_SERIES_TRADES] = true;
    assert_true(tbk_gate_enter_thread(analytics));
    start(&asking, analytics, query);
    wait_until_a_query_waits(analytics);
    tbk_analytics_quiesce(analytics);
    tbk_gate_leave(analytics);
    join(&asking);
    assert_int_equal(asking.status, TBK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_thread_is_not_held_up_by_a_query_that_can_no_longer_begin, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_query_does_not_wait_for_a_reading_when_the_server_stops, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_query_still_waits_for_its_turn_when_the_server_stops, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
