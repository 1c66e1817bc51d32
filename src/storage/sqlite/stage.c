#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/sqlite/upkeep.h"

static const char partial_suffix[] = ".partial";
static const char *const log_suffixes[] = {"-wal", "-journal", "-shm"};

static enum tbk_status failed(const char *path, const char *doing, struct tbk_error *error)
{
    const int reason = errno;
    if (reason == ENOSPC || reason == EDQUOT) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "The disk is full (while %s '%s').", doing, path);
    }
    return tbk_error_set(error, TBK_FAILED_PRECONDITION, "Failed while %s '%s': %s.", doing, path,
                         strerror(reason));
}

/* What SQLite would take for the log of a new file. */
static void remove_logs(const char *path)
{
    for (size_t i = 0; i < sizeof log_suffixes / sizeof log_suffixes[0]; i++) {
        char log[PATH_MAX + 32];
        snprintf(log, sizeof log, "%s%s", path, log_suffixes[i]);
        unlink(log);
    }
}

static void close_files(struct tbk_stage *stage)
{
    if (stage->fd >= 0) {
        close(stage->fd);
    }
    if (stage->folder_fd >= 0) {
        close(stage->folder_fd);
    }
    stage->fd = -1;
    stage->folder_fd = -1;
}

/* Before there is a file, because the folder may be one that cannot be opened. */
static enum tbk_status open_folder(const char *path, int *ret_fd, struct tbk_error *error)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    *ret_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd >= 0 ? TBK_OK : failed(folder, "opening the folder", error);
}

/* Locks and empties stage->path, which may be there. */
static enum tbk_status open_file(struct tbk_stage *stage, struct tbk_error *error)
{
    const int fd = open(stage->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return failed(stage->path, "creating", error);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !tbk_sqlite_is_named(fd, stage->path)) {
        close(fd);
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "Another process is just making '%s'. Let it finish, then try again.", stage->target);
    }
    stage->fd = fd;
    remove_logs(stage->path);
    return ftruncate(fd, 0) == 0 ? TBK_OK : failed(stage->path, "emptying", error);
}

enum tbk_status tbk_stage_begin(const char *target, const struct stat *source, struct tbk_stage *stage,
                                struct tbk_error *error)
{
    stage->fd = -1;
    stage->folder_fd = -1;
    if (snprintf(stage->target, sizeof stage->target, "%s", target) >= PATH_MAX) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The path '%s' is too long.", target);
    }
    snprintf(stage->path, sizeof stage->path, "%s%s", target, partial_suffix);
    enum tbk_status status = tbk_sqlite_check_leftover(stage->path, source, error);
    if (status == TBK_OK) {
        status = open_folder(target, &stage->folder_fd, error);
    }
    if (status == TBK_OK) {
        status = open_file(stage, error);
    }
    if (status != TBK_OK) {
        tbk_stage_abandon(stage);
    }
    return status;
}

void tbk_stage_take_after(const struct tbk_stage *stage, const struct stat *model)
{
    /* Who is not root may not give files away; the permissions then are his own. */
    (void)!fchown(stage->fd, model->st_uid, model->st_gid);
    (void)!fchmod(stage->fd, (model->st_mode & 0777) | S_IRUSR | S_IWUSR);
}

enum tbk_status tbk_stage_sync_folder(const struct tbk_stage *stage, struct tbk_error *error)
{
    return fsync(stage->folder_fd) == 0 ? TBK_OK : failed(stage->target, "syncing the folder of", error);
}

/* The file has its name. */
static enum tbk_status end(struct tbk_stage *stage, struct tbk_error *error)
{
    const enum tbk_status status = tbk_stage_sync_folder(stage, error);
    close_files(stage);
    return status;
}

/* Some file systems cannot rename without replacing; what stood there was looked
 * for before. */
static int rename_to(const char *from, const char *to, bool replace)
{
    if (!replace && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    return replace || errno == EINVAL || errno == ENOSYS ? rename(from, to) : -1;
}

enum tbk_status tbk_stage_publish(struct tbk_stage *stage, bool replace, struct tbk_error *error)
{
    if (fsync(stage->fd) != 0) {
        return failed(stage->path, "syncing", error);
    }
    if (rename_to(stage->path, stage->target, replace) != 0) {
        if (errno == EEXIST) {
            return tbk_error_set(error, TBK_ALREADY_EXISTS, "There is a file '%s' already.", stage->target);
        }
        return failed(stage->target, "renaming to", error);
    }
    return end(stage, error);
}

/* One step of the file system, so that the target is never missing and has one name
 * only. Where there is no such step, two take its place. */
static int exchange(const char *path, const char *target, const char *kept)
{
    if (renameat2(AT_FDCWD, path, AT_FDCWD, kept, RENAME_NOREPLACE) == 0) {
        if (renameat2(AT_FDCWD, kept, AT_FDCWD, target, RENAME_EXCHANGE) == 0) {
            return 0;
        }
        const int reason = errno;
        rename(kept, path);
        errno = reason;
    }
    if ((errno != EINVAL && errno != ENOSYS) || link(target, kept) != 0) {
        return -1;
    }
    if (rename(path, target) == 0) {
        return 0;
    }
    const int reason = errno;
    unlink(kept);
    errno = reason;
    return -1;
}

enum tbk_status tbk_stage_exchange(struct tbk_stage *stage, const char *kept, struct tbk_error *error)
{
    if (fsync(stage->fd) != 0) {
        return failed(stage->path, "syncing", error);
    }
    if (exchange(stage->path, stage->target, kept) != 0) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "The database cannot be kept as '%s': %s.", kept,
                             strerror(errno));
    }
    return end(stage, error);
}

void tbk_stage_abandon(struct tbk_stage *stage)
{
    if (stage->fd >= 0) {
        remove_logs(stage->path);
        unlink(stage->path);
    }
    close_files(stage);
}
