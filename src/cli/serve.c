/*
 * tradebook serve: puts the layers together, from the schema up to the sockets,
 * waits for a signal, and takes them down in reverse order.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "dispatch/dispatch.h"
#include "schema/schema.h"
#include "services/service.h"
#include "storage/storage.h"
#include "transport/server.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    GRACE_S = 8, /* from the signal to the end; less than the 10 s that docker gives */
    ARENA_BYTES_MIN = 1 << 20,
    ARENA_PER_MESSAGE_BYTE = 4,
    DESCRIPTORS_BESIDES_CONNECTIONS = 128, /* database, listeners, nng's own */
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
    struct tbk_service_context context;
    struct tbk_dispatch *dispatch;
    struct tbk_server *server;
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
