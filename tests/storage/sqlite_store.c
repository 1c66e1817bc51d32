#include "sqlite_store.h"

#include <stdio.h>
#include <string.h>

#include "storage/sqlite/backend.h"

int tbk_sqlite_store_setup(void **state)
{
    char folder[PATH_MAX];
    char location[PATH_MAX];
    tbk_folder_create(folder);
    *state = tbk_store_create(&tbk_sqlite_ops, tbk_folder_path(folder, "trade.db", location));
    return 0;
}

static void folder_of(const struct tbk_store *store, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s", (int)(strrchr(store->location, '/') - store->location), store->location);
}

int tbk_sqlite_store_teardown(void **state)
{
    char folder[PATH_MAX];
    folder_of(*state, folder);
    tbk_store_destroy(*state);
    tbk_folder_destroy(folder);
    return 0;
}

char *tbk_sqlite_store_path(const struct tbk_store *store, const char *name, char out[PATH_MAX])
{
    char folder[PATH_MAX];
    folder_of(store, folder);
    return tbk_folder_path(folder, name, out);
}
