#include "pub_server.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64 };

struct tbk_pub_server {
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t accepted;
    int connections[CONNECTIONS_MAX];
    unsigned connection_count;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

/* Each side tells which protocol it speaks. */
static bool shake_hands(int fd)
{
    static const uint8_t own[8] = {0, 'S', 'P', 0, 0, 0x20, 0, 0};
    uint8_t theirs[8];
    return send(fd, own, sizeof own, MSG_NOSIGNAL) == sizeof own &&
           recv(fd, theirs, sizeof theirs, MSG_WAITALL) == sizeof theirs && theirs[5] == 0x21;
}

static void *accept_connections(void *argument)
{
    struct tbk_pub_server *server = argument;
    int fd;
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (!shake_hands(fd)) {
            close(fd);
            continue;
        }
        pthread_mutex_lock(&server->mutex);
        must(server->connection_count < CONNECTIONS_MAX, "too many connections");
        server->connections[server->connection_count++] = fd;
        pthread_cond_broadcast(&server->accepted);
        pthread_mutex_unlock(&server->mutex);
    }
    return NULL;
}

struct tbk_pub_server *tbk_pub_server_start(const char *address)
{
    struct tbk_pub_server *server = calloc(1, sizeof *server);
    must(server != NULL, "calloc");
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->accepted, NULL);
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

void tbk_pub_server_wait(struct tbk_pub_server *server, unsigned connections)
{
    pthread_mutex_lock(&server->mutex);
    while (server->connection_count < connections) {
        pthread_cond_wait(&server->accepted, &server->mutex);
    }
    pthread_mutex_unlock(&server->mutex);
}

void tbk_pub_server_send(struct tbk_pub_server *server, const void *frame, size_t length)
{
    uint8_t head[1 + 8] = {1};
    uint64_t big_endian = htobe64(length);
    memcpy(head + 1, &big_endian, sizeof big_endian);
    pthread_mutex_lock(&server->mutex);
    for (unsigned i = 0; i < server->connection_count; i++) {
        /* A subscriber that has gone is not missed. */
        if (send(server->connections[i], head, sizeof head, MSG_NOSIGNAL | MSG_MORE) == sizeof head) {
            (void)!send(server->connections[i], frame, length, MSG_NOSIGNAL);
        }
    }
    pthread_mutex_unlock(&server->mutex);
}

void tbk_pub_server_stop(struct tbk_pub_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < server->connection_count; i++) {
        close(server->connections[i]);
    }
    close(server->fd);
    pthread_cond_destroy(&server->accepted);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}
