/*
 * A layer over SQLite's file access, for the write session, that joins writes to
 * the write-ahead log. SQLite writes each page of a transaction in two small
 * calls, dozens of them before one sync; here they are gathered and written when
 * they are synced, read back, or fill the buffer.
 */
#ifndef TBK_STORAGE_SQLITE_LOG_VFS_H
#define TBK_STORAGE_SQLITE_LOG_VFS_H

#include <sqlite3.h>

#include "metrics/distribution.h"

/* Name for sqlite3_open_v2; NULL: SQLite had no memory to start, which it may have
 * later. Any thread. It stands on whatever is the default at
 * the time a file is opened. */
const char *tbk_sqlite_log_vfs(void);

/* From now on the syncs of a connection made with it are measured, those of the log
 * and those of the database. The connection has read its log, so that both files
 * are open, and stays with one thread. */
void tbk_sqlite_log_measure(sqlite3 *db, struct tbk_distribution *log_syncs,
                            struct tbk_distribution *database_syncs);

#endif
