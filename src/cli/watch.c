/*
 * tradebook watch: the closed trades as they happen, one JSON line for each.
 */
#include <argp.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "tradebook/subscriber.h"
#include "json/json_write.h"

enum { JSON_BYTES_MAX = 1024 * 1024 };

enum { OPTION_AFTER = 0x100, OPTION_CURSOR, OPTION_SYMBOL, OPTION_EVENTS, OPTION_COUNT };

struct watch_args {
    struct tbk_connection connection;
    struct tradebook_subscriber_options subscriber;
    int64_t count; /* -1: without end */
};

static const struct argp_option options[] = {
    {"after", OPTION_AFTER, "N", 0, "Start after event N; 0 starts with the first (default: only new events)", 0},
    {"cursor", OPTION_CURSOR, "NAME", 0,
     "Start after the cursor NAME of the server and move it on after each line; when it does not exist yet, make "
     "it "
     "where --after says",
     0},
    {"symbol", OPTION_SYMBOL, "S", 0, "Only trades of this symbol (default: all)", 0},
    {"count", OPTION_COUNT, "N", 0, "End after N events (default: on SIGINT or SIGTERM)", 0},
    {"events", OPTION_EVENTS, "URL", 0,
     "Address where the server publishes events, tcp://HOST:PORT or ipc:///PATH. Default: "
     "TRADEBOOK_EVENTS_ADDRESS of the environment, else events are waited for at --address",
     0},
    {0},
};

static const char doc[] =
    "Print an event for every trade that is closed, as one line of JSON, in order, none twice and none missing. A "
    "server that is away is waited for as long as --timeout says."
    "\v"
    "Each line is an Event of event.proto in the proto3 JSON mapping; \"sequence\" is its number. With --cursor, "
    "the place is kept on the server: a watch that starts again with the same name goes on where it was. A line "
    "counts as handled when it is written; after a crash the last one may come again.\n\n"
    "Exit status: 0 at the end that --count or a signal makes; 1 when the server stayed away, when events after "
    "the place were deleted already (OUT_OF_RANGE, with the oldest that is left), or when the database was "
    "restored to an older state (DATA_LOSS); 2 on wrong options.";

/* -1 when text is no number from min on. */
static int64_t parse_number(const char *text, int64_t min)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return end == text || *end != '\0' || errno != 0 || number < min ? -1 : number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct watch_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case OPTION_AFTER:
        args->subscriber.start = TRADEBOOK_START_AFTER;
        args->subscriber.after_sequence = parse_number(argument, 0);
        if (args->subscriber.after_sequence < 0)
            argp_error(state, "--after: \"%s\" is not the number of an event.", argument);
        return 0;
    case OPTION_CURSOR:
        args->subscriber.cursor = argument;
        return 0;
    case OPTION_SYMBOL:
        args->subscriber.symbol = argument;
        return 0;
    case OPTION_EVENTS:
        args->subscriber.events_address = argument;
        return 0;
    case OPTION_COUNT:
        args->count = parse_number(argument, 1);
        if (args->count < 0)
            argp_error(state, "--count: \"%s\" is not a number of events above 0.", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- the end by a signal --- */

/* SIGINT and SIGTERM are waited for on a thread of their own, because a subscriber
 * must not be stopped in a signal handler. */
struct ending {
    sigset_t signals;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct tradebook_subscriber *subscriber; /* NULL while it is being opened */
    bool is_over;
};

static void *wait_for_signal(void *argument)
{
    struct ending *ending = argument;
    int number;
    sigwait(&ending->signals, &number);
    pthread_mutex_lock(&ending->mutex);
    if (ending->subscriber != NULL)
        tradebook_subscriber_stop(ending->subscriber);
    else if (!ending->is_over)
        _exit(TBK_EXIT_OK);
    pthread_mutex_unlock(&ending->mutex);
    return NULL;
}

/* Before any other thread is made, so that the signals are blocked in all. */
static bool start_waiting(struct ending *ending)
{
    pthread_mutex_init(&ending->mutex, NULL);
    sigemptyset(&ending->signals);
    sigaddset(&ending->signals, SIGINT);
    sigaddset(&ending->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending->signals, NULL);
    return pthread_create(&ending->thread, NULL, wait_for_signal, ending) == 0;
}

static void set_subscriber(struct ending *ending, struct tradebook_subscriber *subscriber)
{
    pthread_mutex_lock(&ending->mutex);
    ending->subscriber = subscriber;
    ending->is_over = subscriber == NULL;
    pthread_mutex_unlock(&ending->mutex);
}

static void stop_waiting(struct ending *ending)
{
    set_subscriber(ending, NULL);
    pthread_kill(ending->thread, SIGINT);
    pthread_join(ending->thread, NULL);
    pthread_mutex_destroy(&ending->mutex);
}

/* --- events --- */

static int print_event(const Tradebook__V1__Event *event, const struct tbk_catalog *catalog)
{
    const struct tbk_json_style style = {.find_type = tbk_catalog_find_type, .find_type_argument = catalog};
    struct tbk_dynbuf text;
    struct tbk_error error;
    tbk_error_init(&error);
    tbk_dynbuf_init(&text, JSON_BYTES_MAX);
    int exit_status = TBK_EXIT_OK;
    if (tbk_json_write(&event->base, &style, &text, &error) != TBK_OK) {
        fprintf(stderr, "tradebook watch: event %lld cannot be printed: %s\n", (long long)event->sequence,
                error.message);
        exit_status = TBK_EXIT_FAILURE;
    } else {
        fwrite(text.data, 1, text.length, stdout);
        putchar('\n');
        /* What is wrong is told at the end of the program. */
        if (fflush(stdout) != 0)
            exit_status = TBK_EXIT_FAILURE;
    }
    tbk_dynbuf_fini(&text);
    return exit_status;
}

static int end_with(const struct watch_args *args, const struct tradebook_error *error)
{
    if (error->code == TRADEBOOK_CANCELLED)
        return TBK_EXIT_OK;
    tbk_connection_print_error(&args->connection, error);
    return TBK_EXIT_FAILURE;
}

static int print_events(const struct watch_args *args, struct tradebook_subscriber *subscriber,
                        const struct tbk_catalog *catalog)
{
    struct tradebook_error error;
    int exit_status = TBK_EXIT_OK;
    for (int64_t count = 0; count != args->count && exit_status == TBK_EXIT_OK; count++) {
        const Tradebook__V1__Event *event = NULL;
        if (tradebook_subscriber_next(subscriber, -1, &event, &error) != TRADEBOOK_OK)
            return end_with(args, &error);
        exit_status = print_event(event, catalog);
        if (exit_status == TBK_EXIT_OK && args->subscriber.cursor != NULL &&
            tradebook_subscriber_commit(subscriber, &error) != TRADEBOOK_OK)
            return end_with(args, &error);
    }
    return exit_status;
}

static int watch(const struct watch_args *args, const struct tbk_catalog *catalog, struct ending *ending)
{
    struct tradebook_subscriber *subscriber = NULL;
    struct tradebook_error error;
    if (tradebook_subscriber_open(args->connection.address, &args->subscriber, &subscriber, &error) !=
        TRADEBOOK_OK) {
        tbk_connection_print_error(&args->connection, &error);
        return error.code == TRADEBOOK_INVALID_ARGUMENT ? TBK_EXIT_USAGE : TBK_EXIT_FAILURE;
    }
    set_subscriber(ending, subscriber);
    int exit_status = print_events(args, subscriber, catalog);
    set_subscriber(ending, NULL);
    tradebook_subscriber_close(subscriber);
    return exit_status;
}

static void fill_subscriber_options(struct watch_args *args, struct tradebook_client_options *client)
{
    const char *environment = getenv("TRADEBOOK_EVENTS_ADDRESS");
    if (args->subscriber.events_address == NULL && environment != NULL && environment[0] != '\0')
        args->subscriber.events_address = environment;
    args->connection.address = tbk_client_address(args->connection.given_address, args->connection.address_buffer);
    client->timeout_ms = args->connection.timeout_ms;
    args->subscriber.client = client;
}

int tbk_cli_watch(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, NULL, doc, children, NULL, NULL};
    struct watch_args args = {.count = -1};
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    struct tradebook_client_options client = {0};
    fill_subscriber_options(&args, &client);

    struct tbk_catalog *catalog = NULL;
    struct tbk_error error;
    tbk_error_init(&error);
    if (tbk_catalog_create(&catalog, &error) != TBK_OK) {
        fprintf(stderr, "tradebook watch: %s\n", error.message);
        return TBK_EXIT_FAILURE;
    }
    struct ending ending = {0};
    int exit_status = TBK_EXIT_FAILURE;
    if (start_waiting(&ending)) {
        exit_status = watch(&args, catalog, &ending);
        stop_waiting(&ending);
    } else {
        fputs("tradebook watch: a thread cannot be started.\n", stderr);
    }
    tbk_catalog_destroy(catalog);
    return exit_status;
}
