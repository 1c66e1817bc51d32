/* Dispatch with its threads on a real database, stopped in the middle of things. What is
 * wrong here shows under the thread sanitizer. */
#include "cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "in_process.h"
#include "tradebook/v1/event.pb-c.h"
#include "tradebook/v1/rpc.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

enum { ROUNDS = 40, MINUTE_MS = 60000, BYTES_MAX = 1 << 20 };

static struct tbk_schema *schema;
static struct in_process server;
static char folder[] = "/tmp/tradebook-stop-XXXXXX";
static char path[sizeof folder + 16];

/* One request and its reply. */
struct asked {
    struct tbk_responder responder; /* first: a responder is what was asked */
    struct tbk_share share;
    uint8_t bytes[512];
    size_t length;
    uint8_t *reply;
    size_t reply_length;
    atomic_bool answered;
};

static uint8_t *reserve(struct tbk_responder *responder, size_t length)
{
    struct asked *asked = (struct asked *)responder;
    free(asked->reply);
    asked->reply_length = length;
    return asked->reply = malloc(length);
}

static void send_reply(struct tbk_responder *responder, bool more)
{
    (void)more;
    atomic_store(&((struct asked *)responder)->answered, true);
}

static void discard(struct tbk_responder *responder, bool more)
{
    (void)responder;
    (void)more;
    fail_msg("a request is discarded");
}

static void ask(struct asked *asked, const char *method, const ProtobufCMessage *message)
{
    static uint64_t asked_before;
    uint8_t payload[256];
    uint8_t id[16] = {0};
    asked_before++;
    memcpy(id, &asked_before, sizeof asked_before);
    *asked = (struct asked){.responder = {reserve, send_reply, discard, &asked->share}};
    Tradebook__V1__Request envelope = TRADEBOOK__V1__REQUEST__INIT;
    envelope.method = (char *)(uintptr_t)method;
    envelope.has_payload = envelope.has_request_id = 1;
    envelope.request_id = (ProtobufCBinaryData){sizeof id, id};
    envelope.payload = (ProtobufCBinaryData){protobuf_c_message_pack(message, payload), payload};
    asked->length = tradebook__v1__request__pack(&envelope, asked->bytes);
    tbk_dispatch_submit(server.dispatch, &asked->responder, asked->bytes, asked->length);
}

/* Asks again and again, so as to go on at once. */
static void wait_for(const struct asked *asked)
{
    while (!atomic_load(&asked->answered))
        ;
}

static Tradebook__V1__Reply *reply_of(const struct asked *asked)
{
    Tradebook__V1__Reply *reply = tradebook__v1__reply__unpack(NULL, asked->reply_length, asked->reply);
    assert_non_null(reply);
    if (reply->code != TRADEBOOK__V1__CODE__CODE_OK)
        fail_msg("%s", reply->message);
    return reply;
}

static void ask_for_event(struct asked *asked, int64_t after)
{
    Tradebook__V1__ListEventsRequest list = TRADEBOOK__V1__LIST_EVENTS_REQUEST__INIT;
    list.has_after_sequence = list.has_wait_ms = 1;
    list.after_sequence = after;
    list.wait_ms = MINUTE_MS;
    ask(asked, "/tradebook.v1.EventService/ListEvents", &list.base);
}

static void publish(struct tbk_publisher *publisher, const uint8_t *message, size_t length, bool more)
{
    (void)publisher;
    (void)message;
    (void)length;
    (void)more;
}

static void on_fatal(void *argument, const struct tbk_error *error)
{
    (void)argument;
    fail_msg("%s", error->message);
}

static void start(void)
{
    static struct tbk_publisher publisher = {publish};
    const struct tbk_dispatch_config settings = {
        .reader_threads = 2,
        .queue_max = 4,
        .waiting_max = 1,
        .request_bytes_max = BYTES_MAX,
        .arena_bytes_max = BYTES_MAX,
        .timeout_default_ms = 2 * MINUTE_MS,
        .timeout_max_ms = 2 * MINUTE_MS,
        .request_retention_s = MINUTE_MS,
        .event_retention_s = MINUTE_MS,
        .heartbeat_ms = MINUTE_MS,
        .publisher = &publisher,
        .on_fatal = on_fatal,
    };
    struct tbk_error error;
    tbk_error_init(&error);
    if (in_process_start(&server, schema, path, settings, &error) != TBK_OK)
        fail_msg("%s", error.message);
}

static void call(const char *method, const ProtobufCMessage *message)
{
    struct asked asked;
    ask(&asked, method, message);
    wait_for(&asked);
    tradebook__v1__reply__free_unpacked(reply_of(&asked), NULL);
    free(asked.reply);
}

/* A trade of a new signal, which the writer numbers in turn. */
static void open_trade(int64_t signal_id)
{
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.symbol = (char *)(uintptr_t) "BTC/USDT";
    signal.has_direction = signal.has_tier = signal.has_confidence = signal.has_ensemble_prediction = 1;
    signal.direction = TRADEBOOK__V1__DIRECTION__DIRECTION_LONG;
    signal.tier = TRADEBOOK__V1__TIER__TIER_HIGH;
    signal.confidence = signal.ensemble_prediction = 0.5;
    signal.has_entry_price = 1;
    signal.entry_price = 100;
    Tradebook__V1__CreateSignalRequest create = TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
    create.signal = &signal;
    call("/tradebook.v1.SignalService/CreateSignal", &create.base);
    Tradebook__V1__OpenTradeRequest open = TRADEBOOK__V1__OPEN_TRADE_REQUEST__INIT;
    open.has_signal_id = 1;
    open.signal_id = signal_id;
    call("/tradebook.v1.TradeService/OpenTrade", &open.base);
}

static void ask_to_close(struct asked *asked, int64_t signal_id)
{
    Tradebook__V1__CloseTradeRequest close = TRADEBOOK__V1__CLOSE_TRADE_REQUEST__INIT;
    close.has_signal_id = close.has_exit_price = 1;
    close.signal_id = signal_id;
    close.exit_price = 110;
    close.exit_reason = (char *)(uintptr_t) "manual";
    ask(asked, "/tradebook.v1.TradeService/CloseTrade", &close.base);
}

/* The relay, which has handed the waiting request back to the readers, may still be about
 * to wake one of them when its answer is there. */
static void test_stop_just_when_a_waiting_request_has_heard_of_its_event(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= ROUNDS; n++) {
        start();
        open_trade(n);
        struct asked waiting;
        struct asked closing;
        ask_for_event(&waiting, n - 1);
        ask_to_close(&closing, n);
        wait_for(&waiting);
        in_process_stop(&server);
        assert_true(atomic_load(&closing.answered));
        tradebook__v1__reply__free_unpacked(reply_of(&closing), NULL);
        Tradebook__V1__Reply *reply = reply_of(&waiting);
        Tradebook__V1__ListEventsResponse *events =
            tradebook__v1__list_events_response__unpack(NULL, reply->payload.len, reply->payload.data);
        assert_int_equal(events->n_events, 1);
        assert_int_equal(events->events[0]->sequence, n);
        tradebook__v1__list_events_response__free_unpacked(events, NULL);
        tradebook__v1__reply__free_unpacked(reply, NULL);
        free(waiting.reply);
        free(closing.reply);
    }
}

static int set_up(void **state)
{
    (void)state;
    struct tbk_error error;
    tbk_error_init(&error);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/book.db", folder);
    return tbk_schema_create(&schema, &error) == TBK_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char file[sizeof path + 8];
        snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        unlink(file);
    }
    tbk_schema_destroy(schema);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_just_when_a_waiting_request_has_heard_of_its_event),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
