/*
 * The SP protocol on the wire of tcp and ipc: both sides open with eight bytes
 * that name the protocol, then send frames of a 64-bit length, big endian, and a
 * payload; on ipc a byte 01 stands before the length. The payload of a request
 * begins with its backtrace: words of four bytes, the last of which has the high
 * bit set. The reply begins with the same bytes.
 */
#ifndef TBK_TRANSPORT_FRAME_H
#define TBK_TRANSPORT_FRAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TBK_HANDSHAKE_BYTES = 8,
    TBK_FRAME_HEAD_BYTES_MAX = 9,
    TBK_BACKTRACE_BYTES_MAX = 32, /* eight devices on the way, as nng allows */
    TBK_BACKTRACE_WORD_BYTES = 4,
};

enum tbk_sp_protocol {
    TBK_SP_PUB = 0x20,
    TBK_SP_SUB = 0x21,
    TBK_SP_REQ = 0x30,
    TBK_SP_REP = 0x31,
};

/* The handshake of a peer that speaks this protocol. */
void tbk_handshake_write(enum tbk_sp_protocol protocol, uint8_t out[TBK_HANDSHAKE_BYTES]);
bool tbk_is_handshake(enum tbk_sp_protocol protocol, const uint8_t bytes[TBK_HANDSHAKE_BYTES]);

/* Bytes before the payload. */
size_t tbk_frame_head_bytes(bool ipc);
void tbk_frame_head_write(bool ipc, uint64_t length, uint8_t *out);
/* False: not the head of a frame. */
bool tbk_frame_head_read(bool ipc, const uint8_t *head, uint64_t *ret_length);

/* Bytes of the backtrace that payload begins with; 0 when there is none. */
size_t tbk_backtrace_bytes(const uint8_t *payload, size_t length);

/* A whole frame that any number of connections of both kinds send. Any thread. */
struct tbk_shared_frame {
    atomic_uint references;
    size_t payload_bytes;
    uint8_t bytes[]; /* as on ipc; tcp leaves the first one out */
};

/* With one reference; NULL when memory is exhausted. */
struct tbk_shared_frame *tbk_shared_frame_create(const uint8_t *payload, size_t length);
void tbk_shared_frame_hold(struct tbk_shared_frame *frame);
/* Accepts NULL. */
void tbk_shared_frame_release(struct tbk_shared_frame *frame);
const uint8_t *tbk_shared_frame_bytes(const struct tbk_shared_frame *frame, bool ipc, size_t *ret_length);

#endif
