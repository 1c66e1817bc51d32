/*
 * Runs: each sums up limits.run_blocks neighbouring blocks that have a slot, so that
 * a query over a long series merges a few dozen sums and not thousands. A run is a
 * block without columns, days' sums and groups' calibration. Its blocks keep their groups
 * in the scratch file only. The blocks behind the last whole run have none.
 */
#ifndef TBK_ANALYTICS_RUNS_H
#define TBK_ANALYTICS_RUNS_H

#include "analytics/block.h"

struct tbk_series;

struct tbk_runs {
    struct tbk_block **items; /* run i begins with block i * run_blocks; NULL: to be made */
    size_t count;
};

void tbk_runs_fini(struct tbk_runs *runs);
/* Of the run that holds this block. */
void tbk_runs_forget(struct tbk_runs *runs, const struct tbk_series_limits *limits, size_t block);
/* Of the run that holds this block and all that follow. */
void tbk_runs_forget_from(struct tbk_runs *runs, const struct tbk_series_limits *limits, size_t block);
/* Makes those that a series should have. */
enum tbk_status tbk_runs_make(struct tbk_series *series, struct tbk_error *error);
/* The run that begins with this block; NULL: none. */
const struct tbk_block *tbk_runs_at(const struct tbk_runs *runs, const struct tbk_series_limits *limits,
                                    size_t block);
/* Bytes of memory. */
size_t tbk_runs_bytes(const struct tbk_runs *runs);

#endif
