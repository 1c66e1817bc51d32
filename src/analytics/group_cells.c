#include "analytics/group_cells.h"

#include <stdlib.h>

#include "analytics/scratch.h"

size_t tbk_group_cells_bytes_max(const struct tbk_series_shape *shape, const struct tbk_series_limits *limits)
{
    return shape->has_confidence ? shape->dimensions * limits->values_max * sizeof(struct tbk_cells) : 0;
}

/* Groups of the dimensions before this one. */
static size_t groups_before(const struct tbk_block *block, unsigned dimension)
{
    size_t count = 0;
    for (unsigned i = 0; i < dimension; i++) {
        count += block->groups[i].count;
    }
    return count;
}

/* Adds up the block's rows of each group. */
static void add_rows(struct tbk_cells *cells, const struct tbk_block *block, const struct tbk_columns *columns)
{
    for (uint32_t i = 0; i < block->rows; i++) {
        struct tbk_row row;
        tbk_columns_get(columns, i, &row);
        for (unsigned dimension = 0; dimension < columns->shape->dimensions; dimension++) {
            const int32_t position = tbk_groups_find(&block->groups[dimension], row.codes[dimension]);
            if (position >= 0) { /* below: there are too many */
                tbk_cells_add(&cells[groups_before(block, dimension) + (size_t)position], &row);
            }
        }
    }
}

enum tbk_status tbk_group_cells_write(int fd, int64_t offset, const struct tbk_block *block,
                                      const struct tbk_columns *columns, struct tbk_error *error)
{
    const size_t count = columns->shape->has_confidence ? groups_before(block, columns->shape->dimensions) : 0;
    if (count == 0) {
        return TBK_OK;
    }
    struct tbk_cells *cells = calloc(count, sizeof *cells);
    if (cells == NULL) {
        return tbk_block_out_of_memory(error);
    }
    add_rows(cells, block, columns);
    const enum tbk_status status = tbk_scratch_write(fd, cells, count * sizeof *cells, offset, error);
    free(cells);
    return status;
}

enum tbk_status tbk_group_cells_read(int fd, int64_t offset, const struct tbk_block *block, unsigned dimension,
                                     size_t position, struct tbk_cells *ret_cells, struct tbk_error *error)
{
    const size_t index = groups_before(block, dimension) + position;
    return tbk_scratch_read(fd, ret_cells, sizeof *ret_cells, offset + (int64_t)(index * sizeof *ret_cells),
                            error);
}
