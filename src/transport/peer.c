#include "transport/peer.h"

#include <stdlib.h>

#include "transport/frame.h"
#include "transport/peer_internal.h"

struct tbk_peer_links *tbk_peer_links(struct tbk_peer *peer)
{
    return &peer->links;
}

static bool write_handshake(struct tbk_peer *peer)
{
    struct tbk_peer_frame *handshake = tbk_peer_frame_create(TBK_HANDSHAKE_BYTES);
    if (handshake == NULL)
        return false;
    tbk_handshake_write(tbk_peer_publishes(peer) ? TBK_SP_PUB : TBK_SP_REP, handshake->own);
    tbk_peer_write(peer, handshake, false);
    return true;
}

bool tbk_peer_start(struct tbk_streams *streams, nng_stream *stream, bool ipc)
{
    struct tbk_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return false;
    peer->streams = streams;
    peer->stream = stream;
    peer->ipc = ipc;
    atomic_init(&peer->references, 1);
    if (!tbk_peer_reader_init(peer) || !tbk_peer_writer_init(peer)) {
        if (peer->reader.aio != NULL)
            nng_aio_free(peer->reader.aio);
        free(peer);
        return false;
    }
    pthread_mutex_init(&peer->lock, NULL);
    tbk_streams_link(streams, peer);
    if (!write_handshake(peer))
        tbk_peer_close(peer);
    tbk_peer_read(peer);
    return true;
}

/* nng frees what its callbacks use after they have returned. */
void tbk_peer_free(struct tbk_peer *peer)
{
    struct tbk_streams *streams = peer->streams;
    tbk_peer_request_free(peer->reader.request);
    tbk_streams_unlink(streams, peer);
    nng_aio_reap(peer->reader.aio);
    nng_aio_reap(peer->writer.aio);
    nng_stream_free(peer->stream);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
    tbk_streams_freed(streams);
}

void tbk_peer_close_locked(struct tbk_peer *peer)
{
    if (peer->closed)
        return;
    peer->closed = true;
    nng_stream_close(peer->stream);
    if (peer->paused)
        tbk_peer_wake_reader(peer);
    peer->paused = false;
}

void tbk_peer_close(struct tbk_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    tbk_peer_close_locked(peer);
    pthread_mutex_unlock(&peer->lock);
}
