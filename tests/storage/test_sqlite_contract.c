/* The storage contract on SQLite. */
#include <stdio.h>
#include <string.h>

#include "contract.h"
#include "folder.h"
#include "storage/sqlite/backend.h"

static void location_create(char out[PATH_MAX])
{
    char folder[PATH_MAX];
    tbk_folder_create(folder);
    tbk_folder_path(folder, "contract.db", out);
}

static void location_destroy(const char *location)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(location, '/') - location), location);
    tbk_folder_destroy(folder);
}

int main(void)
{
    const struct tbk_contract_backend sqlite = {
        .ops = &tbk_sqlite_ops, .location_create = location_create, .location_destroy = location_destroy};
    return tbk_contract_run(&sqlite);
}
