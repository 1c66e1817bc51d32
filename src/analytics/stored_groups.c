#include "analytics/stored_groups.h"

#include <stdlib.h>
#include <string.h>

#include "analytics/scratch.h"

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

/* Where each group will be. NULL: out of memory. */
static struct tbk_stored_group *lay_out(const struct tbk_groups *groups)
{
    struct tbk_stored_group *stored = malloc((groups->count + 1) * sizeof *stored);
    size_t offset = 0;
    for (uint32_t i = 0; stored != NULL && i < groups->count; i++) {
        const struct tbk_group *group = &groups->items[i];
        stored[i] = (struct tbk_stored_group){.code = group->code, .offset = (uint32_t)offset};
        offset += sizeof *group + group->day_count * sizeof *group->days;
    }
    if (stored != NULL) {
        stored[groups->count] = (struct tbk_stored_group){.offset = (uint32_t)offset};
    }
    return stored;
}

static void serialise(const struct tbk_groups *groups, const struct tbk_stored_group *stored, char *bytes)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct tbk_group *group = &groups->items[i];
        char *written = bytes + stored[i].offset;
        memcpy(written, group, sizeof *group);
        if (group->day_count > 0) {
            memcpy(written + sizeof *group, group->days, group->day_count * sizeof *group->days);
        }
    }
}

static enum tbk_status write_dimension(int fd, int64_t offset, struct tbk_groups *groups, struct tbk_error *error)
{
    if (groups->count == 0) {
        return TBK_OK;
    }
    groups->stored = lay_out(groups);
    if (groups->stored == NULL) {
        return tbk_block_out_of_memory(error);
    }
    const size_t length = groups->stored[groups->count].offset;
    char *bytes = malloc(length);
    if (bytes == NULL) {
        return tbk_block_out_of_memory(error);
    }
    serialise(groups, groups->stored, bytes);
    const enum tbk_status status = tbk_scratch_write(fd, bytes, length, offset, error);
    free(bytes);
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

/* Reads groups one after the other from position begin to before end. */
static enum tbk_status read_groups(int fd, int64_t offset, const struct tbk_groups *stored, uint32_t begin,
                                   uint32_t end, struct tbk_read_groups *read, struct tbk_error *error)
{
    const uint32_t count = end - begin;
    const uint32_t first = stored->stored[begin].offset;
    const size_t length = stored->stored[end].offset - first;
    const size_t bytes = count * sizeof(struct tbk_group) + length;
    if (bytes > read->memory_bytes) {
        void *memory = realloc(read->memory, bytes);
        if (memory == NULL) {
            return tbk_block_out_of_memory(error);
        }
        read->memory = memory;
        read->memory_bytes = bytes;
    }
    struct tbk_group *items = read->memory;
    char *raw = (char *)(items + count);
    const enum tbk_status status = tbk_scratch_read(fd, raw, length, offset + first, error);
    if (status != TBK_OK) {
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        char *written = raw + (stored->stored[begin + i].offset - first);
        memcpy(&items[i], written, sizeof items[i]);
        items[i].days = (struct tbk_day_total *)(written + sizeof items[i]);
    }
    read->groups = (struct tbk_groups){.items = items, .count = count};
    return TBK_OK;
}

enum tbk_status tbk_stored_groups_read(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                       const struct tbk_block *block, unsigned dimension,
                                       struct tbk_read_groups *read, struct tbk_error *error)
{
    const struct tbk_groups *stored = &block->groups[dimension];
    return read_groups(fd, offset_of(offset, limits, dimension), stored, 0, stored->count, read, error);
}

enum tbk_status tbk_stored_group_read(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                      const struct tbk_block *block, unsigned dimension, int32_t position,
                                      struct tbk_read_groups *read, struct tbk_error *error)
{
    const uint32_t begin = (uint32_t)position;
    return read_groups(fd, offset_of(offset, limits, dimension), &block->groups[dimension], begin, begin + 1, read,
                       error);
}

void tbk_read_groups_fini(struct tbk_read_groups *read)
{
    free(read->memory);
    *read = (struct tbk_read_groups){0};
}
