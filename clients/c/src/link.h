/*
 * A connection of the SP protocol that is made again whenever it is lost: frames
 * out, frames in.
 *
 * tcp and ipc run on nng's streams instead of its sockets: in nng before 1.6 a
 * socket of tcp or ipc that is closed, or whose peer goes away, while a message is
 * arriving can block for good the thread that frees connections, and then no
 * socket of the process connects again. ws does not have that defect and needs a
 * socket, because only nng's sockets keep its messages apart.
 *
 * Threads: the callbacks run on nng's threads, one at a time and without a lock
 * held. open and close are of the owner; all else of any thread, and may be
 * called with a lock held that the callbacks take.
 */
#ifndef TBK_CLIENT_LINK_H
#define TBK_CLIENT_LINK_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TBK_LINK_HEAD_BYTES = 9, TBK_LINK_ID_BYTES = 4 };

/* A frame to send: room for its head, then its payload, which in a request begins
 * with nng's number of the request. */
struct tbk_link_frame {
    struct tbk_link_frame *next;
    size_t length; /* of the payload */
    uint8_t head[TBK_LINK_HEAD_BYTES];
    uint8_t payload[];
};

struct tbk_link_config {
    uint8_t protocol;       /* number of this side's SP protocol; with ws it must be REQ */
    uint8_t peer_protocol;  /* and of the other side's */
    size_t frame_bytes_max; /* a longer one ends the connection */
    int64_t silence_ms_max; /* so does silence; 0: never. Not with ws */
    int64_t pause_ms_max;   /* longest pause before connecting again */
    void *argument;
    /* The connection is there, with hands shaken, or lost. */
    void (*on_connection)(void *argument, bool is_connected);
    /* A frame has come. False: no more until tbk_link_resume; not with ws. */
    bool (*on_frame)(void *argument, const uint8_t *bytes, size_t length);
};

enum { TBK_LINK_REQ = 0x30, TBK_LINK_REP = 0x31, TBK_LINK_PUB = 0x20, TBK_LINK_SUB = 0x21 };

/* One of the two kinds. */
struct tbk_link {
    const struct tbk_link_ops *ops;
    struct tbk_link_config config;
};

struct tbk_link_ops {
    bool (*send)(struct tbk_link *link, struct tbk_link_frame *frame);
    void (*resume)(struct tbk_link *link);
    void (*drop)(struct tbk_link *link);
    void (*close)(struct tbk_link *link);
};

/* Starts to connect to tcp://HOST:PORT, ipc:///PATH or ws://HOST:PORT/PATH. Returns
 * 0, or an error of nng: NNG_EADDRINVAL for another address. */
int tbk_link_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link);
/* Sends a frame, which it takes; false, without taking it, when there is no
 * connection. A connection that is lost loses what was not written yet. */
bool tbk_link_send(struct tbk_link *link, struct tbk_link_frame *frame);
/* Goes on after on_frame has returned false. */
void tbk_link_resume(struct tbk_link *link);
/* Gives the connection up and connects again. */
void tbk_link_drop(struct tbk_link *link);
/* Waits for callbacks. Accepts NULL. */
void tbk_link_close(struct tbk_link *link);

/* NULL when memory is exhausted. Freed with free. */
struct tbk_link_frame *tbk_link_frame_create(size_t length);

/* The two kinds, in link_stream.c and link_ws.c. */
int tbk_link_stream_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link);
int tbk_link_ws_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link);

#endif
