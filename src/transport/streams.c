#include "transport/streams.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "transport/frame.h"
#include "transport/peer.h"

enum { ACCEPT_PAUSE_MS = 20 }; /* after a failure, such as too many open files */

struct acceptor {
    struct acceptor *next;
    struct tbk_streams *streams;
    nng_stream_listener *listener;
    nng_aio *accept_aio;
    nng_aio *pause_aio;
    bool ipc;
};

struct tbk_streams {
    struct tbk_streams_config config;
    struct acceptor *acceptors;
    atomic_bool stopping;
    atomic_uint owed;
    pthread_mutex_t owed_lock; /* for the condition only; taken after a peer's lock */
    pthread_cond_t nothing_owed;
    pthread_mutex_t lock; /* for what follows; taken before a peer's lock */
    pthread_cond_t no_peers;
    struct tbk_peer *peers;
    size_t peer_count; /* also of those that are being freed */
    unsigned slots_taken;
    struct tbk_peer *first_waiting;
    struct tbk_peer *last_waiting;
};

const struct tbk_streams_config *tbk_streams_settings(const struct tbk_streams *streams)
{
    return &streams->config;
}

bool tbk_streams_stopping(const struct tbk_streams *streams)
{
    return atomic_load(&streams->stopping);
}

bool tbk_streams_take_slot(struct tbk_streams *streams, struct tbk_peer *peer)
{
    pthread_mutex_lock(&streams->lock);
    bool taken = streams->slots_taken < streams->config.slots;
    if (taken) {
        streams->slots_taken++;
    } else {
        tbk_peer_links(peer)->next_waiting = NULL;
        if (streams->first_waiting == NULL)
            streams->first_waiting = peer;
        else
            tbk_peer_links(streams->last_waiting)->next_waiting = peer;
        streams->last_waiting = peer;
    }
    pthread_mutex_unlock(&streams->lock);
    return taken;
}

void tbk_streams_give_slot(struct tbk_streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    struct tbk_peer *heir = streams->first_waiting;
    if (heir != NULL)
        streams->first_waiting = tbk_peer_links(heir)->next_waiting;
    else
        streams->slots_taken--;
    pthread_mutex_unlock(&streams->lock);
    if (heir != NULL)
        tbk_peer_resume(heir);
}

void tbk_streams_owe(struct tbk_streams *streams)
{
    atomic_fetch_add(&streams->owed, 1);
}

void tbk_streams_paid(struct tbk_streams *streams)
{
    if (atomic_fetch_sub(&streams->owed, 1) == 1 && atomic_load(&streams->stopping)) {
        pthread_mutex_lock(&streams->owed_lock);
        pthread_cond_broadcast(&streams->nothing_owed);
        pthread_mutex_unlock(&streams->owed_lock);
    }
}

void tbk_streams_link(struct tbk_streams *streams, struct tbk_peer *peer)
{
    struct tbk_peer_links *links = tbk_peer_links(peer);
    pthread_mutex_lock(&streams->lock);
    streams->peer_count++;
    links->next = streams->peers;
    if (streams->peers != NULL)
        tbk_peer_links(streams->peers)->previous = peer;
    streams->peers = peer;
    pthread_mutex_unlock(&streams->lock);
}

void tbk_streams_unlink(struct tbk_streams *streams, struct tbk_peer *peer)
{
    struct tbk_peer_links *links = tbk_peer_links(peer);
    pthread_mutex_lock(&streams->lock);
    if (links->next != NULL)
        tbk_peer_links(links->next)->previous = links->previous;
    if (links->previous != NULL)
        tbk_peer_links(links->previous)->next = links->next;
    else
        streams->peers = links->next;
    pthread_mutex_unlock(&streams->lock);
}

void tbk_streams_freed(struct tbk_streams *streams)
{
    atomic_fetch_sub(streams->config.connections, 1);
    pthread_mutex_lock(&streams->lock);
    if (--streams->peer_count == 0)
        pthread_cond_broadcast(&streams->no_peers);
    pthread_mutex_unlock(&streams->lock);
}

/* Counts the connection first, so that the limit holds whoever else accepts. */
static void welcome(struct acceptor *acceptor, nng_stream *stream)
{
    struct tbk_streams *streams = acceptor->streams;
    if (atomic_fetch_add(streams->config.connections, 1) < streams->config.connections_max &&
        tbk_peer_start(streams, stream, acceptor->ipc))
        return;
    atomic_fetch_sub(streams->config.connections, 1);
    nng_stream_free(stream);
}

/* nng's thread. Only stop ends the loop. */
static void on_accepted(void *argument)
{
    struct acceptor *acceptor = argument;
    int failure = nng_aio_result(acceptor->accept_aio);
    if (failure == 0)
        welcome(acceptor, nng_aio_get_output(acceptor->accept_aio, 0));
    if (tbk_streams_stopping(acceptor->streams))
        return;
    if (failure == 0)
        nng_stream_listener_accept(acceptor->listener, acceptor->accept_aio);
    else
        nng_sleep_aio(ACCEPT_PAUSE_MS, acceptor->pause_aio);
}

static void on_paused(void *argument)
{
    struct acceptor *acceptor = argument;
    if (!tbk_streams_stopping(acceptor->streams))
        nng_stream_listener_accept(acceptor->listener, acceptor->accept_aio);
}

static void acceptor_destroy(struct acceptor *acceptor)
{
    nng_stream_listener_close(acceptor->listener);
    if (acceptor->pause_aio != NULL)
        nng_aio_stop(acceptor->pause_aio);
    if (acceptor->accept_aio != NULL)
        nng_aio_free(acceptor->accept_aio);
    if (acceptor->pause_aio != NULL)
        nng_aio_free(acceptor->pause_aio);
    nng_stream_listener_free(acceptor->listener);
    free(acceptor);
}

enum tbk_status tbk_streams_accept(struct tbk_streams *streams, nng_stream_listener *listener, bool ipc,
                                   struct tbk_error *error)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (acceptor == NULL) {
        nng_stream_listener_free(listener);
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for a listener");
    }
    *acceptor = (struct acceptor){.streams = streams, .listener = listener, .ipc = ipc};
    if (nng_aio_alloc(&acceptor->accept_aio, on_accepted, acceptor) != 0 ||
        nng_aio_alloc(&acceptor->pause_aio, on_paused, acceptor) != 0) {
        acceptor_destroy(acceptor);
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for a listener");
    }
    acceptor->next = streams->acceptors;
    streams->acceptors = acceptor;
    nng_stream_listener_accept(listener, acceptor->accept_aio);
    return TBK_OK;
}

enum tbk_status tbk_streams_create(const struct tbk_streams_config *config, struct tbk_streams **ret_streams,
                                   struct tbk_error *error)
{
    struct tbk_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the server");
    streams->config = *config;
    pthread_mutex_init(&streams->lock, NULL);
    pthread_cond_init(&streams->no_peers, NULL);
    pthread_mutex_init(&streams->owed_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&streams->nothing_owed, &attributes);
    pthread_condattr_destroy(&attributes);
    *ret_streams = streams;
    return TBK_OK;
}

void tbk_streams_publish(struct tbk_streams *streams, const uint8_t *payload, size_t length, bool more)
{
    struct tbk_shared_frame *frame = tbk_shared_frame_create(payload, length);
    if (frame != NULL) {
        pthread_mutex_lock(&streams->lock);
        for (struct tbk_peer *peer = streams->peers; peer != NULL; peer = tbk_peer_links(peer)->next)
            tbk_peer_offer(peer, frame);
        pthread_mutex_unlock(&streams->lock);
        tbk_shared_frame_release(frame);
    }
    if (!more)
        tbk_peers_write_published();
}

void tbk_streams_stop(struct tbk_streams *streams)
{
    atomic_store(&streams->stopping, true);
    while (streams->acceptors != NULL) {
        struct acceptor *acceptor = streams->acceptors;
        streams->acceptors = acceptor->next;
        acceptor_destroy(acceptor);
    }
}

void tbk_streams_wait(struct tbk_streams *streams, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&streams->owed_lock);
    int failure = 0;
    while (failure == 0 && atomic_load(&streams->owed) > 0)
        failure = pthread_cond_timedwait(&streams->nothing_owed, &streams->owed_lock, &until);
    pthread_mutex_unlock(&streams->owed_lock);
}

void tbk_streams_destroy(struct tbk_streams *streams)
{
    if (streams == NULL)
        return;
    tbk_streams_stop(streams);
    pthread_mutex_lock(&streams->lock);
    for (struct tbk_peer *peer = streams->peers; peer != NULL; peer = tbk_peer_links(peer)->next)
        tbk_peer_close(peer);
    while (streams->peer_count > 0)
        pthread_cond_wait(&streams->no_peers, &streams->lock);
    pthread_mutex_unlock(&streams->lock);
    pthread_cond_destroy(&streams->no_peers);
    pthread_mutex_destroy(&streams->lock);
    pthread_cond_destroy(&streams->nothing_owed);
    pthread_mutex_destroy(&streams->owed_lock);
    free(streams);
}
