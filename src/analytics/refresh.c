#include <stdlib.h>
#include <string.h>

#include "analytics/internal.h"

enum tbk_status tbk_refresh_file(void *argument, const struct tbk_series_row *row, struct tbk_error *error)
{
    const struct tbk_filing *filing = argument;
    struct tbk_series *series = &filing->analytics->series[filing->series];
    struct tbk_row filed = {.time_us = row->time_us, .id = row->id, .kind = (uint8_t)row->kind};
    memcpy(filed.values, row->values, sizeof filed.values);
    for (unsigned i = 0; i < series->shape.dimensions; i++) {
        if (!tbk_dictionary_put(&series->dictionaries[i], row->dimensions[i], &filed.codes[i])) {
            return tbk_query_out_of_memory(error);
        }
    }
    return tbk_batch_add(&filing->analytics->batches[filing->series], &filed) ? TBK_OK
                                                                              : tbk_query_out_of_memory(error);
}

enum tbk_status tbk_refresh_apply(struct tbk_analytics *analytics, struct tbk_error *error)
{
    for (int i = TBK_SERIES_TRADES; i < TBK_SERIES_COUNT; i++) {
        const enum tbk_status status = tbk_series_apply(&analytics->series[i], &analytics->batches[i], error);
        if (status != TBK_OK) {
            tbk_gate_damaged(analytics, error);
            return status;
        }
    }
    return TBK_OK;
}

static int compare_changes(const void *a, const void *b)
{
    const struct tbk_series_change *left = a;
    const struct tbk_series_change *right = b;
    if (left->series != right->series) {
        return left->series < right->series ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

/* How many of the changes, ascending, from this one on are of ids that follow each
 * other, or the same, in one series. Unsigned: ids may lie further apart than int64_t. */
static size_t run_length(const struct tbk_series_change *changes, size_t count)
{
    size_t length = 1;
    while (length < count && changes[length].series == changes[0].series &&
           (uint64_t)changes[length].id - (uint64_t)changes[length - 1].id <= 1) {
        length++;
    }
    return length;
}

/* Files what there is now of rows whose ids follow each other. A signal brings its
 * trades, which may have been filed without it, or by another one that had its id. */
static enum tbk_status file_run(struct tbk_analytics *analytics, struct tbk_session *session,
                                enum tbk_series_id series, int64_t first_id, int64_t last_id,
                                struct tbk_error *error)
{
    struct tbk_filing filing = {.analytics = analytics, .series = series};
    const enum tbk_status status =
        analytics->ops->series_get(session, series, first_id, last_id, tbk_refresh_file, &filing, error);
    if (status != TBK_OK || series != TBK_SERIES_SIGNALS) {
        return status;
    }
    filing.series = TBK_SERIES_TRADES;
    return analytics->ops->series_get_trades_of(session, first_id, last_id, tbk_refresh_file, &filing, error);
}

/* Collects what the changes remove and what is there now. */
static enum tbk_status collect(struct tbk_analytics *analytics, struct tbk_session *session, size_t count,
                               struct tbk_error *error)
{
    struct tbk_series_change *changes = analytics->changes;
    enum tbk_status status = TBK_OK;
    qsort(changes, count, sizeof *changes, compare_changes);
    for (size_t i = 0; i < count; i++) {
        const struct tbk_key key = {.time_us = changes[i].filed_us, .id = changes[i].id};
        if (!tbk_batch_remove(&analytics->batches[changes[i].series], key)) {
            return tbk_query_out_of_memory(error);
        }
    }
    for (size_t i = 0; status == TBK_OK && i < count;) {
        const size_t length = run_length(&changes[i], count - i);
        status = file_run(analytics, session, changes[i].series, changes[i].id, changes[i + length - 1].id, error);
        i += length;
    }
    return status;
}

enum tbk_status tbk_refresh_step(struct tbk_analytics *analytics, struct tbk_session *session, bool *ret_more,
                                 struct tbk_error *error)
{
    struct tbk_series_position reached = analytics->position;
    size_t count;
    enum tbk_status status = analytics->ops->series_changes(session, &reached, analytics->changes,
                                                            analytics->options.changes_max, &count, error);
    if (status == TBK_OK && count > 0) {
        status = collect(analytics, session, count, error);
        if (status != TBK_OK) { /* nothing has changed yet */
            for (int i = 0; i < TBK_SERIES_COUNT; i++) {
                analytics->batches[i].removed_count = analytics->batches[i].added_count = 0;
            }
        } else {
            status = tbk_refresh_apply(analytics, error);
        }
    }
    if (status == TBK_OK) {
        analytics->position = reached;
        *ret_more = count == analytics->options.changes_max;
    } else if (status == TBK_OUT_OF_RANGE) {
        tbk_gate_damaged(analytics, NULL);
    }
    return status;
}
