/*
 * The Request envelope, decoded and checked.
 */
#ifndef TBK_DISPATCH_ENVELOPE_H
#define TBK_DISPATCH_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    TBK_REQUEST_ID_BYTES = 16,
    TBK_METADATA_ENTRIES_MAX = 32,
    TBK_METADATA_BYTES_MAX = 8 * 1024,
    TBK_METADATA_KEY_CHARS_MAX = 128,
    TBK_CLIENT_ID_CHARS_MAX = 128,
};

struct tbk_envelope {
    const char *method; /* "" when the envelope could not be read */
    const uint8_t *payload;
    size_t payload_bytes;
    int64_t timeout_ms; /* 0: none given */
    bool has_request_id;
    uint8_t request_id[TBK_REQUEST_ID_BYTES];
    const char *client; /* metadata client-id, "" when absent */
};

/* Fills *ret_envelope, whose pointers are in the arena. Every violation is
 * reported. */
enum tbk_status tbk_envelope_decode(const uint8_t *data, size_t length, struct tbk_arena *arena,
                                    struct tbk_envelope *ret_envelope, struct tbk_error *error) TBK_MUST_CHECK;

#endif
