/*
 * google.protobuf.Timestamp from microseconds (base/timestamp.h).
 */
#ifndef TBK_SCHEMA_TIMESTAMP_MESSAGE_H
#define TBK_SCHEMA_TIMESTAMP_MESSAGE_H

#include "base/arena.h"
#include "google/protobuf/timestamp.pb-c.h"

/* NULL when the arena is exhausted. us is in range. */
Google__Protobuf__Timestamp *tbk_timestamp_create(int64_t us, struct tbk_arena *arena);

#endif
