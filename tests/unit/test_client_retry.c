/* Sending again, until a call's time is over. */
#include <string.h>

#include "client_support.h"
#include "cmocka_all.h"

static void assert_same_request_id(const struct script *script, unsigned count)
{
    assert_true(script->seen >= count);
    for (unsigned i = 1; i < count; i++) {
        assert_memory_equal(script->request_ids[i], script->request_ids[0], TRADEBOOK_REQUEST_ID_BYTES);
        assert_true(script->timeouts_ms[i] <= script->timeouts_ms[0]);
    }
}

static void expect_answer_after(struct script *script)
{
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, script);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(client, "again", 30000, &error), TRADEBOOK_OK);
    assert_int_equal(script->seen, script->first_count + 1);
    assert_same_request_id(script, script->first_count + 1);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_retry_unavailable_is_sent_again_with_the_same_id(void **state)
{
    (void)state;
    struct script script = {
        .first_count = 3, .first_action = TBK_REP_ANSWER, .first_code = TRADEBOOK__V1__CODE__CODE_UNAVAILABLE};
    expect_answer_after(&script);
    assert_true(script.timeouts_ms[3] < script.timeouts_ms[0]);
}

static void test_retry_lost_connection_is_sent_again_with_the_same_id(void **state)
{
    (void)state;
    struct script script = {.first_count = 2, .first_action = TBK_REP_CLOSE};
    expect_answer_after(&script);
}

static void test_retry_other_errors_are_not_sent_again(void **state)
{
    (void)state;
    struct script script = {.first_count = 1,
                            .first_action = TBK_REP_ANSWER,
                            .first_code = TRADEBOOK__V1__CODE__CODE_RESOURCE_EXHAUSTED};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(client, "once", 0, &error), TRADEBOOK_RESOURCE_EXHAUSTED);
    assert_int_equal(script.seen, 1);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

/* The timeout leaves room for a second attempt. */
static void test_retry_silent_connection_is_replaced(void **state)
{
    (void)state;
    struct script script = {.ignores_first_connection = true};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(client, "again", 6000, &error), TRADEBOOK_OK);
    assert_same_request_id(&script, 2);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_retry_restarted_server_answers_running_calls(void **state)
{
    (void)state;
    enum { CALLS = 100 };
    char address[64];
    new_address(address);
    struct script silent = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    struct script answering = {0};
    struct tradebook_client *client = open_client(address, NULL);
    struct tally tally = TALLY_INIT;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(echo_async(client, 60000, &tally), TRADEBOOK_OK);
    }
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &silent);
    wait_until_seen(&silent, CALLS);
    tbk_rep_server_stop(server);
    server = tbk_rep_server_start(address, follow_script, &answering);
    wait_for_tally(&tally, CALLS);
    assert_int_equal(tally.codes[TRADEBOOK_OK], CALLS);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

/* Closes the connection instead of each tenth answer, amid the other answers. */
static enum tbk_rep_action close_now_and_then(void *argument, int connection, const uint8_t *request,
                                              size_t length, nng_msg *reply)
{
    (void)connection, (void)request, (void)length;
    if (atomic_fetch_add((atomic_uint *)argument, 1) % 10 == 9) {
        return TBK_REP_CLOSE;
    }
    Tradebook__V1__EchoResponse response = TRADEBOOK__V1__ECHO_RESPONSE__INIT;
    append_reply(reply, TRADEBOOK__V1__CODE__CODE_OK, NULL, &response.base);
    return TBK_REP_ANSWER;
}

/* The sockets of nng before 1.6 hang here within some tens of connections. */
static void test_retry_connections_lost_amid_replies_are_replaced(void **state)
{
    (void)state;
    enum { ROUNDS = 40, CALLS = 20 };
    char address[64];
    new_address(address);
    atomic_uint requests = 0;
    struct tbk_rep_server *server = tbk_rep_server_start(address, close_now_and_then, &requests);
    struct tradebook_client *client = open_client(address, NULL);
    struct tally tally = TALLY_INIT;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < CALLS; i++) {
            assert_int_equal(echo_async(client, 60000, &tally), TRADEBOOK_OK);
        }
        wait_for_tally(&tally, round * CALLS);
    }
    assert_int_equal(tally.codes[TRADEBOOK_OK], ROUNDS * CALLS);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_deadline_no_server_is_unavailable(void **state)
{
    (void)state;
    char address[64];
    new_address(address);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(client, "x", 150, &error), TRADEBOOK_UNAVAILABLE);
    assert_non_null(strstr(error.message, address));
    assert_int_equal(error.violation_count, 0);
    tradebook_client_close(client);
    remove_address(address);
}

static void test_deadline_no_answer_is_deadline_exceeded(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    do { /* until the connection is there */
        echo(client, "x", 100, &error);
    } while (error.code == TRADEBOOK_UNAVAILABLE);
    assert_int_equal(error.code, TRADEBOOK_DEADLINE_EXCEEDED);
    wait_until_seen(&script, 1);
    assert_in_range(script.timeouts_ms[0], 1, 100);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_deadline_unavailable_until_the_end_is_unavailable(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX,
                            .first_action = TBK_REP_ANSWER,
                            .first_code = TRADEBOOK__V1__CODE__CODE_UNAVAILABLE};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(client, "x", 2000, &error), TRADEBOOK_UNAVAILABLE);
    assert_string_equal(error.message, "as the script says");
    assert_true(script.seen > 1);
    tradebook_client_close(client);
    tbk_rep_server_stop(server);
    remove_address(address);
}

/* The only lane is taken by a call that takes longer. */
static void test_deadline_of_a_waiting_call_is_kept(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, &(struct tradebook_client_options){.in_flight_max = 1});
    struct tally slow = TALLY_INIT;
    struct tally waiting = TALLY_INIT;
    assert_int_equal(echo_async(client, 600000, &slow), TRADEBOOK_OK);
    assert_int_equal(echo_async(client, 600000, &slow), TRADEBOOK_OK);
    assert_int_equal(echo_async(client, 60, &waiting), TRADEBOOK_OK);
    assert_int_equal(echo_async(client, 600000, &slow), TRADEBOOK_OK);
    assert_int_equal(echo_async(client, 20, &waiting), TRADEBOOK_OK);
    wait_for_tally(&waiting, 2);
    assert_int_equal(waiting.codes[TRADEBOOK_DEADLINE_EXCEEDED], 2);
    assert_int_equal(slow.ended, 0);
    tradebook_client_close(client);
    assert_int_equal(slow.codes[TRADEBOOK_CANCELLED], 3);
    tbk_rep_server_stop(server);
    remove_address(address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_unavailable_is_sent_again_with_the_same_id),
        cmocka_unit_test(test_retry_lost_connection_is_sent_again_with_the_same_id),
        cmocka_unit_test(test_retry_other_errors_are_not_sent_again),
        cmocka_unit_test(test_retry_silent_connection_is_replaced),
        cmocka_unit_test(test_retry_restarted_server_answers_running_calls),
        cmocka_unit_test(test_retry_connections_lost_amid_replies_are_replaced),
        cmocka_unit_test(test_deadline_no_server_is_unavailable),
        cmocka_unit_test(test_deadline_no_answer_is_deadline_exceeded),
        cmocka_unit_test(test_deadline_unavailable_until_the_end_is_unavailable),
        cmocka_unit_test(test_deadline_of_a_waiting_call_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
