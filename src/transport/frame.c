#include "transport/frame.h"

#include <stdlib.h>
#include <string.h>

void tbk_handshake_write(enum tbk_sp_protocol protocol, uint8_t out[TBK_HANDSHAKE_BYTES])
{
    const uint8_t bytes[TBK_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, (uint8_t)protocol, 0, 0};
    memcpy(out, bytes, sizeof bytes);
}

bool tbk_is_handshake(enum tbk_sp_protocol protocol, const uint8_t bytes[TBK_HANDSHAKE_BYTES])
{
    uint8_t expected[TBK_HANDSHAKE_BYTES];
    tbk_handshake_write(protocol, expected);
    return memcmp(bytes, expected, sizeof expected) == 0;
}

size_t tbk_frame_head_bytes(bool ipc)
{
    return ipc ? 9 : 8;
}

void tbk_frame_head_write(bool ipc, uint64_t length, uint8_t *out)
{
    if (ipc)
        *out++ = 1;
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(length >> (56 - 8 * i));
}

bool tbk_frame_head_read(bool ipc, const uint8_t *head, uint64_t *ret_length)
{
    if (ipc && *head++ != 1)
        return false;
    uint64_t length = 0;
    for (int i = 0; i < 8; i++)
        length = length << 8 | head[i];
    *ret_length = length;
    return true;
}

size_t tbk_backtrace_bytes(const uint8_t *payload, size_t length)
{
    for (size_t end = TBK_BACKTRACE_WORD_BYTES; end <= length && end <= TBK_BACKTRACE_BYTES_MAX;
         end += TBK_BACKTRACE_WORD_BYTES) {
        if (payload[end - TBK_BACKTRACE_WORD_BYTES] & 0x80)
            return end;
    }
    return 0;
}

struct tbk_shared_frame *tbk_shared_frame_create(const uint8_t *payload, size_t length)
{
    const size_t head_bytes = tbk_frame_head_bytes(true);
    struct tbk_shared_frame *frame = malloc(sizeof *frame + head_bytes + length);
    if (frame == NULL)
        return NULL;
    atomic_init(&frame->references, 1);
    frame->payload_bytes = length;
    tbk_frame_head_write(true, length, frame->bytes);
    memcpy(frame->bytes + head_bytes, payload, length);
    return frame;
}

void tbk_shared_frame_hold(struct tbk_shared_frame *frame)
{
    atomic_fetch_add(&frame->references, 1);
}

void tbk_shared_frame_release(struct tbk_shared_frame *frame)
{
    if (frame != NULL && atomic_fetch_sub(&frame->references, 1) == 1)
        free(frame);
}

const uint8_t *tbk_shared_frame_bytes(const struct tbk_shared_frame *frame, bool ipc, size_t *ret_length)
{
    const size_t head_bytes = tbk_frame_head_bytes(ipc);
    *ret_length = head_bytes + frame->payload_bytes;
    return frame->bytes + tbk_frame_head_bytes(true) - head_bytes;
}
