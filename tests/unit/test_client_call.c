/* Calls and their answers. */
#include <stdlib.h>
#include <string.h>

#include "client_support.h"
#include "cmocka_all.h"
#include "tradebook/v1/signal.pb-c.h"

#define GET_METHOD "/tradebook.v1.SignalService/GetSignal"

struct fixture {
    char address[64];
    struct tbk_rep_server *server;
    struct tradebook_client *client;
};

static struct fixture serve(tbk_rep_handler *handler, void *argument,
                            const struct tradebook_client_options *options)
{
    struct fixture fixture;
    new_address(fixture.address);
    fixture.server = tbk_rep_server_start(fixture.address, handler, argument);
    fixture.client = open_client(fixture.address, options);
    return fixture;
}

static void end(struct fixture *fixture)
{
    tradebook_client_close(fixture->client);
    tbk_rep_server_stop(fixture->server);
    remove_address(fixture->address);
}

static void test_call_echo_returns_the_payload(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(fixture.client, "hello", 0, &error), TRADEBOOK_OK);
    assert_int_equal(script.seen, 1);
    assert_in_range(script.timeouts_ms[0], TRADEBOOK_TIMEOUT_MS_DEFAULT / 2, TRADEBOOK_TIMEOUT_MS_DEFAULT);
    end(&fixture);
}

static void test_call_with_own_request_id_sends_it(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, NULL);
    const uint8_t id[TRADEBOOK_REQUEST_ID_BYTES] = "0123456789abcde";
    const struct tradebook_call_options options = {.request_id = id};
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    assert_int_equal(tradebook_call(fixture.client, ECHO_METHOD, &request.base, &options, &reply, NULL),
                     TRADEBOOK_OK);
    tradebook_message_free(reply);
    assert_int_equal(script.seen, 1);
    assert_memory_equal(script.request_ids[0], id, sizeof id);
    end(&fixture);
}

static void test_call_unknown_method_is_unimplemented(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, NULL);
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    assert_int_equal(echo(fixture.client, "known", 0, &error), TRADEBOOK_OK);
    assert_int_equal(tradebook_call(fixture.client, "/a/B", &request.base, NULL, &reply, &error),
                     TRADEBOOK_UNIMPLEMENTED);
    assert_int_equal(tradebook_call(fixture.client, GET_METHOD, &request.base, NULL, &reply, &error),
                     TRADEBOOK_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "tradebook.v1.GetSignalRequest"));
    assert_null(reply);
    assert_int_equal(script.seen, 1);
    end(&fixture);
}

/* More violations than fit, one with texts that are too long; and two other details, the
 * larger of which does not fit. */
static enum tbk_rep_action refuse(void *argument, int connection, const uint8_t *request, size_t length,
                                  nng_msg *reply)
{
    (void)argument, (void)connection, (void)request, (void)length;
    enum { VIOLATIONS = TRADEBOOK_VIOLATIONS_MAX + 8 };
    static char long_text[300];
    memset(long_text, 'v', sizeof long_text - 1);
    Tradebook__V1__FieldViolation violations[VIOLATIONS];
    Tradebook__V1__FieldViolation *pointers[VIOLATIONS];
    for (int i = 0; i < VIOLATIONS; i++) {
        violations[i] = (Tradebook__V1__FieldViolation)TRADEBOOK__V1__FIELD_VIOLATION__INIT;
        violations[i].field = i == 1 ? NULL : i == 2 ? long_text : (char *)"signal.symbol";
        violations[i].description = i == 1 ? NULL : i == 2 ? long_text : (char *)"is missing";
        pointers[i] = &violations[i];
    }
    Tradebook__V1__BadRequest bad_request = TRADEBOOK__V1__BAD_REQUEST__INIT;
    bad_request.n_field_violations = VIOLATIONS;
    bad_request.field_violations = pointers;
    uint8_t packed[8192];
    Google__Protobuf__Any details[4] = {GOOGLE__PROTOBUF__ANY__INIT, GOOGLE__PROTOBUF__ANY__INIT,
                                        GOOGLE__PROTOBUF__ANY__INIT, GOOGLE__PROTOBUF__ANY__INIT};
    Google__Protobuf__Any *detail_pointers[] = {&details[0], &details[1], &details[2], &details[3]};
    details[0].type_url = (char *)"type.googleapis.com/google.rpc.BadRequest";
    details[0].value.data = packed;
    details[0].value.len = tradebook__v1__bad_request__pack(&bad_request, packed);
    details[1].type_url = (char *)"type.googleapis.com/google.rpc.BadRequest";
    details[1].value = (ProtobufCBinaryData){.len = 2, .data = (uint8_t *)"\xff\xff"};
    details[2].type_url = (char *)"type.googleapis.com/large";
    details[2].value = (ProtobufCBinaryData){.len = TRADEBOOK_DETAILS_BYTES_MAX, .data = packed};
    details[3].type_url = (char *)"type.googleapis.com/small";
    Tradebook__V1__Reply envelope = TRADEBOOK__V1__REPLY__INIT;
    envelope.has_code = 1;
    envelope.code = TRADEBOOK__V1__CODE__CODE_INVALID_ARGUMENT;
    envelope.message = (char *)"signal.symbol is missing";
    envelope.n_details = 4;
    envelope.details = detail_pointers;
    uint8_t bytes[16384];
    nng_msg_append(reply, bytes, tradebook__v1__reply__pack(&envelope, bytes));
    return TBK_REP_ANSWER;
}

static void test_call_refused_tells_every_violation_and_detail(void **state)
{
    (void)state;
    struct fixture fixture = serve(refuse, NULL, NULL);
    struct tradebook_error error;
    assert_int_equal(echo(fixture.client, "x", 0, &error), TRADEBOOK_INVALID_ARGUMENT);
    assert_int_equal(error.code, TRADEBOOK_INVALID_ARGUMENT);
    assert_string_equal(error.message, "signal.symbol is missing");
    assert_int_equal(error.violation_count, TRADEBOOK_VIOLATIONS_MAX);
    assert_string_equal(error.violations[0].field, "signal.symbol");
    assert_string_equal(error.violations[0].description, "is missing");
    assert_string_equal(error.violations[1].field, "");
    assert_int_equal(strlen(error.violations[2].field), TRADEBOOK_VIOLATION_FIELD_BYTES_MAX - 1);
    assert_int_equal(strlen(error.violations[2].description), TRADEBOOK_VIOLATION_TEXT_BYTES_MAX - 1);
    Tradebook__V1__Status *status = tradebook__v1__status__unpack(NULL, error.details_bytes, error.details);
    assert_int_equal(status->n_details, 1);
    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/small");
    tradebook__v1__status__free_unpacked(status, NULL);
    end(&fixture);
}

struct canned {
    const char *bytes;
    size_t length;
    enum tradebook_code code;
};

static enum tbk_rep_action answer_canned(void *argument, int connection, const uint8_t *request, size_t length,
                                         nng_msg *reply)
{
    (void)connection, (void)request, (void)length;
    const struct canned *canned = *(const struct canned **)argument;
    nng_msg_append(reply, canned->bytes, canned->length);
    return TBK_REP_ANSWER;
}

static void test_call_garbage_reply_is_internal(void **state)
{
    (void)state;
    const struct canned answers[] = {
        {"\xff\xff\xff\xff", 4, TRADEBOOK_INTERNAL},          /* no field */
        {"\x22\x7f\x01", 3, TRADEBOOK_INTERNAL},              /* payload longer than the reply */
        {"\x22\x03\x0a\x7fx", 5, TRADEBOOK_INTERNAL},         /* payload that is no EchoResponse */
        {"\x08\x63", 2, TRADEBOOK_UNKNOWN},                   /* code 99 */
        {"\x08\xff\xff\xff\xff\x0f", 6, TRADEBOOK_UNKNOWN},   /* code -1 */
        {"\x08\x05\x1a\x02\x0a\x00", 6, TRADEBOOK_NOT_FOUND}, /* a detail with an empty type */
        {"\x08\x05\x1a\x00", 4, TRADEBOOK_NOT_FOUND},         /* a detail without type */
        {"\x08\x05\x12\x02\xff\xfe", 6, TRADEBOOK_NOT_FOUND}, /* a message that is not UTF-8 */
        {"", 0, TRADEBOOK_OK},                                /* everything absent: OK and empty */
    };
    const struct canned *current = NULL;
    struct fixture fixture = serve(answer_canned, &current, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        current = &answers[i];
        Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        struct tradebook_error error = {.code = TRADEBOOK_OK};
        enum tradebook_code code =
            tradebook_call(fixture.client, ECHO_METHOD, &request.base, NULL, &reply, &error);
        assert_int_equal(code, answers[i].code);
        assert_int_equal(error.code, answers[i].code);
        tradebook_message_free(reply);
    }
    end(&fixture);
}

static void test_call_async_ten_thousand_are_all_answered_once(void **state)
{
    (void)state;
    enum { CALLS = 10000 };
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, NULL);
    struct tally tally = TALLY_INIT;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(echo_async(fixture.client, 60000, &tally), TRADEBOOK_OK);
    }
    wait_for_tally(&tally, CALLS);
    tradebook_client_close(fixture.client);
    fixture.client = NULL;
    assert_int_equal(tally.ended, CALLS);
    assert_int_equal(tally.codes[TRADEBOOK_OK], CALLS);
    assert_int_equal(script.seen, CALLS);
    end(&fixture);
}

struct chain {
    struct tradebook_client *client;
    struct tally tally;
    unsigned left;
};

static void start_next(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                       const struct tradebook_error *error)
{
    struct chain *chain = argument;
    if (chain->left > 0) {
        chain->left--;
        Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
        tradebook_call_async(chain->client, ECHO_METHOD, &request.base, NULL, start_next, chain, NULL);
    }
    count_in_tally(&chain->tally, code, reply, error);
}

static void test_call_async_from_callbacks_with_one_lane_goes_on(void **state)
{
    (void)state;
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, &(struct tradebook_client_options){.in_flight_max = 1});
    struct chain chain = {.client = fixture.client, .tally = TALLY_INIT, .left = 1000};
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    assert_int_equal(
        tradebook_call_async(fixture.client, ECHO_METHOD, &request.base, NULL, start_next, &chain, NULL),
        TRADEBOOK_OK);
    wait_for_tally(&chain.tally, 1001);
    assert_int_equal(chain.tally.codes[TRADEBOOK_OK], 1001);
    end(&fixture);
}

static void test_call_async_full_queue_refuses(void **state)
{
    (void)state;
    struct script script = {.first_count = UINT32_MAX, .first_action = TBK_REP_IGNORE};
    struct fixture fixture =
        serve(follow_script, &script, &(struct tradebook_client_options){.in_flight_max = 2, .queue_max = 3});
    struct tally tally = TALLY_INIT;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(echo_async(fixture.client, 0, &tally), TRADEBOOK_OK);
    }
    assert_int_equal(echo_async(fixture.client, 0, &tally), TRADEBOOK_RESOURCE_EXHAUSTED);
    wait_until_seen(&script, 2);
    tradebook_client_close(fixture.client);
    fixture.client = NULL;
    assert_int_equal(tally.ended, 5);
    assert_int_equal(tally.codes[TRADEBOOK_CANCELLED], 5);
    end(&fixture);
}

static void *echo_many_times(void *argument)
{
    struct tradebook_error error;
    for (int i = 0; i < 200; i++) {
        if (echo(argument, "from a thread", 60000, &error) != TRADEBOOK_OK) {
            abort();
        }
    }
    return NULL;
}

static void test_call_from_many_threads_succeeds(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct script script = {0};
    struct fixture fixture = serve(follow_script, &script, &(struct tradebook_client_options){.in_flight_max = 4});
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, echo_many_times, fixture.client);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(script.seen, THREADS * 200);
    end(&fixture);
}

static void keep_length(const Tradebook__V1__EchoResponse *response, void *closure_data)
{
    *(long *)closure_data = response != NULL ? (long)response->payload.len : -1;
}

static void test_service_generated_function_calls_and_tells_errors(void **state)
{
    (void)state;
    struct script script = {
        .first_count = 1, .first_action = TBK_REP_ANSWER, .first_code = TRADEBOOK__V1__CODE__CODE_NOT_FOUND};
    struct fixture fixture = serve(follow_script, &script, NULL);
    ProtobufCService *service = tradebook_service(fixture.client, &tradebook__v1__admin_service__descriptor);
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    request.has_payload = 1;
    request.payload = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"abc"};
    long length = 0;
    tradebook__v1__admin_service__echo(service, &request, keep_length, &length);
    assert_int_equal(length, -1);
    assert_int_equal(tradebook_service_error(service)->code, TRADEBOOK_NOT_FOUND);
    assert_string_equal(tradebook_service_error(service)->message, "as the script says");
    tradebook__v1__admin_service__echo(service, &request, keep_length, &length);
    assert_int_equal(length, 3);
    assert_int_equal(tradebook_service_error(service)->code, TRADEBOOK_OK);
    protobuf_c_service_destroy(service);
    end(&fixture);
}

static void test_open_wrong_address_or_option_is_invalid(void **state)
{
    (void)state;
    struct tradebook_client *client = NULL;
    struct tradebook_error error;
    assert_int_equal(tradebook_client_open("no address", NULL, &client, &error), TRADEBOOK_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "no address"));
    assert_int_equal(tradebook_client_open("carrier-pigeon://x", NULL, &client, NULL), TRADEBOOK_INVALID_ARGUMENT);
    assert_int_equal(tradebook_client_open("tcp://127.0.0.1:1",
                                           &(struct tradebook_client_options){.timeout_ms = -1}, &client, &error),
                     TRADEBOOK_INVALID_ARGUMENT);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_echo_returns_the_payload),
        cmocka_unit_test(test_call_with_own_request_id_sends_it),
        cmocka_unit_test(test_call_unknown_method_is_unimplemented),
        cmocka_unit_test(test_call_refused_tells_every_violation_and_detail),
        cmocka_unit_test(test_call_garbage_reply_is_internal),
        cmocka_unit_test(test_call_async_ten_thousand_are_all_answered_once),
        cmocka_unit_test(test_call_async_from_callbacks_with_one_lane_goes_on),
        cmocka_unit_test(test_call_async_full_queue_refuses),
        cmocka_unit_test(test_call_from_many_threads_succeeds),
        cmocka_unit_test(test_service_generated_function_calls_and_tells_errors),
        cmocka_unit_test(test_open_wrong_address_or_option_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
