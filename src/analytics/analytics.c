/* Creating and destroying. */
#include "analytics/analytics.h"

#include <stdlib.h>

#include "analytics/internal.h"

/* A block is as many rows as are read in a fraction of a millisecond. */
const struct tbk_analytics_options tbk_analytics_default_options = {
    .limits = {.rows_min = 2048, .rows_max = 8192, .values_max = 128, .days_max = 512, .run_blocks = 32},
    .chunk_rows = 4096,
    .changes_max = 4096,
    .poll_us = 1000000,
};

static const struct tbk_series_shape shapes[TBK_SERIES_COUNT] = {
    [TBK_SERIES_TRADES] = {.values = 4, .dimensions = 7, .has_days = true, .has_confidence = true},
    [TBK_SERIES_THEORIES] = {.values = 1, .dimensions = 1},
    [TBK_SERIES_SIGNALS] = {.values = 0, .dimensions = 1},
};

static void init_gate(struct tbk_analytics *analytics)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&analytics->mutex, NULL);
    pthread_cond_init(&analytics->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    tbk_error_init(&analytics->failure);
}

static enum tbk_status init_series(struct tbk_analytics *analytics, struct tbk_error *error)
{
    struct tbk_storage_info info;
    analytics->ops->info(analytics->storage, &info);
    analytics->changes = calloc(analytics->options.changes_max, sizeof *analytics->changes);
    if (analytics->changes == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting the analytics.");
    }
    enum tbk_status status = TBK_OK;
    for (int i = TBK_SERIES_TRADES; status == TBK_OK && i < TBK_SERIES_COUNT; i++) {
        status =
            tbk_series_init(&analytics->series[i], shapes[i], analytics->options.limits, info.location, error);
    }
    return status;
}

enum tbk_status tbk_analytics_create_with(const struct tbk_storage_ops *ops, struct tbk_storage *storage,
                                          const struct tbk_analytics_options *options,
                                          struct tbk_analytics **ret_analytics, struct tbk_error *error)
{
    struct tbk_analytics *analytics = calloc(1, sizeof *analytics);
    if (analytics == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting the analytics.");
    }
    analytics->ops = ops;
    analytics->storage = storage;
    analytics->options = *options;
    init_gate(analytics);
    enum tbk_status status = init_series(analytics, error);
    if (status == TBK_OK) {
        status = tbk_follow_start(analytics, error);
    }
    if (status != TBK_OK) {
        tbk_analytics_destroy(analytics);
        return status;
    }
    *ret_analytics = analytics;
    return TBK_OK;
}

enum tbk_status tbk_analytics_create(const struct tbk_storage_ops *ops, struct tbk_storage *storage,
                                     struct tbk_analytics **ret_analytics, struct tbk_error *error)
{
    return tbk_analytics_create_with(ops, storage, &tbk_analytics_default_options, ret_analytics, error);
}

void tbk_analytics_destroy(struct tbk_analytics *analytics)
{
    if (analytics == NULL) {
        return;
    }
    tbk_follow_stop(analytics);
    for (int i = TBK_SERIES_TRADES; i < TBK_SERIES_COUNT; i++) {
        tbk_series_fini(&analytics->series[i]);
        tbk_batch_fini(&analytics->batches[i]);
    }
    free(analytics->changes);
    pthread_cond_destroy(&analytics->changed);
    pthread_mutex_destroy(&analytics->mutex);
    free(analytics);
}

size_t tbk_analytics_bytes(struct tbk_analytics *analytics)
{
    size_t bytes = 0;
    if (tbk_gate_enter_thread(analytics)) {
        for (int i = TBK_SERIES_TRADES; i < TBK_SERIES_COUNT; i++) {
            bytes += tbk_series_bytes(&analytics->series[i]);
        }
        tbk_gate_leave(analytics);
    }
    return bytes;
}
