/*
 * REP and PUB over tcp and ipc without nng's sockets: nng is used one level lower,
 * by its streams (nng_stream), with the few bytes of the SP protocol written here.
 *
 * nng's sockets, of any version up to 1.10.1, give a request that was begun all the
 * time in the world, leave a connection open that sends what is no request, and
 * now and then drop one that sends many requests at once. Those of 1.5.2 have two
 * defects besides, in the code that joins them to tcp, ipc and tls:
 *
 * Listener death: when a peer is gone before the server has sent its half of the
 * handshake, that write fails with EPIPE, which nng maps to NNG_ECLOSED and its
 * listener takes for its own end. From then on connections are accepted and
 * shaken hands with, but never served. `connect(); close();` on ipc does it at
 * the first try; on tcp it takes FIN and RST.
 *
 * Reaper hang: when a reply fails because its peer is gone while nng has read the
 * length of that peer's next request but not its body, the read of the body is
 * started on an aio that was stopped, and never ends. The one thread that frees
 * connections waits for it, and every connection closed later leaks. A peer that
 * sends three requests without waiting and closes does it within a few tries, be
 * that an attacker or a client that was killed. No way of using the sockets
 * avoids it: the read of the next request begins when one is handed over, before
 * it can be answered, and the close comes from inside nng.
 */
#ifndef TBK_TRANSPORT_STREAMS_H
#define TBK_TRANSPORT_STREAMS_H

#include <nng/nng.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dispatch/dispatch.h"

struct tbk_peer;
struct tbk_streams;

struct tbk_streams_config {
    struct tbk_dispatch *dispatch; /* of REP; NULL: PUB, which needs none of the next three */
    unsigned slots;                /* requests in flight */
    size_t message_bytes_max;
    int64_t send_timeout_ms;
    struct tbk_budget *memory; /* see struct tbk_server_config; NULL: no limit */
    atomic_uint *connections;  /* open now, shared with other transports */
    unsigned connections_max;
};

enum tbk_status tbk_streams_create(const struct tbk_streams_config *config, struct tbk_streams **ret_streams,
                                   struct tbk_error *error) TBK_MUST_CHECK;

/* Takes over a listener that listens and begins to accept. Not from several
 * threads at once. */
enum tbk_status tbk_streams_accept(struct tbk_streams *streams, nng_stream_listener *listener, bool ipc,
                                   struct tbk_error *error) TBK_MUST_CHECK;

/* Of PUB: hands a frame to every subscriber. more: further frames follow at once
 * from this thread, the last of them without more. Does not block. */
void tbk_streams_publish(struct tbk_streams *streams, const uint8_t *payload, size_t length, bool more);

/* As tbk_exchanges_stop, _wait and _destroy. */
void tbk_streams_stop(struct tbk_streams *streams);
void tbk_streams_wait(struct tbk_streams *streams, int64_t timeout_ms);
void tbk_streams_destroy(struct tbk_streams *streams);

/* For peers. */
const struct tbk_streams_config *tbk_streams_settings(const struct tbk_streams *streams);
bool tbk_streams_stopping(const struct tbk_streams *streams);
/* False: no slot is free, the peer gets one later by tbk_peer_resume. */
bool tbk_streams_take_slot(struct tbk_streams *streams, struct tbk_peer *peer) TBK_MUST_CHECK;
void tbk_streams_give_slot(struct tbk_streams *streams);
/* A request is with dispatch, or its reply waits; and that is over. */
void tbk_streams_owe(struct tbk_streams *streams);
void tbk_streams_paid(struct tbk_streams *streams);
/* A peer begins; can no longer be closed from outside; is freed, after which
 * streams may be gone. */
void tbk_streams_link(struct tbk_streams *streams, struct tbk_peer *peer);
void tbk_streams_unlink(struct tbk_streams *streams, struct tbk_peer *peer);
void tbk_streams_freed(struct tbk_streams *streams);

#endif
