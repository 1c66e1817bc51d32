/*
 * A look at a serialised message before it is unpacked. protobuf-c unpacks invalid
 * UTF-8, cuts text at a NUL and takes any enumeration number; and when it fails
 * it does not say why. This walks the bytes along the descriptor, allocates
 * nothing, and names the field. Any thread.
 */
#ifndef TBK_DISPATCH_WIRE_H
#define TBK_DISPATCH_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    /* Messages inside the message, at all levels together. */
    TBK_WIRE_SUBMESSAGES_MAX = 20000,
    /* Messages inside each other. */
    TBK_WIRE_DEPTH_MAX = 16,
};

/* Adds a violation for everything that is wrong, under the field's path within
 * the message ("signal.symbol", "signals[3].tier"): text that is not UTF-8 or
 * holds a NUL, unknown enumeration numbers, wrong wire types. Malformed bytes
 * and broken limits end the walk. Number 0 of an enumeration passes: whether it
 * may be written is for the service to say. Unknown fields are skipped. */
enum tbk_status tbk_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
                               struct tbk_error *error) TBK_MUST_CHECK;

#endif
