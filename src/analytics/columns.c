#include "analytics/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tbk_column_width(const struct tbk_series_shape *shape, int column)
{
    if (column < TBK_COLUMN_KIND) {
        return sizeof(int64_t);
    }
    if (column == TBK_COLUMN_KIND) {
        return sizeof(uint8_t);
    }
    if (column < TBK_COLUMN_CODE) {
        return (unsigned)(column - TBK_COLUMN_VALUE) < shape->values ? sizeof(double) : 0;
    }
    return (unsigned)(column - TBK_COLUMN_CODE) < shape->dimensions ? sizeof(uint32_t) : 0;
}

bool tbk_columns_init(struct tbk_columns *columns, const struct tbk_series_shape *shape, uint32_t rows_max)
{
    const uint32_t aligned = (rows_max + 7) & ~7U; /* so that every column is aligned */
    *columns = (struct tbk_columns){.shape = shape, .rows_max = rows_max};
    for (int i = 0; i < TBK_SERIES_COLUMNS; i++) {
        columns->offsets[i + 1] = columns->offsets[i] + tbk_column_width(shape, i) * aligned;
    }
    columns->memory = calloc(1, columns->offsets[TBK_SERIES_COLUMNS]);
    return columns->memory != NULL;
}

void tbk_columns_fini(struct tbk_columns *columns)
{
    free(columns->memory);
    columns->memory = NULL;
}

static void *column_of(const struct tbk_columns *columns, int column)
{
    return columns->memory + columns->offsets[column];
}

static int64_t *times_of(const struct tbk_columns *columns)
{
    return column_of(columns, TBK_COLUMN_TIME);
}

static int64_t *ids_of(const struct tbk_columns *columns)
{
    return column_of(columns, TBK_COLUMN_ID);
}

static uint8_t *kinds_of(const struct tbk_columns *columns)
{
    return column_of(columns, TBK_COLUMN_KIND);
}

static double *values_of(const struct tbk_columns *columns, unsigned value)
{
    return column_of(columns, TBK_COLUMN_VALUE + (int)value);
}

static uint32_t *codes_of(const struct tbk_columns *columns, unsigned dimension)
{
    return column_of(columns, TBK_COLUMN_CODE + (int)dimension);
}

void tbk_columns_put(struct tbk_columns *columns, uint32_t position, const struct tbk_row *row)
{
    times_of(columns)[position] = row->time_us;
    ids_of(columns)[position] = row->id;
    kinds_of(columns)[position] = row->kind;
    for (unsigned i = 0; i < columns->shape->values; i++) {
        values_of(columns, i)[position] = row->values[i];
    }
    for (unsigned i = 0; i < columns->shape->dimensions; i++) {
        codes_of(columns, i)[position] = row->codes[i];
    }
}

void tbk_columns_get(const struct tbk_columns *columns, uint32_t position, struct tbk_row *ret_row)
{
    ret_row->time_us = times_of(columns)[position];
    ret_row->id = ids_of(columns)[position];
    ret_row->kind = kinds_of(columns)[position];
    for (unsigned i = 0; i < TBK_SERIES_VALUES_MAX; i++) {
        ret_row->values[i] = i < columns->shape->values ? values_of(columns, i)[position] : NAN;
    }
    for (unsigned i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        ret_row->codes[i] = i < columns->shape->dimensions ? codes_of(columns, i)[position] : 0;
    }
}

struct tbk_key tbk_columns_key(const struct tbk_columns *columns, uint32_t position)
{
    return (struct tbk_key){.time_us = times_of(columns)[position], .id = ids_of(columns)[position]};
}

uint32_t tbk_columns_seek(const struct tbk_columns *columns, uint32_t count, int64_t time_us)
{
    const int64_t *times = times_of(columns);
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (times[middle] < time_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const uint32_t *tbk_columns_codes(const struct tbk_columns *columns, unsigned dimension)
{
    return codes_of(columns, dimension);
}
