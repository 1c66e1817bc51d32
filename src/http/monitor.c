#include "http/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "http/process.h"
#include "http/server.h"

enum {
    CURSORS_MAX = 100, /* that are told */
    ARENA_FIRST_BYTES = 16 * 1024,
    ARENA_BYTES_MAX = 1 << 20,
    OK = 200,
    UNAVAILABLE = 503,
};

struct tbk_monitor {
    struct tbk_monitor_config config;
    struct tbk_session *session; /* of the HTTP server's thread */
    struct tbk_arena *arena;     /* of one request */
    struct tbk_http_server *http;
};

/* What one snapshot of the database says. */
struct snapshot {
    struct tbk_event_range events;
    int64_t open_trades;
    Tradebook__V1__Cursor **cursors;
    size_t cursor_count;
    bool more_cursors;
};

/* --- the database --- */

static enum tbk_status read_all(struct tbk_monitor *monitor, struct snapshot *ret_snapshot,
                                struct tbk_error *error)
{
    const struct tbk_storage_ops *ops = monitor->config.context->ops;
    enum tbk_status status = ops->event_range(monitor->session, &ret_snapshot->events, error);
    if (status == TBK_OK)
        status = ops->open_count(monitor->session, &ret_snapshot->open_trades, error);
    if (status == TBK_OK)
        status = ops->cursor_list(monitor->session, "", CURSORS_MAX, monitor->arena, &ret_snapshot->cursors,
                                  &ret_snapshot->cursor_count, &ret_snapshot->more_cursors, error);
    return status;
}

static enum tbk_status read_database(struct tbk_monitor *monitor, struct snapshot *ret_snapshot,
                                     struct tbk_error *error)
{
    const struct tbk_storage_ops *ops = monitor->config.context->ops;
    tbk_arena_reset(monitor->arena);
    enum tbk_status status = ops->begin(monitor->session, error);
    if (status != TBK_OK)
        return status;
    status = read_all(monitor, ret_snapshot, error);
    ops->rollback(monitor->session); /* nothing was written */
    return status;
}

/* --- readiness --- */

/* read: what reading the database has come to. */
static enum tbk_status check_ready(struct tbk_monitor *monitor, enum tbk_status read, struct tbk_error *error)
{
    const enum tbk_status status = tbk_dispatch_check(monitor->config.dispatch, error);
    return status == TBK_OK ? read : status;
}

static unsigned write_healthz(void *argument, const struct tbk_http_request *request, struct tbk_dynbuf *body,
                              const char **ret_content_type)
{
    (void)argument, (void)request, (void)ret_content_type;
    tbk_dynbuf_puts(body, "alive\n");
    return OK;
}

static unsigned write_readyz(void *argument, const struct tbk_http_request *request, struct tbk_dynbuf *body,
                             const char **ret_content_type)
{
    (void)request, (void)ret_content_type;
    struct tbk_monitor *monitor = argument;
    struct snapshot snapshot;
    struct tbk_error error;
    tbk_error_init(&error);
    const enum tbk_status read = read_database(monitor, &snapshot, &error);
    if (check_ready(monitor, read, &error) == TBK_OK) {
        tbk_dynbuf_puts(body, "ready\n");
        return OK;
    }
    tbk_dynbuf_printf(body, "%s\n", error.message);
    return UNAVAILABLE;
}

/* --- metrics --- */

static void expose_build(const struct tbk_monitor *monitor, const struct tbk_storage_info *storage,
                         struct tbk_exposition *exposition)
{
    static const struct tbk_metric metric = {"tradebook_build", TBK_METRIC_INFO, NULL, "What is running."};
    const struct tbk_label labels[] = {{"version", TRADEBOOK_VERSION},
                                       {"nng_version", monitor->config.context->transport_version},
                                       {"sqlite_version", storage->library_version}};
    tbk_exposition_family(exposition, &metric);
    tbk_exposition_value(exposition, labels, 3, 1);
}

static void expose_files(const struct tbk_monitor *monitor, const struct tbk_storage_info *storage,
                         struct tbk_exposition *exposition)
{
    static const struct tbk_metric syncs = {"tradebook_fsync_duration_seconds", TBK_METRIC_HISTOGRAM, "seconds",
                                            "Time of one sync by the writer."};
    static const struct tbk_metric database = {"tradebook_database_size_bytes", TBK_METRIC_GAUGE, "bytes",
                                               "Size of the database file."};
    static const struct tbk_metric log = {"tradebook_wal_size_bytes", TBK_METRIC_GAUGE, "bytes",
                                          "Size of the write-ahead log."};
    static const struct tbk_metric limit = {"tradebook_wal_limit_bytes", TBK_METRIC_GAUGE, "bytes",
                                            "Size of the write-ahead log beyond which writes are refused."};
    static const struct tbk_label of_log = {"file", "wal"};
    static const struct tbk_label of_database = {"file", "database"};
    tbk_exposition_family(exposition, &syncs);
    tbk_exposition_distribution(exposition, &of_log, 1, storage->log_syncs);
    tbk_exposition_distribution(exposition, &of_database, 1, storage->database_syncs);
    tbk_exposition_single(exposition, &database, (double)storage->database_bytes);
    tbk_exposition_single(exposition, &log, (double)storage->wal_bytes);
    tbk_exposition_single(exposition, &limit, (double)monitor->config.log_bytes_max);
}

static void expose_connections(const struct tbk_monitor *monitor, struct tbk_exposition *exposition)
{
    static const struct tbk_metric open = {"tradebook_connections", TBK_METRIC_GAUGE, NULL,
                                           "Connections open now."};
    static const struct tbk_metric limit = {"tradebook_connections_limit", TBK_METRIC_GAUGE, NULL,
                                            "Connections that may be open."};
    static const struct tbk_label requests = {"endpoint", "requests"};
    static const struct tbk_label events = {"endpoint", "events"};
    tbk_exposition_family(exposition, &open);
    tbk_exposition_value(exposition, &requests, 1, tbk_server_connections(monitor->config.server));
    tbk_exposition_value(exposition, &events, 1, tbk_broadcast_connections(monitor->config.broadcast));
    tbk_exposition_family(exposition, &limit);
    tbk_exposition_value(exposition, &requests, 1, monitor->config.connections_max);
    tbk_exposition_value(exposition, &events, 1, monitor->config.connections_max);
}

static void expose_memory(const struct tbk_monitor *monitor, struct tbk_exposition *exposition)
{
    static const struct tbk_metric used = {"tradebook_memory_used_bytes", TBK_METRIC_GAUGE, "bytes",
                                           "Memory of large requests under way."};
    static const struct tbk_metric limit = {"tradebook_memory_limit_bytes", TBK_METRIC_GAUGE, "bytes",
                                            "Memory beyond which large requests are refused."};
    tbk_exposition_single(exposition, &used, (double)atomic_load(&monitor->config.memory->used));
    tbk_exposition_single(exposition, &limit, (double)monitor->config.memory->bytes_max);
}

static void expose_cursors(const struct snapshot *snapshot, struct tbk_exposition *exposition)
{
    static const struct tbk_metric lag = {"tradebook_cursor_lag_events", TBK_METRIC_GAUGE, NULL,
                                          "Events after the cursor."};
    static const struct tbk_metric omitted = {"tradebook_cursors_omitted", TBK_METRIC_GAUGE, NULL,
                                              "1 when there are more cursors than are told."};
    tbk_exposition_family(exposition, &lag);
    for (size_t i = 0; i < snapshot->cursor_count; i++) {
        const struct tbk_label label = {"cursor", snapshot->cursors[i]->name};
        tbk_exposition_value(exposition, &label, 1, (double)snapshot->cursors[i]->behind);
    }
    tbk_exposition_single(exposition, &omitted, snapshot->more_cursors);
}

static void expose_book(const struct snapshot *snapshot, struct tbk_exposition *exposition)
{
    static const struct tbk_metric positions = {"tradebook_open_positions", TBK_METRIC_GAUGE, NULL,
                                                "Trades that are open."};
    static const struct tbk_metric newest = {"tradebook_event_newest_sequence", TBK_METRIC_GAUGE, NULL,
                                             "Number of the newest event."};
    static const struct tbk_metric oldest = {"tradebook_event_oldest_sequence", TBK_METRIC_GAUGE, NULL,
                                             "Number of the oldest event that is kept."};
    tbk_exposition_single(exposition, &positions, (double)snapshot->open_trades);
    tbk_exposition_single(exposition, &newest, (double)snapshot->events.newest);
    tbk_exposition_single(exposition, &oldest, (double)snapshot->events.oldest);
    expose_cursors(snapshot, exposition);
}

static void expose_backups(const struct tbk_monitor *monitor, struct tbk_exposition *exposition)
{
    static const struct tbk_metric age = {"tradebook_backup_age_seconds", TBK_METRIC_GAUGE, "seconds",
                                          "Time since the newest backup."};
    static const struct tbk_metric count = {"tradebook_backups", TBK_METRIC_COUNTER, NULL,
                                            "Backups that this process made or failed to make."};
    static const struct tbk_label made = {"result", "ok"};
    static const struct tbk_label failed = {"result", "failed"};
    if (monitor->config.backups == NULL)
        return;
    const struct tbk_backup_figures figures = monitor->config.backups(monitor->config.backups_argument);
    if (figures.newest_us != 0)
        tbk_exposition_single(exposition, &age, (double)(tbk_now_us() - figures.newest_us) * 1e-6);
    tbk_exposition_family(exposition, &count);
    tbk_exposition_value(exposition, &made, 1, (double)figures.made);
    tbk_exposition_value(exposition, &failed, 1, (double)figures.failed);
}

static void expose_all(struct tbk_monitor *monitor, struct tbk_exposition *exposition)
{
    static const struct tbk_metric ready = {"tradebook_ready", TBK_METRIC_GAUGE, NULL,
                                            "1 while requests are served."};
    static const struct tbk_metric up = {"tradebook_database_up", TBK_METRIC_GAUGE, NULL,
                                         "1 when the database was read for this answer."};
    struct tbk_storage_info storage;
    struct snapshot snapshot;
    struct tbk_error error;
    tbk_error_init(&error);
    const enum tbk_status read = read_database(monitor, &snapshot, &error);
    monitor->config.context->ops->info(monitor->config.context->storage, &storage);
    expose_build(monitor, &storage, exposition);
    tbk_exposition_single(exposition, &ready, check_ready(monitor, read, &error) == TBK_OK);
    tbk_dispatch_expose(monitor->config.dispatch, exposition);
    expose_files(monitor, &storage, exposition);
    expose_connections(monitor, exposition);
    expose_memory(monitor, exposition);
    tbk_exposition_single(exposition, &up, read == TBK_OK);
    if (read == TBK_OK)
        expose_book(&snapshot, exposition);
    expose_backups(monitor, exposition);
    tbk_process_expose(monitor->config.context->started_at_us, exposition);
}

/* OpenMetrics unless the client knows only the older text. */
static enum tbk_exposition_format format_for(const char *accept)
{
    return strstr(accept, "text/plain") != NULL && strstr(accept, "application/openmetrics-text") == NULL
               ? TBK_FORMAT_TEXT
               : TBK_FORMAT_OPENMETRICS;
}

static unsigned write_metrics(void *argument, const struct tbk_http_request *request, struct tbk_dynbuf *body,
                              const char **ret_content_type)
{
    struct tbk_monitor *monitor = argument;
    struct tbk_exposition exposition = {.out = body,
                                        .format = format_for(request->accept),
                                        .created_s = (double)monitor->config.context->started_at_us * 1e-6};
    expose_all(monitor, &exposition);
    tbk_exposition_end(&exposition);
    *ret_content_type = tbk_exposition_content_type(exposition.format);
    return OK;
}

/* --- life --- */

static enum tbk_status start(struct tbk_monitor *monitor, struct tbk_error *error)
{
    static const struct tbk_http_page pages[] = {
        {"/metrics", write_metrics}, {"/healthz", write_healthz}, {"/readyz", write_readyz}};
    const struct tbk_service_context *context = monitor->config.context;
    monitor->arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (monitor->arena == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the metrics");
    const enum tbk_status status =
        context->ops->session_open(context->storage, TBK_SESSION_READ, &monitor->session, error);
    if (status != TBK_OK)
        return status;
    const struct tbk_http_config http = {.address = monitor->config.address,
                                         .pages = pages,
                                         .page_count = sizeof pages / sizeof pages[0],
                                         .argument = monitor};
    return tbk_http_server_create(&http, &monitor->http, error);
}

enum tbk_status tbk_monitor_create(const struct tbk_monitor_config *config, struct tbk_monitor **ret_monitor,
                                   struct tbk_error *error)
{
    struct tbk_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the metrics");
    monitor->config = *config;
    const enum tbk_status status = start(monitor, error);
    if (status != TBK_OK) {
        tbk_monitor_destroy(monitor);
        return status;
    }
    *ret_monitor = monitor;
    return TBK_OK;
}

const char *tbk_monitor_address(const struct tbk_monitor *monitor)
{
    return tbk_http_server_address(monitor->http);
}

void tbk_monitor_destroy(struct tbk_monitor *monitor)
{
    if (monitor == NULL)
        return;
    tbk_http_server_destroy(monitor->http);
    if (monitor->session != NULL)
        monitor->config.context->ops->session_close(monitor->session);
    tbk_arena_destroy(monitor->arena);
    free(monitor);
}
