#include "analytics/series.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/scratch.h"
#include "analytics/slots.h"

enum tbk_status tbk_series_init(struct tbk_series *series, struct tbk_series_shape shape,
                                struct tbk_series_limits limits, const char *path, struct tbk_error *error)
{
    *series = (struct tbk_series){.shape = shape, .limits = limits, .fd = -1};
    if (!tbk_columns_init(&series->tail, &series->shape, limits.rows_max) ||
        !tbk_columns_init(&series->work, &series->shape, limits.rows_max)) {
        return tbk_block_out_of_memory(error);
    }
    series->slot_bytes = (int64_t)tbk_slot_bytes_max(series);
    return tbk_scratch_open(path, &series->fd, error);
}

void tbk_series_clear(struct tbk_series *series)
{
    for (size_t i = 0; i < series->block_count; i++) {
        tbk_block_destroy(series->blocks[i]);
    }
    tbk_runs_fini(&series->runs);
    series->block_count = 0;
    series->row_count = 0;
    series->work_block = NULL;
    series->slot_count = 0;
    series->free_slot_count = 0;
}

void tbk_series_fini(struct tbk_series *series)
{
    tbk_series_clear(series);
    free(series->blocks);
    free(series->free_slots);
    tbk_columns_fini(&series->tail);
    tbk_columns_fini(&series->work);
    tbk_read_groups_fini(&series->read_groups);
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        tbk_dictionary_fini(&series->dictionaries[i]);
    }
    if (series->shape.dimensions > 0 && series->fd >= 0) {
        close(series->fd);
    }
}

/* Puts a block into the list; takes it over in any case. */
static enum tbk_status insert_block(struct tbk_series *series, size_t position, struct tbk_block *block,
                                    struct tbk_error *error)
{
    if (series->block_count == series->block_capacity) {
        const size_t wanted = 2 * series->block_capacity + 16;
        struct tbk_block **blocks = realloc(series->blocks, wanted * sizeof(struct tbk_block *));
        if (blocks == NULL) {
            tbk_block_destroy(block);
            return tbk_block_out_of_memory(error);
        }
        series->blocks = blocks;
        series->block_capacity = wanted;
    }
    memmove(&series->blocks[position + 1], &series->blocks[position],
            (series->block_count - position) * sizeof(struct tbk_block *));
    series->blocks[position] = block;
    series->block_count++;
    series->row_count += block->rows;
    return TBK_OK;
}

static void remove_block(struct tbk_series *series, size_t position)
{
    struct tbk_block *block = series->blocks[position];
    series->row_count -= block->rows;
    series->block_count--;
    memmove(&series->blocks[position], &series->blocks[position + 1],
            (series->block_count - position) * sizeof(struct tbk_block *));
    if (block->slot >= 0) {
        tbk_slot_give(series, block->slot);
    }
    tbk_block_destroy(block);
}

static struct tbk_block *last_block(const struct tbk_series *series)
{
    return series->block_count > 0 ? series->blocks[series->block_count - 1] : NULL;
}

static bool is_full(const struct tbk_series *series, const struct tbk_block *block, const struct tbk_row *next)
{
    const bool is_large = block->rows >= series->limits.rows_min;
    return block->rows >= series->limits.rows_max ||
           (is_large && tbk_day_of(block->last.time_us) != tbk_day_of(next->time_us));
}

/* Adds a row that sorts after all others. */
static enum tbk_status append(struct tbk_series *series, const struct tbk_row *row, struct tbk_error *error)
{
    struct tbk_block *block = last_block(series);
    enum tbk_status status = TBK_OK;
    if (block != NULL && block->slot < 0 && is_full(series, block, row)) {
        status = tbk_slot_store(series, block, &series->tail, error);
    }
    if (status != TBK_OK) {
        return status;
    }
    if (block == NULL || block->slot >= 0) {
        block = tbk_block_create(&series->shape);
        if (block == NULL) {
            return tbk_block_out_of_memory(error);
        }
        status = insert_block(series, series->block_count, block, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    tbk_columns_put(&series->tail, block->rows, row);
    series->row_count++;
    return tbk_block_add(block, &series->shape, &series->limits, row) ? TBK_OK : tbk_block_out_of_memory(error);
}

/* The rows of a block after some were removed and added; *ret_rows is for free(). */
static enum tbk_status merge_rows(struct tbk_series *series, const struct tbk_block *block,
                                  const struct tbk_batch *batch, struct tbk_row **ret_rows, size_t *ret_count,
                                  struct tbk_error *error)
{
    const struct tbk_columns *columns;
    const enum tbk_status status = tbk_series_read(series, block, TBK_ALL_COLUMNS, &columns, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_row *rows = malloc((block->rows + batch->added_count) * sizeof *rows);
    if (rows == NULL) {
        return tbk_block_out_of_memory(error);
    }
    size_t count = 0;
    size_t added = 0;
    size_t removed = 0;
    for (uint32_t i = 0; i < block->rows; i++) {
        const struct tbk_key key = tbk_columns_key(columns, i);
        int order = 1;
        while (added < batch->added_count &&
               (order = tbk_key_compare(tbk_key_of(&batch->added[added]), key)) <= 0) {
            rows[count++] = batch->added[added++];
            if (order == 0) {
                break;
            }
        }
        while (removed < batch->removed_count && tbk_key_compare(batch->removed[removed], key) < 0) {
            removed++;
        }
        const bool is_removed =
            removed < batch->removed_count && tbk_key_compare(batch->removed[removed], key) == 0;
        if (order != 0 && !is_removed) {
            tbk_columns_get(columns, i, &rows[count++]);
        }
    }
    while (added < batch->added_count) {
        rows[count++] = batch->added[added++];
    }
    *ret_rows = rows;
    *ret_count = count;
    return TBK_OK;
}

/* Makes a block of these rows, the last one of the series in memory. */
static enum tbk_status make_block(struct tbk_series *series, size_t position, const struct tbk_row *rows,
                                  size_t count, struct tbk_error *error)
{
    const bool is_last = position == series->block_count;
    struct tbk_columns *columns = is_last ? &series->tail : &series->work;
    struct tbk_block *block = tbk_block_create(&series->shape);
    if (block == NULL) {
        return tbk_block_out_of_memory(error);
    }
    series->work_block = NULL;
    for (size_t i = 0; i < count; i++) {
        tbk_columns_put(columns, (uint32_t)i, &rows[i]);
        if (!tbk_block_add(block, &series->shape, &series->limits, &rows[i])) {
            tbk_block_destroy(block);
            return tbk_block_out_of_memory(error);
        }
    }
    const enum tbk_status status = is_last ? TBK_OK : tbk_slot_store(series, block, columns, error);
    if (status != TBK_OK) {
        tbk_block_destroy(block);
        return status;
    }
    return insert_block(series, position, block, error);
}

/* Makes the block at position anew, as several if it has become too large. */
static enum tbk_status rewrite(struct tbk_series *series, size_t position, const struct tbk_batch *batch,
                               struct tbk_error *error)
{
    struct tbk_row *rows = NULL;
    size_t count = 0;
    enum tbk_status status = merge_rows(series, series->blocks[position], batch, &rows, &count, error);
    if (status != TBK_OK) {
        return status;
    }
    remove_block(series, position);
    series->work_block = NULL;
    /* From the last piece to the first, so that only the series' last block finds
     * nothing behind it. */
    const size_t pieces = (count + series->limits.rows_max - 1) / series->limits.rows_max;
    if (pieces == 1) {
        tbk_runs_forget(&series->runs, &series->limits, position);
    } else { /* the blocks that follow change places */
        tbk_runs_forget_from(&series->runs, &series->limits, position);
    }
    for (size_t i = pieces; status == TBK_OK && i > 0; i--) {
        const size_t begin = count * (i - 1) / pieces;
        const size_t end = count * i / pieces;
        status = make_block(series, position, rows + begin, end - begin, error);
    }
    free(rows);
    return status;
}

/* Position of the block that holds key or would: the last one that begins at or
 * before it, or the first. */
static size_t block_of(const struct tbk_series *series, struct tbk_key key)
{
    size_t low = 0;
    size_t high = series->block_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (tbk_key_compare(series->blocks[middle]->first, key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether a key may be in this block: most reports of new rows name a place where
 * there is nothing. */
static bool may_hold(const struct tbk_block *block, struct tbk_key key)
{
    return tbk_key_compare(block->first, key) <= 0 && tbk_key_compare(key, block->last) <= 0;
}

/* Whether a key of a block's removals is there. */
static enum tbk_status holds_any(struct tbk_series *series, const struct tbk_block *block,
                                 const struct tbk_batch *batch, bool *ret_holds, struct tbk_error *error)
{
    *ret_holds = false;
    const struct tbk_columns *columns = NULL;
    for (size_t i = 0; !*ret_holds && i < batch->removed_count; i++) {
        const struct tbk_key key = batch->removed[i];
        if (!may_hold(block, key)) {
            continue;
        }
        const enum tbk_status status =
            tbk_series_read(series, block, 1U << TBK_COLUMN_TIME | 1U << TBK_COLUMN_ID, &columns, error);
        if (status != TBK_OK) {
            return status;
        }
        uint32_t row = tbk_columns_seek(columns, block->rows, key.time_us);
        while (row < block->rows && tbk_key_compare(tbk_columns_key(columns, row), key) < 0) {
            row++;
        }
        *ret_holds = row < block->rows && tbk_key_compare(tbk_columns_key(columns, row), key) == 0;
    }
    return TBK_OK;
}

/* Takes the changes that concern the block at position off the front of rest. */
static struct tbk_batch split_off(const struct tbk_series *series, size_t position, struct tbk_batch *rest)
{
    struct tbk_batch part = {.removed = rest->removed, .added = rest->added};
    const bool is_last = position + 1 == series->block_count;
    /* What follows the last block is appended to it. */
    const struct tbk_key limit = is_last ? series->blocks[position]->last : series->blocks[position + 1]->first;
    const int order_min = is_last ? 1 : 0;
    while (part.removed_count < rest->removed_count &&
           tbk_key_compare(part.removed[part.removed_count], limit) < order_min) {
        part.removed_count++;
    }
    while (part.added_count < rest->added_count &&
           tbk_key_compare(tbk_key_of(&part.added[part.added_count]), limit) < order_min) {
        part.added_count++;
    }
    rest->removed += part.removed_count;
    rest->removed_count -= part.removed_count;
    rest->added += part.added_count;
    rest->added_count -= part.added_count;
    return part;
}

static struct tbk_key first_key(const struct tbk_batch *batch)
{
    if (batch->added_count == 0) {
        return batch->removed[0];
    }
    const struct tbk_key added = tbk_key_of(&batch->added[0]);
    const bool removes_first = batch->removed_count > 0 && tbk_key_compare(batch->removed[0], added) < 0;
    return removes_first ? batch->removed[0] : added;
}

/* Changes one block by the changes at the front of rest, or appends. */
static enum tbk_status apply_next(struct tbk_series *series, struct tbk_batch *rest, struct tbk_error *error)
{
    const struct tbk_key key = first_key(rest);
    const struct tbk_block *last = last_block(series);
    if (last == NULL || tbk_key_compare(last->last, key) < 0) {
        enum tbk_status status = TBK_OK;
        for (size_t i = 0; status == TBK_OK && i < rest->added_count; i++) {
            status = append(series, &rest->added[i], error);
        }
        rest->added_count = rest->removed_count = 0;
        return status;
    }
    const size_t position = block_of(series, key);
    const struct tbk_batch part = split_off(series, position, rest);
    bool must_rewrite = part.added_count > 0;
    if (!must_rewrite) {
        const enum tbk_status status = holds_any(series, series->blocks[position], &part, &must_rewrite, error);
        if (status != TBK_OK) {
            return status;
        }
    }
    return must_rewrite ? rewrite(series, position, &part, error) : TBK_OK;
}

enum tbk_status tbk_series_apply(struct tbk_series *series, struct tbk_batch *batch, struct tbk_error *error)
{
    tbk_batch_sort(batch);
    struct tbk_batch rest = *batch;
    enum tbk_status status = TBK_OK;
    while (status == TBK_OK && rest.removed_count + rest.added_count > 0) {
        status = apply_next(series, &rest, error);
    }
    batch->removed_count = batch->added_count = 0;
    return status == TBK_OK ? tbk_runs_make(series, error) : status;
}

size_t tbk_series_bytes(const struct tbk_series *series)
{
    size_t bytes = 2 * series->work.offsets[TBK_SERIES_COLUMNS] + series->block_capacity * sizeof(void *) +
                   tbk_runs_bytes(&series->runs) + series->read_groups.memory_bytes;
    for (size_t i = 0; i < series->block_count; i++) {
        bytes += tbk_block_bytes(series->blocks[i]);
    }
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        bytes += series->dictionaries[i].bytes;
    }
    return bytes;
}
