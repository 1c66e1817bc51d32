#include "analytics/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum tbk_status failed(const char *doing, struct tbk_error *error)
{
    const int reason = errno;
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED,
                             "The scratch file of the figures, beside the database, cannot be %s: %s. Make room "
                             "on that disk; the figures come back by themselves.",
                             doing, strerror(reason));
    }
    return tbk_error_set(error, TBK_UNAVAILABLE,
                         "The scratch file of the figures, beside the database, cannot be %s: %s.", doing,
                         strerror(reason));
}

/* Not every file system has files that never had a name. */
static int open_and_unlink(const char *folder)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/.tradebook-XXXXXX", folder);
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

enum tbk_status tbk_scratch_open(const char *path, int *ret_fd, struct tbk_error *error)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
             slash != NULL ? path : ".");
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        fd = open_and_unlink(folder);
    }
    if (fd < 0) {
        return failed("created", error);
    }
    *ret_fd = fd;
    return TBK_OK;
}

enum tbk_status tbk_scratch_write(int fd, const void *data, size_t bytes, int64_t offset, struct tbk_error *error)
{
    const char *rest = data;
    while (bytes > 0) {
        const ssize_t written = pwrite(fd, rest, bytes, offset);
        if (written < 0 && errno != EINTR) {
            return failed("written", error);
        }
        if (written > 0) {
            rest += written;
            bytes -= (size_t)written;
            offset += written;
        }
    }
    return TBK_OK;
}

enum tbk_status tbk_scratch_read(int fd, void *data, size_t bytes, int64_t offset, struct tbk_error *error)
{
    char *rest = data;
    while (bytes > 0) {
        const ssize_t count = pread(fd, rest, bytes, offset);
        if (count == 0) {
            return tbk_error_set(error, TBK_INTERNAL, "The scratch file of the figures is too short.");
        }
        if (count < 0 && errno != EINTR) {
            return failed("read", error);
        }
        if (count > 0) {
            rest += count;
            bytes -= (size_t)count;
            offset += count;
        }
    }
    return TBK_OK;
}
