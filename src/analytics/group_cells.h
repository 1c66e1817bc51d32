/*
 * Calibration of each group of a block: too large for memory, so it lies in the
 * scratch file, behind the block's columns. One after the other, as the block has
 * its dimensions and groups; what is left of the room is never written and takes
 * no disk.
 */
#ifndef TBK_ANALYTICS_GROUP_CELLS_H
#define TBK_ANALYTICS_GROUP_CELLS_H

#include "analytics/columns.h"

/* The room that a block may need. */
size_t tbk_group_cells_bytes_max(const struct tbk_series_shape *shape, const struct tbk_series_limits *limits);
/* Writes those of a block with these columns. */
enum tbk_status tbk_group_cells_write(int fd, int64_t offset, const struct tbk_block *block,
                                      const struct tbk_columns *columns, struct tbk_error *error);
/* position: of the group among those of this dimension. */
enum tbk_status tbk_group_cells_read(int fd, int64_t offset, const struct tbk_block *block, unsigned dimension,
                                     size_t position, struct tbk_cells *ret_cells, struct tbk_error *error);

#endif
