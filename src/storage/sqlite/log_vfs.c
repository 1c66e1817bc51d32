#include "storage/sqlite/log_vfs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"

/* SQLite's file access for Unix keeps 17 bits of the length of a write and answers
 * "full" beyond. 31 pages of the default size with their headers. */
enum { BUFFER_BYTES = 31 * (4096 + 24) };

/* SQLite allocates this. The file below has a size known only when it is opened. */
struct log_file {
    sqlite3_file base;
    sqlite3_file *below;
    sqlite3_io_methods methods;     /* as many as the file below has */
    unsigned char *buffer;          /* of the log only, else NULL */
    int length;                     /* gathered bytes */
    sqlite3_int64 offset;           /* of the first of them in the file */
    struct tbk_distribution *syncs; /* NULL: not measured */
};

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static sqlite3_file *below(sqlite3_file *file)
{
    return log_of(file)->below;
}

/* Writes what was gathered. After a failure the bytes are given up, as those of a
 * failed write are: SQLite rolls the transaction back. */
static int flush(struct log_file *file)
{
    const int length = file->length;
    file->length = 0;
    return length == 0 ? SQLITE_OK
                       : file->below->pMethods->xWrite(file->below, file->buffer, length, file->offset);
}

static int file_write(sqlite3_file *base, const void *data, int bytes, sqlite3_int64 offset)
{
    struct log_file *file = log_of(base);
    if (file->length > 0 && (offset != file->offset + file->length || file->length + bytes > BUFFER_BYTES)) {
        const int rc = flush(file);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    if (file->buffer == NULL || bytes > BUFFER_BYTES) {
        return file->below->pMethods->xWrite(file->below, data, bytes, offset);
    }
    if (file->length == 0) {
        file->offset = offset;
    }
    memcpy(file->buffer + file->length, data, (size_t)bytes);
    file->length += bytes;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *data, int bytes, sqlite3_int64 offset)
{
    struct log_file *file = log_of(base);
    if (offset < file->offset + file->length && offset + bytes > file->offset) {
        const int rc = flush(file);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return file->below->pMethods->xRead(file->below, data, bytes, offset);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct log_file *file = log_of(base);
    int rc = flush(file);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (file->syncs == NULL) {
        return file->below->pMethods->xSync(file->below, flags);
    }
    const int64_t begun_us = tbk_monotonic_us();
    rc = file->below->pMethods->xSync(file->below, flags);
    tbk_distribution_record(file->syncs, tbk_monotonic_us() - begun_us);
    return rc;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    const int rc = flush(log_of(base));
    return rc != SQLITE_OK ? rc : below(base)->pMethods->xTruncate(below(base), size);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    const int rc = flush(log_of(base));
    return rc != SQLITE_OK ? rc : below(base)->pMethods->xFileSize(below(base), ret_size);
}

static int file_close(sqlite3_file *base)
{
    struct log_file *file = log_of(base);
    const int flushed = flush(file);
    const int rc = file->below->pMethods->xClose(file->below);
    free(file->below);
    free(file->buffer);
    return flushed != SQLITE_OK ? flushed : rc;
}

static int file_lock(sqlite3_file *base, int level)
{
    return below(base)->pMethods->xLock(below(base), level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return below(base)->pMethods->xUnlock(below(base), level);
}

static int file_check_reserved(sqlite3_file *base, int *ret_reserved)
{
    return below(base)->pMethods->xCheckReservedLock(below(base), ret_reserved);
}

static int file_control(sqlite3_file *base, int op, void *argument)
{
    return below(base)->pMethods->xFileControl(below(base), op, argument);
}

static int file_sector_size(sqlite3_file *base)
{
    return below(base)->pMethods->xSectorSize(below(base));
}

static int file_device_characteristics(sqlite3_file *base)
{
    return below(base)->pMethods->xDeviceCharacteristics(below(base));
}

static int file_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **ret_page)
{
    return below(base)->pMethods->xShmMap(below(base), page, size, extend, ret_page);
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    return below(base)->pMethods->xShmLock(below(base), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    below(base)->pMethods->xShmBarrier(below(base));
}

static int file_shm_unmap(sqlite3_file *base, int delete)
{
    return below(base)->pMethods->xShmUnmap(below(base), delete);
}

static int file_fetch(sqlite3_file *base, sqlite3_int64 offset, int bytes, void **ret_page)
{
    return below(base)->pMethods->xFetch(below(base), offset, bytes, ret_page);
}

static int file_unfetch(sqlite3_file *base, sqlite3_int64 offset, void *page)
{
    return below(base)->pMethods->xUnfetch(below(base), offset, page);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
    .xFetch = file_fetch,
    .xUnfetch = file_unfetch,
};

/* The default, which is never this one: it is registered behind it. */
static sqlite3_vfs *vfs_below(void)
{
    return sqlite3_vfs_find(NULL);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
    (void)vfs;
    struct log_file *file = log_of(base);
    sqlite3_vfs *real = vfs_below();
    memset(file, 0, sizeof *file);
    file->below = calloc(1, (size_t)real->szOsFile);
    file->buffer = (flags & SQLITE_OPEN_WAL) != 0 ? malloc(BUFFER_BYTES) : NULL;
    int rc = SQLITE_NOMEM;
    if (file->below != NULL && (file->buffer != NULL || (flags & SQLITE_OPEN_WAL) == 0)) {
        rc = real->xOpen(real, name, file->below, flags, ret_flags);
    }
    if (rc != SQLITE_OK) { /* without methods SQLite does not close it */
        if (file->below != NULL && file->below->pMethods != NULL) {
            file->below->pMethods->xClose(file->below);
        }
        free(file->below);
        free(file->buffer);
        return rc;
    }
    file->methods = methods;
    file->methods.iVersion = file->below->pMethods->iVersion;
    file->base.pMethods = &file->methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return vfs_below()->xDelete(vfs_below(), name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
    (void)vfs;
    return vfs_below()->xAccess(vfs_below(), name, flags, ret_result);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    return vfs_below()->xFullPathname(vfs_below(), name, size, out);
}

static sqlite3_vfs log_vfs;

/* Everything that is not about files is the default's own. */
static void register_vfs(void)
{
    log_vfs = *vfs_below();
    log_vfs.zName = "tradebook-log";
    log_vfs.pNext = NULL;
    log_vfs.szOsFile = sizeof(struct log_file);
    log_vfs.xOpen = vfs_open;
    log_vfs.xDelete = vfs_delete;
    log_vfs.xAccess = vfs_access;
    log_vfs.xFullPathname = vfs_full_pathname;
    sqlite3_vfs_register(&log_vfs, 0);
}

const char *tbk_sqlite_log_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (sqlite3_initialize() != SQLITE_OK) { /* there is no VFS below yet */
        return NULL;
    }
    pthread_once(&once, register_vfs);
    return log_vfs.zName;
}

static void measure(sqlite3 *db, int which_file, struct tbk_distribution *syncs)
{
    sqlite3_file *file = NULL;
    sqlite3_file_control(db, "main", which_file, &file);
    if (file != NULL && file->pMethods != NULL && file->pMethods->xSync == file_sync) { /* open, and ours */
        log_of(file)->syncs = syncs;
    }
}

void tbk_sqlite_log_measure(sqlite3 *db, struct tbk_distribution *log_syncs,
                            struct tbk_distribution *database_syncs)
{
    measure(db, SQLITE_FCNTL_JOURNAL_POINTER, log_syncs);
    measure(db, SQLITE_FCNTL_FILE_POINTER, database_syncs);
}
