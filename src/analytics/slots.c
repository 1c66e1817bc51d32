#include "analytics/slots.h"

#include <stdlib.h>

#include "analytics/group_cells.h"
#include "analytics/scratch.h"

static int64_t slot_offset(const struct tbk_series *series, int64_t slot)
{
    return slot * series->slot_bytes;
}

/* Where the calibration of a slot's groups begins. */
static int64_t cells_offset(const struct tbk_series *series, int64_t slot)
{
    return slot_offset(series, slot) + (int64_t)series->work.offsets[TBK_SERIES_COLUMNS];
}

/* Where the groups of a slot begin. */
static int64_t groups_offset(const struct tbk_series *series, int64_t slot)
{
    return cells_offset(series, slot) + (int64_t)tbk_group_cells_bytes_max(&series->shape, &series->limits);
}

size_t tbk_slot_bytes_max(const struct tbk_series *series)
{
    return series->work.offsets[TBK_SERIES_COLUMNS] + tbk_group_cells_bytes_max(&series->shape, &series->limits) +
           tbk_stored_groups_bytes_max(&series->shape, &series->limits);
}

static int64_t take(struct tbk_series *series)
{
    return series->free_slot_count > 0 ? series->free_slots[--series->free_slot_count] : series->slot_count++;
}

void tbk_slot_give(struct tbk_series *series, int64_t slot)
{
    if (series->free_slot_count == series->free_slot_capacity) {
        const size_t wanted = 2 * series->free_slot_capacity + 8;
        int64_t *slots = realloc(series->free_slots, wanted * sizeof *slots);
        if (slots == NULL) {
            return;
        }
        series->free_slots = slots;
        series->free_slot_capacity = wanted;
    }
    series->free_slots[series->free_slot_count++] = slot;
}

enum tbk_status tbk_slot_store(struct tbk_series *series, struct tbk_block *block,
                               const struct tbk_columns *columns, struct tbk_error *error)
{
    const int64_t slot = take(series);
    for (int i = 0; i < TBK_SERIES_COLUMNS; i++) {
        const enum tbk_status status = tbk_scratch_write(
            series->fd, columns->memory + columns->offsets[i], block->rows * tbk_column_width(&series->shape, i),
            slot_offset(series, slot) + (int64_t)columns->offsets[i], error);
        if (status != TBK_OK) {
            return status;
        }
    }
    enum tbk_status status = tbk_group_cells_write(series->fd, cells_offset(series, slot), block, columns, error);
    if (status == TBK_OK) {
        status = tbk_stored_groups_write(series->fd, groups_offset(series, slot), &series->limits, block, error);
    }
    if (status == TBK_OK) {
        block->slot = slot;
    }
    return status;
}

enum tbk_status tbk_series_read(struct tbk_series *series, const struct tbk_block *block, unsigned columns,
                                const struct tbk_columns **ret_columns, struct tbk_error *error)
{
    if (block->slot < 0) {
        *ret_columns = &series->tail;
        return TBK_OK;
    }
    if (series->work_block != block) {
        series->work_block = block;
        series->work_columns = 0;
    }
    for (int i = 0; i < TBK_SERIES_COLUMNS; i++) {
        if ((columns & ~series->work_columns & 1U << i) == 0) {
            continue;
        }
        const enum tbk_status status =
            tbk_scratch_read(series->fd, series->work.memory + series->work.offsets[i],
                             block->rows * tbk_column_width(&series->shape, i),
                             slot_offset(series, block->slot) + (int64_t)series->work.offsets[i], error);
        if (status != TBK_OK) {
            return status;
        }
        series->work_columns |= 1U << i;
    }
    *ret_columns = &series->work;
    return TBK_OK;
}

enum tbk_status tbk_series_read_groups(struct tbk_series *series, const struct tbk_block *block,
                                       unsigned dimension, const struct tbk_groups **ret_groups,
                                       struct tbk_error *error)
{
    const struct tbk_groups *groups = &block->groups[dimension];
    if (groups->items == NULL && groups->stored != NULL) {
        groups = &series->read_groups.groups;
        *ret_groups = groups;
        return tbk_stored_groups_read(series->fd, groups_offset(series, block->slot), &series->limits, block,
                                      dimension, &series->read_groups, error);
    }
    *ret_groups = groups;
    return TBK_OK;
}

enum tbk_status tbk_series_read_group(struct tbk_series *series, const struct tbk_block *block, unsigned dimension,
                                      uint32_t code, const struct tbk_group **ret_group, struct tbk_error *error)
{
    const struct tbk_groups *groups = &block->groups[dimension];
    const int32_t position = tbk_groups_find(groups, code);
    if (groups->items != NULL) {
        *ret_group = &groups->items[position];
        return TBK_OK;
    }
    const enum tbk_status status =
        tbk_stored_group_read(series->fd, groups_offset(series, block->slot), &series->limits, block, dimension,
                              position, &series->read_groups, error);
    *ret_group = series->read_groups.groups.items;
    return status;
}

enum tbk_status tbk_series_read_cells(const struct tbk_series *series, const struct tbk_block *block,
                                      unsigned dimension, uint32_t code, struct tbk_cells *ret_cells,
                                      struct tbk_error *error)
{
    const int32_t position = tbk_groups_find(&block->groups[dimension], code);
    return tbk_group_cells_read(series->fd, cells_offset(series, block->slot), block, dimension, (size_t)position,
                                ret_cells, error);
}
