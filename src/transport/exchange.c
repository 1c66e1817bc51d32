#include "transport/exchange.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "transport/peer.h"

/* While more than half of the contexts wait for slow peers, a reply waits this
 * fraction of its time only, so that such peers cannot take all contexts. */
enum { PATIENCE_DIVISOR = 20 };

/* nng numbers its pipes one after the other. */
enum { SHARES = 1024 };

/* One context. Owned by nng while it receives or sends, by dispatch between
 * submit and send or discard; never by two at once. */
struct exchange {
    struct tbk_responder responder; /* first: a responder is its exchange */
    struct tbk_exchanges *all;
    nng_ctx context;
    nng_aio *receive_aio;
    nng_aio *send_aio;
    nng_msg *request;
    nng_msg *reply;
    size_t request_counted; /* in the budget */
    size_t reply_counted;
    nng_pipe pipe; /* of the request */
};

struct tbk_exchanges {
    struct tbk_dispatch *dispatch;
    struct tbk_budget *memory;
    nng_duration send_timeout_ms;
    unsigned count;
    atomic_uint busy;    /* received and not yet answered */
    atomic_uint sending; /* of these, waiting for the peer */
    atomic_bool stopping;
    pthread_mutex_t lock; /* for idle only */
    pthread_cond_t idle;
    struct tbk_share shares[SHARES]; /* of connections; two may have the same one */
    struct exchange items[];
};

static void give(size_t *counted, struct exchange *exchange)
{
    tbk_budget_give(exchange->all->memory, *counted);
    *counted = 0;
}

static void start_receive(struct exchange *exchange)
{
    struct tbk_exchanges *all = exchange->all;
    if (atomic_load(&all->stopping))
        return;
    nng_ctx_recv(exchange->context, exchange->receive_aio);
    /* If stop came in between, its cancel may have found nothing to cancel. */
    if (atomic_load(&all->stopping))
        nng_aio_cancel(exchange->receive_aio);
}

static void finish(struct exchange *exchange)
{
    struct tbk_exchanges *all = exchange->all;
    start_receive(exchange);
    if (atomic_fetch_sub(&all->busy, 1) == 1 && atomic_load(&all->stopping)) {
        pthread_mutex_lock(&all->lock);
        pthread_cond_broadcast(&all->idle);
        pthread_mutex_unlock(&all->lock);
    }
}

/* nng's thread. The message of a successful receive is ours. */
static void on_received(void *argument)
{
    struct exchange *exchange = argument;
    int failure = nng_aio_result(exchange->receive_aio);
    if (failure == NNG_ECANCELED || failure == NNG_ECLOSED)
        return;
    if (failure != 0) {
        start_receive(exchange);
        return;
    }
    exchange->request = nng_aio_get_msg(exchange->receive_aio);
    nng_aio_set_msg(exchange->receive_aio, NULL);
    exchange->pipe = nng_msg_get_pipe(exchange->request);
    exchange->responder.share = &exchange->all->shares[(unsigned)nng_pipe_id(exchange->pipe) % SHARES];
    atomic_fetch_add(&exchange->all->busy, 1);
    const size_t counted = tbk_budget_counted(nng_msg_len(exchange->request));
    if (!tbk_budget_take(exchange->all->memory, counted)) {
        tbk_dispatch_refuse(exchange->all->dispatch, &exchange->responder);
        return;
    }
    exchange->request_counted = counted;
    tbk_dispatch_submit(exchange->all->dispatch, &exchange->responder, nng_msg_body(exchange->request),
                        nng_msg_len(exchange->request));
    /* From here on the exchange may already serve its next request. */
}

/* nng's thread. The message of a failed send is still ours. */
static void on_sent(void *argument)
{
    struct exchange *exchange = argument;
    atomic_fetch_sub(&exchange->all->sending, 1);
    int failure = nng_aio_result(exchange->send_aio);
    give(&exchange->reply_counted, exchange);
    if (failure != 0) {
        nng_msg_free(nng_aio_get_msg(exchange->send_aio));
        nng_aio_set_msg(exchange->send_aio, NULL);
        if (failure == NNG_ETIMEDOUT)
            nng_pipe_close(exchange->pipe);
    }
    finish(exchange);
}

static struct exchange *exchange_of(struct tbk_responder *responder)
{
    return (struct exchange *)responder;
}

static void drop_request(struct exchange *exchange)
{
    nng_msg_free(exchange->request);
    exchange->request = NULL;
    give(&exchange->request_counted, exchange);
}

static void drop_reply(struct exchange *exchange)
{
    if (exchange->reply != NULL)
        nng_msg_free(exchange->reply);
    exchange->reply = NULL;
    give(&exchange->reply_counted, exchange);
}

static uint8_t *responder_reserve(struct tbk_responder *responder, size_t length)
{
    struct exchange *exchange = exchange_of(responder);
    drop_reply(exchange);
    if (nng_msg_alloc(&exchange->reply, length) != 0)
        return NULL;
    exchange->reply_counted = tbk_budget_counted(length);
    tbk_budget_owe(exchange->all->memory, exchange->reply_counted);
    return nng_msg_body(exchange->reply);
}

/* nng sends each reply by itself. */
static void responder_send(struct tbk_responder *responder, bool more)
{
    struct exchange *exchange = exchange_of(responder);
    struct tbk_exchanges *all = exchange->all;
    drop_request(exchange);
    unsigned sending = atomic_fetch_add(&all->sending, 1);
    bool crowded = sending > all->count / 2;
    nng_aio_set_timeout(exchange->send_aio,
                        crowded ? all->send_timeout_ms / PATIENCE_DIVISOR + 1 : all->send_timeout_ms);
    nng_aio_set_msg(exchange->send_aio, exchange->reply);
    exchange->reply = NULL;
    nng_ctx_send(exchange->context, exchange->send_aio);
    if (!more)
        tbk_peers_write(); /* this thread may hold replies of streams back */
}

static void responder_discard(struct tbk_responder *responder, bool more)
{
    struct exchange *exchange = exchange_of(responder);
    drop_request(exchange);
    drop_reply(exchange);
    nng_pipe_close(exchange->pipe); /* else the client would wait for nothing */
    finish(exchange);
    if (!more)
        tbk_peers_write();
}

/* Returns an nng error. */
static int exchange_init(struct exchange *exchange, struct tbk_exchanges *all, nng_socket socket)
{
    exchange->responder =
        (struct tbk_responder){.reserve = responder_reserve, .send = responder_send, .discard = responder_discard};
    exchange->all = all;
    int failure = nng_aio_alloc(&exchange->receive_aio, on_received, exchange);
    if (failure == 0)
        failure = nng_aio_alloc(&exchange->send_aio, on_sent, exchange);
    if (failure == 0)
        failure = nng_ctx_open(&exchange->context, socket);
    if (failure == 0)
        nng_aio_set_timeout(exchange->receive_aio, NNG_DURATION_INFINITE);
    return failure;
}

static void exchange_fini(struct exchange *exchange)
{
    if (nng_ctx_id(exchange->context) > 0)
        nng_ctx_close(exchange->context);
    if (exchange->receive_aio != NULL)
        nng_aio_free(exchange->receive_aio);
    if (exchange->send_aio != NULL)
        nng_aio_free(exchange->send_aio);
}

enum tbk_status tbk_exchanges_create(nng_socket socket, struct tbk_dispatch *dispatch, unsigned count,
                                     int64_t send_timeout_ms, struct tbk_budget *memory,
                                     struct tbk_exchanges **ret_exchanges, struct tbk_error *error)
{
    struct tbk_exchanges *all = calloc(1, sizeof *all + count * sizeof all->items[0]);
    if (all == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for %u contexts", count);
    all->dispatch = dispatch;
    all->memory = memory;
    all->send_timeout_ms = (nng_duration)send_timeout_ms;
    all->count = count;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&all->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    for (unsigned i = 0; i < count; i++) {
        int failure = exchange_init(&all->items[i], all, socket);
        if (failure != 0) {
            tbk_exchanges_destroy(all);
            return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot open context %u of %u: %s", i + 1, count,
                                 nng_strerror(failure));
        }
    }
    *ret_exchanges = all;
    return TBK_OK;
}

void tbk_exchanges_start(struct tbk_exchanges *exchanges)
{
    for (unsigned i = 0; i < exchanges->count; i++)
        start_receive(&exchanges->items[i]);
}

void tbk_exchanges_stop(struct tbk_exchanges *exchanges)
{
    atomic_store(&exchanges->stopping, true);
    /* One after the other, some 50 ms: cancelled all at once, the listener would be
     * closed sooner, and nng 1.5.2 leaks a ws connection that is just being closed. */
    for (unsigned i = 0; i < exchanges->count; i++) {
        nng_aio_cancel(exchanges->items[i].receive_aio);
        /* A request that came at the last moment is with dispatch after this. */
        nng_aio_wait(exchanges->items[i].receive_aio);
    }
}

void tbk_exchanges_wait(struct tbk_exchanges *exchanges, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&exchanges->lock);
    int failure = 0;
    while (failure == 0 && atomic_load(&exchanges->busy) > 0)
        failure = pthread_cond_timedwait(&exchanges->idle, &exchanges->lock, &until);
    pthread_mutex_unlock(&exchanges->lock);
}

void tbk_exchanges_destroy(struct tbk_exchanges *exchanges)
{
    if (exchanges == NULL)
        return;
    for (unsigned i = 0; i < exchanges->count; i++)
        exchange_fini(&exchanges->items[i]);
    pthread_cond_destroy(&exchanges->idle);
    pthread_mutex_destroy(&exchanges->lock);
    free(exchanges);
}
