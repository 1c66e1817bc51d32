/*
 * What the operator sees over HTTP: /metrics, /healthz and /readyz, with their
 * content from all of the server. deploy/metrics.md has the names.
 *
 * The database is read at the time of the request, by a read session of its own,
 * which the writer never waits for.
 */
#ifndef TBK_HTTP_MONITOR_H
#define TBK_HTTP_MONITOR_H

#include "base/error.h"
#include "dispatch/dispatch.h"
#include "transport/broadcast.h"
#include "transport/server.h"

struct tbk_monitor;

/* The backups that the server makes. */
struct tbk_backup_figures {
    int64_t newest_us; /* wall clock; 0: there is none */
    uint64_t made;
    uint64_t failed;
};

struct tbk_monitor_config {
    const char *address; /* HOST:PORT */
    const struct tbk_service_context *context;
    struct tbk_dispatch *dispatch;
    struct tbk_server *server;
    struct tbk_broadcast *broadcast;
    struct tbk_budget *memory;
    unsigned connections_max; /* of server and broadcast each */
    int64_t log_bytes_max;
    /* Any thread; NULL: none are made. */
    struct tbk_backup_figures (*backups)(void *argument);
    void *backups_argument;
};

/* Starts to serve. What config points to outlives the monitor. */
enum tbk_status tbk_monitor_create(const struct tbk_monitor_config *config, struct tbk_monitor **ret_monitor,
                                   struct tbk_error *error) TBK_MUST_CHECK;
/* "http://127.0.0.1:7603" */
const char *tbk_monitor_address(const struct tbk_monitor *monitor);
/* Accepts NULL. */
void tbk_monitor_destroy(struct tbk_monitor *monitor);

#endif
