/* Giving up calls in every possible state. */
#include "client_support.h"
#include "cmocka_all.h"

static const uint8_t kept_id[TRADEBOOK_REQUEST_ID_BYTES] = "kept call";
static const uint8_t given_up_id[TRADEBOOK_REQUEST_ID_BYTES] = "given up call";

struct fixture {
    char address[64];
    struct tbk_rep_server *server; /* NULL: none was started */
    struct tradebook_client *client;
    struct tally kept;
    struct tally given_up;
};

static void open_fixture(struct fixture *fixture, struct script *script,
                         const struct tradebook_client_options *options)
{
    *fixture = (struct fixture){.kept = TALLY_INIT, .given_up = TALLY_INIT};
    new_address(fixture->address);
    if (script != NULL) {
        fixture->server = tbk_rep_server_start(fixture->address, follow_script, script);
    }
    fixture->client = open_client(fixture->address, options);
}

static void start(struct fixture *fixture, const uint8_t *request_id, struct tally *tally)
{
    const struct tradebook_call_options options = {.timeout_ms = 600000, .request_id = request_id};
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    assert_int_equal(
        tradebook_call_async(fixture->client, ECHO_METHOD, &request.base, &options, count_in_tally, tally, NULL),
        TRADEBOOK_OK);
}

/* Cancels one of the two calls, and closes the client under the other. */
static void cancel_and_expect_one_end(struct fixture *fixture)
{
    tradebook_cancel(fixture->client, given_up_id);
    wait_for_tally(&fixture->given_up, 1);
    assert_int_equal(fixture->given_up.codes[TRADEBOOK_CANCELLED], 1);
    pthread_mutex_lock(&fixture->kept.mutex);
    assert_int_equal(fixture->kept.ended, 0);
    pthread_mutex_unlock(&fixture->kept.mutex);
    tradebook_client_close(fixture->client);
    assert_int_equal(fixture->kept.codes[TRADEBOOK_CANCELLED], 1);
    if (fixture->server != NULL) {
        tbk_rep_server_stop(fixture->server);
    }
    remove_address(fixture->address);
}

static void test_cancel_call_that_waits_for_its_reply_ends_it_alone(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    struct fixture fixture;
    open_fixture(&fixture, &script, NULL);
    start(&fixture, kept_id, &fixture.kept);
    start(&fixture, given_up_id, &fixture.given_up);
    wait_until_seen(&script, 2);
    cancel_and_expect_one_end(&fixture);
}

static void test_cancel_call_without_connection_ends_it_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, NULL, NULL);
    start(&fixture, kept_id, &fixture.kept);
    start(&fixture, given_up_id, &fixture.given_up);
    cancel_and_expect_one_end(&fixture);
}

static void test_cancel_call_that_pauses_ends_it_alone(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX,
                            .first_action = TBK_REP_ANSWER,
                            .first_code = TRADEBOOK__V1__CODE__CODE_UNAVAILABLE};
    struct fixture fixture;
    open_fixture(&fixture, &script,
                 &(struct tradebook_client_options){.retry_ms_min = 60000, .retry_ms_max = 60000});
    start(&fixture, kept_id, &fixture.kept);
    start(&fixture, given_up_id, &fixture.given_up);
    wait_until_seen(&script, 2);
    cancel_and_expect_one_end(&fixture);
}

static void test_cancel_call_that_waits_for_a_lane_ends_it_alone(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    struct fixture fixture;
    open_fixture(&fixture, &script, &(struct tradebook_client_options){.in_flight_max = 1});
    start(&fixture, kept_id, &fixture.kept);
    start(&fixture, given_up_id, &fixture.given_up);
    wait_until_seen(&script, 1);
    cancel_and_expect_one_end(&fixture);
    assert_int_equal(script.arrived, 1);
}

static void test_cancel_amid_replies_ends_each_call_once(void **state)
{
    (void)state;
    enum { CALLS = 2000 };
    struct script script = {0};
    struct fixture fixture;
    open_fixture(&fixture, &script, &(struct tradebook_client_options){.in_flight_max = 8});
    for (unsigned i = 0; i < CALLS; i++) {
        uint8_t id[TRADEBOOK_REQUEST_ID_BYTES];
        tradebook_request_id(id);
        start(&fixture, id, &fixture.given_up);
        tradebook_cancel(fixture.client, id);
        start(&fixture, kept_id, &fixture.kept);
    }
    wait_for_tally(&fixture.given_up, CALLS);
    wait_for_tally(&fixture.kept, CALLS);
    assert_int_equal(fixture.given_up.codes[TRADEBOOK_CANCELLED] + fixture.given_up.codes[TRADEBOOK_OK], CALLS);
    assert_int_equal(fixture.kept.codes[TRADEBOOK_OK], CALLS);
    tradebook_client_close(fixture.client);
    tbk_rep_server_stop(fixture.server);
    remove_address(fixture.address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_call_that_waits_for_its_reply_ends_it_alone),
        cmocka_unit_test(test_cancel_call_without_connection_ends_it_alone),
        cmocka_unit_test(test_cancel_call_that_pauses_ends_it_alone),
        cmocka_unit_test(test_cancel_call_that_waits_for_a_lane_ends_it_alone),
        cmocka_unit_test(test_cancel_amid_replies_ends_each_call_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
