#include "transport/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/frame.h"

static const struct scheme {
    const char *prefix;
    enum tbk_listener_kind kind;
} schemes[] = {
    {"tcp://", TBK_LISTENER_TCP}, {"tcp4://", TBK_LISTENER_TCP}, {"tcp6://", TBK_LISTENER_TCP},
    {"ipc://", TBK_LISTENER_IPC}, {"ws://", TBK_LISTENER_WS},
};

static const struct scheme *find_scheme(const char *url)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    }
    return NULL;
}

static enum tbk_status bad_url(struct tbk_error *error, const char *url)
{
    return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                         "cannot listen on \"%s\": expected tcp://HOST:PORT, ipc:///PATH or ws://HOST:PORT/PATH",
                         url);
}

/* Where the port of tcp://HOST:PORT or ws://HOST:PORT/PATH stands. */
static bool find_port(const char *url, const char **ret_port, size_t *ret_length)
{
    const char *authority = strstr(url, "://") + 3;
    const char *end = authority + strcspn(authority, "/");
    const char *port = end;
    while (port > authority && port[-1] >= '0' && port[-1] <= '9')
        port--;
    if (port == end || port == authority || port[-1] != ':')
        return false;
    *ret_port = port;
    *ret_length = (size_t)(end - port);
    return true;
}

/* A copy of url with this port. NULL when memory is exhausted. */
static char *with_port(const char *url, int port)
{
    const char *old = NULL;
    size_t length = 0;
    if (!find_port(url, &old, &length))
        return NULL;
    char *result = NULL;
    return asprintf(&result, "%.*s%d%s", (int)(old - url), url, port, old + length) < 0 ? NULL : result;
}

/* A socket file that nobody answers on was left by a dead server and is removed.
 * Anything else that is there stays and is an error. */
static enum tbk_status clear_stale_socket(const char *path, struct tbk_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] != '/')
        return tbk_error_set(
            error, TBK_INVALID_ARGUMENT,
            "cannot listen on ipc://%s: the path must be absolute, as in ipc:///run/tradebook.sock", path);
    if (strlen(path) >= sizeof address.sun_path)
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "cannot listen on ipc://%s: the path may have at most %zu bytes", path,
                             sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    struct stat info;
    if (lstat(path, &info) != 0)
        return TBK_OK; /* nothing there, or listening will say why not */
    if (!S_ISSOCK(info.st_mode))
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "cannot listen on ipc://%s: a file that is not a socket is in the way; move it or "
                             "choose another path",
                             path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return tbk_error_set(error, TBK_UNAVAILABLE, "cannot listen on ipc://%s: %s", path, strerror(errno));
    int failure = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    if (failure == ECONNREFUSED) {
        if (unlink(path) == 0 || errno == ENOENT)
            return TBK_OK;
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "cannot listen on ipc://%s: cannot remove the socket of a dead server: %s", path,
                             strerror(errno));
    }
    if (failure == 0 || failure == EAGAIN)
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "cannot listen on ipc://%s: another server answers there; stop it or choose another path", path);
    return tbk_error_set(error, TBK_FAILED_PRECONDITION, "cannot listen on ipc://%s: %s", path, strerror(failure));
}

/* The address with the port that was chosen, if it was left open. NULL when
 * memory is exhausted. */
static char *bound_address(const char *url, enum tbk_listener_kind kind, int chosen_port)
{
    const char *port = NULL;
    size_t length = 0;
    if (kind == TBK_LISTENER_IPC || !find_port(url, &port, &length) || strtol(port, NULL, 10) != 0)
        return strdup(url);
    return with_port(url, chosen_port);
}

static enum tbk_status refused(struct tbk_error *error, const char *url, int failure)
{
    if (failure == NNG_EADDRINUSE)
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "cannot listen on %s: the address is in use; stop the program that serves there or "
                             "choose another",
                             url);
    if (failure == NNG_EADDRINVAL || failure == NNG_EINVAL)
        return bad_url(error, url);
    return tbk_error_set(error, TBK_UNAVAILABLE, "cannot listen on %s: %s", url, nng_strerror(failure));
}

enum tbk_status tbk_listener_check(const char *url, enum tbk_listener_kind *ret_kind, struct tbk_error *error)
{
    const struct scheme *scheme = find_scheme(url);
    const char *port = NULL;
    size_t length = 0;
    if (scheme == NULL || (scheme->kind != TBK_LISTENER_IPC && !find_port(url, &port, &length)))
        return bad_url(error, url);
    *ret_kind = scheme->kind;
    return TBK_OK;
}

/* Returns an nng error. */
static int set_limits(nng_listener listener, const struct tbk_listener_limits *limits)
{
    size_t bytes_max = limits->message_bytes_max + TBK_BACKTRACE_BYTES_MAX;
    int failure = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, bytes_max);
    return failure != 0 ? failure : nng_listener_set_size(listener, NNG_OPT_WS_RECVMAXFRAME, bytes_max);
}

enum tbk_status tbk_listener_open_ws(nng_socket socket, const char *url, const struct tbk_listener_limits *limits,
                                     char **ret_address, struct tbk_error *error)
{
    nng_listener listener = NNG_LISTENER_INITIALIZER;
    int failure = nng_listener_create(&listener, socket, url);
    if (failure != 0)
        return refused(error, url, failure);
    int port = 0;
    failure = set_limits(listener, limits);
    if (failure == 0)
        failure = nng_listener_start(listener, 0);
    if (failure == 0)
        failure = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (failure == 0) {
        *ret_address = bound_address(url, TBK_LISTENER_WS, port);
        failure = *ret_address != NULL ? 0 : NNG_ENOMEM;
    }
    if (failure == 0)
        return TBK_OK;
    nng_listener_close(listener);
    return refused(error, url, failure);
}

/* Returns an nng error. */
static int start_stream(nng_stream_listener *listener, enum tbk_listener_kind kind,
                        const struct tbk_listener_limits *limits, int *ret_port)
{
    if (kind == TBK_LISTENER_IPC) {
        int failure = nng_stream_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, (int)limits->ipc_permissions);
        return failure != 0 ? failure : nng_stream_listener_listen(listener);
    }
    int failure = nng_stream_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
    if (failure == 0)
        failure = nng_stream_listener_set_bool(listener, NNG_OPT_TCP_KEEPALIVE, true);
    if (failure == 0)
        failure = nng_stream_listener_listen(listener);
    return failure != 0 ? failure : nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, ret_port);
}

enum tbk_status tbk_listener_open_stream(const char *url, enum tbk_listener_kind kind,
                                         const struct tbk_listener_limits *limits,
                                         nng_stream_listener **ret_listener, char **ret_address,
                                         struct tbk_error *error)
{
    if (kind == TBK_LISTENER_IPC) {
        enum tbk_status status = clear_stale_socket(url + strlen("ipc://"), error);
        if (status != TBK_OK)
            return status;
    }
    nng_stream_listener *listener = NULL;
    int failure = nng_stream_listener_alloc(&listener, url);
    if (failure != 0)
        return refused(error, url, failure);
    int port = 0;
    char *address = NULL;
    failure = start_stream(listener, kind, limits, &port);
    if (failure == 0) {
        address = bound_address(url, kind, port);
        failure = address != NULL ? 0 : NNG_ENOMEM;
    }
    if (failure != 0) {
        nng_stream_listener_free(listener);
        return refused(error, url, failure);
    }
    *ret_address = address;
    *ret_listener = listener;
    return TBK_OK;
}
