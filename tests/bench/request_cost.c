/*
 * Pushes requests through dispatch, services and storage in this process, so that
 * valgrind can count what one costs. tests/bench/instructions runs it.
 *
 *   request_cost FOLDER
 *
 * A section is some hundred requests of one method, alone or 64 at once, between
 * calls of section_begin and section_end, where callgrind is told to start and to stop.
 * Prints the versions of what is counted besides the server's own code, then one line for
 * each section: its name and for how many units (requests, or rows of a batch) it ran.
 * FOLDER is empty; the database stays in it.
 */
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "cli/bench_ops.h"
#include "in_process.h"
#include "tradebook/v1/analytics.pb-c.h"
#include "tradebook/v1/rpc.pb-c.h"

enum {
    GROUP = 64,        /* requests at once */
    UNITS = 4 * GROUP, /* requests of a section */
    WARM_UP = GROUP,   /* requests before it */
    BATCH_SIGNALS = 100,
    BATCHES = 16,                   /* requests of a section of batches */
    TRADES = 3 * (UNITS + WARM_UP), /* open, close and close at once */
    REPLY_BYTES_MAX = 1 << 20,
    MEMORY_BYTES_MAX = 64 << 20,
    SECONDS_PER_DAY = 86400,
    TIMEOUT_MS = 3600 * 1000,
};

static struct in_process server;
static struct tbk_bench_workload *workload;
static uint64_t random_state = 1;
static uint64_t request_serial;
static struct tbk_share share; /* of the one connection */

static _Noreturn void fail(const char *sentence)
{
    fprintf(stderr, "request_cost: %s\n", sentence);
    exit(EXIT_FAILURE);
}

/* Instead of the C library's: a monotonic clock that stands still, tomorrow. So nothing is
 * done because time has passed, however slow valgrind is. */
int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    const int status = (int)syscall(SYS_clock_gettime, clock, ret_time);
    static time_t tomorrow;
    if (clock == CLOCK_MONOTONIC) {
        if (tomorrow == 0)
            tomorrow = ret_time->tv_sec + SECONDS_PER_DAY;
        *ret_time = (struct timespec){.tv_sec = tomorrow};
    }
    return status;
}

/* --- requests --- */

struct request {
    struct tbk_responder responder;
    bool holds; /* its thread goes on only when the others of its group wait */
    uint8_t *bytes;
    size_t length;
    uint8_t *reply;
    size_t reply_length;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool holding, released;
static unsigned answered, published, events_expected;

static uint8_t *reserve(struct tbk_responder *responder, size_t length)
{
    struct request *request = (struct request *)responder;
    free(request->reply);
    request->reply_length = length;
    return request->reply = malloc(length);
}

static void send_reply(struct tbk_responder *responder, bool more)
{
    (void)more;
    pthread_mutex_lock(&mutex);
    if (((struct request *)responder)->holds) {
        holding = true;
        pthread_cond_broadcast(&changed);
        while (!released)
            pthread_cond_wait(&changed, &mutex);
    }
    answered++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void discard(struct tbk_responder *responder, bool more)
{
    (void)responder;
    (void)more;
    fail("a request was discarded");
}

/* Request ids grow, as those of the client do. */
static void pack_request(struct request *request, const char *method, const ProtobufCMessage *message)
{
    uint8_t id[16] = {0};
    request_serial++;
    for (size_t i = 0; i < sizeof request_serial; i++)
        id[sizeof id - 1 - i] = (uint8_t)(request_serial >> 8 * i);
    const size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *payload = malloc(length + 1);
    protobuf_c_message_pack(message, payload);
    Tradebook__V1__Request envelope = TRADEBOOK__V1__REQUEST__INIT;
    envelope.method = (char *)(uintptr_t)method;
    envelope.has_payload = envelope.has_request_id = 1;
    envelope.payload = (ProtobufCBinaryData){length, payload};
    envelope.request_id = (ProtobufCBinaryData){sizeof id, id};
    *request = (struct request){.responder = {reserve, send_reply, discard, &share}};
    request->bytes = malloc(tradebook__v1__request__get_packed_size(&envelope));
    request->length = tradebook__v1__request__pack(&envelope, request->bytes);
    free(payload);
}

static void finish_request(struct request *request)
{
    Tradebook__V1__Reply *reply = tradebook__v1__reply__unpack(NULL, request->reply_length, request->reply);
    if (reply == NULL || reply->code != TRADEBOOK__V1__CODE__CODE_OK)
        fail(reply != NULL ? reply->message : "a reply cannot be read");
    tradebook__v1__reply__free_unpacked(reply, NULL);
    free(request->bytes);
    free(request->reply);
}

/* After each commit the events that it made are waited for: otherwise it depended on who
 * runs when how many are read at once. The mutex is held. */
static void wait_for_events(unsigned count)
{
    events_expected += count;
    while (published < events_expected)
        pthread_cond_wait(&changed, &mutex);
}

/* Submits requests at once and waits for all of them. Of several the first is executed
 * alone and keeps its thread until the others wait in the queue; so how they
 * are grouped does not depend on who runs when either. */
static void run_group(struct request *requests, unsigned count, bool makes_events)
{
    const bool hold = count > 1;
    answered = 0;
    holding = released = false;
    requests[0].holds = hold;
    tbk_dispatch_submit(server.dispatch, &requests[0].responder, requests[0].bytes, requests[0].length);
    pthread_mutex_lock(&mutex);
    while (hold && !holding)
        pthread_cond_wait(&changed, &mutex);
    if (makes_events)
        wait_for_events(1);
    pthread_mutex_unlock(&mutex);
    for (unsigned i = 1; i < count; i++)
        tbk_dispatch_submit(server.dispatch, &requests[i].responder, requests[i].bytes, requests[i].length);
    pthread_mutex_lock(&mutex);
    released = true;
    pthread_cond_broadcast(&changed);
    while (answered < count)
        pthread_cond_wait(&changed, &mutex);
    if (makes_events)
        wait_for_events(count - 1);
    pthread_mutex_unlock(&mutex);
}

/* --- sections --- */

typedef void make_request(struct request *request);

static void make_from_workload(struct request *request, enum tbk_bench_op op)
{
    union tbk_bench_request_space space;
    pack_request(request, tbk_bench_op_method(op), tbk_bench_request(workload, op, &space, &random_state));
}

static void make_echo(struct request *request)
{
    make_from_workload(request, TBK_BENCH_ECHO);
}

static void make_create(struct request *request)
{
    make_from_workload(request, TBK_BENCH_CREATE);
}

static void make_batch(struct request *request)
{
    make_from_workload(request, TBK_BENCH_BATCH);
}

static void make_list(struct request *request)
{
    make_from_workload(request, TBK_BENCH_LIST);
}

static void make_get(struct request *request)
{
    Tradebook__V1__GetSignalRequest get = TRADEBOOK__V1__GET_SIGNAL_REQUEST__INIT;
    get.has_id = 1;
    get.id = 1 + (int64_t)(tbk_bench_random(&random_state) % TRADES);
    pack_request(request, tbk_bench_op_method(TBK_BENCH_GET), &get.base);
}

/* The first TRADES signals are opened and closed one after the other. */
static void make_open(struct request *request)
{
    static int64_t opened;
    Tradebook__V1__OpenTradeRequest open = TRADEBOOK__V1__OPEN_TRADE_REQUEST__INIT;
    open.has_signal_id = 1;
    open.signal_id = ++opened;
    pack_request(request, tbk_bench_op_method(TBK_BENCH_OPEN), &open.base);
}

static void make_close(struct request *request)
{
    static int64_t closed;
    Tradebook__V1__CloseTradeRequest close = TRADEBOOK__V1__CLOSE_TRADE_REQUEST__INIT;
    close.has_signal_id = close.has_exit_price = 1;
    close.signal_id = ++closed;
    close.exit_price = 100.0 + (double)(tbk_bench_random(&random_state) % 60000);
    close.exit_reason = (char *)(uintptr_t) "manual";
    pack_request(request, tbk_bench_op_method(TBK_BENCH_CLOSE), &close.base);
}

static void make_performance(struct request *request)
{
    const Tradebook__V1__GetPerformanceRequest message = TRADEBOOK__V1__GET_PERFORMANCE_REQUEST__INIT;
    pack_request(request, "/tradebook.v1.AnalyticsService/GetPerformance", &message.base);
}

/* In this order: what is read must have been written. OpenTrade leaves more trades
 * open than it is measured with. */
static const struct section {
    const char *name;
    make_request *make;
    unsigned warm_up, requests, group, units_each;
} sections[] = {
    {"BatchCreateSignals(100) per row", make_batch, TRADES / BATCH_SIGNALS + 1, BATCHES, 1, BATCH_SIGNALS},
    {"Echo", make_echo, WARM_UP, UNITS, 1, 1},
    {"CreateSignal", make_create, WARM_UP, UNITS, 1, 1},
    {"CreateSignal, 64 at once", make_create, WARM_UP, UNITS, GROUP, 1},
    {"GetSignal", make_get, WARM_UP, UNITS, 1, 1},
    {"GetSignal, 64 at once", make_get, WARM_UP, UNITS, GROUP, 1},
    {"ListSignals(50)", make_list, WARM_UP, UNITS, 1, 1},
    {"OpenTrade", make_open, TRADES - UNITS, UNITS, 1, 1},
    {"CloseTrade", make_close, WARM_UP, UNITS, 1, 1},
    {"CloseTrade, 64 at once", make_close, WARM_UP, UNITS, GROUP, 1},
    {"GetPerformance", make_performance, WARM_UP, UNITS, 1, 1},
};

/* Where callgrind starts and stops, which it is told by name. They differ, or compilers
 * make one of both. */
static volatile unsigned sections_begun, sections_ended;

__attribute__((noinline)) static void section_begin(void)
{
    sections_begun++;
}

__attribute__((noinline)) static void section_end(void)
{
    sections_ended++;
}

static void run_requests(const struct section *section, unsigned count, bool measured)
{
    struct request *requests = calloc(count, sizeof *requests);
    for (unsigned i = 0; i < count; i++)
        section->make(&requests[i]);
    if (measured)
        section_begin();
    for (unsigned i = 0; i < count; i += section->group)
        run_group(&requests[i], section->group, section->make == make_close);
    if (measured)
        section_end();
    for (unsigned i = 0; i < count; i++)
        finish_request(&requests[i]);
    free(requests);
}

static void run_section(const struct section *section)
{
    run_requests(section, section->warm_up, false);
    run_requests(section, section->requests, true);
    printf("%s\t%u\n", section->name, section->requests * section->units_each);
}

/* --- the server --- */

static void publish(struct tbk_publisher *publisher, const uint8_t *message, size_t length, bool more)
{
    (void)publisher;
    (void)length;
    (void)more;
    if (strcmp((const char *)message, "heartbeat/") == 0)
        return;
    pthread_mutex_lock(&mutex);
    published++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void on_fatal(void *argument, const struct tbk_error *error)
{
    (void)argument;
    fail(error->message);
}

static void start(const char *folder)
{
    static struct tbk_publisher publisher = {publish};
    struct tbk_schema *schema;
    struct tbk_error error;
    char path[4096];
    tbk_error_init(&error);
    tbk_log_configure(open("/dev/null", O_WRONLY | O_CLOEXEC), TBK_LOG_WARNING, TBK_LOG_TEXT);
    snprintf(path, sizeof path, "%s/book.db", folder);
    const struct tbk_dispatch_config settings = {
        .reader_threads = 1,
        .queue_max = 2 * GROUP,
        .waiting_max = 1,
        .request_bytes_max = REPLY_BYTES_MAX,
        .arena_bytes_max = MEMORY_BYTES_MAX,
        .timeout_default_ms = TIMEOUT_MS,
        .timeout_max_ms = TIMEOUT_MS,
        .request_retention_s = SECONDS_PER_DAY,
        .event_retention_s = SECONDS_PER_DAY,
        .heartbeat_ms = TIMEOUT_MS,
        .publisher = &publisher,
        .on_fatal = on_fatal,
    };
    if (tbk_schema_create(&schema, &error) != TBK_OK ||
        in_process_start(&server, schema, path, settings, &error) != TBK_OK)
        fail(error.message);
}

static void print_versions(void)
{
    printf("gcc %s, glibc %s, sqlite %s, protobuf-c %s, xxhash %u\n", __VERSION__, gnu_get_libc_version(),
           sqlite3_libversion(), protobuf_c_version(), XXH_versionNumber());
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: request_cost FOLDER\n");
        return 2;
    }
    const struct tbk_bench_workload_config config = {
        .echo_bytes = 128, .batch_signals = BATCH_SIGNALS, .trades = 1, .seed = 1};
    workload = tbk_bench_workload_create(&config);
    start(argv[1]);
    print_versions();
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        run_section(&sections[i]);
    tbk_bench_workload_destroy(workload);
    in_process_stop(&server);
    return 0;
}
