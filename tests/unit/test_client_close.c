/* Closing a client while calls are in every possible state. */
#include <stdlib.h>

#include "client_support.h"
#include "cmocka_all.h"

static void close_and_expect_cancelled(struct tradebook_client *client, struct tally *tally, unsigned calls)
{
    tradebook_client_close(client);
    assert_int_equal(tally->ended, calls);
    assert_int_equal(tally->codes[TRADEBOOK_CANCELLED], calls);
}

static void test_close_running_and_waiting_calls_end_cancelled(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, &(struct tradebook_client_options){.in_flight_max = 8});
    struct tally tally = TALLY_INIT;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(echo_async(client, 600000, &tally), TRADEBOOK_OK);
    }
    wait_until_seen(&script, 8);
    close_and_expect_cancelled(client, &tally, 100);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_close_unconnected_and_pausing_calls_end_cancelled(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX,
                            .first_action = TBK_REP_ANSWER,
                            .first_code = TRADEBOOK__V1__CODE__CODE_UNAVAILABLE};
    char address[64];
    new_address(address);
    struct tradebook_client *client = open_client(address, NULL);
    struct tally tally = TALLY_INIT;
    assert_int_equal(echo_async(client, 600000, &tally), TRADEBOOK_OK);
    close_and_expect_cancelled(client, &tally, 1);

    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    client =
        open_client(address, &(struct tradebook_client_options){.retry_ms_min = 60000, .retry_ms_max = 60000});
    struct tally pausing = TALLY_INIT;
    assert_int_equal(echo_async(client, 600000, &pausing), TRADEBOOK_OK);
    wait_until_seen(&script, 1);
    close_and_expect_cancelled(client, &pausing, 1);
    tbk_rep_server_stop(server);
    remove_address(address);
}

struct restless {
    struct tradebook_client *client;
    struct tally tally;
    atomic_uint started;
};

/* Starts another call as long as that is possible. */
static void start_another(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                          const struct tradebook_error *error)
{
    struct restless *restless = argument;
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    enum tradebook_code started =
        tradebook_call_async(restless->client, ECHO_METHOD, &request.base, NULL, start_another, restless, NULL);
    if (started == TRADEBOOK_OK) {
        atomic_fetch_add(&restless->started, 1);
    } else if (started != TRADEBOOK_CANCELLED) {
        abort();
    }
    count_in_tally(&restless->tally, code, reply, error);
}

static void test_close_under_load_calls_each_callback_once(void **state)
{
    (void)state;
    struct script script = {0};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    for (unsigned round = 0; round < 20; round++) {
        struct restless restless = {.tally = TALLY_INIT};
        restless.client = open_client(address, &(struct tradebook_client_options){.in_flight_max = 1 + round});
        Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
        for (unsigned i = 0; i < 16; i++) {
            atomic_fetch_add(&restless.started, 1);
            assert_int_equal(tradebook_call_async(restless.client, ECHO_METHOD, &request.base, NULL, start_another,
                                                  &restless, NULL),
                             TRADEBOOK_OK);
        }
        wait_for_tally(&restless.tally, 20 * round);
        tradebook_client_close(restless.client);
        assert_int_equal(restless.tally.ended, restless.started);
        assert_int_equal(restless.tally.codes[TRADEBOOK_OK] + restless.tally.codes[TRADEBOOK_CANCELLED],
                         restless.tally.ended);
    }
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void *call_until_cancelled(void *client)
{
    struct tradebook_error error;
    return echo(client, "x", 600000, &error) == TRADEBOOK_CANCELLED ? client : NULL;
}

static void test_close_blocking_call_of_another_thread_returns_cancelled(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    char address[64];
    new_address(address);
    struct tbk_rep_server *server = tbk_rep_server_start(address, follow_script, &script);
    struct tradebook_client *client = open_client(address, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, call_until_cancelled, client);
    wait_until_seen(&script, 1);
    tradebook_client_close(client);
    void *cancelled = NULL;
    pthread_join(thread, &cancelled);
    assert_non_null(cancelled);
    tbk_rep_server_stop(server);
    remove_address(address);
}

static void test_close_unused_client_or_null_returns(void **state)
{
    (void)state;
    tradebook_client_close(NULL);
    for (int i = 0; i < 20; i++) {
        tradebook_client_close(open_client("tcp://127.0.0.1:1", NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_running_and_waiting_calls_end_cancelled),
        cmocka_unit_test(test_close_unconnected_and_pausing_calls_end_cancelled),
        cmocka_unit_test(test_close_under_load_calls_each_callback_once),
        cmocka_unit_test(test_close_blocking_call_of_another_thread_returns_cancelled),
        cmocka_unit_test(test_close_unused_client_or_null_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
