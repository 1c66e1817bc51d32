#include "schema/timestamp_message.h"

#include "base/timestamp.h"

Google__Protobuf__Timestamp *tbk_timestamp_create(int64_t us, struct tbk_arena *arena)
{
    Google__Protobuf__Timestamp *timestamp = tbk_arena_alloc(arena, sizeof *timestamp);
    if (timestamp != NULL) {
        google__protobuf__timestamp__init(timestamp);
        tbk_timestamp_to_proto(us, &timestamp->seconds, &timestamp->nanos);
    }
    return timestamp;
}
