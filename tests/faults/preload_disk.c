/*
 * A failing disk for LD_PRELOAD: counts writes, syncs and truncations of the
 * files whose path begins with TBK_FAULT_FILES and lets those fail that the
 * control file says. A write that fails has written its first half before. A sync
 * is counted but never passed on: no test here cuts the power, and the disk would
 * only cost time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "fault_control.h"

enum { WRITE = 1, SYNC, TRUNCATE };

static const char *files;
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);

/* ISO C has no conversion from an object's address to a function's. */
static void find(void *function, const char *name)
{
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(function, &address, sizeof address);
}

__attribute__((constructor)) static void start(void)
{
    find(&real_pwrite, "pwrite64");
    find(&real_write, "write");
    find(&real_ftruncate, "ftruncate64");
    files = getenv("TBK_FAULT_FILES");
    fault_control_open();
}

/* Whether the descriptor is one of the files. */
static bool concerns(int fd)
{
    char link[64];
    char path[4096];
    if (files == NULL) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    return length >= (ssize_t)strlen(files) && memcmp(path, files, strlen(files)) == 0;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset)
{
    if (!concerns(fd) || !fault_control_hits(WRITE)) {
        return real_pwrite(fd, data, bytes, offset);
    }
    const int error = errno;
    (void)!real_pwrite(fd, data, bytes / 2, offset);
    errno = error;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return pwrite64(fd, data, bytes, offset);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return concerns(fd) && fault_control_hits(WRITE) ? -1 : real_write(fd, data, bytes);
}

static int sync_file(int fd)
{
    return concerns(fd) && fault_control_hits(SYNC) ? -1 : 0;
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

int fsync(int fd)
{
    return sync_file(fd);
}

int ftruncate64(int fd, off_t length)
{
    return concerns(fd) && fault_control_hits(TRUNCATE) ? -1 : real_ftruncate(fd, length);
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}
