#include "transport/guard.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timestamp.h"

enum {
    ROUND_MS = 1000,
    ANSWER_MS_MAX = 3000, /* a listener silent for so long is dead */
    REAPER_MS_MAX = 5000, /* closed connections that are not freed for so long never will be */
    LEAK_MS_MAX = 15000,  /* longer than the 10 s that nng gives a handshake */
    CLOSE_MS_MAX = 3000,
    PROBES_MIN = 2,
};

struct tbk_guard {
    struct tbk_guard_config config;
    pthread_t thread;
    int stop_fd;          /* readable when the guard shall end */
    unsigned long freed;  /* as last seen */
    int64_t freed_us;     /* when it last grew */
    unsigned probes;      /* hung up on since then */
    int64_t leak_free_us; /* when there was last no leak */
};

enum answer { ANSWER_HUNG_UP, ANSWER_SILENT, ANSWER_UNKNOWN };

bool tbk_guard_needed(const char *nng_version)
{
    char *end = NULL;
    long major = strtol(nng_version, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return major < 1 || (major == 1 && minor < 6);
}

static int64_t ms_since(int64_t us)
{
    return (tbk_monotonic_us() - us) / 1000;
}

/* Waits until fd is ready; false when the time is over or the guard shall end. */
static bool wait_ready(const struct tbk_guard *guard, int fd, short events, int64_t timeout_ms)
{
    struct pollfd polled[2] = {{.fd = guard->stop_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int ready = poll(polled, 2, timeout_ms > 0 ? (int)timeout_ms : 0);
    return ready > 0 && polled[0].revents == 0;
}

static bool stopped(const struct tbk_guard *guard)
{
    struct pollfd polled = {.fd = guard->stop_fd, .events = POLLIN};
    return poll(&polled, 1, 0) > 0;
}

/* An address of nng as one to connect to; a listener on all interfaces is
 * reached by loopback. 0: not one to probe. */
static socklen_t to_connect(const nng_sockaddr *from, struct sockaddr_storage *ret_to)
{
    memset(ret_to, 0, sizeof *ret_to);
    if (from->s_family == NNG_AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)ret_to;
        to->sin_family = AF_INET;
        to->sin_port = from->s_in.sa_port;
        to->sin_addr.s_addr = from->s_in.sa_addr != INADDR_ANY ? from->s_in.sa_addr : htonl(INADDR_LOOPBACK);
        return sizeof *to;
    }
    if (from->s_family == NNG_AF_INET6) {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)ret_to;
        to->sin6_family = AF_INET6;
        to->sin6_port = from->s_in6.sa_port;
        memcpy(&to->sin6_addr, from->s_in6.sa_addr, sizeof to->sin6_addr);
        if (IN6_IS_ADDR_UNSPECIFIED(&to->sin6_addr))
            to->sin6_addr = in6addr_loopback;
        return sizeof *to;
    }
    if (from->s_family == NNG_AF_IPC) {
        struct sockaddr_un *to = (struct sockaddr_un *)ret_to;
        to->sun_family = AF_UNIX;
        size_t length = strnlen(from->s_ipc.sa_path, sizeof to->sun_path - 1);
        memcpy(to->sun_path, from->s_ipc.sa_path, length);
        return sizeof *to;
    }
    return 0;
}

/* Connects without waiting longer than the answer may take. */
static enum answer connect_to(const struct tbk_guard *guard, int fd, const nng_sockaddr *target)
{
    struct sockaddr_storage address;
    socklen_t length = to_connect(target, &address);
    if (length == 0)
        return ANSWER_UNKNOWN;
    int failure = connect(fd, (const struct sockaddr *)&address, length) == 0 ? 0 : errno;
    if (failure == EINPROGRESS && wait_ready(guard, fd, POLLOUT, ANSWER_MS_MAX)) {
        socklen_t size = sizeof failure;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    }
    if (failure == 0)
        return ANSWER_HUNG_UP;
    return failure == ECONNREFUSED || failure == ENOENT ? ANSWER_SILENT : ANSWER_UNKNOWN;
}

/* Offers the REP protocol, which a REP listener refuses by hanging up once the
 * connection came through to the protocol. */
static enum answer await_hang_up(const struct tbk_guard *guard, int fd)
{
    static const unsigned char wrong_protocol[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    int64_t started_us = tbk_monotonic_us();
    if (send(fd, wrong_protocol, sizeof wrong_protocol, MSG_NOSIGNAL) < 0)
        return ANSWER_HUNG_UP;
    while (wait_ready(guard, fd, POLLIN, ANSWER_MS_MAX - ms_since(started_us))) {
        char theirs[64];
        if (recv(fd, theirs, sizeof theirs, 0) <= 0)
            return ANSWER_HUNG_UP;
    }
    return stopped(guard) ? ANSWER_UNKNOWN : ANSWER_SILENT;
}

static enum answer probe(const struct tbk_guard *guard, const nng_sockaddr *target)
{
    int family = target->s_family == NNG_AF_IPC ? AF_UNIX : target->s_family == NNG_AF_INET ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ANSWER_UNKNOWN;
    enum answer answer = connect_to(guard, fd, target);
    if (answer == ANSWER_HUNG_UP)
        answer = await_hang_up(guard, fd);
    close(fd);
    return answer;
}

static void probe_listeners(struct tbk_guard *guard)
{
    const struct tbk_guard_config *config = &guard->config;
    for (size_t i = 0; i < config->listener_count && !stopped(guard); i++) {
        nng_sockaddr address;
        if (!config->locate(config->argument, i, &address))
            continue;
        enum answer answer = probe(guard, &address);
        if (answer == ANSWER_HUNG_UP)
            guard->probes++;
        if (answer == ANSWER_SILENT)
            config->replace(config->argument, i);
    }
}

/* The probes themselves are connections that must be freed, each round. */
static bool reaper_hangs(struct tbk_guard *guard)
{
    unsigned long freed = guard->config.freed(guard->config.argument);
    if (freed != guard->freed) {
        guard->freed = freed;
        guard->freed_us = tbk_monotonic_us();
        guard->probes = 0;
    }
    return guard->probes >= PROBES_MIN && ms_since(guard->freed_us) > REAPER_MS_MAX;
}

static unsigned long count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned long count = 0;
    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* A dead listener's waiting connections are never freed. Half of all
 * descriptors without a connection to show for it is too many. */
static bool descriptors_leak(struct tbk_guard *guard)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    unsigned long connections = guard->config.connections(guard->config.argument);
    if (count_descriptors() < connections + limit.rlim_cur / 2)
        guard->leak_free_us = tbk_monotonic_us();
    return ms_since(guard->leak_free_us) > LEAK_MS_MAX;
}

static void report(const struct tbk_guard *guard, const char *seen)
{
    struct tbk_error error;
    tbk_error_init(&error);
    (void)tbk_error_set(&error, TBK_UNAVAILABLE,
                        "%s, a defect of nng %s that only a restart cures; nng 1.6 or newer does not have it",
                        seen, nng_version());
    guard->config.on_fatal(guard->config.argument, &error);
}

static void *watch(void *argument)
{
    struct tbk_guard *guard = argument;
    guard->freed_us = guard->leak_free_us = tbk_monotonic_us();
    while (!wait_ready(guard, -1, 0, ROUND_MS) && !stopped(guard)) {
        probe_listeners(guard);
        if (reaper_hangs(guard)) {
            report(guard, "closed connections are no longer freed");
            break;
        }
        if (descriptors_leak(guard)) {
            report(guard, "descriptors leak");
            break;
        }
    }
    return NULL;
}

enum tbk_status tbk_guard_create(const struct tbk_guard_config *config, struct tbk_guard **ret_guard,
                                 struct tbk_error *error)
{
    struct tbk_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for the guard of nng");
    guard->config = *config;
    guard->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = guard->stop_fd < 0 ? errno : pthread_create(&guard->thread, NULL, watch, guard);
    if (failure != 0) {
        if (guard->stop_fd >= 0)
            close(guard->stop_fd);
        free(guard);
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "cannot start the guard of nng: %s",
                             strerror(failure));
    }
    tbk_log(TBK_LOG_WARNING,
            "this nng can stop to accept or to free connections when peers vanish; the server watches itself and "
            "asks for a restart if it must; nng 1.6 or newer cures it",
            TBK_LOG_STR("nng", nng_version()));
    *ret_guard = guard;
    return TBK_OK;
}

void tbk_guard_destroy(struct tbk_guard *guard)
{
    if (guard == NULL)
        return;
    (void)!write(guard->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(guard->thread, NULL);
    close(guard->stop_fd);
    free(guard);
}

static void *close_socket(void *argument)
{
    nng_socket *socket = argument;
    nng_close(*socket);
    free(socket);
    return NULL;
}

void tbk_guard_close(nng_socket socket)
{
    nng_socket *copy = malloc(sizeof *copy);
    pthread_t thread;
    if (copy == NULL)
        return;
    *copy = socket;
    if (pthread_create(&thread, NULL, close_socket, copy) != 0) {
        free(copy);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CLOSE_MS_MAX / 1000;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        pthread_detach(thread);
        tbk_log(TBK_LOG_WARNING, "nng does not free its connections; the end of the process will",
                TBK_LOG_STR("nng", nng_version()));
    }
}
