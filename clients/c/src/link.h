/*
 * A connection of the SP protocol over tcp or ipc that is made again whenever it
 * is lost, on nng's streams instead of its sockets: in nng 1.5.2 a socket whose
 * peer goes away, or which is closed, while messages are arriving can block the
 * thread that frees connections, and with it every socket of the process. The
 * streams do not have that defect, in any version of nng.
 *
 * Threads: the callbacks run on nng's threads, one at a time. open and close are of
 * the owner; resume of any thread.
 */
#ifndef TBK_CLIENT_LINK_H
#define TBK_CLIENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tbk_link;

struct tbk_link_config {
    uint8_t protocol;       /* number of this side's SP protocol */
    uint8_t peer_protocol;  /* and of the other side's */
    size_t frame_bytes_max; /* a longer one ends the connection */
    int64_t silence_ms_max; /* so does silence */
    void *argument;
    /* The connection is there, with hands shaken, or lost. */
    void (*on_connection)(void *argument, bool is_connected);
    /* A frame has come. False: no more until tbk_link_resume. */
    bool (*on_frame)(void *argument, const uint8_t *bytes, size_t length);
};

/* Starts to connect to tcp://HOST:PORT or ipc:///PATH. Returns 0, or an error of
 * nng: NNG_EADDRINVAL for another address. */
int tbk_link_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link);
/* Goes on after on_frame has returned false. */
void tbk_link_resume(struct tbk_link *link);
/* Waits for callbacks. Accepts NULL. */
void tbk_link_close(struct tbk_link *link);

#endif
