/*
 * A subscriber for tests: prints a line for every event after one, up to another,
 * and ends.
 *
 *   event_reader ADDRESS EVENTS_ADDRESS|- AFTER LAST
 *
 * Lines are flushed when no further event is there, so that a reader can be killed
 * with lines unwritten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tradebook/subscriber.h"

enum { AWAY_MS = 60000 };

static void print_event(const Tradebook__V1__Event *event)
{
    const Tradebook__V1__TradeClosed *trade = event->trade_closed;
    const Tradebook__V1__SignalResult *result = trade->signal_result;
    printf("%lld %lld %s %d %.17g %.17g %.17g %.17g %s\n", (long long)event->sequence,
           (long long)result->signal_id, trade->symbol, (int)result->outcome, result->entry_price,
           result->exit_price, result->pnl_usd, result->pnl_percent, result->exit_reason);
}

/* Takes the next event without flushing while there is one. */
static enum tradebook_code next(struct tradebook_subscriber *subscriber, const Tradebook__V1__Event **ret_event,
                                struct tradebook_error *error)
{
    enum tradebook_code code = tradebook_subscriber_next(subscriber, 0, ret_event, error);
    if (code != TRADEBOOK_DEADLINE_EXCEEDED) {
        return code;
    }
    fflush(stdout);
    return tradebook_subscriber_next(subscriber, -1, ret_event, error);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: event_reader ADDRESS EVENTS_ADDRESS|- AFTER LAST\n", stderr);
        return 2;
    }
    struct tradebook_error error = {.code = TRADEBOOK_OK};
    struct tradebook_subscriber *subscriber = NULL;
    const struct tradebook_client_options client = {.timeout_ms = AWAY_MS};
    const struct tradebook_subscriber_options options = {
        .events_address = strcmp(argv[2], "-") == 0 ? NULL : argv[2],
        .start = TRADEBOOK_START_AFTER,
        .after_sequence = atoll(argv[3]),
        .client = &client,
    };
    enum tradebook_code code = tradebook_subscriber_open(argv[1], &options, &subscriber, &error);
    while (code == TRADEBOOK_OK && tradebook_subscriber_position(subscriber) < atoll(argv[4])) {
        const Tradebook__V1__Event *event = NULL;
        code = next(subscriber, &event, &error);
        if (code == TRADEBOOK_OK) {
            print_event(event);
        }
    }
    tradebook_subscriber_close(subscriber);
    if (code != TRADEBOOK_OK) {
        fprintf(stderr, "%s: %s\n", tradebook_code_name(code), error.message);
    }
    return code == TRADEBOOK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
