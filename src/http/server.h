/*
 * A small HTTP server for the operator, on libmicrohttpd: a few pages by GET and
 * HEAD, made anew for each request.
 *
 * Threads: one of its own, which also makes the pages. A client can make it work
 * but not grow: a connection is for one request, has a fixed amount of memory and a
 * fixed time, and when there are too many the oldest is closed.
 */
#ifndef TBK_HTTP_SERVER_H
#define TBK_HTTP_SERVER_H

#include <stdbool.h>

#include "base/dynbuf.h"
#include "base/error.h"

enum {
    TBK_HTTP_CONNECTIONS_MAX = 32,
    TBK_HTTP_CONNECTION_MS_MAX = 5000,
    TBK_HTTP_PAGE_BYTES_MAX = 1 << 20,
};

struct tbk_http_server;

/* What a page sees of the request. */
struct tbk_http_request {
    const char *accept; /* the header, "" without one */
};

struct tbk_http_page {
    const char *path;
    /* Writes the body and returns the HTTP status. *ret_content_type is text/plain
     * unless it is changed. The server's thread. */
    unsigned (*write)(void *argument, const struct tbk_http_request *request, struct tbk_dynbuf *body,
                      const char **ret_content_type);
};

struct tbk_http_config {
    const char *address; /* see listen.h */
    const struct tbk_http_page *pages;
    unsigned page_count;
    void *argument; /* of the pages */
};

/* Starts to serve. What config points to is used until destroy. */
enum tbk_status tbk_http_server_create(const struct tbk_http_config *config, struct tbk_http_server **ret_server,
                                       struct tbk_error *error) TBK_MUST_CHECK;
/* "http://127.0.0.1:7603" */
const char *tbk_http_server_address(const struct tbk_http_server *server);
/* Closes all connections. Accepts NULL. */
void tbk_http_server_destroy(struct tbk_http_server *server);

#endif
