/*
 * The transport's own ceiling, the client's side: a bare nng REQ socket with a number of
 * echoes under way, to a server as nng_echo is one.
 *
 *   nng_client URL IN_FLIGHT SECONDS
 *
 * Prints calls a second and the median of the latency in microseconds.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* An Echo envelope is as long; how long it takes is counted in microseconds, those above
 * the last one as the last. */
enum { REQUEST_BYTES = 170, LATENCIES = 1 << 20 };

struct call {
    nng_ctx context;
    nng_aio *aio;
    bool receiving;
    int64_t started_ns;
};

static atomic_bool stopping;
static atomic_ulong under_way, answered;
static atomic_ulong latencies[LATENCIES];

static void check(int failure, const char *what)
{
    if (failure != 0) {
        fprintf(stderr, "nng_client: %s: %s\n", what, nng_strerror(failure));
        exit(1);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void begin(struct call *call)
{
    nng_msg *message;
    check(nng_msg_alloc(&message, REQUEST_BYTES), "message");
    call->receiving = false;
    call->started_ns = now_ns();
    nng_aio_set_msg(call->aio, message);
    nng_ctx_send(call->context, call->aio);
}

static void step(void *argument)
{
    struct call *call = argument;
    check(nng_aio_result(call->aio), "call");
    if (!call->receiving) {
        call->receiving = true;
        nng_ctx_recv(call->context, call->aio);
        return;
    }
    nng_msg_free(nng_aio_get_msg(call->aio));
    const int64_t us = (now_ns() - call->started_ns) / 1000;
    atomic_fetch_add(&latencies[us < LATENCIES ? us : LATENCIES - 1], 1);
    atomic_fetch_add(&answered, 1);
    if (atomic_load(&stopping))
        atomic_fetch_sub(&under_way, 1);
    else
        begin(call);
}

static unsigned long median_us(void)
{
    unsigned long below = 0, us = 0;
    while (us < LATENCIES - 1 && (below += latencies[us]) * 2 < answered)
        us++;
    return us;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: nng_client URL IN_FLIGHT SECONDS\n");
        return 2;
    }
    const unsigned long count = strtoul(argv[2], NULL, 10);
    struct call *calls = calloc(count, sizeof *calls);
    nng_socket socket;
    check(calls == NULL ? NNG_ENOMEM : nng_req0_open(&socket), "open");
    check(nng_dial(socket, argv[1], NULL, 0), argv[1]);
    const int64_t started_ns = now_ns();
    atomic_store(&under_way, count);
    for (unsigned long i = 0; i < count; i++) {
        check(nng_ctx_open(&calls[i].context, socket), "context");
        check(nng_ctx_set_ms(calls[i].context, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), "resend time");
        check(nng_aio_alloc(&calls[i].aio, step, &calls[i]), "aio");
        begin(&calls[i]);
    }
    nng_msleep((nng_duration)(strtod(argv[3], NULL) * 1000.0));
    atomic_store(&stopping, true);
    while (atomic_load(&under_way) > 0)
        nng_msleep(1);
    printf("%.1f %lu\n", (double)answered / ((double)(now_ns() - started_ns) / 1e9), median_us());
    return 0;
}
