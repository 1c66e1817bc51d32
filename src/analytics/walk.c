#include "analytics/walk.h"

struct walk {
    struct tbk_series *series;
    const struct tbk_selection *selection;
    const struct tbk_visitor *visitor;
    struct tbk_error *error;
    enum tbk_status status; /* of reading groups; is_over unless OK */
    bool is_over;
};

/* The rows of a block with start_us <= time < end_us. */
static enum tbk_status walk_rows(struct walk *walk, const struct tbk_block *block, int64_t start_us,
                                 int64_t end_us)
{
    const struct tbk_selection *selection = walk->selection;
    const bool is_cut = block->first.time_us < start_us || block->last.time_us >= end_us;
    const unsigned wanted = walk->visitor->columns | (is_cut ? 1U << TBK_COLUMN_TIME : 0) |
                            (selection->dimension >= 0 ? TBK_CODE_COLUMN(selection->dimension) : 0);
    const struct tbk_columns *columns;
    const enum tbk_status status = tbk_series_read(walk->series, block, wanted, &columns, walk->error);
    if (status != TBK_OK) {
        return status;
    }
    const uint32_t *codes =
        selection->dimension >= 0 ? tbk_columns_codes(columns, (unsigned)selection->dimension) : NULL;
    const uint32_t begin = is_cut ? tbk_columns_seek(columns, block->rows, start_us) : 0;
    const uint32_t end = is_cut ? tbk_columns_seek(columns, block->rows, end_us) : block->rows;
    for (uint32_t i = begin; i < end && !walk->is_over; i++) {
        if (codes == NULL || codes[i] == selection->code) {
            struct tbk_row row;
            tbk_columns_get(columns, i, &row);
            walk->is_over = walk->visitor->row(walk->visitor->state, &row) == TBK_VISIT_STOP;
        }
    }
    return TBK_OK;
}

/* Whether the visitor wants to see the piece in smaller ones. */
static bool must_descend(struct walk *walk, const struct tbk_piece *piece)
{
    const enum tbk_visit visit = walk->visitor->piece(walk->visitor->state, piece);
    walk->is_over = visit == TBK_VISIT_STOP;
    return visit == TBK_VISIT_DESCEND;
}

static enum tbk_status walk_days(struct walk *walk, const struct tbk_block *block)
{
    const struct tbk_selection *selection = walk->selection;
    enum tbk_status status = TBK_OK;
    for (uint32_t i = 0; status == TBK_OK && i < block->all.day_count && !walk->is_over; i++) {
        const struct tbk_sums *day = &block->day_sums[i];
        if (day->last_us < selection->start_us || day->first_us >= selection->end_us) {
            continue;
        }
        const bool is_inside = day->first_us >= selection->start_us && day->last_us < selection->end_us;
        const struct tbk_piece piece = {.sums = day, .days = &block->all.days[i], .day_count = 1};
        if (is_inside && !must_descend(walk, &piece)) {
            continue;
        }
        const int64_t start = day->first_us > selection->start_us ? day->first_us : selection->start_us;
        const int64_t end = day->last_us < selection->end_us ? day->last_us + 1 : selection->end_us;
        status = walk_rows(walk, block, start, end);
    }
    return status;
}

static bool lies_inside(const struct tbk_selection *selection, const struct tbk_block *block)
{
    return block->first.time_us >= selection->start_us && block->last.time_us < selection->end_us;
}

/* Whether the rows of a block or run must be visited in smaller pieces. */
static bool must_descend_into(struct walk *walk, const struct tbk_block *block)
{
    const struct tbk_selection *selection = walk->selection;
    const unsigned dimension = (unsigned)selection->dimension;
    const bool is_of_value = selection->dimension >= 0 && !block->groups[dimension].are_too_many;
    if (is_of_value && tbk_groups_find(&block->groups[dimension], selection->code) < 0) {
        return false;
    }
    if (!lies_inside(selection, block) || (selection->dimension >= 0 && !is_of_value)) {
        return true;
    }
    const struct tbk_group *group = &block->all;
    if (is_of_value) {
        walk->status = tbk_series_read_group(walk->series, block, dimension, selection->code, &group, walk->error);
        if (walk->status != TBK_OK) {
            walk->is_over = true;
            return false;
        }
    }
    const struct tbk_piece piece = {
        .sums = &group->sums, .days = group->days, .day_count = group->day_count, .block = block};
    return must_descend(walk, &piece);
}

static enum tbk_status walk_block(struct walk *walk, const struct tbk_block *block)
{
    const struct tbk_selection *selection = walk->selection;
    if (!must_descend_into(walk, block)) {
        return TBK_OK;
    }
    if (selection->dimension < 0 && block->day_sums != NULL) {
        return walk_days(walk, block);
    }
    return walk_rows(walk, block, selection->start_us, selection->end_us);
}

/* The first block that ends at or after this time. */
static size_t first_block(const struct tbk_series *series, int64_t time_us)
{
    size_t low = 0;
    size_t high = series->block_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (series->blocks[middle]->last.time_us < time_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum tbk_status tbk_walk(struct tbk_series *series, const struct tbk_selection *selection,
                         const struct tbk_visitor *visitor, struct tbk_error *error)
{
    struct walk walk = {.series = series, .selection = selection, .visitor = visitor, .error = error};
    enum tbk_status status = TBK_OK;
    size_t i = first_block(series, selection->start_us);
    while (status == TBK_OK && i < series->block_count && !walk.is_over &&
           series->blocks[i]->first.time_us < selection->end_us) {
        const struct tbk_block *run = tbk_runs_at(&series->runs, &series->limits, i);
        if (run != NULL && !must_descend_into(&walk, run)) {
            i += series->limits.run_blocks;
        } else {
            status = walk_block(&walk, series->blocks[i++]);
        }
    }
    return status == TBK_OK ? walk.status : status;
}
