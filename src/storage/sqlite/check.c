/* What is wrong with a database, and what it lacks. What it should have is read
 * from a new database in memory. */
#include <string.h>

#include "storage/sqlite/upkeep.h"

enum { DAMAGES_MAX = 100, MISSING_ROWS = -1 };

struct checking {
    sqlite3 *db;
    sqlite3 *model; /* as it should be */
    struct tbk_arena *arena;
    struct tbk_check_report report;
};

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while checking.");
}

/* More than the maximum are not kept. */
static enum tbk_status add(struct checking *checking, enum tbk_finding_kind kind, const char *object,
                           const char *text, struct tbk_error *error)
{
    struct tbk_check_report *report = &checking->report;
    if (report->finding_count == TBK_FINDINGS_MAX) {
        return TBK_OK;
    }
    struct tbk_finding *finding = &report->findings[report->finding_count];
    finding->kind = kind;
    finding->object = tbk_arena_strndup(checking->arena, object, strlen(object));
    finding->text = tbk_arena_strndup(checking->arena, text, strlen(text));
    if (finding->object == NULL || finding->text == NULL) {
        return out_of_memory(error);
    }
    report->finding_count++;
    return TBK_OK;
}

/* Damage that stops a statement is a finding, not a failure. */
static enum tbk_status ended(struct checking *checking, int rc, struct tbk_error *error)
{
    if (rc == SQLITE_OK) {
        return TBK_OK;
    }
    if ((rc & 0xff) == SQLITE_CORRUPT) {
        return add(checking, TBK_FINDING_DAMAGE, "database", sqlite3_errmsg(checking->db), error);
    }
    return tbk_sqlite_ended(checking->db, rc, "checking it", error);
}

/* --- the file's own consistency --- */

static enum tbk_status check_integrity(struct checking *checking, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    char sql[64];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA integrity_check(%d)", DAMAGES_MAX);
    enum tbk_status status = TBK_OK;
    int rc = sqlite3_prepare_v2(checking->db, sql, -1, &statement, NULL);
    while (rc == SQLITE_OK && status == TBK_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        if (found != NULL && strcmp(found, "ok") != 0) {
            status = add(checking, TBK_FINDING_DAMAGE, "database", found, error);
        }
    }
    const int finished = sqlite3_finalize(statement);
    return status == TBK_OK ? ended(checking, rc != SQLITE_OK ? rc : finished, error) : status;
}

static enum tbk_status check_references(struct checking *checking, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum tbk_status status = TBK_OK;
    int rc = sqlite3_prepare_v2(checking->db, "PRAGMA foreign_key_check", -1, &statement, NULL);
    while (rc == SQLITE_OK && status == TBK_OK && sqlite3_step(statement) == SQLITE_ROW) {
        char object[160];
        char text[160];
        sqlite3_snprintf(sizeof object, object, "%s row %lld", sqlite3_column_text(statement, 0),
                         sqlite3_column_int64(statement, 1));
        sqlite3_snprintf(sizeof text, text, "refers to a row of %s that does not exist",
                         sqlite3_column_text(statement, 2));
        status = add(checking, TBK_FINDING_ORPHAN, object, text, error);
    }
    const int finished = sqlite3_finalize(statement);
    return status == TBK_OK ? ended(checking, rc != SQLITE_OK ? rc : finished, error) : status;
}

/* --- what should be there --- */

/* The statement that made an object of the file, in the arena; NULL if there is
 * none of that type and name. */
static enum tbk_status find_object(struct checking *checking, const char *type, const char *name,
                                   const char **ret_sql, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const int rc = sqlite3_prepare_v2(
        checking->db, "SELECT ifnull(sql,'') FROM sqlite_schema WHERE type=? AND name=? COLLATE NOCASE", -1,
        &statement, NULL);
    const char *sql = NULL;
    bool complete = true;
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, type, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            sql = tbk_arena_strndup(checking->arena, (const char *)sqlite3_column_text(statement, 0),
                                    (size_t)sqlite3_column_bytes(statement, 0));
            complete = sql != NULL;
        }
    }
    const int finished = sqlite3_finalize(statement);
    *ret_sql = sql;
    return complete ? ended(checking, rc != SQLITE_OK ? rc : finished, error) : out_of_memory(error);
}

static enum tbk_status has_column(struct checking *checking, const char *table, const char *column, bool *ret_has,
                                  struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const int rc = sqlite3_prepare_v2(
        checking->db, "SELECT 1 FROM pragma_table_info(?) WHERE name=? COLLATE NOCASE", -1, &statement, NULL);
    *ret_has = false;
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, column, -1, SQLITE_STATIC);
        *ret_has = sqlite3_step(statement) == SQLITE_ROW;
    }
    const int finished = sqlite3_finalize(statement);
    return ended(checking, rc != SQLITE_OK ? rc : finished, error);
}

static enum tbk_status check_columns(struct checking *checking, const char *table, struct tbk_error *error)
{
    sqlite3_stmt *columns = NULL;
    enum tbk_status status =
        tbk_sqlite_prepare(checking->model, "SELECT name FROM pragma_table_info(?)", &columns, error);
    sqlite3_bind_text(columns, 1, table, -1, SQLITE_STATIC);
    while (status == TBK_OK && sqlite3_step(columns) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(columns, 0);
        bool has;
        status = has_column(checking, table, column, &has, error);
        if (status == TBK_OK && !has) {
            char object[160];
            sqlite3_snprintf(sizeof object, object, "column %s.%s", table, column);
            status = add(checking, TBK_FINDING_MISSING, object, "is missing", error);
        }
    }
    sqlite3_finalize(columns);
    return status;
}

static enum tbk_status count_rows(struct checking *checking, const char *table, int64_t *ret_rows,
                                  struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    char sql[160];
    sqlite3_snprintf(sizeof sql, sql, "SELECT count(*) FROM \"%w\"", table);
    const int rc = sqlite3_prepare_v2(checking->db, sql, -1, &statement, NULL);
    *ret_rows = rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0)
                                                                         : MISSING_ROWS;
    const int finished = sqlite3_finalize(statement);
    return ended(checking, rc != SQLITE_OK ? rc : finished, error);
}

static enum tbk_status check_table(struct checking *checking, const char *name, bool exists,
                                   struct tbk_error *error)
{
    struct tbk_check_table *table = &checking->report.tables[checking->report.table_count];
    *table = (struct tbk_check_table){.name = tbk_arena_strndup(checking->arena, name, strlen(name)),
                                      .rows = MISSING_ROWS};
    if (table->name == NULL) {
        return out_of_memory(error);
    }
    checking->report.table_count++;
    if (!exists) {
        return TBK_OK;
    }
    const enum tbk_status status = count_rows(checking, table->name, &table->rows, error);
    return status == TBK_OK ? check_columns(checking, name, error) : status;
}

/* One object of the model: the file should have the same. */
static enum tbk_status check_object(struct checking *checking, const char *type, const char *name, const char *sql,
                                    struct tbk_error *error)
{
    const char *found = NULL;
    enum tbk_status status = find_object(checking, type, name, &found, error);
    if (status == TBK_OK && strcmp(type, "table") == 0) {
        status = check_table(checking, name, found != NULL, error);
    }
    const bool differs = found != NULL && strcmp(type, "trigger") == 0 && strcmp(found, sql) != 0;
    if (status != TBK_OK || (found != NULL && !differs)) {
        return status;
    }
    char object[160];
    sqlite3_snprintf(sizeof object, object, "%s %s", type, name);
    return add(checking, differs ? TBK_FINDING_DIFFERS : TBK_FINDING_MISSING, object,
               differs ? "is not what this tradebook makes" : "is missing", error);
}

/* Of a file that tradebook has not made or brought to its version, only the
 * users' tables are looked at; the rest is added when it is served. */
static const char objects_sql[] =
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND "
    "(?1 OR (type<>'trigger' AND tbl_name NOT LIKE 'tb\\_%' ESCAPE '\\')) "
    "ORDER BY type='trigger', type='index', rowid";

static enum tbk_status check_objects(struct checking *checking, struct tbk_error *error)
{
    sqlite3_stmt *objects = NULL;
    enum tbk_status status = tbk_sqlite_prepare(checking->model, objects_sql, &objects, error);
    sqlite3_bind_int(objects, 1, checking->report.schema_version == TBK_SQLITE_SCHEMA_VERSION);
    while (status == TBK_OK && sqlite3_step(objects) == SQLITE_ROW) {
        status = check_object(checking, (const char *)sqlite3_column_text(objects, 0),
                              (const char *)sqlite3_column_text(objects, 1),
                              (const char *)sqlite3_column_text(objects, 2), error);
    }
    sqlite3_finalize(objects);
    return status;
}

/* --- all of it --- */

enum tbk_status tbk_sqlite_open_model(const struct tbk_schema *schema, sqlite3 **ret_model,
                                      struct tbk_error *error)
{
    struct tbk_storage storage = {.schema = schema, .lock_fd = -1};
    sqlite3 *model = NULL;
    const int rc = sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    const enum tbk_status status = rc == SQLITE_OK ? tbk_sqlite_migrate(&storage, model, error)
                                                   : tbk_sqlite_failed(model, rc, "making a model", error);
    if (status != TBK_OK) {
        sqlite3_close(model);
        return status;
    }
    *ret_model = model;
    return TBK_OK;
}

static int64_t read_integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static enum tbk_status prepare_report(struct checking *checking, const struct tbk_storage *place,
                                      struct tbk_error *error)
{
    const int64_t tables = read_integer(checking->model, "SELECT count(*) FROM sqlite_schema WHERE type='table'");
    struct tbk_check_report *report = &checking->report;
    report->database = tbk_arena_strndup(checking->arena, place->path, strlen(place->path));
    report->tables = tbk_arena_alloc(checking->arena, (size_t)tables * sizeof report->tables[0]);
    report->findings = tbk_arena_alloc(checking->arena, TBK_FINDINGS_MAX * sizeof report->findings[0]);
    report->database_bytes = tbk_sqlite_file_bytes(place->path);
    report->log_bytes = tbk_sqlite_log_bytes(place->path);
    report->schema_version_known = TBK_SQLITE_SCHEMA_VERSION;
    report->free_bytes = read_integer(
        checking->db, "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size");
    return report->database != NULL && report->tables != NULL && report->findings != NULL ? TBK_OK
                                                                                          : out_of_memory(error);
}

/* Looks at everything in one snapshot. */
static enum tbk_status check_all(struct checking *checking, const struct tbk_storage *place,
                                 struct tbk_error *error)
{
    int64_t version = 0;
    enum tbk_status status = tbk_sqlite_exec(checking->db, "BEGIN", "reading it", error);
    if (status == TBK_OK) {
        status = tbk_sqlite_identify(place, checking->db, true, &version, error);
    }
    if (status == TBK_OK) {
        checking->report.schema_version = (int32_t)version;
        status = prepare_report(checking, place, error);
    }
    if (status == TBK_OK) {
        status = check_integrity(checking, error);
    }
    if (status == TBK_OK && checking->report.finding_count == 0) {
        status = check_references(checking, error);
    }
    return status == TBK_OK ? check_objects(checking, error) : status;
}

enum tbk_status tbk_sqlite_check(const struct tbk_storage_config *config,
                                 const struct tbk_upkeep_observer *observer, struct tbk_arena *arena,
                                 struct tbk_check_report *ret_report, struct tbk_error *error)
{
    struct checking checking = {.arena = arena};
    struct tbk_storage place;
    struct stat file;
    enum tbk_status status = tbk_sqlite_open_existing(config, &place, &file, &checking.db, error);
    if (status == TBK_OK) {
        tbk_sqlite_observe(checking.db, observer);
        status = tbk_sqlite_open_model(config->schema, &checking.model, error);
    }
    if (status == TBK_OK) {
        status = check_all(&checking, &place, error);
    }
    sqlite3_close(checking.model);
    tbk_sqlite_close_existing(&place, checking.db);
    if (status == TBK_OK) {
        *ret_report = checking.report;
    }
    return status;
}
