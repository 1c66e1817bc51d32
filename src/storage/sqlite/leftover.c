/* What lies where a copy is to be made. A killed backup leaves a file that begins
 * with SQLite's header, or with zeros as long as the first page was not written, which
 * comes last. Everything else is somebody's. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage/sqlite/upkeep.h"

enum { HEADER_BYTES = 100 };

static bool is_copy(const char *path)
{
    static const char magic[] = "SQLite format 3";
    static const char zeros[HEADER_BYTES];
    char header[HEADER_BYTES];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const ssize_t length = fd >= 0 ? read(fd, header, sizeof header) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return length == 0 || (length == sizeof header &&
                           (memcmp(header, magic, sizeof magic) == 0 || memcmp(header, zeros, sizeof zeros) == 0));
}

static enum tbk_status in_the_way(const char *path, const char *why, struct tbk_error *error)
{
    return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                         "The copy would be made as '%s', but that %s. Move it away, or give another name.", path,
                         why);
}

enum tbk_status tbk_sqlite_check_leftover(const char *path, const struct stat *source, struct tbk_error *error)
{
    struct stat file;
    char holder[TBK_PROCESS_NAME_BYTES];
    if (lstat(path, &file) != 0) {
        return TBK_OK;
    }
    if (file.st_ino == source->st_ino && file.st_dev == source->st_dev) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "'%s' is what is to be copied, and the copy would be made under that name. Rename it "
                             "first, or give another name.",
                             path);
    }
    if (!S_ISREG(file.st_mode)) {
        return in_the_way(path, "is not a file", error);
    }
    if (file.st_nlink > 1) {
        return in_the_way(path, "has a second name (hard link)", error);
    }
    /* Before the file is opened here: of two that begin at the same moment each would
     * find the other. */
    if (tbk_sqlite_find_holder(path, holder, sizeof holder)) {
        return tbk_error_set(error, TBK_UNAVAILABLE,
                             "Another process, %s, has '%s' open. Let it finish, then try again.", holder, path);
    }
    if (tbk_sqlite_log_bytes(path) > 0) {
        return in_the_way(path, "is or was a database in use (there is a log beside it)", error);
    }
    if (!is_copy(path)) {
        return in_the_way(path, "is not what a backup leaves", error);
    }
    return TBK_OK;
}
