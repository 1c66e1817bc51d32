/*
 * A layer over SQLite's file access, for the write session, that joins writes to
 * the write-ahead log. SQLite writes each page of a transaction in two small
 * calls, dozens of them before one sync; here they are gathered and written when
 * they are synced, read back, or fill the buffer.
 */
#ifndef TBK_STORAGE_SQLITE_LOG_VFS_H
#define TBK_STORAGE_SQLITE_LOG_VFS_H

/* Name for sqlite3_open_v2. Any thread. It stands on whatever is the default at
 * the time a file is opened. */
const char *tbk_sqlite_log_vfs(void);

#endif
