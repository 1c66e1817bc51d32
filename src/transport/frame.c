#include "transport/frame.h"

#include <string.h>

const uint8_t tbk_rep_handshake[TBK_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
static const uint8_t req_handshake[TBK_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

bool tbk_is_req_handshake(const uint8_t bytes[TBK_HANDSHAKE_BYTES])
{
    return memcmp(bytes, req_handshake, TBK_HANDSHAKE_BYTES) == 0;
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
