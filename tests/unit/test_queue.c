#include "cmocka_all.h"

#include "dispatch/job.h"
#include "dispatch/queue.h"

enum { LENGTH_MAX = 100, JOBS = 2 * LENGTH_MAX };

/* A connection that asks for all that it can get. */
struct connection {
    struct tbk_share share;
    struct tbk_responder responder;
    struct tbk_job jobs[JOBS];
    unsigned next;
};

static void open_connection(struct connection *connection)
{
    *connection = (struct connection){.responder = {.share = &connection->share}};
    for (int i = 0; i < JOBS; i++) {
        connection->jobs[i].responder = &connection->responder;
    }
}

static bool push(struct tbk_queue *queue, struct connection *connection)
{
    assert_in_range(connection->next, 0, JOBS - 1);
    struct tbk_job *job = &connection->jobs[connection->next];
    const bool expected = tbk_queue_has_room(queue, job);
    const bool pushed = tbk_queue_push(queue, job);
    assert_int_equal(pushed, expected);
    connection->next += pushed;
    return pushed;
}

static unsigned push_all(struct tbk_queue *queue, struct connection *connection)
{
    unsigned count = 0;
    while (push(queue, connection)) {
        count++;
    }
    return count;
}

static void test_queue_one_connection_alone_gets_four_fifths(void **state)
{
    (void)state;
    struct tbk_queue queue;
    static struct connection greedy, modest;
    tbk_queue_init(&queue, TBK_QUEUE_READ, LENGTH_MAX);
    open_connection(&greedy);
    open_connection(&modest);
    assert_int_equal(push_all(&queue, &greedy), LENGTH_MAX * 4 / 5);
    assert_true(push(&queue, &modest));
    tbk_queue_fini(&queue);
}

static void test_queue_many_greedy_connections_leave_room(void **state)
{
    (void)state;
    enum { GREEDY = 8 };
    struct tbk_queue queue;
    static struct connection greedy[GREEDY], modest;
    tbk_queue_init(&queue, TBK_QUEUE_WRITE, LENGTH_MAX);
    for (int i = 0; i < GREEDY; i++) {
        open_connection(&greedy[i]);
    }
    open_connection(&modest);
    for (bool any = true; any;) { /* in turn, as they would come */
        any = false;
        for (int i = 0; i < GREEDY; i++) {
            any = push(&queue, &greedy[i]) || any;
        }
    }
    for (int i = 0; i < GREEDY; i++) {
        assert_in_range(greedy[i].next, 11, 13); /* 4 / (1 + 4 * 8) of 100 */
    }
    assert_true(push(&queue, &modest));
    tbk_queue_fini(&queue);
}

static void test_queue_what_was_taken_counts_no_more(void **state)
{
    (void)state;
    struct tbk_queue queue;
    static struct connection greedy;
    tbk_queue_init(&queue, TBK_QUEUE_READ, LENGTH_MAX);
    open_connection(&greedy);
    push_all(&queue, &greedy);
    assert_non_null(tbk_queue_pop(&queue, 30, NULL));
    assert_int_equal(greedy.share.waiting[TBK_QUEUE_READ], 50);
    assert_int_equal(greedy.share.waiting[TBK_QUEUE_WRITE], 0);
    assert_int_equal(push_all(&queue, &greedy), 30);
    tbk_queue_fini(&queue);
}

static void test_queue_put_back_is_never_refused_and_counts(void **state)
{
    (void)state;
    struct tbk_queue queue;
    static struct connection greedy;
    tbk_queue_init(&queue, TBK_QUEUE_READ, LENGTH_MAX);
    open_connection(&greedy);
    push_all(&queue, &greedy);
    tbk_queue_put_back(&queue, &greedy.jobs[greedy.next]);
    assert_int_equal(greedy.share.waiting[TBK_QUEUE_READ], 81);
    unsigned count = 0;
    for (struct tbk_job *job = tbk_queue_pop(&queue, JOBS, NULL); job != NULL; job = job->next) {
        count++;
    }
    assert_int_equal(count, 81);
    assert_int_equal(greedy.share.waiting[TBK_QUEUE_READ], 0);
    tbk_queue_fini(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_one_connection_alone_gets_four_fifths),
        cmocka_unit_test(test_queue_many_greedy_connections_leave_room),
        cmocka_unit_test(test_queue_what_was_taken_counts_no_more),
        cmocka_unit_test(test_queue_put_back_is_never_refused_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
