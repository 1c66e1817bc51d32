/*
 * The groups of a block in the scratch file: those of each dimension in a room of
 * their own, one after the other, each followed by its days.
 */
#ifndef TBK_ANALYTICS_STORED_GROUPS_H
#define TBK_ANALYTICS_STORED_GROUPS_H

#include "analytics/block.h"

/* What was read last. */
struct tbk_read_groups {
    struct tbk_groups groups; /* all of a dimension, or the one */
    void *memory;
    size_t memory_bytes;
};

/* The room that a block may need. */
size_t tbk_stored_groups_bytes_max(const struct tbk_series_shape *shape, const struct tbk_series_limits *limits);
/* Writes those of a block, and sets where each one is. */
enum tbk_status tbk_stored_groups_write(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                        struct tbk_block *block, struct tbk_error *error);
/* Reads those of a dimension, over what was read before. */
enum tbk_status tbk_stored_groups_read(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                       const struct tbk_block *block, unsigned dimension,
                                       struct tbk_read_groups *read, struct tbk_error *error);
/* Reads one; position: among those of the dimension. */
enum tbk_status tbk_stored_group_read(int fd, int64_t offset, const struct tbk_series_limits *limits,
                                      const struct tbk_block *block, unsigned dimension, int32_t position,
                                      struct tbk_read_groups *read, struct tbk_error *error);
void tbk_read_groups_fini(struct tbk_read_groups *read);

#endif
