/*
 * The rows of one block, column by column.
 */
#ifndef TBK_ANALYTICS_COLUMNS_H
#define TBK_ANALYTICS_COLUMNS_H

#include <stdbool.h>

#include "analytics/block.h"

/* Position of each column; those that a series does not have take no room. */
enum {
    TBK_COLUMN_TIME,
    TBK_COLUMN_ID,
    TBK_COLUMN_KIND,
    TBK_COLUMN_VALUE,
    TBK_COLUMN_CODE = TBK_COLUMN_VALUE + TBK_SERIES_VALUES_MAX,
    TBK_SERIES_COLUMNS = TBK_COLUMN_CODE + TBK_SERIES_DIMENSIONS_MAX,
};
#define TBK_ALL_COLUMNS ((1U << TBK_SERIES_COLUMNS) - 1)
/* What sums are made of. */
#define TBK_SUM_COLUMNS            ((1U << TBK_COLUMN_CODE) - 1)
#define TBK_CODE_COLUMN(dimension) (1U << (TBK_COLUMN_CODE + (dimension)))

struct tbk_columns {
    const struct tbk_series_shape *shape;
    uint32_t rows_max;
    char *memory;
    size_t offsets[TBK_SERIES_COLUMNS + 1]; /* in memory and in a slot; the last one: bytes in all */
};

/* Room for rows_max rows. False: out of memory. */
bool tbk_columns_init(struct tbk_columns *columns, const struct tbk_series_shape *shape, uint32_t rows_max);
void tbk_columns_fini(struct tbk_columns *columns);

/* Bytes of one cell; 0: the series does not have this column. */
size_t tbk_column_width(const struct tbk_series_shape *shape, int column);

void tbk_columns_put(struct tbk_columns *columns, uint32_t position, const struct tbk_row *row);
/* What the series does not have is NaN and 0. */
void tbk_columns_get(const struct tbk_columns *columns, uint32_t position, struct tbk_row *ret_row);
struct tbk_key tbk_columns_key(const struct tbk_columns *columns, uint32_t position);
/* The first of count rows, ascending, that is not before this time. */
uint32_t tbk_columns_seek(const struct tbk_columns *columns, uint32_t count, int64_t time_us);
/* All numbers of a dimension. */
const uint32_t *tbk_columns_codes(const struct tbk_columns *columns, unsigned dimension);

#endif
