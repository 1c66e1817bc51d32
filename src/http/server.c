#include "http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "http/listen.h"

enum {
    CONNECTION_BYTES_MAX = 8 * 1024, /* of a request's headers, and of the answer's */
    /* The library's own limit, at which it stops to accept: above ours, so that a
     * new connection is there to take the place of the oldest. */
    LIBRARY_CONNECTIONS_MAX = 2 * TBK_HTTP_CONNECTIONS_MAX,
    ACCEPT_PAUSE_MS = 50,
};

/* A connection that is open, as its descriptor and its end. */
struct connection {
    int fd;         /* -1: the place is free */
    int64_t end_us; /* monotonic; connections end in the order in which they began */
    bool closing;   /* was told to end */
};

struct tbk_http_server {
    struct tbk_http_config config;
    char address[TBK_HTTP_ADDRESS_BYTES_MAX];
    struct MHD_Daemon *daemon;
    struct connection connections[LIBRARY_CONNECTIONS_MAX];
    unsigned open;     /* of them */
    unsigned accepted; /* since the start */
    pthread_t thread;
    bool started;
    int stop_fd;
};

/* --- answers --- */

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *content_type,
                                 struct tbk_dynbuf *body)
{
    if (tbk_dynbuf_failed(body)) {
        tbk_dynbuf_clear(body);
        tbk_dynbuf_puts(body, "There is no memory for this page, or it is too large.\n");
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        content_type = "text/plain; charset=utf-8";
    }
    struct MHD_Response *response = NULL;
    if (!tbk_dynbuf_failed(body))
        response = MHD_create_response_from_buffer(body->length, body->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        tbk_dynbuf_fini(body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static const struct tbk_http_page *find_page(const struct tbk_http_config *config, const char *path)
{
    for (unsigned i = 0; i < config->page_count; i++) {
        if (strcmp(config->pages[i].path, path) == 0)
            return &config->pages[i];
    }
    return NULL;
}

static unsigned write_not_found(const struct tbk_http_config *config, struct tbk_dynbuf *body)
{
    tbk_dynbuf_puts(body, "There is no such page. There are");
    for (unsigned i = 0; i < config->page_count; i++)
        tbk_dynbuf_printf(body, "%s %s",
                          i == 0                       ? ""
                          : i + 1 < config->page_count ? ","
                                                       : " and",
                          config->pages[i].path);
    tbk_dynbuf_puts(body, ".\n");
    return MHD_HTTP_NOT_FOUND;
}

static unsigned write_answer(const struct tbk_http_config *config, struct MHD_Connection *connection,
                             const char *path, const char *method, struct tbk_dynbuf *body,
                             const char **ret_content_type)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        tbk_dynbuf_puts(body, "Only GET and HEAD are answered here; nothing can be changed over HTTP.\n");
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    const struct tbk_http_page *page = find_page(config, path);
    if (page == NULL)
        return write_not_found(config, body);
    const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    const struct tbk_http_request request = {.accept = accept != NULL ? accept : ""};
    return page->write(config->argument, &request, body, ret_content_type);
}

/* Answers as soon as the headers are there; a body is not read. */
static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **state)
{
    (void)version, (void)upload, (void)upload_bytes, (void)state;
    const struct tbk_http_server *server = argument;
    const char *content_type = "text/plain; charset=utf-8";
    struct tbk_dynbuf body;
    tbk_dynbuf_init(&body, TBK_HTTP_PAGE_BYTES_MAX);
    const unsigned status = write_answer(&server->config, connection, path, method, &body, &content_type);
    return send_text(connection, status, content_type, &body);
}

/* --- connections --- */

/* The library notices the end and frees the connection, then forget is called. */
static void end_connection(struct connection *connection)
{
    connection->closing = true;
    shutdown(connection->fd, SHUT_RDWR);
}

/* Ends those whose time is over; returns when the next one's is, INT64_MAX for none. */
static int64_t end_late(struct tbk_http_server *server, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    for (int i = 0; i < LIBRARY_CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->fd < 0 || connection->closing)
            continue;
        if (connection->end_us <= now_us)
            end_connection(connection);
        else if (connection->end_us < next_us)
            next_us = connection->end_us;
    }
    return next_us;
}

static void end_oldest_beyond_limit(struct tbk_http_server *server)
{
    struct connection *oldest = NULL;
    unsigned open = 0;
    for (int i = 0; i < LIBRARY_CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->fd < 0 || connection->closing)
            continue;
        open++;
        if (oldest == NULL || connection->end_us < oldest->end_us)
            oldest = connection;
    }
    if (open > TBK_HTTP_CONNECTIONS_MAX)
        end_connection(oldest);
}

static void remember(struct tbk_http_server *server, int fd)
{
    int i = 0;
    server->open++;
    server->accepted++;
    while (server->connections[i].fd >= 0)
        i++;
    server->connections[i] =
        (struct connection){.fd = fd, .end_us = tbk_monotonic_us() + TBK_HTTP_CONNECTION_MS_MAX * INT64_C(1000)};
    end_oldest_beyond_limit(server);
}

static void forget(struct tbk_http_server *server, int fd)
{
    server->open--;
    for (int i = 0; i < LIBRARY_CONNECTIONS_MAX; i++) {
        if (server->connections[i].fd == fd)
            server->connections[i].fd = -1;
    }
}

/* The server's thread, from within MHD_run. */
static void on_connection(void *argument, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    (void)state;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        remember(argument, info->connect_fd);
    else
        forget(argument, info->connect_fd);
}

/* --- the thread --- */

/* How long to wait for the sockets, in ms; -1: until something happens. */
static int wait_ms(struct tbk_http_server *server)
{
    const int64_t now_us = tbk_monotonic_us();
    const int64_t next_us = end_late(server, now_us);
    MHD_UNSIGNED_LONG_LONG library_ms = 0;
    const int64_t own_ms = next_us == INT64_MAX ? -1 : (next_us - now_us) / 1000 + 1;
    if (MHD_get_timeout(server->daemon, &library_ms) == MHD_YES && (own_ms < 0 || (int64_t)library_ms < own_ms))
        return (int)library_ms;
    return (int)own_ms;
}

static void *run(void *argument)
{
    struct tbk_http_server *server = argument;
    pthread_setname_np(pthread_self(), "tbk-http");
    struct pollfd events[2] = {
        {.fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN},
        {.fd = server->stop_fd, .events = POLLIN}};
    while (events[1].revents == 0) {
        const unsigned accepted = server->accepted;
        poll(events, 2, wait_ms(server));
        MHD_run(server->daemon);
        /* A client waits and there is no descriptor for it: it would wake this thread
         * again at once. */
        if (events[0].revents != 0 && server->open == 0 && server->accepted == accepted)
            poll(&events[1], 1, ACCEPT_PAUSE_MS);
    }
    return NULL;
}

static void log_nothing(void *argument, const char *format, va_list values)
{
    (void)argument, (void)format, (void)values;
}

static enum tbk_status start(struct tbk_http_server *server, struct tbk_error *error)
{
    int listen_fd = -1;
    const enum tbk_status status = tbk_http_listen(server->config.address, &listen_fd, server->address, error);
    if (status != TBK_OK)
        return status;
    server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, server,
                                      MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL, MHD_OPTION_LISTEN_SOCKET,
                                      listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)LIBRARY_CONNECTIONS_MAX,
                                      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES_MAX,
                                      MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    if (server->daemon == NULL) /* the descriptor is the library's, which does not say whether it closed it */
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot serve HTTP at %s: out of memory",
                             server->config.address);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    const int failure = server->stop_fd < 0 ? errno : pthread_create(&server->thread, NULL, run, server);
    if (failure != 0)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot serve HTTP at %s: %s", server->config.address,
                             strerror(failure));
    server->started = true;
    return TBK_OK;
}

enum tbk_status tbk_http_server_create(const struct tbk_http_config *config, struct tbk_http_server **ret_server,
                                       struct tbk_error *error)
{
    struct tbk_http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the HTTP server");
    server->config = *config;
    server->stop_fd = -1;
    for (int i = 0; i < LIBRARY_CONNECTIONS_MAX; i++)
        server->connections[i].fd = -1;
    const enum tbk_status status = start(server, error);
    if (status != TBK_OK) {
        tbk_http_server_destroy(server);
        return status;
    }
    *ret_server = server;
    return TBK_OK;
}

const char *tbk_http_server_address(const struct tbk_http_server *server)
{
    return server->address;
}

void tbk_http_server_destroy(struct tbk_http_server *server)
{
    if (server == NULL)
        return;
    if (server->started) {
        (void)!write(server->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
        pthread_join(server->thread, NULL);
    }
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    free(server);
}
