/*
 * A series: rows sorted by (time, id), cut into blocks. The last block grows in
 * memory; the columns of the others, and their groups with their calibration, are in a
 * scratch file. In memory are the sums of each block and day, and the groups of runs and
 * of the blocks that are in none. Used under the lock of the analytics.
 *
 * A failed call leaves the series damaged; it can then only be destroyed, or
 * cleared and filled again.
 */
#ifndef TBK_ANALYTICS_SERIES_H
#define TBK_ANALYTICS_SERIES_H

#include "analytics/columns.h"
#include "analytics/dictionary.h"
#include "analytics/runs.h"
#include "analytics/stored_groups.h"

struct tbk_series {
    struct tbk_series_shape shape;
    struct tbk_series_limits limits;
    struct tbk_dictionary dictionaries[TBK_SERIES_DIMENSIONS_MAX];
    struct tbk_block **blocks; /* ascending, none empty */
    size_t block_count, block_capacity;
    struct tbk_runs runs;
    int64_t row_count;
    struct tbk_columns tail; /* of the last block, if that has no slot */
    struct tbk_columns work; /* of a block that was read */
    const struct tbk_block *work_block;
    unsigned work_columns; /* those that were read */
    struct tbk_read_groups read_groups;
    int fd;
    int64_t slot_bytes; /* from one slot to the next */
    int64_t slot_count;
    int64_t *free_slots;
    size_t free_slot_count, free_slot_capacity;
};

/* What is to change, collected first and sorted when applied. */
struct tbk_batch {
    struct tbk_key *removed;
    size_t removed_count, removed_capacity;
    struct tbk_row *added;
    size_t added_count, added_capacity;
};

/* path: of the database. */
enum tbk_status tbk_series_init(struct tbk_series *series, struct tbk_series_shape shape,
                                struct tbk_series_limits limits, const char *path, struct tbk_error *error);
/* Also after a failed init, and on zeroes. */
void tbk_series_fini(struct tbk_series *series);
/* Forgets all rows; texts keep their numbers. */
void tbk_series_clear(struct tbk_series *series);

/* Removes the keys that are there, then adds the rows, over those that have the
 * same key. Empties the batch. */
enum tbk_status tbk_series_apply(struct tbk_series *series, struct tbk_batch *batch, struct tbk_error *error);

/* Reads columns (a bit for each) of a block; valid until the next call on this
 * series. */
enum tbk_status tbk_series_read(struct tbk_series *series, const struct tbk_block *block, unsigned columns,
                                const struct tbk_columns **ret_columns, struct tbk_error *error);

/* The groups of a block or run, in memory; valid until the next call on this series. */
enum tbk_status tbk_series_read_groups(struct tbk_series *series, const struct tbk_block *block,
                                       unsigned dimension, const struct tbk_groups **ret_groups,
                                       struct tbk_error *error);

/* One that is among them. */
enum tbk_status tbk_series_read_group(struct tbk_series *series, const struct tbk_block *block, unsigned dimension,
                                      uint32_t code, const struct tbk_group **ret_group, struct tbk_error *error);

/* Reads the calibration of a group that a block with a slot has. */
enum tbk_status tbk_series_read_cells(const struct tbk_series *series, const struct tbk_block *block,
                                      unsigned dimension, uint32_t code, struct tbk_cells *ret_cells,
                                      struct tbk_error *error);

/* Bytes of memory. */
size_t tbk_series_bytes(const struct tbk_series *series);

/* False: out of memory. */
bool tbk_batch_remove(struct tbk_batch *batch, struct tbk_key key);
bool tbk_batch_add(struct tbk_batch *batch, const struct tbk_row *row);
/* Sorts, and leaves one of equal ones. */
void tbk_batch_sort(struct tbk_batch *batch);
void tbk_batch_fini(struct tbk_batch *batch);

#endif
