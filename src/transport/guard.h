/*
 * What nng before 1.6 needs to serve on. A newer nng never comes here.
 *
 * Listener death: the SP handshake of a connection that was closed at once can
 * fail with NNG_ECLOSED (a write answered EPIPE), which the listener takes for
 * its own end: it goes on to shake hands with new connections and never serves
 * them. The guard connects to every tcp and ipc listener once a second and
 * offers a wrong protocol: a live listener hangs up, a dead one keeps silent
 * and is replaced. Its connections are closed by that, and their clients
 * connect anew.
 *
 * Reaper hang: when a reply fails because its peer is gone while nng has read
 * the length of the peer's next request but not yet its body, the read is never
 * finished (the transport starts it on an aio that was stopped, which reports
 * nothing), and the one thread that frees connections waits for it forever.
 * Nothing in the interface of nng prevents or cures that: whoever sends two
 * requests without waiting and goes away can cause it. The guard notices that
 * its own closed connections are no longer freed, or that descriptors leak, and
 * reports it as fatal; the process must be started again.
 *
 * ws connections have neither defect.
 *
 * One thread, started by create and joined by destroy.
 */
#ifndef TBK_TRANSPORT_GUARD_H
#define TBK_TRANSPORT_GUARD_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct tbk_guard;

struct tbk_guard_config {
    size_t listener_count;
    /* The address of a listener; false: not one to watch. */
    bool (*locate)(void *argument, size_t position, nng_sockaddr *ret_address);
    /* Closes this listener and opens it again; logs the outcome. */
    void (*replace)(void *argument, size_t position);
    /* Connections open now, and freed since the start. */
    unsigned (*connections)(void *argument);
    unsigned long (*freed)(void *argument);
    /* At most once. */
    void (*on_fatal)(void *argument, const struct tbk_error *error);
    void *argument;
};

/* Whether this nng, such as "1.5.2", has the defects. */
bool tbk_guard_needed(const char *nng_version);

/* Logs one warning about the defects and starts to watch. */
enum tbk_status tbk_guard_create(const struct tbk_guard_config *config, struct tbk_guard **ret_guard,
                                 struct tbk_error *error) TBK_MUST_CHECK;

/* Stops watching. Accepts NULL. */
void tbk_guard_destroy(struct tbk_guard *guard);

/* nng_close, which waits for the thread that may hang: gives up after a while
 * and leaves the socket to the end of the process. */
void tbk_guard_close(nng_socket socket);

#endif
