/*
 * An SQLite VFS over the default one that counts calls and lets the Nth of a kind
 * fail, once or from then on. All connections opened while it is installed use
 * it. Any thread may do file calls; one arms and disarms.
 *
 * A write that fails has written its first half before. A sync is counted but
 * never passed on: no test here cuts the power, and the disk would only cost time.
 */
#ifndef TBK_TESTS_FAULT_VFS_H
#define TBK_TESTS_FAULT_VFS_H

#include <stdbool.h>

enum tbk_fault_kind {
    TBK_FAULT_OPEN,
    TBK_FAULT_READ,
    TBK_FAULT_WRITE,
    TBK_FAULT_SYNC,
    TBK_FAULT_TRUNCATE,
    TBK_FAULT_SHM_MAP,
    TBK_FAULT_KIND_COUNT,
};

/* "open", "read" and so on. */
const char *tbk_fault_kind_name(enum tbk_fault_kind kind);

/* Makes it SQLite's default VFS until uninstalled. Once per process, with no
 * connection open. */
void tbk_fault_vfs_install(void);
void tbk_fault_vfs_uninstall(void);

/* Sets all counts to 0 and lets the nth call (1-based) of this kind fail with an
 * SQLite result code such as SQLITE_IOERR_WRITE (EIO) or SQLITE_FULL (ENOSPC).
 * forever: the calls of this kind after it, too. */
void tbk_fault_vfs_arm(enum tbk_fault_kind kind, unsigned nth, bool forever, int code);
/* From now on nothing fails. */
void tbk_fault_vfs_disarm(void);

/* Calls of this kind since the last arming. */
unsigned tbk_fault_vfs_calls(enum tbk_fault_kind kind);
/* Whether a call has failed since the last arming. */
bool tbk_fault_vfs_fired(void);

#endif
