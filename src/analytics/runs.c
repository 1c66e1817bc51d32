#include "analytics/runs.h"

#include <stdlib.h>

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

static struct tbk_block *make(const struct tbk_series_shape *shape, const struct tbk_series_limits *limits,
                              struct tbk_block *const *blocks)
{
    struct tbk_block *run = tbk_block_create(shape);
    for (uint32_t i = 0; run != NULL && i < limits->run_blocks; i++) {
        if (!tbk_block_merge(run, shape, limits, blocks[i])) {
            tbk_block_destroy(run);
            run = NULL;
        }
    }
    return run;
}

/* Blocks before the first that has no slot: at most the last one has none. */
static size_t stored_blocks(struct tbk_block *const *blocks, size_t block_count)
{
    return block_count > 0 && blocks[block_count - 1]->slot < 0 ? block_count - 1 : block_count;
}

bool tbk_runs_make(struct tbk_runs *runs, const struct tbk_series_shape *shape,
                   const struct tbk_series_limits *limits, struct tbk_block *const *blocks, size_t block_count)
{
    const size_t count = stored_blocks(blocks, block_count) / limits->run_blocks;
    if (count > runs->count) {
        struct tbk_block **items = realloc(runs->items, count * sizeof(struct tbk_block *));
        if (items == NULL) {
            return false;
        }
        runs->items = items;
        while (runs->count < count) {
            items[runs->count++] = NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (runs->items[i] == NULL) {
            runs->items[i] = make(shape, limits, &blocks[i * limits->run_blocks]);
            if (runs->items[i] == NULL) {
                return false;
            }
        }
    }
    return true;
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
