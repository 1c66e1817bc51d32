/*
 * Going through the rows of a window in the order of (time, id), in pieces as
 * large as the visitor takes: runs of blocks, blocks, days, rows.
 */
#ifndef TBK_ANALYTICS_WALK_H
#define TBK_ANALYTICS_WALK_H

#include "analytics/series.h"

/* Rows with start_us <= time < end_us and, unless dimension is below 0, with this
 * number in this dimension. */
struct tbk_selection {
    int64_t start_us, end_us;
    int dimension;
    uint32_t code;
};

/* Sums of rows that are all selected. */
struct tbk_piece {
    const struct tbk_sums *sums;
    const struct tbk_day_total *days;
    uint32_t day_count;
    const struct tbk_block *block; /* all rows of this block or run; NULL for less */
};

enum tbk_visit {
    TBK_VISIT_DONE,    /* go on */
    TBK_VISIT_DESCEND, /* the same again in smaller pieces */
    TBK_VISIT_STOP,    /* enough */
};

struct tbk_visitor {
    unsigned columns; /* that rows need; the others of a row have no meaning */
    enum tbk_visit (*piece)(void *state, const struct tbk_piece *piece);
    enum tbk_visit (*row)(void *state, const struct tbk_row *row); /* not DESCEND */
    void *state;
};

enum tbk_status tbk_walk(struct tbk_series *series, const struct tbk_selection *selection,
                         const struct tbk_visitor *visitor, struct tbk_error *error);

#endif
