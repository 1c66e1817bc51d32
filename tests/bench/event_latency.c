/*
 * How long a closed trade takes to its subscribers: closes trades one after the
 * other by CloseTrade, hears of each by a subscriber on another thread, and prints
 * the time from the call to the event, and from the reply to the event (negative
 * when the event was first).
 *
 *   event_latency ADDRESS EVENTS_ADDRESS|- [COUNT]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tradebook/subscriber.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

struct run {
    struct tradebook_client *client;
    struct tradebook_subscriber *subscriber;
    size_t count;
    pthread_mutex_t mutex;
    pthread_cond_t heard;
    size_t heard_count;
    double *called_us;
    double *replied_us;
    double *heard_us;
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(enum tradebook_code code, const struct tradebook_error *error)
{
    if (code != TRADEBOOK_OK) {
        fprintf(stderr, "%s: %s\n", tradebook_code_name(code), error->message);
        exit(EXIT_FAILURE);
    }
}

static ProtobufCMessage *call(const struct run *run, const char *method, const ProtobufCMessage *request)
{
    struct tradebook_error error;
    ProtobufCMessage *reply = NULL;
    must(tradebook_call(run->client, method, request, NULL, &reply, &error), &error);
    return reply;
}

/* Answers the id of a signal with an open trade. */
static int64_t open_trade(const struct run *run)
{
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.symbol = "BTC-USD";
    signal.has_direction = signal.has_tier = signal.has_confidence = signal.has_ensemble_prediction = 1;
    signal.direction = TRADEBOOK__V1__DIRECTION__DIRECTION_LONG;
    signal.tier = TRADEBOOK__V1__TIER__TIER_HIGH;
    signal.has_entry_price = 1;
    signal.entry_price = 100.0;
    Tradebook__V1__CreateSignalRequest create = TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
    create.signal = &signal;
    ProtobufCMessage *created = call(run, "/tradebook.v1.SignalService/CreateSignal", &create.base);
    Tradebook__V1__OpenTradeRequest open = TRADEBOOK__V1__OPEN_TRADE_REQUEST__INIT;
    open.has_signal_id = 1;
    open.signal_id = ((const Tradebook__V1__Signal *)created)->id;
    tradebook_message_free(created);
    tradebook_message_free(call(run, "/tradebook.v1.TradeService/OpenTrade", &open.base));
    return open.signal_id;
}

static void *hear(void *argument)
{
    struct run *run = argument;
    for (size_t i = 0; i < run->count; i++) {
        const Tradebook__V1__Event *event = NULL;
        struct tradebook_error error;
        must(tradebook_subscriber_next(run->subscriber, -1, &event, &error), &error);
        pthread_mutex_lock(&run->mutex);
        run->heard_us[i] = now_us();
        run->heard_count++;
        pthread_cond_signal(&run->heard);
        pthread_mutex_unlock(&run->mutex);
    }
    return NULL;
}

/* Closes each trade when the one before was heard of. */
static void close_trades(struct run *run, const int64_t *signal_ids)
{
    for (size_t i = 0; i < run->count; i++) {
        Tradebook__V1__CloseTradeRequest request = TRADEBOOK__V1__CLOSE_TRADE_REQUEST__INIT;
        request.has_signal_id = request.has_exit_price = 1;
        request.signal_id = signal_ids[i];
        request.exit_price = 101.0;
        request.exit_reason = "tp_hit";
        run->called_us[i] = now_us();
        tradebook_message_free(call(run, "/tradebook.v1.TradeService/CloseTrade", &request.base));
        run->replied_us[i] = now_us();
        pthread_mutex_lock(&run->mutex);
        while (run->heard_count <= i) {
            pthread_cond_wait(&run->heard, &run->mutex);
        }
        pthread_mutex_unlock(&run->mutex);
    }
}

static int compare(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void print_quantiles(const char *name, const struct run *run, const double *from_us)
{
    double *sorted = calloc(run->count, sizeof *sorted);
    for (size_t i = 0; i < run->count; i++) {
        sorted[i] = run->heard_us[i] - from_us[i];
    }
    qsort(sorted, run->count, sizeof *sorted, compare);
    printf("%-16s p50 %8.1f us  p99 %8.1f us  max %8.1f us\n", name, sorted[run->count / 2],
           sorted[run->count * 99 / 100], sorted[run->count - 1]);
    free(sorted);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: event_latency ADDRESS EVENTS_ADDRESS|- [COUNT]\n", stderr);
        return 2;
    }
    struct run run = {.count = argc > 3 ? strtoul(argv[3], NULL, 10) : 2000,
                      .mutex = PTHREAD_MUTEX_INITIALIZER,
                      .heard = PTHREAD_COND_INITIALIZER};
    double *times_us = calloc(3 * run.count + 1, sizeof *times_us);
    int64_t *signal_ids = calloc(run.count + 1, sizeof *signal_ids);
    run.called_us = times_us;
    run.replied_us = times_us + run.count;
    run.heard_us = times_us + 2 * run.count;

    struct tradebook_error error;
    const struct tradebook_subscriber_options options = {.events_address =
                                                             strcmp(argv[2], "-") == 0 ? NULL : argv[2]};
    must(tradebook_client_open(argv[1], NULL, &run.client, &error), &error);
    for (size_t i = 0; i < run.count; i++) {
        signal_ids[i] = open_trade(&run);
    }
    must(tradebook_subscriber_open(argv[1], &options, &run.subscriber, &error), &error);
    pthread_t thread;
    if (pthread_create(&thread, NULL, hear, &run) != 0) {
        return EXIT_FAILURE;
    }
    close_trades(&run, signal_ids);
    pthread_join(thread, NULL);
    print_quantiles("call to event", &run, run.called_us);
    print_quantiles("reply to event", &run, run.replied_us);
    tradebook_subscriber_close(run.subscriber);
    tradebook_client_close(run.client);
    free(signal_ids);
    free(times_us);
    return EXIT_SUCCESS;
}
