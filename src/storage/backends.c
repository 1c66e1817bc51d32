/* The only file that names the concrete backends. */
#include <sqlite3.h>
#include <string.h>

#include "storage/sqlite/backend.h"
#include "storage/storage.h"

static const char *after_prefix(const char *url, const char *prefix)
{
    const size_t length = strlen(prefix);
    return strncmp(url, prefix, length) == 0 ? url + length : NULL;
}

const struct tbk_storage_ops *tbk_storage_backend(const char *url, const char **ret_location,
                                                  struct tbk_error *error)
{
    const char *path = after_prefix(url, "sqlite:///");
    if (path == NULL && strstr(url, "://") != NULL) {
        tbk_error_set(error, TBK_INVALID_ARGUMENT,
                      "The database '%s' cannot be served by this build; give a path or sqlite:///PATH.", url);
        return NULL;
    }
    *ret_location = path != NULL ? path : url;
    if (**ret_location == '\0') {
        tbk_error_set(error, TBK_INVALID_ARGUMENT, "The database path is empty.");
        return NULL;
    }
    return &tbk_sqlite_ops;
}

const char *tbk_storage_sqlite_version(void)
{
    return sqlite3_libversion();
}
