/*
 * One connection of streams.h. Of a server of requests: reads requests, hands them
 * to dispatch, writes the replies. Of a publisher: writes the frames it is
 * offered, and drops the oldest of those that wait when the peer is slow. Two
 * chains of nng operations, one that reads and one that writes, each of which
 * runs one step at a time on a thread of nng:
 *
 *   read   bytes -> frame -> slot free? -> tbk_dispatch_submit -> next frame
 *   write  replies queued -> as many as fit one call -> free them -> next
 *
 * Reading waits while all slots are taken, and while the peer leaves too many
 * replies unread.
 *
 * The reading chain, a running write and every request that dispatch has hold a
 * reference; the last one frees the peer. No operation is started once the peer
 * is closed: it would never end (see streams.h).
 *
 *   peer.c           from the start of a peer to its end
 *   peer_read.c      the reading chain: handshake, frames, slots
 *   peer_request.c   a request with dispatch, and the way back for its reply
 *   peer_write.c     the writing chain, its queue, frames of a publisher
 */
#ifndef TBK_TRANSPORT_PEER_H
#define TBK_TRANSPORT_PEER_H

#include <nng/nng.h>
#include <stdbool.h>

struct tbk_shared_frame;
struct tbk_streams;
struct tbk_peer;

/* Frames that wait for one slow subscriber. */
enum { TBK_SUBSCRIBER_FRAMES_MAX = 2048, TBK_SUBSCRIBER_BYTES_MAX = 1 << 20 };

/* Links of a peer in the lists of its streams, guarded by their lock. */
struct tbk_peer_links {
    struct tbk_peer *next;
    struct tbk_peer *previous;
    struct tbk_peer *next_waiting; /* for a slot */
};
struct tbk_peer_links *tbk_peer_links(struct tbk_peer *peer);

/* Makes a peer of an accepted stream and shakes hands. False when memory is
 * exhausted; stream is then still the caller's. */
bool tbk_peer_start(struct tbk_streams *streams, nng_stream *stream, bool ipc);

/* A slot was given to a peer that waited for one. Any thread, under no lock. */
void tbk_peer_resume(struct tbk_peer *peer);

/* Ends the connection; requests in flight are answered into the void. Any
 * thread that holds a reference or the lock of streams. */
void tbk_peer_close(struct tbk_peer *peer);

/* Queues a frame for a peer of a publisher, if it is subscribed; the thread that
 * offered calls tbk_peers_write_published when it has no more for now. Under the
 * lock of streams. */
void tbk_peer_offer(struct tbk_peer *peer, struct tbk_shared_frame *shared);
/* Begins to write what this thread holds back. Under no lock. */
void tbk_peers_write(void);

/* The same for a publisher, whose peers may be many: gives way every few of them.
 * Each write leaves work in the queue that requests are read from, and a heartbeat
 * to hundreds at once would keep requests waiting for milliseconds. Replies do not
 * give way: it costs a fourth of the reads of 64 connections. Under no lock. */
void tbk_peers_write_published(void);

#endif
