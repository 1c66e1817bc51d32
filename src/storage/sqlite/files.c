/* The database as a file: its path, its log beside it, and the lock that says
 * which process serves it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/sqlite/sqlite.h"

static const char wal_suffix[] = "-wal";
static const char shm_suffix[] = "-shm";
static const char lock_suffix[] = ".lock";

/* Two names for one file would mean two locks and two logs, and the file would be
 * damaged. */
static enum tbk_status check_file(const char *path, struct tbk_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database path '%s' cannot be used: %s.", path,
                             strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database path '%s' is not a file.", path);
    }
    if (status.st_nlink > 1) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The database '%s' has a second name (hard link); used by both it would be damaged. "
                             "Replace one of them by a copy.",
                             path);
    }
    return TBK_OK;
}

enum tbk_status tbk_sqlite_resolve_path(const char *location, char out[PATH_MAX], struct tbk_error *error)
{
    if (realpath(location, out) != NULL) {
        return check_file(out, error);
    }
    char folder[PATH_MAX];
    const char *slash = strrchr(location, '/');
    const char *name = slash != NULL ? slash + 1 : location;
    const size_t folder_length = slash == location ? 1 : (size_t)(name - location);
    if (errno != ENOENT || folder_length >= sizeof folder || *name == '\0') {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database path '%s' cannot be used: %s.",
                             location, strerror(errno));
    }
    memcpy(folder, slash != NULL ? location : ".", slash != NULL ? folder_length : 1);
    folder[slash != NULL ? folder_length : 1] = '\0';
    char resolved[PATH_MAX];
    if (realpath(folder, resolved) == NULL) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The folder of the database, '%s', cannot be used: %s. Create it first.", folder,
                             strerror(errno));
    }
    const char *separator = strcmp(resolved, "/") == 0 ? "" : "/";
    if (snprintf(out, PATH_MAX, "%s%s%s", resolved, separator, name) >= PATH_MAX - 16) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database path '%s' is too long.", location);
    }
    struct stat link;
    if (lstat(out, &link) == 0) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                             "The database path '%s' is a symbolic link to a file that does not exist.", location);
    }
    return TBK_OK;
}

/* A file may go between our opening and locking it (tbk_sqlite_forget_lock_file). */
bool tbk_sqlite_is_named(int fd, const char *path)
{
    struct stat open_file;
    struct stat named_file;
    return fstat(fd, &open_file) == 0 && stat(path, &named_file) == 0 && open_file.st_ino == named_file.st_ino &&
           open_file.st_dev == named_file.st_dev;
}

/* Holds a lock on PATH.lock for as long as the database is served. It is not the
 * database file itself, because closing any descriptor of that would drop
 * SQLite's own locks. */
enum tbk_status tbk_sqlite_take(struct tbk_storage *storage, struct tbk_error *error)
{
    char path[PATH_MAX + sizeof lock_suffix];
    snprintf(path, sizeof path, "%s%s", storage->path, lock_suffix);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "The lock file '%s' cannot be created: %s. The folder of the database must be writable.", path,
            strerror(errno));
    }
    char owner[32] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const ssize_t length = pread(fd, owner, sizeof owner - 1, 0);
        owner[length > 0 ? strcspn(owner, "\n") : 0] = '\0';
        close(fd);
        return tbk_error_set(
            error, TBK_FAILED_PRECONDITION,
            "The database '%s' is served already by process %s. Stop that server, or give another path "
            "with --db.",
            storage->path, owner);
    }
    if (!tbk_sqlite_is_named(fd, path)) {
        close(fd);
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "Another process is just trying the database '%s'. Try again.", storage->path);
    }
    const int length = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)length, 0) != length) {
        owner[0] = '\0'; /* the lock is held; only its note for people is missing */
    }
    storage->lock_fd = fd;
    return TBK_OK;
}

/* A refused file gets no lock file beside it. */
void tbk_sqlite_forget_lock_file(const struct tbk_storage *storage)
{
    char path[PATH_MAX + sizeof lock_suffix];
    snprintf(path, sizeof path, "%s%s", storage->path, lock_suffix);
    unlink(path);
}

int64_t tbk_sqlite_file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

int64_t tbk_sqlite_log_bytes(const char *path)
{
    char log[PATH_MAX + sizeof wal_suffix];
    snprintf(log, sizeof log, "%s%s", path, wal_suffix);
    return tbk_sqlite_file_bytes(log);
}

int64_t tbk_sqlite_shared_memory_inode(const char *path)
{
    char shared[PATH_MAX + sizeof shm_suffix];
    struct stat status;
    snprintf(shared, sizeof shared, "%s%s", path, shm_suffix);
    return stat(shared, &status) == 0 ? (int64_t)status.st_ino : 0;
}

void tbk_sqlite_release(struct tbk_storage *storage)
{
    if (storage->lock_fd >= 0) {
        close(storage->lock_fd);
        storage->lock_fd = -1;
    }
}
