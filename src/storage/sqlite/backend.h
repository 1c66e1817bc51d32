/* The SQLite backend. */
#ifndef TBK_STORAGE_SQLITE_BACKEND_H
#define TBK_STORAGE_SQLITE_BACKEND_H

#include "storage/storage.h"

extern const struct tbk_storage_ops tbk_sqlite_ops;

#endif
