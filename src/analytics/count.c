#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/internal.h"

struct counting {
    struct tbk_series *series;
    unsigned dimension;
    struct tbk_value_count *counts; /* by code */
    enum tbk_status status;
    struct tbk_error *error;
};

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    struct counting *counting = state;
    if (piece->block == NULL || piece->block->groups[counting->dimension].are_too_many) {
        return TBK_VISIT_DESCEND;
    }
    const struct tbk_groups *groups;
    counting->status =
        tbk_series_read_groups(counting->series, piece->block, counting->dimension, &groups, counting->error);
    if (counting->status != TBK_OK) {
        return TBK_VISIT_STOP;
    }
    for (uint32_t i = 0; i < groups->count; i++) {
        const struct tbk_sums *sums = &groups->items[i].sums;
        struct tbk_value_count *count = &counting->counts[groups->items[i].code];
        count->n += sums->n;
        count->wins += sums->kinds[TBK_KIND_WIN];
        count->valued += sums->profits[0].curve.n;
        count->total += sums->profits[0].curve.total.high;
    }
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    const struct counting *counting = state;
    struct tbk_value_count *count = &counting->counts[row->codes[counting->dimension]];
    count->n++;
    count->wins += row->kind == TBK_KIND_WIN;
    if (!isnan(row->values[0])) {
        count->valued++;
        count->total += row->values[0];
    }
    return TBK_VISIT_DONE;
}

enum tbk_status tbk_count_values(struct tbk_series *series, int64_t start_us, int64_t end_us, unsigned dimension,
                                 struct tbk_value_count **ret_counts, size_t *ret_count, struct tbk_error *error)
{
    const uint32_t size = tbk_dictionary_size(&series->dictionaries[dimension]);
    struct counting counting = {
        .series = series, .dimension = dimension, .counts = calloc(size, sizeof *counting.counts), .error = error};
    if (counting.counts == NULL) {
        return tbk_query_out_of_memory(error);
    }
    const struct tbk_selection all = {.start_us = start_us, .end_us = end_us, .dimension = -1};
    const struct tbk_visitor visitor = {.columns = 1U << TBK_COLUMN_KIND | 1U << TBK_COLUMN_VALUE |
                                                   TBK_CODE_COLUMN(dimension),
                                        .piece = visit_piece,
                                        .row = visit_row,
                                        .state = &counting};
    const enum tbk_status walked = tbk_walk(series, &all, &visitor, error);
    const enum tbk_status status = walked != TBK_OK ? walked : counting.status;
    if (status != TBK_OK) {
        free(counting.counts);
        return status;
    }
    size_t count = 0;
    for (uint32_t code = 0; code < size; code++) {
        if (counting.counts[code].n > 0) {
            counting.counts[count] = counting.counts[code];
            counting.counts[count++].code = code;
        }
    }
    *ret_counts = counting.counts;
    *ret_count = count;
    return TBK_OK;
}

static int compare_counts(const void *a, const void *b, void *argument)
{
    const struct tbk_value_count *left = a;
    const struct tbk_value_count *right = b;
    if (left->n != right->n) {
        return left->n > right->n ? -1 : 1;
    }
    const char *left_text = tbk_dictionary_text(argument, left->code);
    const char *right_text = tbk_dictionary_text(argument, right->code);
    if (left_text == NULL || right_text == NULL) {
        return (left_text == NULL) - (right_text == NULL);
    }
    return strcmp(left_text, right_text);
}

void tbk_count_sort(struct tbk_value_count *counts, size_t count, const struct tbk_dictionary *dictionary)
{
    qsort_r(counts, count, sizeof *counts, compare_counts, (void *)dictionary);
}
