/*
 * Slots: where the blocks of a series lie in its scratch file. A slot has the
 * columns of a block, the calibration of its groups and their sums. What is read of
 * them is declared in series.h.
 */
#ifndef TBK_ANALYTICS_SLOTS_H
#define TBK_ANALYTICS_SLOTS_H

#include "analytics/series.h"

/* From one slot to the next. */
size_t tbk_slot_bytes_max(const struct tbk_series *series);
/* Writes a block with these columns into a slot. */
enum tbk_status tbk_slot_store(struct tbk_series *series, struct tbk_block *block,
                               const struct tbk_columns *columns, struct tbk_error *error);
/* The slot may be used again. Without memory for the list it is lost until the series
 * is cleared. */
void tbk_slot_give(struct tbk_series *series, int64_t slot);

#endif
