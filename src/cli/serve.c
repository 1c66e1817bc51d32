/*
 * tradebook serve: puts the layers together, from the schema up to the sockets,
 * waits for a signal, and takes them down in reverse order.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/analytics.h"
#include "base/budget.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "cli/backup_schedule.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "dispatch/dispatch.h"
#include "http/listen.h"
#include "http/monitor.h"
#include "schema/schema.h"
#include "services/service.h"
#include "storage/storage.h"
#include "transport/broadcast.h"
#include "transport/server.h"
#include "transport/service_manager.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    GRACE_S = 8, /* from the signal to the end; less than the 10 s that docker gives */
    ARENA_BYTES_MIN = 1 << 20,
    ARENA_PER_MESSAGE_BYTE = 4,
    DESCRIPTORS_BESIDES_CONNECTIONS = 192, /* database, listeners, HTTP, nng's own */
};

/* Everything that runs. Filled from top to bottom, taken down from bottom to top. */
struct serving {
    struct tbk_config config;
    int signal_fd;
    int fatal_fd; /* becomes readable when the process must end */
    struct tbk_error fatal;
    struct tbk_schema *schema;
    const struct tbk_storage_ops *ops;
    struct tbk_storage *storage;
    struct tbk_storage_info info;
    struct tbk_analytics *analytics;
    struct tbk_budget memory; /* of requests */
    struct tbk_service_context context;
    struct tbk_broadcast *broadcast;
    struct tbk_dispatch *dispatch;
    struct tbk_server *server;
    struct tbk_backup_schedule *backups;
    struct tbk_monitor *monitor; /* NULL: not served */
};

/* Any thread. The first one counts. */
static void on_fatal(void *argument, const struct tbk_error *error)
{
    struct serving *serving = argument;
    static atomic_flag reported = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&reported))
        return;
    tbk_error_copy(&serving->fatal, error);
    (void)!write(serving->fatal_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* From now on the signals are read from a descriptor. Threads made later inherit
 * that they are blocked. */
static enum tbk_status take_signals(struct serving *serving, struct tbk_error *error)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);
    serving->signal_fd = signalfd(-1, &ending, SFD_CLOEXEC);
    serving->fatal_fd = eventfd(0, EFD_CLOEXEC);
    if (serving->signal_fd < 0 || serving->fatal_fd < 0)
        return tbk_error_set(error, TBK_UNAVAILABLE, "cannot wait for signals: %s", strerror(errno));
    return TBK_OK;
}

/* A second signal ends the process at once. */
static void release_signals(void)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

/* Raises the limit of descriptors as far as it may, if the connections need it. */
static void provide_descriptors(const struct tbk_config *config)
{
    struct rlimit limit;
    rlim_t needed = 2 * (rlim_t)config->connections + DESCRIPTORS_BESIDES_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < needed)
        tbk_log(TBK_LOG_WARNING, "the limit of open files is too small for all connections; raise it (ulimit -n)",
                TBK_LOG_INT("limit", (int64_t)limit.rlim_max), TBK_LOG_INT("needed", (int64_t)needed),
                TBK_LOG_INT("connections", config->connections));
}

static enum tbk_status open_storage(struct serving *serving, struct tbk_error *error)
{
    const char *location = NULL;
    serving->ops = tbk_storage_backend(serving->config.db, &location, error);
    if (serving->ops == NULL)
        return error->status;
    struct tbk_storage_config config = {.location = location,
                                        .schema = serving->schema,
                                        .busy_timeout_ms = BUSY_TIMEOUT_MS,
                                        .log_bytes_max = serving->config.wal_limit_bytes};
    enum tbk_status status = serving->ops->open(&config, &serving->storage, error);
    if (status != TBK_OK)
        return status;
    serving->ops->info(serving->storage, &serving->info);
    if (serving->info.changes[0] != '\0')
        tbk_log(TBK_LOG_INFO, "database changed", TBK_LOG_STR("database", serving->info.location),
                TBK_LOG_STR("changes", serving->info.changes));
    return TBK_OK;
}

static enum tbk_status start_broadcast(struct serving *serving, struct tbk_error *error)
{
    const struct tbk_config *settings = &serving->config;
    const struct tbk_broadcast_config config = {
        .urls = (const char *const *)settings->events.items,
        .url_count = settings->events.count,
        .connections_max = (unsigned)settings->connections,
        .ipc_permissions = (unsigned)settings->ipc_mode,
    };
    return tbk_broadcast_create(&config, &serving->broadcast, error);
}

static size_t arena_bytes_max(const struct tbk_config *settings)
{
    return ARENA_BYTES_MIN + ARENA_PER_MESSAGE_BYTE * (size_t)settings->message_bytes;
}

/* A request alone always finds the memory that it may have, and for its answer. */
static void set_memory(struct serving *serving)
{
    const struct tbk_config *settings = &serving->config;
    const size_t least = 2 * ((size_t)settings->message_bytes + arena_bytes_max(settings));
    const size_t given = (size_t)settings->memory_bytes;
    serving->memory.bytes_max = given > least ? given : least;
}

static enum tbk_status start_dispatch(struct serving *serving, struct tbk_error *error)
{
    const struct tbk_config *settings = &serving->config;
    set_memory(serving);
    serving->context = (struct tbk_service_context){
        .schema = serving->schema,
        .ops = serving->ops,
        .storage = serving->storage,
        .analytics = serving->analytics,
        .secret = serving->info.secret,
        .transport_version = tbk_server_library_version(),
        .breakeven_band_percent = settings->breakeven_band,
        .started_at_us = tbk_now_us(),
        .started_at_monotonic_us = tbk_monotonic_us(),
    };
    struct tbk_dispatch_config config = {
        .context = &serving->context,
        .reader_threads = (unsigned)settings->readers,
        .queue_max = (unsigned)settings->queue,
        /* Reads that wait hold contexts; the other half is for work. */
        .waiting_max = (unsigned)settings->contexts / 2,
        .request_bytes_max = (size_t)settings->message_bytes,
        .arena_bytes_max = arena_bytes_max(settings),
        .memory = &serving->memory,
        .timeout_default_ms = settings->timeout_default_ms,
        .timeout_max_ms = settings->timeout_max_ms,
        .request_retention_s = settings->request_retention_s,
        .event_retention_s = settings->event_retention_s,
        .heartbeat_ms = settings->heartbeat_ms,
        .publisher = tbk_broadcast_publisher(serving->broadcast),
        .on_fatal = on_fatal,
        .on_fatal_argument = serving,
    };
    return tbk_dispatch_create(&config, &serving->dispatch, error);
}

static enum tbk_status start_server(struct serving *serving, struct tbk_error *error)
{
    const struct tbk_config *settings = &serving->config;
    struct tbk_server_config config = {
        .dispatch = serving->dispatch,
        .listen_urls = (const char *const *)settings->listen.items,
        .listen_url_count = settings->listen.count,
        .contexts = (unsigned)settings->contexts,
        .connections_max = (unsigned)settings->connections,
        /* Up to here dispatch can still say that a message is too large. */
        .message_bytes_max = 2 * (size_t)settings->message_bytes,
        .send_timeout_ms = settings->send_timeout_ms,
        .memory = &serving->memory,
        .ipc_permissions = (unsigned)settings->ipc_mode,
    };
    return tbk_server_create(&config, &serving->server, error);
}

static enum tbk_status start_backups(struct serving *serving, struct tbk_error *error)
{
    if (serving->config.backup_dir == NULL)
        return TBK_OK;
    struct tbk_backup_schedule_config config = {
        .ops = serving->ops,
        .storage = {.location = serving->info.location,
                    .schema = serving->schema,
                    .busy_timeout_ms = BUSY_TIMEOUT_MS},
        .folder = serving->config.backup_dir,
        .interval_s = serving->config.backup_interval_s,
        .keep = serving->config.backup_keep,
    };
    return tbk_backup_schedule_create(&config, &serving->backups, error);
}

static bool serves_http(const struct tbk_config *settings)
{
    return strcmp(settings->http, "none") != 0;
}

/* Where nobody has asked for it, an address in use is no reason not to trade. */
static enum tbk_status start_monitor(struct serving *serving, struct tbk_error *error)
{
    const struct tbk_config *settings = &serving->config;
    const struct tbk_monitor_config config = {
        .address = settings->http,
        .context = &serving->context,
        .dispatch = serving->dispatch,
        .server = serving->server,
        .broadcast = serving->broadcast,
        .memory = &serving->memory,
        .connections_max = (unsigned)settings->connections,
        .log_bytes_max = settings->wal_limit_bytes,
        .backups = serving->backups != NULL ? tbk_backup_schedule_figures : NULL,
        .backups_argument = serving->backups,
    };
    if (!serves_http(settings))
        return TBK_OK;
    const enum tbk_status status = tbk_monitor_create(&config, &serving->monitor, error);
    if (status != TBK_FAILED_PRECONDITION || !settings->http_is_default)
        return status;
    tbk_log(TBK_LOG_WARNING, "metrics and health are not served", TBK_LOG_STR("reason", error->message));
    tbk_error_init(error);
    return TBK_OK;
}

static enum tbk_status start(struct serving *serving, struct tbk_error *error)
{
    enum tbk_status status = tbk_schema_create(&serving->schema, error);
    if (status == TBK_OK)
        status = open_storage(serving, error);
    if (status == TBK_OK)
        status = tbk_analytics_create(serving->ops, serving->storage, &serving->analytics, error);
    if (status == TBK_OK)
        status = start_broadcast(serving, error);
    if (status == TBK_OK)
        status = start_dispatch(serving, error);
    if (status == TBK_OK)
        status = start_server(serving, error);
    if (status == TBK_OK)
        status = start_backups(serving, error);
    if (status == TBK_OK)
        status = start_monitor(serving, error);
    return status;
}

/* Who reads it sees its end. The standard output stays open: what takes its number
 * would get what libraries print. */
static void finish_ready_fd(int fd)
{
    const int nothing = fd == STDOUT_FILENO ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
    if (nothing >= 0) {
        dup2(nothing, fd);
        close(nothing);
    } else {
        close(fd);
    }
}

/* Tells people by the log, the service manager by its socket, and scripts by the
 * descriptor they gave. */
static void announce(const struct serving *serving)
{
    size_t count = serving->config.listen.count;
    size_t events_count = serving->config.events.count;
    for (size_t i = 0; i < count; i++)
        tbk_log(TBK_LOG_INFO, "listening", TBK_LOG_STR("address", tbk_server_address(serving->server, i)));
    for (size_t i = 0; i < events_count; i++)
        tbk_log(TBK_LOG_INFO, "publishing events",
                TBK_LOG_STR("address", tbk_broadcast_address(serving->broadcast, i)));
    if (serving->monitor != NULL)
        tbk_log(TBK_LOG_INFO, "metrics and health", TBK_LOG_STR("address", tbk_monitor_address(serving->monitor)));
    tbk_log(TBK_LOG_INFO, "ready", TBK_LOG_STR("database", serving->info.location));
    tbk_service_manager_tell("READY=1");
    int fd = (int)serving->config.ready_fd;
    if (fd < 0)
        return;
    dprintf(fd, "ready\n");
    for (size_t i = 0; i < count; i++)
        dprintf(fd, "listen %s\n", tbk_server_address(serving->server, i));
    for (size_t i = 0; i < events_count; i++)
        dprintf(fd, "events %s\n", tbk_broadcast_address(serving->broadcast, i));
    if (serving->monitor != NULL)
        dprintf(fd, "http %s\n", tbk_monitor_address(serving->monitor));
    finish_ready_fd(fd);
}

/* Waits for a signal or a fatal error; returns the exit status. */
static int run(struct serving *serving)
{
    struct pollfd events[2] = {{.fd = serving->signal_fd, .events = POLLIN},
                               {.fd = serving->fatal_fd, .events = POLLIN}};
    while (poll(events, 2, -1) < 0 && errno == EINTR)
        continue;
    if (events[1].revents != 0) {
        tbk_log(TBK_LOG_ERROR, "must be started again", TBK_LOG_STR("reason", serving->fatal.message));
        return TBK_EXIT_RESTART;
    }
    struct signalfd_siginfo info;
    (void)!read(serving->signal_fd, &info, sizeof info);
    tbk_log(TBK_LOG_INFO, "stopping", TBK_LOG_STR("signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"));
    tbk_service_manager_tell("STOPPING=1");
    return TBK_EXIT_OK;
}

/* Whatever hangs, the process ends. What was acknowledged is on disk. */
static void end_without_grace(int signal_number)
{
    static const char sentence[] = "tradebook serve: stopping took too long, ending now\n";
    (void)signal_number;
    (void)!write(STDERR_FILENO, sentence, sizeof sentence - 1);
    _exit(TBK_EXIT_FAILURE);
}

static void stop(struct serving *serving)
{
    signal(SIGALRM, end_without_grace);
    alarm(GRACE_S);
    release_signals();
    if (serving->server != NULL)
        tbk_server_quiesce(serving->server);
    if (serving->analytics != NULL)
        tbk_analytics_quiesce(serving->analytics);
    if (serving->dispatch != NULL)
        tbk_dispatch_drain(serving->dispatch);
    tbk_monitor_destroy(serving->monitor);
    tbk_backup_schedule_destroy(serving->backups);
    tbk_server_destroy(serving->server);
    tbk_analytics_destroy(serving->analytics); /* before the writer, whose closing ends the write-ahead log */
    tbk_dispatch_destroy(serving->dispatch);
    tbk_broadcast_destroy(serving->broadcast);
    if (serving->storage != NULL)
        serving->ops->close(serving->storage);
    tbk_schema_destroy(serving->schema);
    close(serving->signal_fd);
    close(serving->fatal_fd);
    alarm(0);
}

static int exit_status_of(enum tbk_status failure)
{
    return failure == TBK_INVALID_ARGUMENT ? TBK_EXIT_USAGE : TBK_EXIT_FAILURE;
}

static int serve(struct serving *serving)
{
    struct tbk_error error;
    tbk_error_init(&error);
    enum tbk_status status = take_signals(serving, &error);
    if (status == TBK_OK)
        status = start(serving, &error);
    int exit_status = TBK_EXIT_OK;
    if (status == TBK_OK) {
        announce(serving);
        exit_status = run(serving);
    } else {
        status = tbk_error_finish(&error);
        fprintf(stderr, "tradebook serve: %s\n", error.message);
        exit_status = exit_status_of(status);
    }
    stop(serving);
    if (exit_status == TBK_EXIT_OK)
        tbk_log(TBK_LOG_INFO, "stopped", TBK_LOG_STR("database", serving->config.db));
    return exit_status;
}

static enum tbk_status check_urls(const struct tbk_config_list *urls, struct tbk_error *error)
{
    enum tbk_status status = TBK_OK;
    for (size_t i = 0; status == TBK_OK && i < urls->count; i++)
        status = tbk_server_check_url(urls->items[i], error);
    return status;
}

static enum tbk_status check_backup_dir(const char *folder, struct tbk_error *error)
{
    struct stat status;
    if (folder == NULL)
        return TBK_OK;
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "--backup-dir: %s is not a folder", folder);
    if (access(folder, R_OK | W_OK | X_OK) != 0)
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "--backup-dir: the folder %s cannot be used: %s", folder,
                             strerror(errno));
    return TBK_OK;
}

/* What the table of settings cannot check. Before anything is created. */
static enum tbk_status check(const struct tbk_config *config, struct tbk_error *error)
{
    if (config->ready_fd == STDERR_FILENO)
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "--ready-fd: descriptor 2 is where the log goes; give another, such as 3");
    if (config->ready_fd >= 0 && fcntl((int)config->ready_fd, F_GETFD) < 0)
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "--ready-fd: descriptor %d is not open",
                             (int)config->ready_fd);
    enum tbk_status status = check_backup_dir(config->backup_dir, error);
    if (status == TBK_OK)
        status = check_urls(&config->listen, error);
    if (status == TBK_OK)
        status = check_urls(&config->events, error);
    return status == TBK_OK && serves_http(config) ? tbk_http_check_address(config->http, error) : status;
}

int tbk_cli_serve(int argc, char **argv)
{
    struct serving serving = {.signal_fd = -1, .fatal_fd = -1};
    struct tbk_error error;
    tbk_error_init(&error);
    const struct tbk_config *config = &serving.config;
    enum tbk_status status = tbk_config_load(argc, argv, &serving.config, &error);
    if (status == TBK_OK)
        status = check(config, &error);
    if (status != TBK_OK) {
        fprintf(stderr, "tradebook serve: %s\n", error.message);
        tbk_config_fini(&serving.config);
        return exit_status_of(status);
    }
    enum tbk_log_level level = (enum tbk_log_level)config->log_level;
    tbk_log_configure(STDERR_FILENO, config->quiet && level < TBK_LOG_WARNING ? TBK_LOG_WARNING : level,
                      (enum tbk_log_format)config->log_format);
    provide_descriptors(config);
    int exit_status = serve(&serving);
    tbk_config_fini(&serving.config);
    return exit_status;
}
