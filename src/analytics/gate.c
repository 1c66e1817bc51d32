#include <time.h>

#include "analytics/internal.h"
#include "base/timestamp.h"

static const char *const names[TBK_SERIES_COUNT] = {
    [TBK_SERIES_TRADES] = "trades", [TBK_SERIES_THEORIES] = "theory records", [TBK_SERIES_SIGNALS] = "signals"};

static enum tbk_status too_late(const struct tbk_analytics *analytics, enum tbk_series_id series,
                                struct tbk_error *error)
{
    if (analytics->is_ready[series]) {
        return tbk_error_set(error, TBK_DEADLINE_EXCEEDED, "Other queries for figures took all of the time.");
    }
    return tbk_error_set(
        error, TBK_UNAVAILABLE,
        "The server is still reading the %s for its figures; %lld rows are read so far. Try again "
        "in a few seconds.",
        names[series], (long long)analytics->rows_read);
}

/* Whether it may take long until the series can be asked, or never happen. */
static enum tbk_status check_reading(const struct tbk_analytics *analytics, struct tbk_error *error)
{
    if (analytics->failure.status != TBK_OK) {
        tbk_error_copy(error, &analytics->failure);
        return error->status;
    }
    return analytics->is_quiesced
               ? tbk_error_set(error, TBK_UNAVAILABLE, "The server is stopping. Try again later.")
               : TBK_OK;
}

/* Waits for a change. False: the deadline has passed. */
static bool wait(struct tbk_analytics *analytics, int64_t deadline_us)
{
    if (tbk_monotonic_us() >= deadline_us) {
        return false;
    }
    const struct timespec until = {.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000};
    pthread_cond_timedwait(&analytics->changed, &analytics->mutex, &until);
    return true;
}

enum tbk_status tbk_gate_enter(struct tbk_analytics *analytics, enum tbk_series_id series, int64_t deadline_us,
                               struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    pthread_mutex_lock(&analytics->mutex);
    while (status == TBK_OK && (!analytics->is_ready[series] || analytics->is_busy)) {
        const bool could_begin = analytics->is_ready[series];
        status = could_begin ? TBK_OK : check_reading(analytics, error);
        if (status != TBK_OK) {
            break;
        }
        analytics->waiting_queries += could_begin;
        const bool is_in_time = wait(analytics, deadline_us);
        analytics->waiting_queries -= could_begin;
        if (could_begin && !(analytics->is_ready[series] && is_in_time)) {
            pthread_cond_broadcast(&analytics->changed); /* the thread need not let this one go first */
        }
        if (!is_in_time) {
            status = too_late(analytics, series, error);
        }
    }
    if (status == TBK_OK) {
        analytics->is_busy = true;
        analytics->query_turns++;
    }
    pthread_mutex_unlock(&analytics->mutex);
    return status;
}

bool tbk_gate_enter_thread(struct tbk_analytics *analytics)
{
    pthread_mutex_lock(&analytics->mutex);
    const uint64_t turns = analytics->query_turns;
    while (!analytics->is_stopping &&
           (analytics->is_busy || (analytics->waiting_queries > 0 && analytics->query_turns == turns))) {
        pthread_cond_wait(&analytics->changed, &analytics->mutex);
    }
    const bool enters = !analytics->is_stopping;
    analytics->is_busy |= enters;
    pthread_mutex_unlock(&analytics->mutex);
    return enters;
}

void tbk_gate_leave(struct tbk_analytics *analytics)
{
    pthread_mutex_lock(&analytics->mutex);
    analytics->is_busy = false;
    pthread_cond_broadcast(&analytics->changed);
    pthread_mutex_unlock(&analytics->mutex);
}

void tbk_analytics_quiesce(struct tbk_analytics *analytics)
{
    pthread_mutex_lock(&analytics->mutex);
    analytics->is_quiesced = true;
    pthread_cond_broadcast(&analytics->changed);
    pthread_mutex_unlock(&analytics->mutex);
}

void tbk_gate_damaged(struct tbk_analytics *analytics, const struct tbk_error *failure)
{
    pthread_mutex_lock(&analytics->mutex);
    analytics->is_damaged = true;
    for (int i = 0; i < TBK_SERIES_COUNT; i++) {
        analytics->is_ready[i] = false;
    }
    if (failure != NULL) {
        tbk_error_copy(&analytics->failure, failure);
    }
    pthread_cond_broadcast(&analytics->changed);
    pthread_mutex_unlock(&analytics->mutex);
}
