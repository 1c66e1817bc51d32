/* Backup, restore and vacuum: each makes a verified copy beside its target and
 * renames it there. */
#include "storage/sqlite/upkeep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUFFIX_BYTES_MAX = 64 };

static const char *const log_suffixes[] = {"-wal", "-journal"};
enum { LOG_COUNT = sizeof log_suffixes / sizeof log_suffixes[0] };

enum tbk_status tbk_sqlite_find_place(const struct tbk_storage_config *config, struct tbk_storage *place,
                                      struct tbk_error *error)
{
    memset(place, 0, sizeof *place);
    place->schema = config->schema;
    place->lock_fd = -1;
    place->busy_timeout_ms = config->busy_timeout_ms;
    return tbk_sqlite_resolve_path(config->location, place->path, error);
}

enum tbk_status tbk_sqlite_open_existing(const struct tbk_storage_config *config, struct tbk_storage *place,
                                         struct stat *ret_file, sqlite3 **ret_db, struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_find_place(config, place, error);
    if (status != TBK_OK) {
        return status;
    }
    if (stat(place->path, ret_file) != 0) {
        return tbk_error_set(error, TBK_NOT_FOUND, "There is no database '%s'.", place->path);
    }
    return tbk_sqlite_connect(place, TBK_SESSION_READ, ret_db, error);
}

void tbk_sqlite_close_existing(const struct tbk_storage *place, sqlite3 *db)
{
    if (db != NULL && tbk_sqlite_log_bytes(place->path) == 0) {
        /* SQLite removes the log under an exclusive lock, that is, if nobody else is
         * there; with nothing in it there is nothing to checkpoint. */
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    }
    sqlite3_close(db);
}

/* Opens a database that must be a bot's or tradebook's. */
static enum tbk_status open_source(const struct tbk_storage_config *config, struct tbk_storage *place,
                                   struct stat *ret_file, sqlite3 **ret_db, struct tbk_copy_report *report,
                                   struct tbk_error *error)
{
    sqlite3 *db = NULL;
    enum tbk_status status = tbk_sqlite_open_existing(config, place, ret_file, &db, error);
    if (status == TBK_OK) {
        int64_t version = 0;
        status = tbk_sqlite_identify(place, db, false, &version, error);
        report->schema_version = (int32_t)version;
    }
    if (status != TBK_OK) {
        tbk_sqlite_close_existing(place, db);
        return status;
    }
    *ret_db = db;
    return TBK_OK;
}

/* --- backup --- */

/* SQLite would take a log that lies there for one of the new file. */
static enum tbk_status refuse_log_beside(const char *path, struct tbk_error *error)
{
    for (size_t i = 0; i < LOG_COUNT; i++) {
        char log[PATH_MAX + SUFFIX_BYTES_MAX];
        snprintf(log, sizeof log, "%s%s", path, log_suffixes[i]);
        if (tbk_sqlite_file_bytes(log) > 0) {
            return tbk_error_set(error, TBK_FAILED_PRECONDITION,
                                 "'%s' exists: '%s' is or was a database in use. Give another name.", log, path);
        }
    }
    return TBK_OK;
}

static enum tbk_status check_destination(const char *path, bool replace, const struct stat *source,
                                         struct tbk_error *error)
{
    struct stat file;
    char holder[64];
    if (stat(path, &file) != 0) {
        return lstat(path, &file) == 0 && !replace
                   ? tbk_error_set(error, TBK_ALREADY_EXISTS, "There is a symbolic link '%s' already.", path)
                   : refuse_log_beside(path, error);
    }
    if (S_ISDIR(file.st_mode)) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "'%s' is a folder. Give the name of a file in it.",
                             path);
    }
    if (file.st_ino == source->st_ino && file.st_dev == source->st_dev) {
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "'%s' is the database itself. Give another name.", path);
    }
    if (!replace) {
        return tbk_error_set(error, TBK_ALREADY_EXISTS, "There is a file '%s' already.", path);
    }
    if (!S_ISREG(file.st_mode) || tbk_sqlite_find_holder(path, holder, sizeof holder)) {
        return tbk_error_set(error, TBK_FAILED_PRECONDITION, "'%s' is %s. Give another name.", path,
                             S_ISREG(file.st_mode) ? "open in another program" : "not a file");
    }
    return refuse_log_beside(path, error);
}

enum tbk_status tbk_sqlite_backup(const struct tbk_storage_config *config, const char *destination, bool replace,
                                  const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                  struct tbk_error *error)
{
    struct tbk_copy_report report = {0};
    struct tbk_storage place;
    struct tbk_stage stage;
    struct stat file;
    sqlite3 *db = NULL;
    enum tbk_status status = open_source(config, &place, &file, &db, &report, error);
    if (status != TBK_OK) {
        return status;
    }
    status = check_destination(destination, replace, &file, error);
    if (status == TBK_OK) {
        status = tbk_stage_begin(destination, &file, &stage, error);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_copy(db, TBK_COPY_PAGES, &stage, observer, &report, error);
        if (status == TBK_OK) {
            tbk_stage_take_after(&stage, &file);
            status = tbk_stage_publish(&stage, replace, error);
        }
        tbk_stage_abandon(&stage);
    }
    tbk_sqlite_close_existing(&place, db);
    if (status == TBK_OK) {
        memcpy(report.database, place.path, sizeof report.database);
        report.database_bytes = tbk_sqlite_file_bytes(place.path);
        report.log_bytes = tbk_sqlite_log_bytes(place.path);
        *ret_report = report;
    }
    return status;
}

/* --- replacing a database --- */

static enum tbk_status refuse_holder(const char *path, struct tbk_error *error)
{
    char holder[96];
    if (!tbk_sqlite_find_holder(path, holder, sizeof holder)) {
        return TBK_OK;
    }
    return tbk_error_set(
        error, TBK_FAILED_PRECONDITION,
        "The database '%s' is open in process %s, which would go on with the former file. End it, "
        "then try again.",
        path, holder);
}

/* Takes the database for this process: nobody serves it, and nobody who can be
 * seen has it open. */
static enum tbk_status take(const struct tbk_storage_config *config, struct tbk_storage *place,
                            struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_find_place(config, place, error);
    if (status == TBK_OK) {
        status = tbk_sqlite_take(place, error);
    }
    if (status == TBK_OK) {
        status = refuse_holder(place->path, error);
    }
    return status;
}

static void give_back(struct tbk_storage *place)
{
    if (place->lock_fd >= 0) {
        tbk_sqlite_forget_lock_file(place);
        tbk_sqlite_release(place);
    }
}

/* Opens the database, locks everybody else out until that is closed, and moves the
 * log into the file. */
static enum tbk_status lock_out(const struct tbk_storage *place, sqlite3 **ret_db, struct tbk_error *error)
{
    sqlite3 *db = NULL;
    enum tbk_status status = tbk_sqlite_connect(place, TBK_SESSION_WRITE, &db, error);
    if (status != TBK_OK) {
        return status;
    }
    status = tbk_sqlite_exec(db,
                             "PRAGMA locking_mode=EXCLUSIVE;PRAGMA journal_mode=DELETE;"
                             "BEGIN EXCLUSIVE;COMMIT",
                             "locking it", error);
    if (status != TBK_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_close(db);
        return status;
    }
    *ret_db = db;
    return TBK_OK;
}

/* Removes what belongs to the database file path; with_file: that too. */
static void remove_files(const char *path, bool with_file)
{
    static const char *const suffixes[] = {"-wal", "-journal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[PATH_MAX + 2 * SUFFIX_BYTES_MAX];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    if (with_file) {
        unlink(path);
    }
}

/* Moves the logs of one path to another. All of them or none. */
static enum tbk_status move_logs(const char *from, const char *to, struct tbk_error *error)
{
    for (size_t i = 0; i < LOG_COUNT; i++) {
        char log[PATH_MAX + 2 * SUFFIX_BYTES_MAX];
        char moved[PATH_MAX + 2 * SUFFIX_BYTES_MAX];
        snprintf(log, sizeof log, "%s%s", from, log_suffixes[i]);
        snprintf(moved, sizeof moved, "%s%s", to, log_suffixes[i]);
        if (link(log, moved) != 0 && errno != ENOENT) {
            const int reason = errno;
            remove_files(to, false);
            return tbk_error_set(error, TBK_FAILED_PRECONDITION, "'%s' cannot be kept as '%s': %s.", log, moved,
                                 strerror(reason));
        }
    }
    remove_files(from, false);
    return TBK_OK;
}

/* --- restore --- */

/* Keeps the former database aside and puts the stage in its place. db holds the
 * former database; NULL: it is damaged, and its logs go with it. At any moment
 * the path names either the former file, whole, or the new one. */
static enum tbk_status swap(const struct tbk_storage *place, sqlite3 *db, struct tbk_stage *stage, char *kept,
                            size_t kept_bytes, struct tbk_error *error)
{
    char stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(kept, kept_bytes, "%s.before-restore-%s", place->path, stamp);
    enum tbk_status status = db == NULL ? move_logs(place->path, kept, error) : TBK_OK;
    if (status != TBK_OK) {
        return status;
    }
    status = tbk_stage_sync_folder(stage, error); /* no log may come back beside the new file */
    if (status == TBK_OK) {
        status = tbk_stage_exchange(stage, kept, error);
    }
    if (status != TBK_OK && stage->fd >= 0 && db == NULL) { /* nothing has changed */
        struct tbk_error ignored;
        tbk_error_init(&ignored);
        (void)!move_logs(kept, place->path, &ignored);
    }
    return status;
}

/* Whether the former database is beyond what SQLite can open. */
static bool is_damaged(enum tbk_status status)
{
    return status == TBK_DATA_LOSS || status == TBK_FAILED_PRECONDITION;
}

static enum tbk_status replace_former(const struct tbk_storage *place, struct tbk_stage *stage,
                                      struct tbk_copy_report *report, struct tbk_error *error)
{
    struct stat former;
    if (stat(place->path, &former) != 0) {
        const enum tbk_status refused = refuse_log_beside(place->path, error);
        return refused != TBK_OK ? refused : tbk_stage_publish(stage, false, error);
    }
    tbk_stage_take_after(stage, &former);
    report->database_bytes = (int64_t)former.st_size;
    enum tbk_status status = refuse_holder(place->path, error);
    sqlite3 *db = NULL;
    if (status == TBK_OK && former.st_size > 0) { /* beside an empty file SQLite deletes the log */
        status = lock_out(place, &db, error);
        if (is_damaged(status)) {
            tbk_error_init(error);
            status = TBK_OK;
        }
    }
    if (status == TBK_OK) {
        status = swap(place, db, stage, report->kept, sizeof report->kept, error);
    }
    sqlite3_close(db);
    return status;
}

/* Makes a verified copy of the backup beside the database. */
static enum tbk_status stage_backup(const struct tbk_storage_config *config, const struct tbk_storage *place,
                                    struct tbk_stage *stage, const struct tbk_upkeep_observer *observer,
                                    struct tbk_copy_report *report, struct tbk_error *error)
{
    struct tbk_storage source;
    struct stat file;
    sqlite3 *db = NULL;
    enum tbk_status status = open_source(config, &source, &file, &db, report, error);
    if (status == TBK_OK && strcmp(source.path, place->path) == 0) {
        status = tbk_error_set(error, TBK_INVALID_ARGUMENT, "The backup is the database itself.");
    }
    if (status == TBK_OK) {
        status = tbk_stage_begin(place->path, &file, stage, error);
    }
    if (status == TBK_OK) {
        tbk_stage_take_after(stage, &file);
        status = tbk_sqlite_copy(db, TBK_COPY_PAGES, stage, observer, report, error);
        if (status != TBK_OK) {
            tbk_stage_abandon(stage);
        }
    }
    tbk_sqlite_close_existing(&source, db);
    return status;
}

static enum tbk_status restore_from(const struct tbk_storage_config *config, const char *backup,
                                    struct tbk_storage *place, const struct tbk_upkeep_observer *observer,
                                    struct tbk_copy_report *report, struct tbk_error *error)
{
    struct tbk_storage_config source = *config;
    struct tbk_stage stage;
    source.location = backup;
    enum tbk_status status = stage_backup(&source, place, &stage, observer, report, error);
    if (status == TBK_DATA_LOSS || status == TBK_FAILED_PRECONDITION) {
        char reason[TBK_ERROR_MESSAGE_BYTES_MAX];
        memcpy(reason, error->message, sizeof reason);
        return tbk_error_set(error, status, "'%s' is not restored. %s", backup, reason);
    }
    if (status == TBK_OK) {
        status = replace_former(place, &stage, report, error);
        tbk_stage_abandon(&stage);
    }
    return status;
}

enum tbk_status tbk_sqlite_restore(const struct tbk_storage_config *config, const char *backup,
                                   const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                   struct tbk_error *error)
{
    struct tbk_copy_report report = {0};
    struct tbk_storage place;
    enum tbk_status status = take(config, &place, error);
    if (status == TBK_OK) {
        status = restore_from(config, backup, &place, observer, &report, error);
    }
    give_back(&place);
    if (status == TBK_OK) {
        memcpy(report.database, place.path, sizeof report.database);
        *ret_report = report;
    }
    return status;
}

/* --- vacuum --- */

/* Before anything is changed. */
static enum tbk_status check_kind(const struct tbk_storage_config *config, struct tbk_copy_report *report,
                                  struct tbk_error *error)
{
    struct tbk_storage place;
    struct stat file;
    sqlite3 *db = NULL;
    const enum tbk_status status = open_source(config, &place, &file, &db, report, error);
    tbk_sqlite_close_existing(&place, db);
    return status;
}

/* Puts a compact copy in the place of the database that db holds. */
static enum tbk_status replace_by_compact(const struct tbk_storage *place, sqlite3 *db,
                                          const struct tbk_upkeep_observer *observer,
                                          struct tbk_copy_report *report, struct tbk_error *error)
{
    struct tbk_stage stage;
    struct stat file;
    if (stat(place->path, &file) != 0) {
        return tbk_error_set(error, TBK_NOT_FOUND, "There is no database '%s'.", place->path);
    }
    report->database_bytes = (int64_t)file.st_size;
    enum tbk_status status = tbk_stage_begin(place->path, &file, &stage, error);
    if (status != TBK_OK) {
        return status;
    }
    status = tbk_sqlite_copy(db, TBK_COPY_COMPACT, &stage, observer, report, error);
    if (status == TBK_OK) {
        tbk_stage_take_after(&stage, &file);
        status = tbk_stage_publish(&stage, true, error);
    }
    tbk_stage_abandon(&stage);
    return status;
}

enum tbk_status tbk_sqlite_vacuum(const struct tbk_storage_config *config,
                                  const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                  struct tbk_error *error)
{
    struct tbk_copy_report report = {0};
    struct tbk_storage place;
    sqlite3 *db = NULL;
    enum tbk_status status = take(config, &place, error);
    if (status == TBK_OK) {
        status = check_kind(config, &report, error);
    }
    if (status == TBK_OK) {
        status = lock_out(&place, &db, error);
    }
    if (status == TBK_OK) {
        status = replace_by_compact(&place, db, observer, &report, error);
        sqlite3_close(db);
    }
    give_back(&place);
    if (status == TBK_OK) {
        memcpy(report.database, place.path, sizeof report.database);
        *ret_report = report;
    }
    return status;
}
