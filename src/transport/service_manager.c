#include "transport/service_manager.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* False: see errno. */
static bool send_to(const char *path, const char *state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(path);
    if (length > sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* a name instead of a file */
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    const bool is_sent = sendto(fd, state, strlen(state), 0, (const struct sockaddr *)&address, bytes) >= 0;
    const int failure = errno;
    close(fd);
    errno = failure;
    return is_sent;
}

void tbk_service_manager_tell(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path != NULL && !send_to(path, state)) {
        tbk_log(TBK_LOG_WARNING, "the service manager cannot be told", TBK_LOG_STR("socket", path),
                TBK_LOG_STR("state", state), TBK_LOG_STR("reason", strerror(errno)));
    }
}
