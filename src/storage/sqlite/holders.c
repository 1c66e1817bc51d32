/* Other programs that have the database open. Two directories are read, as fuser
 * does: SQLite's locks tell of programs that are just reading or writing only. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/sqlite/upkeep.h"

static bool is_number(const char *text)
{
    return isdigit((unsigned char)text[0]) != 0;
}

/* Whether a descriptor listed in this folder is the file. */
static bool lists(const char *folder, const struct stat *file)
{
    DIR *descriptors = opendir(folder);
    if (descriptors == NULL) {
        return false;
    }
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(descriptors)) != NULL) {
        struct stat open_file;
        found = is_number(entry->d_name) && fstatat(dirfd(descriptors), entry->d_name, &open_file, 0) == 0 &&
                open_file.st_ino == file->st_ino && open_file.st_dev == file->st_dev;
    }
    closedir(descriptors);
    return found;
}

void tbk_sqlite_describe_process(const char *pid, char *out, size_t out_bytes)
{
    char path[288];
    char name[64] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t length = read(fd, name, sizeof name - 1);
        name[length > 0 ? strcspn(name, "\n") : 0] = '\0';
        close(fd);
    }
    snprintf(out, out_bytes, "%s (%s)", pid, name);
}

bool tbk_sqlite_find_holder(const char *path, char *out, size_t out_bytes)
{
    struct stat file;
    DIR *processes = stat(path, &file) == 0 ? opendir("/proc") : NULL;
    if (processes == NULL) {
        return false;
    }
    bool found = false;
    char own[32];
    snprintf(own, sizeof own, "%ld", (long)getpid());
    const struct dirent *entry;
    while (!found && (entry = readdir(processes)) != NULL) {
        char folder[288];
        snprintf(folder, sizeof folder, "/proc/%s/fd", entry->d_name);
        if (is_number(entry->d_name) && strcmp(entry->d_name, own) != 0 && lists(folder, &file)) {
            tbk_sqlite_describe_process(entry->d_name, out, out_bytes);
            found = true;
        }
    }
    closedir(processes);
    return found;
}
