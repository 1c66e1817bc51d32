#include "rep_server.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    FRAME_BYTES_MAX = 1024 * 1024,
    FRAME_HEAD_BYTES = 1 + 8, /* a one, the length */
    REQUEST_HEAD_BYTES = 4,   /* nng's number of the request, returned with the reply */
};

struct connection {
    struct tbk_rep_server *server;
    pthread_t thread;
    int number;
    int fd;
};

struct tbk_rep_server {
    tbk_rep_handler *handler;
    void *argument;
    int fd;
    pthread_t thread;
    struct connection connections[CONNECTIONS_MAX];
    int connection_count; /* of the accepting thread until it has ended */
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static bool read_all(int fd, void *to, size_t length)
{
    return recv(fd, to, length, MSG_WAITALL) == (ssize_t)length;
}

static bool write_all(int fd, const void *from, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, from, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        from = (const uint8_t *)from + sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Each side tells which protocol it speaks. */
static bool shake_hands(int fd)
{
    static const uint8_t own[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    uint8_t theirs[8];
    return write_all(fd, own, sizeof own) && read_all(fd, theirs, sizeof theirs) && theirs[5] == 0x30;
}

/* Answers the length; 0 when the connection is over or the frame is none. */
static size_t read_frame(int fd, uint8_t *frame)
{
    uint8_t head[FRAME_HEAD_BYTES];
    uint64_t length;
    if (!read_all(fd, head, sizeof head)) {
        return 0;
    }
    memcpy(&length, head + 1, sizeof length);
    length = be64toh(length);
    bool ok = head[0] == 1 && length >= REQUEST_HEAD_BYTES && length <= FRAME_BYTES_MAX;
    return ok && read_all(fd, frame, length) ? length : 0;
}

static bool write_reply(int fd, const uint8_t *request_head, nng_msg *reply)
{
    uint8_t head[FRAME_HEAD_BYTES + REQUEST_HEAD_BYTES] = {1};
    uint64_t length = htobe64(REQUEST_HEAD_BYTES + nng_msg_len(reply));
    memcpy(head + 1, &length, sizeof length);
    memcpy(head + FRAME_HEAD_BYTES, request_head, REQUEST_HEAD_BYTES);
    return write_all(fd, head, sizeof head) && write_all(fd, nng_msg_body(reply), nng_msg_len(reply));
}

/* Answers whether the connection goes on. */
static bool handle(struct connection *connection, const uint8_t *frame, size_t length)
{
    struct tbk_rep_server *server = connection->server;
    nng_msg *reply = NULL;
    must(nng_msg_alloc(&reply, 0) == 0, "nng_msg_alloc");
    enum tbk_rep_action action = server->handler(server->argument, connection->number, frame + REQUEST_HEAD_BYTES,
                                                 length - REQUEST_HEAD_BYTES, reply);
    bool goes_on =
        action == TBK_REP_IGNORE || (action == TBK_REP_ANSWER && write_reply(connection->fd, frame, reply));
    nng_msg_free(reply);
    return goes_on;
}

static void *serve_connection(void *argument)
{
    struct connection *connection = argument;
    uint8_t *frame = malloc(FRAME_BYTES_MAX);
    must(frame != NULL, "malloc");
    bool goes_on = shake_hands(connection->fd);
    while (goes_on) {
        size_t length = read_frame(connection->fd, frame);
        goes_on = length > 0 && handle(connection, frame, length);
    }
    free(frame);
    /* Not close: the number must stay ours until the thread is joined. */
    shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *accept_connections(void *argument)
{
    struct tbk_rep_server *server = argument;
    int fd;
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        must(server->connection_count < CONNECTIONS_MAX, "too many connections");
        struct connection *connection = &server->connections[server->connection_count++];
        connection->server = server;
        connection->number = server->connection_count;
        connection->fd = fd;
        must(pthread_create(&connection->thread, NULL, serve_connection, connection) == 0, "pthread_create");
    }
    return NULL;
}

struct tbk_rep_server *tbk_rep_server_start(const char *address, tbk_rep_handler *handler, void *argument)
{
    struct tbk_rep_server *server = calloc(1, sizeof *server);
    must(server != NULL, "calloc");
    server->handler = handler;
    server->argument = argument;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", address + strlen("ipc://"));
    unlink(name.sun_path);
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->fd >= 0, "socket");
    must(bind(server->fd, (struct sockaddr *)&name, sizeof name) == 0, name.sun_path);
    must(listen(server->fd, SOMAXCONN) == 0, "listen");
    must(pthread_create(&server->thread, NULL, accept_connections, server) == 0, "pthread_create");
    return server;
}

void tbk_rep_server_stop(struct tbk_rep_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->connection_count; i++) {
        shutdown(server->connections[i].fd, SHUT_RDWR);
        pthread_join(server->connections[i].thread, NULL);
        close(server->connections[i].fd);
    }
    close(server->fd);
    free(server);
}
