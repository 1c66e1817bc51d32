/*
 * Follows the closed trades from a cursor on the server: started again, it goes on
 * where it was. Ends after COUNT trades.
 *
 *   follow_trades [ADDRESS [EVENTS_ADDRESS [COUNT]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <tradebook/subscriber.h>

static int fail(const struct tradebook_error *error)
{
    fprintf(stderr, "%s: %s\n", tradebook_code_name(error->code), error->message);
    return -1;
}

static int follow(struct tradebook_subscriber *subscriber, long count)
{
    struct tradebook_error error;
    for (long i = 0; i < count; i++) {
        const Tradebook__V1__Event *event = NULL;
        if (tradebook_subscriber_next(subscriber, -1, &event, &error) != TRADEBOOK_OK) {
            return fail(&error);
        }
        const Tradebook__V1__TradeClosed *trade = event->trade_closed;
        printf("event %lld: %s closed with %.2f USD\n", (long long)event->sequence, trade->symbol,
               trade->signal_result->pnl_usd);
        /* Handled: after a restart the next one comes. */
        if (tradebook_subscriber_commit(subscriber, &error) != TRADEBOOK_OK) {
            return fail(&error);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct tradebook_subscriber_options options = {
        .events_address = argc > 2 ? argv[2] : "tcp://127.0.0.1:7602",
        .cursor = "follow_trades",
        .start = TRADEBOOK_START_OLDEST,
    };
    struct tradebook_subscriber *subscriber = NULL;
    struct tradebook_error error;
    if (tradebook_subscriber_open(argc > 1 ? argv[1] : "tcp://127.0.0.1:7601", &options, &subscriber, &error) !=
        TRADEBOOK_OK) {
        fail(&error);
        return EXIT_FAILURE;
    }
    int failed = follow(subscriber, argc > 3 ? strtol(argv[3], NULL, 10) : 1);
    tradebook_subscriber_close(subscriber);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
