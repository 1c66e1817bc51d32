#include "analytics/runs.h"

#include <stdlib.h>

#include "analytics/series.h"

void tbk_runs_fini(struct tbk_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        tbk_block_destroy(runs->items[i]);
    }
    free(runs->items);
    *runs = (struct tbk_runs){0};
}

void tbk_runs_forget(struct tbk_runs *runs, const struct tbk_series_limits *limits, size_t block)
{
    const size_t run = block / limits->run_blocks;
    if (run < runs->count) {
        tbk_block_destroy(runs->items[run]);
        runs->items[run] = NULL;
    }
}

void tbk_runs_forget_from(struct tbk_runs *runs, const struct tbk_series_limits *limits, size_t block)
{
    while (runs->count > block / limits->run_blocks) {
        tbk_block_destroy(runs->items[--runs->count]);
    }
}

static enum tbk_status merge(struct tbk_series *series, struct tbk_block *run, const struct tbk_block *block,
                             struct tbk_error *error)
{
    for (unsigned i = 0; i < series->shape.dimensions; i++) {
        const struct tbk_groups *groups;
        const enum tbk_status status = tbk_series_read_groups(series, block, i, &groups, error);
        if (status != TBK_OK) {
            return status;
        }
        if (!tbk_groups_merge(&run->groups[i], &series->limits, groups)) {
            return tbk_block_out_of_memory(error);
        }
    }
    return tbk_block_merge(run, block) ? TBK_OK : tbk_block_out_of_memory(error);
}

/* Makes the run of these blocks, which then need their groups in memory no more. */
static enum tbk_status make(struct tbk_series *series, struct tbk_block *const *blocks, struct tbk_block **ret_run,
                            struct tbk_error *error)
{
    struct tbk_block *run = tbk_block_create(&series->shape);
    enum tbk_status status = run != NULL ? TBK_OK : tbk_block_out_of_memory(error);
    for (uint32_t i = 0; status == TBK_OK && i < series->limits.run_blocks; i++) {
        status = merge(series, run, blocks[i], error);
    }
    if (status != TBK_OK) {
        tbk_block_destroy(run);
        return status;
    }
    for (uint32_t i = 0; i < series->limits.run_blocks; i++) {
        tbk_block_drop_groups(blocks[i]);
    }
    *ret_run = run;
    return TBK_OK;
}

/* Blocks before the first that has no slot: at most the last one has none. */
static size_t stored_blocks(struct tbk_block *const *blocks, size_t block_count)
{
    return block_count > 0 && blocks[block_count - 1]->slot < 0 ? block_count - 1 : block_count;
}

enum tbk_status tbk_runs_make(struct tbk_series *series, struct tbk_error *error)
{
    struct tbk_runs *runs = &series->runs;
    const uint32_t run_blocks = series->limits.run_blocks;
    const size_t count = stored_blocks(series->blocks, series->block_count) / run_blocks;
    if (count > runs->count) {
        struct tbk_block **items = realloc(runs->items, count * sizeof(struct tbk_block *));
        if (items == NULL) {
            return tbk_block_out_of_memory(error);
        }
        runs->items = items;
        while (runs->count < count) {
            items[runs->count++] = NULL;
        }
    }
    enum tbk_status status = TBK_OK;
    for (size_t i = 0; status == TBK_OK && i < count; i++) {
        if (runs->items[i] == NULL) {
            status = make(series, &series->blocks[i * run_blocks], &runs->items[i], error);
        }
    }
    return status;
}

const struct tbk_block *tbk_runs_at(const struct tbk_runs *runs, const struct tbk_series_limits *limits,
                                    size_t block)
{
    const size_t run = block / limits->run_blocks;
    return block % limits->run_blocks == 0 && run < runs->count ? runs->items[run] : NULL;
}

size_t tbk_runs_bytes(const struct tbk_runs *runs)
{
    size_t bytes = runs->count * sizeof(struct tbk_block *);
    for (size_t i = 0; i < runs->count; i++) {
        bytes += runs->items[i] != NULL ? tbk_block_bytes(runs->items[i]) : 0;
    }
    return bytes;
}
