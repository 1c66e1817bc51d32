/* What dispatch tells the operator: whether it serves, and its metrics. */
#include <string.h>

#include "base/timestamp.h"
#include "dispatch/internal.h"

/* A batch takes milliseconds, and seconds when another program has the lock. */
enum { WRITER_BUSY_US_MAX = 10 * 1000 * 1000 };

/* How long the writer has been at what it does, in microseconds. */
static int64_t busy_us(struct tbk_counts *counts)
{
    const int64_t since_us = atomic_load_explicit(&counts->busy_since_us, memory_order_relaxed);
    const int64_t busy = since_us == 0 ? 0 : tbk_monotonic_us() - since_us;
    return busy > 0 ? busy : 0;
}

enum tbk_status tbk_dispatch_check(struct tbk_dispatch *dispatch, struct tbk_error *error)
{
    if (atomic_load(&dispatch->writer.broken))
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "The outcome of a commit is not known; the server is to be started again.");
    if (atomic_load(&dispatch->draining))
        return tbk_error_set(error, TBK_UNAVAILABLE, "The server is stopping.");
    const int64_t busy = busy_us(&dispatch->counts);
    if (busy > WRITER_BUSY_US_MAX)
        return tbk_error_set(
            error, TBK_UNAVAILABLE,
            "The writer has been at one transaction for %lld s. Look for a program that keeps the "
            "database locked, and at the disk.",
            (long long)(busy / 1000000));
    return TBK_OK;
}

/* "SignalService/CreateSignal", as on the command line. */
static const char *short_name(const struct tbk_dispatch *dispatch, size_t position)
{
    return position == dispatch->counts.method_count
               ? "unknown"
               : strrchr(tbk_methods_at(dispatch->methods, position)->name, '.') + 1;
}

static uint64_t load(const atomic_uint_fast64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void expose_requests(const struct tbk_dispatch *dispatch, struct tbk_exposition *exposition)
{
    static const struct tbk_metric metric = {"tradebook_requests", TBK_METRIC_COUNTER, NULL, "Requests answered."};
    tbk_exposition_family(exposition, &metric);
    for (size_t i = 0; i <= dispatch->counts.method_count; i++) {
        for (int status = 0; status < TBK_STATUS_COUNT; status++) {
            const uint64_t count = load(&dispatch->counts.methods[i].by_status[status]);
            const struct tbk_label labels[] = {{"method", short_name(dispatch, i)},
                                               {"status", tbk_status_name((enum tbk_status)status)}};
            if (count > 0)
                tbk_exposition_value(exposition, labels, 2, (double)count);
        }
    }
}

static bool was_called(const struct tbk_method_counts *counts)
{
    uint64_t calls = 0;
    for (int status = 0; status < TBK_STATUS_COUNT; status++)
        calls += load(&counts->by_status[status]);
    return calls > 0;
}

static void expose_durations(const struct tbk_dispatch *dispatch, struct tbk_exposition *exposition)
{
    static const struct tbk_metric metric = {"tradebook_request_duration_seconds", TBK_METRIC_HISTOGRAM, "seconds",
                                             "Time from the arrival of a request to its answer."};
    tbk_exposition_family(exposition, &metric);
    for (size_t i = 0; i <= dispatch->counts.method_count; i++) {
        const struct tbk_label label = {"method", short_name(dispatch, i)};
        if (was_called(&dispatch->counts.methods[i]))
            tbk_exposition_distribution(exposition, &label, 1, &dispatch->counts.methods[i].durations);
    }
}

static void expose_queues(struct tbk_dispatch *dispatch, struct tbk_exposition *exposition)
{
    static const struct tbk_metric length = {"tradebook_queue_length", TBK_METRIC_GAUGE, NULL,
                                             "Requests that wait for a thread."};
    static const struct tbk_metric limit = {"tradebook_queue_limit", TBK_METRIC_GAUGE, NULL,
                                            "Requests that may wait for a thread."};
    static const struct tbk_metric waiting = {"tradebook_waiting_requests", TBK_METRIC_GAUGE, NULL,
                                              "Requests that wait for an event."};
    static const struct tbk_label readers = {"queue", "readers"};
    static const struct tbk_label writer = {"queue", "writer"};
    tbk_exposition_family(exposition, &length);
    tbk_exposition_value(exposition, &readers, 1, tbk_queue_length(&dispatch->readers.queue));
    tbk_exposition_value(exposition, &writer, 1, tbk_queue_length(&dispatch->writer.queue));
    tbk_exposition_family(exposition, &limit);
    tbk_exposition_value(exposition, &readers, 1, dispatch->config.queue_max);
    tbk_exposition_value(exposition, &writer, 1, dispatch->config.queue_max);
    tbk_exposition_single(exposition, &waiting, tbk_waiters_count(&dispatch->waiters));
}

static void expose_writer(struct tbk_counts *counts, struct tbk_exposition *exposition)
{
    static const struct tbk_metric batches = {"tradebook_batch_requests", TBK_METRIC_HISTOGRAM, NULL,
                                              "Requests that one transaction of the writer took."};
    static const struct tbk_metric commits = {"tradebook_commit_duration_seconds", TBK_METRIC_HISTOGRAM, "seconds",
                                              "Time of a commit, with the sync."};
    static const struct tbk_metric failures = {"tradebook_commit_failures", TBK_METRIC_COUNTER, NULL,
                                               "Transactions that were not stored or are undecided."};
    static const struct tbk_metric busy = {"tradebook_writer_busy_seconds", TBK_METRIC_GAUGE, "seconds",
                                           "How long the writer has been at its transaction."};
    tbk_exposition_family(exposition, &batches);
    tbk_exposition_distribution(exposition, NULL, 0, &counts->batches);
    tbk_exposition_family(exposition, &commits);
    tbk_exposition_distribution(exposition, NULL, 0, &counts->commits);
    tbk_exposition_single(exposition, &failures, (double)load(&counts->commit_failures));
    tbk_exposition_single(exposition, &busy, (double)busy_us(counts) * 1e-6);
}

void tbk_dispatch_expose(struct tbk_dispatch *dispatch, struct tbk_exposition *exposition)
{
    expose_requests(dispatch, exposition);
    expose_durations(dispatch, exposition);
    expose_queues(dispatch, exposition);
    expose_writer(&dispatch->counts, exposition);
}
