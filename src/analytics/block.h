/*
 * A block: a run of rows of a series, summed up. Its columns are elsewhere
 * (series.h).
 */
#ifndef TBK_ANALYTICS_BLOCK_H
#define TBK_ANALYTICS_BLOCK_H

#include <stdbool.h>

#include "analytics/cells.h"

/* Which rows a block takes, and which sums it keeps. */
struct tbk_series_limits {
    uint32_t rows_min;   /* from here on a block ends with the day */
    uint32_t rows_max;   /* at least 2 */
    uint32_t values_max; /* of a dimension; a block with more keeps no sums for each */
    uint32_t days_max;   /* a block with more keeps no sums for each day */
    uint32_t run_blocks; /* that are summed up together */
};

/* What the rows of a series are. */
struct tbk_series_shape {
    unsigned values;
    unsigned dimensions;
    bool has_days;       /* profit per day is wanted */
    bool has_confidence; /* confidence is compared with the outcome */
};

struct tbk_key {
    int64_t time_us, id;
};

struct tbk_day_total {
    int32_t day;    /* since 1970-01-01 */
    double percent; /* sum of values[0] */
};

/* Rows with one value of a dimension, or all. */
struct tbk_group {
    uint32_t code;
    struct tbk_sums sums;
    struct tbk_day_total *days; /* with rows, ascending */
    uint32_t day_count, day_capacity;
};

/* Where in the scratch file the groups of a dimension have this one. */
struct tbk_stored_group {
    uint32_t code, offset;
};

struct tbk_groups {
    struct tbk_group *items; /* ascending by code; NULL when all are in the scratch file only */
    uint32_t count, capacity;
    bool are_too_many;               /* no items are kept */
    struct tbk_stored_group *stored; /* count, as items, and the end; NULL: not in the scratch file */
};

struct tbk_block {
    struct tbk_key first, last;
    uint32_t rows;
    int64_t slot; /* of the scratch file; -1: none */
    struct tbk_group all;
    struct tbk_sums *day_sums; /* one for each of all.days; NULL: there are too many days */
    struct tbk_groups groups[TBK_SERIES_DIMENSIONS_MAX];
    struct tbk_cells *cells; /* NULL without confidence */
};

/* RESOURCE_EXHAUSTED, with a sentence for whoever makes blocks. */
enum tbk_status tbk_block_out_of_memory(struct tbk_error *error);

/* UTC day since 1970-01-01 of a time. */
int32_t tbk_day_of(int64_t time_us);

/* Below, equal to or above 0 as a sorts before, with or after b. */
int tbk_key_compare(struct tbk_key a, struct tbk_key b);
struct tbk_key tbk_key_of(const struct tbk_row *row);

/* An empty block. NULL: out of memory. */
struct tbk_block *tbk_block_create(const struct tbk_series_shape *shape);
void tbk_block_destroy(struct tbk_block *block);
/* Adds a row that sorts after all others. False: out of memory; the block can
 * then only be destroyed. */
bool tbk_block_add(struct tbk_block *block, const struct tbk_series_shape *shape,
                   const struct tbk_series_limits *limits, const struct tbk_row *row);
/* Adds the sums, but neither those of each day nor those of groups, of a block that
 * sorts after it. False: as above. */
bool tbk_block_merge(struct tbk_block *block, const struct tbk_block *next);
/* Adds the groups of such a block. False: as above. */
bool tbk_groups_merge(struct tbk_groups *groups, const struct tbk_series_limits *limits,
                      const struct tbk_groups *next);
/* Position of a group; -1: no row has this value, or they are too many. */
int32_t tbk_groups_find(const struct tbk_groups *groups, uint32_t code);
/* Frees the groups that are in the scratch file as well. */
void tbk_block_drop_groups(struct tbk_block *block);
/* Bytes of memory. */
size_t tbk_block_bytes(const struct tbk_block *block);

#endif
