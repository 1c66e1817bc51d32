/*
 * The thread that reads the tables: all of them at first, then what changes while
 * nobody asks, so that whoever asks need not wait for it.
 */
#include <time.h>

#include "analytics/internal.h"
#include "base/timestamp.h"

/* Forgets everything and notes from where on changes count. */
static enum tbk_status start_over(struct tbk_analytics *analytics, struct tbk_error *error)
{
    pthread_mutex_lock(&analytics->mutex);
    analytics->is_damaged = false;
    analytics->rows_read = 0;
    for (int i = 0; i < TBK_SERIES_COUNT; i++) {
        analytics->is_ready[i] = false;
    }
    pthread_mutex_unlock(&analytics->mutex);
    for (int i = TBK_SERIES_TRADES; i < TBK_SERIES_COUNT; i++) {
        tbk_series_clear(&analytics->series[i]);
        analytics->batches[i].removed_count = analytics->batches[i].added_count = 0;
    }
    enum tbk_status status = analytics->ops->begin(analytics->session, error);
    if (status == TBK_OK) {
        status = analytics->ops->series_position(analytics->session, &analytics->position, error);
        analytics->ops->rollback(analytics->session);
    }
    return status;
}

/* Reads the next rows of a series; *ret_rows less than a chunk: that was all. */
static enum tbk_status read_chunk(struct tbk_analytics *analytics, enum tbk_series_id series, bool first,
                                  size_t *ret_rows, struct tbk_error *error)
{
    struct tbk_filing filing = {.analytics = analytics, .series = series};
    enum tbk_status status = analytics->ops->begin(analytics->session, error);
    if (status == TBK_OK) {
        status = analytics->ops->series_scan(analytics->session, series, first, analytics->options.chunk_rows,
                                             tbk_refresh_file, &filing, ret_rows, error);
        analytics->ops->rollback(analytics->session);
    }
    return status == TBK_OK ? tbk_refresh_apply(analytics, error) : status;
}

static bool is_damaged(struct tbk_analytics *analytics)
{
    pthread_mutex_lock(&analytics->mutex);
    const bool damaged = analytics->is_damaged;
    pthread_mutex_unlock(&analytics->mutex);
    return damaged;
}

static void note_progress(struct tbk_analytics *analytics, enum tbk_series_id series, size_t rows, bool is_ready)
{
    pthread_mutex_lock(&analytics->mutex);
    analytics->rows_read = is_ready ? 0 : analytics->rows_read + (int64_t)rows;
    analytics->is_ready[series] = is_ready && !analytics->is_damaged;
    pthread_mutex_unlock(&analytics->mutex);
}

/* Reads one series; leaves the gate between chunks. */
static enum tbk_status read_series(struct tbk_analytics *analytics, enum tbk_series_id series,
                                   struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    size_t rows = analytics->options.chunk_rows;
    for (bool first = true; status == TBK_OK && rows == analytics->options.chunk_rows; first = false) {
        if (!tbk_gate_enter_thread(analytics)) {
            return TBK_CANCELLED;
        }
        status = is_damaged(analytics) ? TBK_CANCELLED : read_chunk(analytics, series, first, &rows, error);
        if (status == TBK_OK) {
            note_progress(analytics, series, rows, rows < analytics->options.chunk_rows);
        }
        tbk_gate_leave(analytics);
    }
    return status;
}

static enum tbk_status read_all(struct tbk_analytics *analytics, struct tbk_error *error)
{
    if (!tbk_gate_enter_thread(analytics)) {
        return TBK_CANCELLED;
    }
    enum tbk_status status = start_over(analytics, error);
    tbk_gate_leave(analytics);
    static const enum tbk_series_id order[] = {TBK_SERIES_TRADES, TBK_SERIES_THEORIES, TBK_SERIES_SIGNALS};
    for (size_t i = 0; status == TBK_OK && i < sizeof order / sizeof order[0]; i++) {
        status = read_series(analytics, order[i], error);
    }
    return status;
}

/* Catches up, a batch at a time. What fails here is told to whoever asks. */
static void catch_up(struct tbk_analytics *analytics)
{
    struct tbk_error ignored;
    tbk_error_init(&ignored);
    bool has_more = true;
    while (has_more && tbk_gate_enter_thread(analytics)) {
        has_more = false;
        if (!is_damaged(analytics) && analytics->ops->begin(analytics->session, &ignored) == TBK_OK) {
            if (tbk_refresh_step(analytics, analytics->session, &has_more, &ignored) != TBK_OK) {
                has_more = false;
            }
            analytics->ops->rollback(analytics->session);
        }
        tbk_gate_leave(analytics);
    }
}

/* Waits a while, or until something is wrong. False: the end. */
static bool rest(struct tbk_analytics *analytics, bool is_complete)
{
    const int64_t until_us = tbk_monotonic_us() + analytics->options.poll_us;
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_mutex_lock(&analytics->mutex);
    while (!analytics->is_stopping && !(is_complete && analytics->is_damaged) && tbk_monotonic_us() < until_us) {
        pthread_cond_timedwait(&analytics->changed, &analytics->mutex, &until);
    }
    const bool goes_on = !analytics->is_stopping;
    pthread_mutex_unlock(&analytics->mutex);
    return goes_on;
}

static void *run(void *argument)
{
    struct tbk_analytics *analytics = argument;
    pthread_setname_np(pthread_self(), "tbk-figures");
    bool is_complete = false;
    do {
        struct tbk_error error;
        tbk_error_init(&error);
        if (!is_complete || is_damaged(analytics)) {
            const enum tbk_status status = read_all(analytics, &error);
            /* Cancelled: damaged meanwhile, which rest sees, or the end. */
            is_complete = status == TBK_OK || status == TBK_CANCELLED;
            pthread_mutex_lock(&analytics->mutex);
            if (status == TBK_OK) {
                tbk_error_init(&analytics->failure);
            } else if (status != TBK_CANCELLED) {
                tbk_error_copy(&analytics->failure, &error);
            }
            pthread_cond_broadcast(&analytics->changed);
            pthread_mutex_unlock(&analytics->mutex);
        } else {
            catch_up(analytics);
        }
    } while (rest(analytics, is_complete));
    return NULL;
}

enum tbk_status tbk_follow_start(struct tbk_analytics *analytics, struct tbk_error *error)
{
    const enum tbk_status status =
        analytics->ops->session_open(analytics->storage, TBK_SESSION_READ, &analytics->session, error);
    if (status != TBK_OK) {
        return status;
    }
    if (pthread_create(&analytics->thread, NULL, run, analytics) != 0) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The thread for the figures cannot be started.");
    }
    analytics->has_thread = true;
    return TBK_OK;
}

void tbk_follow_stop(struct tbk_analytics *analytics)
{
    if (analytics->has_thread) {
        pthread_mutex_lock(&analytics->mutex);
        analytics->is_stopping = true;
        pthread_cond_broadcast(&analytics->changed);
        pthread_mutex_unlock(&analytics->mutex);
        pthread_join(analytics->thread, NULL);
    }
    if (analytics->session != NULL) {
        analytics->ops->session_close(analytics->session);
    }
}
