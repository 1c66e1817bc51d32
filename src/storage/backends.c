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

/* The path in a URL or a path, as SQLAlchemy reads them where both can. */
static enum tbk_status find_path(const char *url, const char **ret_path, struct tbk_error *error)
{
    const char *path = after_prefix(url, "sqlite:///");
    const char *options = path != NULL ? strchr(path, '?') : NULL;
    const bool in_memory = strcmp(url, "sqlite://") == 0 || strcmp(path != NULL ? path : url, ":memory:") == 0 ||
                           (path != NULL && *path == '\0');
    if (in_memory) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "The database '%s' is one in memory, which ends with its process; give a path.", url);
    }
    if (path == NULL && strstr(url, "://") != NULL) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "The database '%s' cannot be served by this build; give a path or sqlite:///PATH.",
                             url);
    }
    if (options != NULL) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT,
                             "The database '%s' has options, which are for another program; leave out '%s'.", url,
                             options);
    }
    if (*url == '\0') {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "The database path is empty.");
    }
    *ret_path = path != NULL ? path : url;
    return TBK_OK;
}

const struct tbk_storage_ops *tbk_storage_backend(const char *url, const char **ret_location,
                                                  struct tbk_error *error)
{
    return find_path(url, ret_location, error) == TBK_OK ? &tbk_sqlite_ops : NULL;
}

const char *tbk_storage_sqlite_version(void)
{
    return sqlite3_libversion();
}
