/* The stream of events: in order, none missing, none twice. */
#include <string.h>

#include "cmocka_all.h"
#include "event_log.h"

#define OLDEST ((struct tradebook_subscriber_options){.start = TRADEBOOK_START_OLDEST})
#define AFTER(sequence)                                                                                           \
    ((struct tradebook_subscriber_options){.start = TRADEBOOK_START_AFTER, .after_sequence = (sequence)})

/* So that what takes a part of the timeout does not take long. */
static const struct tradebook_client_options quick = {.timeout_ms = 400};

/* Records one event and publishes it. */
static void close_trade(struct event_log *log, int64_t sequence)
{
    event_log_record(log, sequence);
    event_log_publish(log, sequence);
}

/* A subscriber that has taken the two events of the log and is connected to both
 * sides. */
static struct tradebook_subscriber *start(struct event_log *log, struct tradebook_subscriber_options options)
{
    event_log_init(log, 2);
    struct tradebook_subscriber *subscriber = event_log_subscribe(log, true, options);
    tbk_pub_server_wait(log->pub, 1);
    return subscriber;
}

static void stop(struct event_log *log, struct tradebook_subscriber *subscriber)
{
    tradebook_subscriber_close(subscriber);
    event_log_fini(log);
}

static enum tradebook_code next(struct tradebook_subscriber *subscriber, struct tradebook_error *error)
{
    const Tradebook__V1__Event *event = NULL;
    enum tradebook_code code = tradebook_subscriber_next(subscriber, -1, &event, error);
    assert_int_equal(event != NULL, code == TRADEBOOK_OK);
    return code;
}

/* --- where it starts --- */

static void test_start_oldest_hears_all(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 5);
    event_log_delete_before(&log, 4);
    struct tradebook_subscriber *subscriber = event_log_subscribe(&log, false, OLDEST);
    expect_events(subscriber, 4, 5, 1);
    stop(&log, subscriber);
}

static void test_start_newest_hears_what_comes_after_open(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 5);
    struct tradebook_subscriber *subscriber =
        event_log_subscribe(&log, false, (struct tradebook_subscriber_options){0});
    assert_int_equal(tradebook_subscriber_position(subscriber), 5);
    expect_none(subscriber);
    event_log_record(&log, 7);
    expect_events(subscriber, 6, 7, 1);
    stop(&log, subscriber);
}

static void test_start_pages_are_joined(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 1300);
    struct tradebook_subscriber *subscriber = event_log_subscribe(&log, false, AFTER(0));
    expect_events(subscriber, 1, 1300, 1);
    assert_in_range(log.lists, 3, 4);
    stop(&log, subscriber);
}

static void test_start_wrong_options_are_refused(void **state)
{
    (void)state;
    struct tradebook_subscriber *subscriber = NULL;
    struct tradebook_error error;
    const struct tradebook_subscriber_options wrong[] = {
        {.start = TRADEBOOK_START_AFTER, .after_sequence = -1},
        {.start = TRADEBOOK_START_OLDEST, .after_sequence = 1},
        {.start = (enum tradebook_start)3},
        {.start = TRADEBOOK_START_AFTER, .events_address = "nonsense"},
        {.start = TRADEBOOK_START_AFTER, .client = &(struct tradebook_client_options){.timeout_ms = -1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(tradebook_subscriber_open("ipc:///tmp/none", &wrong[i], &subscriber, &error),
                         TRADEBOOK_INVALID_ARGUMENT);
        assert_int_equal(error.code, TRADEBOOK_INVALID_ARGUMENT);
    }
    assert_int_equal(tradebook_subscriber_open("nonsense", NULL, &subscriber, &error), TRADEBOOK_INVALID_ARGUMENT);
    assert_null(subscriber);
}

static void test_start_without_server_is_unavailable(void **state)
{
    (void)state;
    char address[64];
    new_address(address);
    struct tradebook_subscriber *subscriber = NULL;
    struct tradebook_error error;
    assert_int_equal(tradebook_subscriber_open(address,
                                               &(struct tradebook_subscriber_options){
                                                   .client = &(struct tradebook_client_options){.timeout_ms = 50}},
                                               &subscriber, &error),
                     TRADEBOOK_UNAVAILABLE);
    assert_null(subscriber);
    remove_address(address);
}

/* --- what the doorbell does --- */

static void test_doorbell_next_event_is_handed_out_as_it_comes(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, OLDEST);
    expect_events(subscriber, 1, 2, 1);
    for (int64_t sequence = 3; sequence <= 200; sequence++) {
        close_trade(&log, sequence);
        expect_events(subscriber, sequence, sequence, 1);
    }
    /* At the start, after the connection, and perhaps one that waited. */
    assert_in_range(log.lists, 1, 5);
    stop(&log, subscriber);
}

static void test_doorbell_burst_is_handed_out(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(2));
    for (int64_t sequence = 3; sequence <= 4000; sequence++) {
        close_trade(&log, sequence);
    }
    expect_events(subscriber, 3, 4000, 1);
    expect_none(subscriber);
    stop(&log, subscriber);
}

static void test_doorbell_gap_is_filled(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    event_log_record(&log, 6);
    event_log_publish(&log, 6);
    expect_events(subscriber, 4, 6, 1);
    close_trade(&log, 7);
    expect_events(subscriber, 7, 7, 1);
    stop(&log, subscriber);
}

static void test_doorbell_duplicates_are_dropped(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    for (int64_t sequence = 3; sequence <= 20; sequence++) {
        close_trade(&log, sequence);
        event_log_publish(&log, sequence);
        event_log_publish(&log, 1);
    }
    close_trade(&log, 21);
    expect_events(subscriber, 1, 21, 1);
    expect_none(subscriber);
    stop(&log, subscriber);
}

static void test_doorbell_reordered_frames_are_put_in_order(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    event_log_record(&log, 9);
    for (int64_t sequence = 9; sequence > 2; sequence--) {
        event_log_publish(&log, sequence);
    }
    close_trade(&log, 10);
    expect_events(subscriber, 1, 10, 1);
    expect_none(subscriber);
    stop(&log, subscriber);
}

/* Waiting in ListEvents would bring event 4 as well: the calls of it tell. */
static void test_doorbell_heartbeat_tells_of_a_lost_last_event(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, OLDEST);
    for (int64_t sequence = 3; sequence <= 202; sequence += 2) {
        close_trade(&log, sequence);
        expect_events(subscriber, sequence == 3 ? 1 : sequence, sequence, 1);
        event_log_record(&log, sequence + 1);
        event_log_beat(&log, sequence + 1, 60000);
        expect_events(subscriber, sequence + 1, sequence + 1, 1);
    }
    assert_in_range(log.lists, 100, 105);
    stop(&log, subscriber);
}

/* Every second event is not published, and then nothing at all is heard. The
 * first rounds may be helped by what is listed at the start. */
static void test_doorbell_silence_is_noticed(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(2));
    event_log_beat(&log, 2, 20);
    for (int64_t sequence = 3; sequence < 13; sequence += 2) {
        close_trade(&log, sequence);
        expect_events(subscriber, sequence, sequence, 1);
        event_log_record(&log, sequence + 1);
        expect_events(subscriber, sequence + 1, sequence + 1, 1);
    }
    stop(&log, subscriber);
}

static void test_doorbell_dead_address_is_done_without(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 2);
    struct tradebook_subscriber_options options = OLDEST;
    options.events_address = "ipc:///nonexistent/tradebook";
    struct tradebook_subscriber *subscriber = NULL;
    assert_int_equal(tradebook_subscriber_open(log.rpc_address, &options, &subscriber, NULL), TRADEBOOK_OK);
    expect_events(subscriber, 1, 2, 1);
    for (int64_t sequence = 3; sequence <= 50; sequence++) {
        event_log_record(&log, sequence);
        expect_events(subscriber, sequence, sequence, 1);
    }
    stop(&log, subscriber);
}

static void send_text(struct event_log *log, const char *text)
{
    tbk_pub_server_send(log->pub, text, strlen(text));
}

static void test_doorbell_nonsense_is_ignored(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    send_text(&log, "trade.closed/");
    send_text(&log, "trade.closed/B/ without end");
    tbk_pub_server_send(log.pub, "trade.closed/B/\0\xff\xff", sizeof "trade.closed/B/\0\xff\xff");
    tbk_pub_server_send(log.pub, "heartbeat/\0\xff\xff", sizeof "heartbeat/\0\xff\xff");
    event_log_beat(&log, -1, -1);
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    close_trade(&log, 4);
    expect_events(subscriber, 4, 4, 1);
    stop(&log, subscriber);
}

/* It costs one look at the server and does not stand in the way. */
static void test_doorbell_event_of_another_server_is_dropped(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    unsigned lists = log.lists;
    event_log_publish(&log, 1000);
    close_trade(&log, 4);
    close_trade(&log, 5);
    expect_events(subscriber, 4, 5, 1);
    assert_in_range(log.lists, lists, lists + 3);
    stop(&log, subscriber);
}

/* --- one symbol --- */

static struct tradebook_subscriber_options symbol(const char *name, int64_t after)
{
    struct tradebook_subscriber_options options = AFTER(after);
    options.symbol = name;
    return options;
}

static void test_symbol_others_are_left_out(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, symbol("A/A", 0));
    expect_events(subscriber, 1, 1, 1);
    for (int64_t sequence = 3; sequence <= 200; sequence++) {
        close_trade(&log, sequence);
        if (sequence % 2 != 0) {
            expect_events(subscriber, sequence, sequence, 1);
        }
    }
    assert_in_range(log.lists, 1, 5);
    expect_none(subscriber);
    stop(&log, subscriber);
}

static void test_symbol_gap_is_filled(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, symbol("B", 0));
    close_trade(&log, 4);
    expect_events(subscriber, 2, 4, 2);
    event_log_record(&log, 9);
    event_log_publish(&log, 8);
    expect_events(subscriber, 6, 8, 2);
    event_log_record(&log, 11);
    event_log_beat(&log, 11, 60000);
    expect_events(subscriber, 10, 10, 2);
    stop(&log, subscriber);
}

/* Events of others move the place on, so that it does not grow too old. */
static void test_symbol_position_moves_over_others(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 601);
    struct tradebook_subscriber_options options = symbol("B", 600);
    options.client = &quick;
    struct tradebook_subscriber *subscriber = event_log_subscribe(&log, false, options);
    const Tradebook__V1__Event *event = NULL;
    while (tradebook_subscriber_position(subscriber) == 600) {
        assert_int_equal(tradebook_subscriber_next(subscriber, 1, &event, NULL), TRADEBOOK_DEADLINE_EXCEEDED);
    }
    assert_int_equal(tradebook_subscriber_position(subscriber), 601);
    stop(&log, subscriber);
}

/* A server looks at some thousands of events for one call. */
static void test_symbol_pages_without_its_events_are_passed(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 5000);
    struct tradebook_subscriber *subscriber = event_log_subscribe(&log, false, symbol("none", 0));
    const Tradebook__V1__Event *event = NULL;
    while (tradebook_subscriber_position(subscriber) < 5000) {
        assert_int_equal(tradebook_subscriber_next(subscriber, 1, &event, NULL), TRADEBOOK_DEADLINE_EXCEEDED);
    }
    assert_int_equal(log.lists, 5);
    stop(&log, subscriber);
}

/* --- servers that go away, and databases that change --- */

static void test_server_restart_is_bridged(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    event_log_stop(&log);
    log.newest = 6;
    event_log_restart(&log);
    expect_events(subscriber, 4, 6, 1);
    tbk_pub_server_wait(log.pub, 1);
    close_trade(&log, 7);
    expect_events(subscriber, 7, 7, 1);
    stop(&log, subscriber);
}

static void test_server_away_is_told_and_the_stream_goes_on(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber_options options = AFTER(0);
    options.client = &quick;
    struct tradebook_subscriber *subscriber = start(&log, options);
    expect_events(subscriber, 1, 2, 1);
    event_log_stop(&log);
    struct tradebook_error error;
    assert_int_equal(next(subscriber, &error), TRADEBOOK_UNAVAILABLE);
    assert_int_equal(error.code, TRADEBOOK_UNAVAILABLE);
    event_log_restart(&log);
    event_log_record(&log, 3);
    enum tradebook_code code;
    while ((code = next(subscriber, &error)) == TRADEBOOK_UNAVAILABLE) {
    }
    assert_int_equal(code, TRADEBOOK_OK);
    assert_int_equal(tradebook_subscriber_position(subscriber), 3);
    stop(&log, subscriber);
}

static void test_server_busy_is_asked_again(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    event_log_refuse(&log, TRADEBOOK__V1__CODE__CODE_RESOURCE_EXHAUSTED, 3);
    expect_events(subscriber, 1, 2, 1);
    assert_true(log.lists >= 4);
    stop(&log, subscriber);
}

static void expect_end(struct tradebook_subscriber *subscriber, enum tradebook_code code, const char *text)
{
    for (int i = 0; i < 2; i++) {
        struct tradebook_error error;
        assert_int_equal(next(subscriber, &error), code);
        assert_int_equal(error.code, code);
        assert_non_null(strstr(error.message, text));
    }
}

static void test_server_refusal_ends_the_stream(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    event_log_refuse(&log, TRADEBOOK__V1__CODE__CODE_INVALID_ARGUMENT, 1);
    expect_end(subscriber, TRADEBOOK_INVALID_ARGUMENT, "refused by the script");
    stop(&log, subscriber);
}

static void test_server_deleted_events_are_told(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    expect_events(subscriber, 1, 2, 1);
    event_log_record(&log, 8);
    event_log_delete_before(&log, 4);
    event_log_publish(&log, 8);
    expect_end(subscriber, TRADEBOOK_OUT_OF_RANGE, "the oldest event kept is 4");
    stop(&log, subscriber);
}

static void test_server_restored_database_is_told(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    event_log_record(&log, 1);
    event_log_beat(&log, 1, 60000);
    expect_end(subscriber, TRADEBOOK_DATA_LOSS, "the newest event of the server is 1, before 3");
    stop(&log, subscriber);
}

static void test_server_late_heartbeat_is_no_restored_database(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    close_trade(&log, 3);
    expect_events(subscriber, 1, 3, 1);
    event_log_beat(&log, 1, 60000);
    close_trade(&log, 4);
    close_trade(&log, 5);
    expect_events(subscriber, 4, 5, 1);
    stop(&log, subscriber);
}

static void test_server_missing_event_is_told(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 9);
    log.hole = 5;
    struct tradebook_subscriber *all = event_log_subscribe(&log, false, AFTER(0));
    expect_events(all, 1, 4, 1);
    expect_end(all, TRADEBOOK_DATA_LOSS, "after event 4 the server answered event 6");
    struct tradebook_subscriber *one = event_log_subscribe(&log, false, symbol("A/A", 0));
    expect_events(one, 1, 3, 2);
    expect_end(one, TRADEBOOK_DATA_LOSS, "after event 3 the server answered event 7");
    tradebook_subscriber_close(one);
    stop(&log, all);
}

/* --- cursors --- */

static void test_cursor_new_one_is_stored_at_the_start(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber =
        start(&log, (struct tradebook_subscriber_options){.cursor = "alerts"});
    assert_int_equal(event_log_cursor(&log), 2);
    tradebook_subscriber_close(subscriber);
    event_log_record(&log, 4);
    subscriber = event_log_subscribe(&log, true, (struct tradebook_subscriber_options){.cursor = "alerts"});
    expect_events(subscriber, 3, 4, 1);
    stop(&log, subscriber);
}

static void test_cursor_commit_stores_the_last_event_handed_out(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, 5);
    struct tradebook_subscriber_options options = OLDEST;
    options.cursor = "alerts";
    struct tradebook_subscriber *subscriber = event_log_subscribe(&log, true, options);
    assert_int_equal(event_log_cursor(&log), 0);
    expect_events(subscriber, 1, 3, 1);
    assert_int_equal(tradebook_subscriber_commit(subscriber, NULL), TRADEBOOK_OK);
    assert_int_equal(event_log_cursor(&log), 3);
    expect_events(subscriber, 4, 5, 1);
    tradebook_subscriber_close(subscriber);
    subscriber = event_log_subscribe(&log, true, options);
    expect_events(subscriber, 4, 4, 1);
    tradebook_subscriber_stop(subscriber);
    assert_int_equal(tradebook_subscriber_commit(subscriber, NULL), TRADEBOOK_OK);
    assert_int_equal(event_log_cursor(&log), 4);
    stop(&log, subscriber);
}

static void test_cursor_commit_of_nothing_new_is_not_sent(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber_options options = OLDEST;
    options.cursor = "alerts";
    struct tradebook_subscriber *subscriber = start(&log, options);
    expect_events(subscriber, 1, 1, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tradebook_subscriber_commit(subscriber, NULL), TRADEBOOK_OK);
    }
    assert_int_equal(log.commits, 2); /* the first made the cursor */
    stop(&log, subscriber);
}

static void test_cursor_commit_without_cursor_is_refused(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, OLDEST);
    struct tradebook_error error;
    assert_int_equal(tradebook_subscriber_commit(subscriber, &error), TRADEBOOK_FAILED_PRECONDITION);
    assert_int_equal(log.commits, 0);
    stop(&log, subscriber);
}

/* --- stopping --- */

static void *take_until_the_end(void *argument)
{
    struct tradebook_error error;
    while (next(argument, &error) == TRADEBOOK_OK) {
    }
    return (void *)(uintptr_t)error.code;
}

static void test_stop_from_another_thread_ends_next(void **state)
{
    (void)state;
    for (int is_rung = 0; is_rung < 2; is_rung++) {
        struct event_log log;
        event_log_init(&log, 2);
        struct tradebook_subscriber *subscriber = event_log_subscribe(&log, is_rung != 0, OLDEST);
        pthread_t thread;
        void *code = NULL;
        assert_int_equal(pthread_create(&thread, NULL, take_until_the_end, subscriber), 0);
        while (log.lists < 2) { /* it has found its place, and the events */
            sched_yield();
        }
        tradebook_subscriber_stop(subscriber);
        pthread_join(thread, &code);
        assert_int_equal((uintptr_t)code, TRADEBOOK_CANCELLED);
        expect_end(subscriber, TRADEBOOK_CANCELLED, "stopped");
        stop(&log, subscriber);
    }
}

static void test_close_with_events_left_frees_them(void **state)
{
    (void)state;
    struct event_log log;
    struct tradebook_subscriber *subscriber = start(&log, AFTER(0));
    expect_events(subscriber, 1, 1, 1);
    for (int64_t sequence = 3; sequence <= 2000; sequence++) {
        close_trade(&log, sequence);
    }
    event_log_publish(&log, 1);
    stop(&log, subscriber);
    tradebook_subscriber_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_oldest_hears_all),
        cmocka_unit_test(test_start_newest_hears_what_comes_after_open),
        cmocka_unit_test(test_start_pages_are_joined),
        cmocka_unit_test(test_start_wrong_options_are_refused),
        cmocka_unit_test(test_start_without_server_is_unavailable),
        cmocka_unit_test(test_doorbell_next_event_is_handed_out_as_it_comes),
        cmocka_unit_test(test_doorbell_burst_is_handed_out),
        cmocka_unit_test(test_doorbell_gap_is_filled),
        cmocka_unit_test(test_doorbell_duplicates_are_dropped),
        cmocka_unit_test(test_doorbell_reordered_frames_are_put_in_order),
        cmocka_unit_test(test_doorbell_heartbeat_tells_of_a_lost_last_event),
        cmocka_unit_test(test_doorbell_silence_is_noticed),
        cmocka_unit_test(test_doorbell_dead_address_is_done_without),
        cmocka_unit_test(test_doorbell_nonsense_is_ignored),
        cmocka_unit_test(test_doorbell_event_of_another_server_is_dropped),
        cmocka_unit_test(test_symbol_others_are_left_out),
        cmocka_unit_test(test_symbol_gap_is_filled),
        cmocka_unit_test(test_symbol_position_moves_over_others),
        cmocka_unit_test(test_symbol_pages_without_its_events_are_passed),
        cmocka_unit_test(test_server_restart_is_bridged),
        cmocka_unit_test(test_server_away_is_told_and_the_stream_goes_on),
        cmocka_unit_test(test_server_busy_is_asked_again),
        cmocka_unit_test(test_server_refusal_ends_the_stream),
        cmocka_unit_test(test_server_deleted_events_are_told),
        cmocka_unit_test(test_server_restored_database_is_told),
        cmocka_unit_test(test_server_late_heartbeat_is_no_restored_database),
        cmocka_unit_test(test_server_missing_event_is_told),
        cmocka_unit_test(test_cursor_new_one_is_stored_at_the_start),
        cmocka_unit_test(test_cursor_commit_stores_the_last_event_handed_out),
        cmocka_unit_test(test_cursor_commit_of_nothing_new_is_not_sent),
        cmocka_unit_test(test_cursor_commit_without_cursor_is_refused),
        cmocka_unit_test(test_stop_from_another_thread_ends_next),
        cmocka_unit_test(test_close_with_events_left_frees_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
