/*
 * cmocka's setup and teardown for tests about SQLite files: a folder of its own
 * and a closed store at FOLDER/trade.db in *state.
 */
#ifndef TBK_TESTS_SQLITE_STORE_H
#define TBK_TESTS_SQLITE_STORE_H

#include "folder.h"
#include "raw.h"
#include "store.h"

int tbk_sqlite_store_setup(void **state);
int tbk_sqlite_store_teardown(void **state);

#define sqlite_test(test) cmocka_unit_test_setup_teardown(test, tbk_sqlite_store_setup, tbk_sqlite_store_teardown)

/* FOLDER/name of a store. */
char *tbk_sqlite_store_path(const struct tbk_store *store, const char *name, char out[PATH_MAX]);

#endif
