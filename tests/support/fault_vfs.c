#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

/* SQLite allocates this and the real file's own structure behind it. */
struct fault_file {
    sqlite3_file base;
    sqlite3_int64 real[]; /* aligned as SQLite aligns it */
};

static sqlite3_vfs *real_vfs;
static atomic_uint calls[TBK_FAULT_KIND_COUNT];
static atomic_bool armed;
static atomic_bool fired;
static enum tbk_fault_kind fault_kind;
static unsigned fault_nth;
static bool fault_forever;
static int fault_code;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct fault_file *)file)->real;
}

/* Counts a call: SQLITE_OK, or the code it must fail with. */
static int count(enum tbk_fault_kind kind)
{
    const unsigned number = atomic_fetch_add(&calls[kind], 1) + 1;
    if (!atomic_load(&armed) || kind != fault_kind || number < fault_nth ||
        (number > fault_nth && !fault_forever)) {
        return SQLITE_OK;
    }
    atomic_store(&fired, true);
    return fault_code;
}

static int file_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 offset)
{
    const int code = count(TBK_FAULT_READ);
    sqlite3_file *real = real_of(file);
    return code != SQLITE_OK ? code : real->pMethods->xRead(real, data, bytes, offset);
}

static int file_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 offset)
{
    const int code = count(TBK_FAULT_WRITE);
    sqlite3_file *real = real_of(file);
    if (code == SQLITE_OK) {
        return real->pMethods->xWrite(real, data, bytes, offset);
    }
    if (bytes > 1) {
        (void)real->pMethods->xWrite(real, data, bytes / 2, offset);
    }
    return code;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    const int code = count(TBK_FAULT_TRUNCATE);
    sqlite3_file *real = real_of(file);
    return code != SQLITE_OK ? code : real->pMethods->xTruncate(real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return count(TBK_FAULT_SYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileSize(real, ret_size);
}

static int file_lock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xLock(real, lock);
}

static int file_unlock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xUnlock(real, lock);
}

static int file_check_reserved_lock(sqlite3_file *file, int *ret_reserved)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xCheckReservedLock(real, ret_reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileControl(real, operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xSectorSize(real);
}

static int file_device_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xDeviceCharacteristics(real);
}

static int file_shm_map(sqlite3_file *file, int page, int page_bytes, int extend, void volatile **ret_page)
{
    const int code = count(TBK_FAULT_SHM_MAP);
    sqlite3_file *real = real_of(file);
    return code != SQLITE_OK ? code : real->pMethods->xShmMap(real, page, page_bytes, extend, ret_page);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmLock(real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    real->pMethods->xShmBarrier(real);
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmUnmap(real, delete);
}

/* Version 2: without the memory-mapped reads of version 3, every read comes by
 * xRead and is counted. */
static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    file->pMethods = NULL; /* SQLite calls xClose only when this is set */
    int code = count(TBK_FAULT_OPEN);
    if (code == SQLITE_OK) {
        code = real_vfs->xOpen(real_vfs, name, real_of(file), flags, ret_flags);
    }
    if (code == SQLITE_OK) {
        file->pMethods = &file_methods;
    }
    return code;
}

/* What is not listed in install is the real VFS's own function, which looks only
 * at global state or at pAppData, both of which stay right. */
static sqlite3_vfs fault_vfs;

const char *tbk_fault_kind_name(enum tbk_fault_kind kind)
{
    static const char *const names[TBK_FAULT_KIND_COUNT] = {
        [TBK_FAULT_OPEN] = "open", [TBK_FAULT_READ] = "read",         [TBK_FAULT_WRITE] = "write",
        [TBK_FAULT_SYNC] = "sync", [TBK_FAULT_TRUNCATE] = "truncate", [TBK_FAULT_SHM_MAP] = "shm map",
    };
    return names[kind];
}

void tbk_fault_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *real_vfs;
    fault_vfs.pNext = NULL;
    fault_vfs.zName = "tradebook-fault";
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    fault_vfs.xOpen = vfs_open;
    sqlite3_vfs_register(&fault_vfs, 1);
}

void tbk_fault_vfs_uninstall(void)
{
    sqlite3_vfs_unregister(&fault_vfs);
    sqlite3_vfs_register(real_vfs, 1);
}

void tbk_fault_vfs_arm(enum tbk_fault_kind kind, unsigned nth, bool forever, int code)
{
    tbk_fault_vfs_disarm();
    fault_kind = kind;
    fault_nth = nth;
    fault_forever = forever;
    fault_code = code;
    for (int i = 0; i < TBK_FAULT_KIND_COUNT; i++) {
        atomic_store(&calls[i], 0);
    }
    atomic_store(&fired, false);
    atomic_store(&armed, true);
}

void tbk_fault_vfs_disarm(void)
{
    atomic_store(&armed, false);
}

unsigned tbk_fault_vfs_calls(enum tbk_fault_kind kind)
{
    return atomic_load(&calls[kind]);
}

bool tbk_fault_vfs_fired(void)
{
    return atomic_load(&fired);
}
