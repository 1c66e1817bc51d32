#include "analytics/stored_groups.h"

#include <stdlib.h>
#include <string.h>

#include "analytics/scratch.h"

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while adding up the figures.");
}

/* Of one dimension; a row adds at most one day. */
static size_t room(const struct tbk_series_limits *limits)
{
    return limits->values_max * sizeof(struct tbk_group) + limits->rows_max * sizeof(struct tbk_day_total);
}

size_t tbk_stored_groups_bytes_max(const struct tbk_series_shape *shape, const struct tbk_series_limits *limits)
{
    return shape->dimensions * room(limits);
}

static int64_t offset_of(int64_t offset, const struct tbk_series_limits *limits, unsigned dimension)
{
    return offset + (int64_t)(dimension * room(limits));
}

static size_t bytes_of(const struct tbk_groups *groups)
{
    size_t bytes = groups->count * sizeof *groups->items;
    for (uint32_t i = 0; i < groups->count; i++) {
        bytes += groups->items[i].day_count * sizeof *groups->items[i].days;
    }
    return bytes;
}

/* The groups and then their days, as they are written. */
static void serialise(const struct tbk_groups *groups, char *bytes)
{
    char *days = bytes + groups->count * sizeof *groups->items;
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct tbk_group *group = &groups->items[i];
        struct tbk_group written = *group;
        written.days = NULL;
        written.day_capacity = group->day_count;
        memcpy(bytes + i * sizeof written, &written, sizeof written);
        if (group->day_count > 0) {
            memcpy(days, group->days, group->day_count * sizeof *group->days);
            days += group->day_count * sizeof *group->days;
        }
    }
}

static enum tbk_status write_dimension(int fd, int64_t offset, struct tbk_groups *groups, struct tbk_error *error)
{
    const size_t length = bytes_of(groups);
    if (length == 0) {
        return TBK_OK;
    }
    char *bytes = malloc(length);
    if (bytes == NULL) {
        return out_of_memory(error);
    }
    serialise(groups, bytes);
    const enum tbk_status status = tbk_scratch_write(fd, bytes, length, offset, error);
    free(bytes);
    if (status == TBK_OK) {
        groups->stored_bytes = length;
    }
    return status;
}

enum tbk_status tbk_stored_groups_write(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                        struct tbk_block *block, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    for (unsigned i = 0; status == TBK_OK && i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        status = write_dimension(fd, offset_of(offset, limits, i), &block->groups[i], error);
    }
    return status;
}

static bool make_room(struct tbk_read_groups *read, size_t bytes)
{
    if (bytes > read->memory_bytes) {
        void *memory = realloc(read->memory, bytes);
        if (memory == NULL) {
            return false;
        }
        read->memory = memory;
        read->memory_bytes = bytes;
    }
    return true;
}

enum tbk_status tbk_stored_groups_read(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                       const struct tbk_block *block, unsigned dimension,
                                       struct tbk_read_groups *read, struct tbk_error *error)
{
    const struct tbk_groups *stored = &block->groups[dimension];
    if (!make_room(read, stored->stored_bytes)) {
        return out_of_memory(error);
    }
    const enum tbk_status status =
        tbk_scratch_read(fd, read->memory, stored->stored_bytes, offset_of(offset, limits, dimension), error);
    if (status != TBK_OK) {
        return status;
    }
    read->groups = *stored;
    read->groups.items = read->memory;
    struct tbk_day_total *days = (struct tbk_day_total *)(read->groups.items + stored->count);
    for (uint32_t i = 0; i < stored->count; i++) {
        read->groups.items[i].days = days;
        days += read->groups.items[i].day_count;
    }
    return TBK_OK;
}

void tbk_read_groups_fini(struct tbk_read_groups *read)
{
    free(read->memory);
    *read = (struct tbk_read_groups){0};
}
