/*
 * Records a signal, reads it back, lists the newest signals of the high tier,
 * and shows how a refused request explains itself.
 *
 *   record_signal [ADDRESS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <tradebook/client.h>

#include "tradebook/v1/signal.pb-c.h"

#define CREATE_SIGNAL "/tradebook.v1.SignalService/CreateSignal"
#define GET_SIGNAL    "/tradebook.v1.SignalService/GetSignal"
#define LIST_SIGNALS  "/tradebook.v1.SignalService/ListSignals"

static void print_error(const struct tradebook_error *error)
{
    fprintf(stderr, "%s: %s\n", tradebook_code_name(error->code), error->message);
    for (size_t i = 0; i < error->violation_count; i++) {
        fprintf(stderr, "  %s: %s\n", error->violations[i].field, error->violations[i].description);
    }
}

static void print_signal(const Tradebook__V1__Signal *signal)
{
    printf("signal %lld: %s, entry %.2f, confidence %.2f\n", (long long)signal->id, signal->symbol,
           signal->entry_price, signal->confidence);
}

/* Answers the id, 0 on failure. */
static int64_t record_signal(struct tradebook_client *client)
{
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.symbol = "BTC-USD";
    signal.has_direction = 1;
    signal.direction = TRADEBOOK__V1__DIRECTION__DIRECTION_LONG;
    signal.has_tier = 1;
    signal.tier = TRADEBOOK__V1__TIER__TIER_HIGH;
    signal.has_confidence = 1;
    signal.confidence = 0.81;
    signal.has_ensemble_prediction = 1;
    signal.ensemble_prediction = 0.77;
    signal.has_entry_price = signal.has_tp_price = signal.has_sl_price = 1;
    signal.entry_price = 67250.0;
    signal.tp_price = 68600.0;
    signal.sl_price = 66500.0;
    Tradebook__V1__CreateSignalRequest request = TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
    request.signal = &signal;

    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    if (tradebook_call(client, CREATE_SIGNAL, &request.base, NULL, &reply, &error) != TRADEBOOK_OK) {
        print_error(&error);
        return 0;
    }
    int64_t id = ((const Tradebook__V1__Signal *)reply)->id;
    tradebook_message_free(reply);
    return id;
}

static int read_signal(struct tradebook_client *client, int64_t id)
{
    Tradebook__V1__GetSignalRequest request = TRADEBOOK__V1__GET_SIGNAL_REQUEST__INIT;
    request.has_id = 1;
    request.id = id;
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    if (tradebook_call(client, GET_SIGNAL, &request.base, NULL, &reply, &error) != TRADEBOOK_OK) {
        print_error(&error);
        return -1;
    }
    print_signal((const Tradebook__V1__Signal *)reply);
    tradebook_message_free(reply);
    return 0;
}

static int list_high_tier(struct tradebook_client *client)
{
    Tradebook__V1__ListSignalsRequest request = TRADEBOOK__V1__LIST_SIGNALS_REQUEST__INIT;
    request.filter = "tier = 'high'";
    request.order_by = "timestamp desc";
    request.has_page_size = 1;
    request.page_size = 5;
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    if (tradebook_call(client, LIST_SIGNALS, &request.base, NULL, &reply, &error) != TRADEBOOK_OK) {
        print_error(&error);
        return -1;
    }
    const Tradebook__V1__ListSignalsResponse *page = (const Tradebook__V1__ListSignalsResponse *)reply;
    printf("the newest of the high tier:\n");
    for (size_t i = 0; i < page->n_signals; i++) {
        print_signal(page->signals[i]);
    }
    tradebook_message_free(reply);
    return 0;
}

/* The server refuses this and names every reason. */
static int show_refusal(struct tradebook_client *client)
{
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.symbol = "";
    signal.has_confidence = 1;
    signal.confidence = 1.5;
    Tradebook__V1__CreateSignalRequest request = TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
    request.signal = &signal;
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    if (tradebook_call(client, CREATE_SIGNAL, &request.base, NULL, &reply, &error) != TRADEBOOK_INVALID_ARGUMENT) {
        fprintf(stderr, "the server did not refuse a wrong signal\n");
        tradebook_message_free(reply);
        return -1;
    }
    print_error(&error);
    return 0;
}

int main(int argc, char **argv)
{
    struct tradebook_client *client = NULL;
    struct tradebook_error error;
    const char *address = argc > 1 ? argv[1] : "tcp://127.0.0.1:7601";
    if (tradebook_client_open(address, NULL, &client, &error) != TRADEBOOK_OK) {
        print_error(&error);
        return EXIT_FAILURE;
    }
    int64_t id = record_signal(client);
    int failed =
        id == 0 || read_signal(client, id) != 0 || list_high_tier(client) != 0 || show_refusal(client) != 0;
    tradebook_client_close(client);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
