/* Reads that wait for events: what happens to each, decided step by step with no
 * thread but the test's. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"

enum { WAITING_MAX = 3, ARENA_BYTES_MAX = 1 << 16, REPLY_BYTES_MAX = 1024, MINUTE_MS = 60000 };

static const struct tbk_method method = {.name = "/test/Wait"};

/* One request and what became of it. */
struct asked {
    struct tbk_responder responder; /* first: a responder is what was asked */
    struct tbk_share share;
    struct tbk_job *job;
    uint8_t reply[REPLY_BYTES_MAX];
    int answers;
};

static uint8_t *reserve(struct tbk_responder *responder, size_t length)
{
    assert_true(length <= REPLY_BYTES_MAX);
    return ((struct asked *)responder)->reply;
}

static void count_answer(struct tbk_responder *responder, bool more)
{
    (void)more;
    ((struct asked *)responder)->answers++;
}

static int set_up(void **state)
{
    struct tbk_dispatch *dispatch = calloc(1, sizeof *dispatch);
    struct tbk_error error;
    tbk_job_pool_init(&dispatch->pool, ARENA_BYTES_MAX, NULL);
    assert_int_equal(tbk_counts_init(&dispatch->counts, 1, &error), TBK_OK);
    tbk_queue_init(&dispatch->readers.queue, TBK_QUEUE_READ, 1);
    tbk_waiters_init(&dispatch->waiters, dispatch, WAITING_MAX);
    pthread_mutex_init(&dispatch->relay.mutex, NULL);
    pthread_cond_init(&dispatch->relay.woken, NULL);
    *state = dispatch;
    return 0;
}

static int tear_down(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    pthread_cond_destroy(&dispatch->relay.woken);
    pthread_mutex_destroy(&dispatch->relay.mutex);
    tbk_waiters_fini(&dispatch->waiters);
    tbk_queue_fini(&dispatch->readers.queue);
    tbk_counts_fini(&dispatch->counts);
    tbk_job_pool_fini(&dispatch->pool);
    free(dispatch);
    return 0;
}

/* Parks a request of this timeout that has run and found nothing. */
static struct asked ask(struct tbk_dispatch *dispatch, int64_t wait_ms, int64_t timeout_ms, int64_t seen,
                        const char *topic)
{
    struct asked asked = {.answers = 0};
    asked.job = tbk_job_take(&dispatch->pool, NULL);
    asked.job->method = &method;
    asked.job->envelope = (struct tbk_envelope){.method = method.name, .client = ""};
    asked.job->deadline_us = asked.job->received_us + timeout_ms * 1000;
    asked.job->call = (struct tbk_call){.wait = {.ms = wait_ms, .seen = seen, .topic = topic}};
    return asked;
}

static void park(struct tbk_dispatch *dispatch, struct asked *asked)
{
    asked->responder = (struct tbk_responder){
        .reserve = reserve, .send = count_answer, .discard = count_answer, .share = &asked->share};
    asked->job->responder = &asked->responder;
    atomic_fetch_add(&dispatch->pending, 1);
    tbk_waiters_park(&dispatch->waiters, asked->job);
}

static struct tbk_job *queued(struct tbk_dispatch *dispatch)
{
    return dispatch->readers.queue.length > 0 ? tbk_queue_pop(&dispatch->readers.queue, 1, NULL) : NULL;
}

/* Ends what the test has left over. */
static void answer_rest(struct tbk_dispatch *dispatch)
{
    for (struct tbk_job *job; (job = queued(dispatch)) != NULL;) {
        tbk_dispatch_finish(dispatch, job, false);
    }
    tbk_waiters_close(&dispatch->waiters);
    assert_int_equal(dispatch->pending, 0);
}

static void test_waiter_runs_again_for_an_event_of_its_topic_only(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked all = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "");
    struct asked one = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "trade.closed/B/");
    park(dispatch, &all);
    park(dispatch, &one);
    assert_true(dispatch->relay.minding);
    tbk_waiters_announce(&dispatch->waiters, 1, "trade.closed/A/");
    assert_ptr_equal(queued(dispatch), all.job);
    assert_null(queued(dispatch));
    tbk_waiters_announce(&dispatch->waiters, 2, "trade.closed/B/");
    assert_ptr_equal(queued(dispatch), one.job);
    assert_int_equal(all.answers + one.answers, 0);
    tbk_dispatch_finish(dispatch, all.job, false);
    tbk_dispatch_finish(dispatch, one.job, false);
    answer_rest(dispatch);
}

static void test_waiter_that_missed_an_event_runs_again_at_once(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    tbk_waiters_announce(&dispatch->waiters, 5, "trade.closed/A/");
    struct asked late = ask(dispatch, MINUTE_MS, MINUTE_MS, 4, "");
    struct asked fresh = ask(dispatch, MINUTE_MS, MINUTE_MS, 5, "");
    park(dispatch, &late);
    park(dispatch, &fresh);
    assert_ptr_equal(queued(dispatch), late.job);
    assert_null(queued(dispatch));
    tbk_dispatch_finish(dispatch, late.job, false);
    answer_rest(dispatch);
    assert_int_equal(fresh.answers, 1);
}

static void test_waiters_run_again_even_if_the_queue_is_full(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked asked[WAITING_MAX];
    for (int i = 0; i < WAITING_MAX; i++) {
        asked[i] = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "");
        park(dispatch, &asked[i]);
    }
    tbk_waiters_announce(&dispatch->waiters, 1, "trade.closed/A/");
    assert_int_equal(dispatch->readers.queue.length, WAITING_MAX);
    answer_rest(dispatch);
}

static void test_waiter_beyond_the_limit_is_refused(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked asked[WAITING_MAX + 1];
    for (int i = 0; i <= WAITING_MAX; i++) {
        asked[i] = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "");
        park(dispatch, &asked[i]);
        assert_int_equal(asked[i].answers, i == WAITING_MAX);
    }
    assert_int_equal(asked[WAITING_MAX].reply[0], 1 << 3); /* Reply.code */
    assert_int_equal(asked[WAITING_MAX].reply[1], TBK_RESOURCE_EXHAUSTED);
    answer_rest(dispatch);
}

static void test_waiter_ends_at_its_time_or_before_the_request_does(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked by_wait = ask(dispatch, 10000, MINUTE_MS, 0, "");
    struct asked by_request = ask(dispatch, MINUTE_MS, 20000, 0, "");
    park(dispatch, &by_wait);
    park(dispatch, &by_request);
    const int64_t wait_end = by_wait.job->received_us + 10000 * 1000;
    const int64_t request_end = by_request.job->deadline_us;
    const int64_t second = tbk_waiters_expire(&dispatch->waiters, wait_end - 1);
    assert_int_equal(second, wait_end);
    assert_int_equal(by_wait.answers, 0);
    const int64_t last = tbk_waiters_expire(&dispatch->waiters, wait_end);
    assert_int_equal(by_wait.answers, 1);
    assert_int_equal(by_request.answers, 0);
    assert_true(last < request_end && last > wait_end);
    assert_true(tbk_waiters_expire(&dispatch->waiters, last) == INT64_MAX);
    assert_int_equal(by_request.answers, 1);
    answer_rest(dispatch);
}

static void test_waiter_whose_time_is_over_is_answered_at_once(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked asked = ask(dispatch, MINUTE_MS, 0, 0, "");
    park(dispatch, &asked);
    assert_int_equal(asked.answers, 1);
    answer_rest(dispatch);
}

static void test_waiters_are_answered_when_closed_and_none_is_taken_after(void **state)
{
    struct tbk_dispatch *dispatch = *state;
    struct asked before = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "");
    struct asked after = ask(dispatch, MINUTE_MS, MINUTE_MS, 0, "");
    park(dispatch, &before);
    tbk_waiters_close(&dispatch->waiters);
    assert_int_equal(before.answers, 1);
    park(dispatch, &after);
    assert_int_equal(after.answers, 1);
    answer_rest(dispatch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waiter_runs_again_for_an_event_of_its_topic_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiter_that_missed_an_event_runs_again_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiters_run_again_even_if_the_queue_is_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiter_beyond_the_limit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiter_ends_at_its_time_or_before_the_request_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_waiter_whose_time_is_over_is_answered_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiters_are_answered_when_closed_and_none_is_taken_after, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
