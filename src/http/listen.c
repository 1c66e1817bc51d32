#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_BYTES_MAX = 256, PORT_BYTES_MAX = sizeof "65535", PORT_MAX = 65535, BACKLOG = 64 };

static const char scheme[] = "http://";

struct address {
    char host[HOST_BYTES_MAX];
    char port[PORT_BYTES_MAX];
};

static bool copy(char *out, size_t out_bytes, const char *text, size_t length)
{
    if (length == 0 || length >= out_bytes)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

static bool parse(const char *text, struct address *ret_address)
{
    if (strncmp(text, scheme, sizeof scheme - 1) == 0)
        text += sizeof scheme - 1;
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '/')
        length--;
    size_t digits = 0;
    while (digits < length && text[length - 1 - digits] >= '0' && text[length - 1 - digits] <= '9')
        digits++;
    if (digits == length || text[length - 1 - digits] != ':' ||
        !copy(ret_address->port, sizeof ret_address->port, text + length - digits, digits) ||
        strtol(ret_address->port, NULL, 10) > PORT_MAX)
        return false;
    const char *host = text;
    size_t host_length = length - digits - 1;
    const bool bracketed = host_length > 2 && host[0] == '[' && host[host_length - 1] == ']';
    if (bracketed) {
        host++;
        host_length -= 2;
    }
    return copy(ret_address->host, sizeof ret_address->host, host, host_length) &&
           strpbrk(ret_address->host, "/[]@ ") == NULL && (strchr(ret_address->host, ':') != NULL) == bracketed;
}

static enum tbk_status bad_address(const char *text, struct tbk_error *error)
{
    return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                         "cannot serve HTTP at \"%s\": expected HOST:PORT, as in 127.0.0.1:7603, or none", text);
}

static enum tbk_status refused(const char *text, int failure, struct tbk_error *error)
{
    if (failure == EADDRINUSE)
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "cannot serve HTTP at %s: the address is in use; stop the program that serves there, "
                             "choose another, or none",
                             text);
    return tbk_error_set(error, TBK_UNAVAILABLE, "cannot serve HTTP at %s: %s", text, strerror(failure));
}

/* Returns the descriptor, or -1 with errno. */
static int open_socket(const struct addrinfo *where)
{
    const int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
        bind(fd, where->ai_addr, where->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static unsigned bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {0}};
    socklen_t length = sizeof bound;
    if (getsockname(fd, &bound.any, &length) != 0)
        return 0;
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

enum tbk_status tbk_http_check_address(const char *text, struct tbk_error *error)
{
    struct address address;
    return parse(text, &address) ? TBK_OK : bad_address(text, error);
}

enum tbk_status tbk_http_listen(const char *text, int *ret_fd, char ret_url[TBK_HTTP_ADDRESS_BYTES_MAX],
                                struct tbk_error *error)
{
    struct address address;
    if (!parse(text, &address))
        return bad_address(text, error);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const int failure = getaddrinfo(address.host, address.port, &hints, &found);
    if (failure != 0)
        return tbk_error_set(error, TBK_UNAVAILABLE, "cannot serve HTTP at %s: %s", text, gai_strerror(failure));
    const int fd = open_socket(found);
    const int reason = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return refused(text, reason, error);
    const bool numeric6 = strchr(address.host, ':') != NULL;
    snprintf(ret_url, TBK_HTTP_ADDRESS_BYTES_MAX, "%s%s%s%s:%u", scheme, numeric6 ? "[" : "", address.host,
             numeric6 ? "]" : "", bound_port(fd));
    *ret_fd = fd;
    return TBK_OK;
}
