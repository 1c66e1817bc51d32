/* The repair: a backup, then one transaction. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/sqlite/doctor.h"

struct repair {
    struct tbk_storage place;
    sqlite3 *db;
    sqlite3 *model;
    const struct tbk_audit_options *options;
    int64_t version;
};

/* Keeps the keys of what the rule has found and can repair, then repairs them. */
static enum tbk_status repair_rule(const struct repair *repair, const struct tbk_doctor_rule *rule,
                                   struct tbk_error *error)
{
    sqlite3_stmt *collect = NULL;
    char *sql = sqlite3_mprintf("WITH found (source, key, detail, repairable) AS (%s) "
                                "INSERT INTO doctor_keys SELECT key FROM found WHERE repairable",
                                rule->find);
    enum tbk_status status = sql == NULL
                                 ? tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while repairing.")
                                 : tbk_sqlite_exec(repair->db, "DELETE FROM doctor_keys", "repairing", error);
    if (status == TBK_OK) {
        status = tbk_sqlite_prepare(repair->db, sql, &collect, error);
    }
    sqlite3_free(sql);
    if (status != TBK_OK) {
        return status;
    }
    tbk_doctor_bind(collect, repair->options);
    sqlite3_step(collect);
    const int rc = sqlite3_finalize(collect);
    return rc == SQLITE_OK ? tbk_sqlite_exec(repair->db, rule->repair, "repairing", error)
                           : tbk_sqlite_failed(repair->db, rc, "repairing", error);
}

static enum tbk_status repair_all(const struct repair *repair, struct tbk_error *error)
{
    const struct tbk_schema *schema = repair->place.schema;
    enum tbk_status status =
        tbk_doctor_repair_structure(schema, repair->db, repair->model, repair->version, error);
    if (status == TBK_OK) {
        status = tbk_doctor_repair_values(schema, repair->db, error);
    }
    if (status == TBK_OK) {
        status = tbk_doctor_stand_in(repair->db, repair->model, error);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_exec(repair->db, "CREATE TEMP TABLE doctor_keys (key)", "repairing", error);
    }
    for (size_t i = 0; status == TBK_OK && i < tbk_doctor_rule_count; i++) {
        if (tbk_doctor_rules[i].repair != NULL) {
            status = repair_rule(repair, &tbk_doctor_rules[i], error);
        }
    }
    return status;
}

static enum tbk_status back_up(const struct tbk_storage_config *config, const struct repair *repair,
                               const struct tbk_upkeep_observer *observer, struct tbk_repair_report *report,
                               struct tbk_error *error)
{
    struct tbk_copy_report copy;
    char stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(report->backup, sizeof report->backup, "%s.before-fix-%s", repair->place.path, stamp);
    return tbk_sqlite_backup(config, report->backup, false, observer, &copy, error);
}

/* Inside the transaction nobody else writes, so the backup is what is repaired. */
static enum tbk_status run(const struct tbk_storage_config *config, struct repair *repair,
                           const struct tbk_upkeep_observer *observer, struct tbk_repair_report *report,
                           struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_exec(repair->db, "BEGIN IMMEDIATE", "starting the repair", error);
    if (status != TBK_OK) {
        return status;
    }
    status = tbk_sqlite_identify(&repair->place, repair->db, true, &repair->version, error);
    if (status == TBK_OK) {
        status = back_up(config, repair, observer, report, error);
    }
    if (status == TBK_OK) {
        status = repair_all(repair, error);
        if (status != TBK_OK) {
            unlink(report->backup); /* of a database that stays as it is */
        }
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_exec(repair->db, "COMMIT", "committing the repair", error);
    }
    if (status != TBK_OK) {
        sqlite3_exec(repair->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

static enum tbk_status open_both(struct repair *repair, struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_connect(&repair->place, TBK_SESSION_WRITE, &repair->db, error);
    if (status == TBK_OK) {
        status = tbk_doctor_functions(repair->db, error);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_open_model(repair->place.schema, &repair->model, error);
    }
    return status;
}

enum tbk_status tbk_sqlite_repair(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                                  const struct tbk_upkeep_observer *observer, struct tbk_repair_report *ret_report,
                                  struct tbk_error *error)
{
    struct repair repair = {.options = options};
    struct tbk_repair_report report = {0};
    struct stat file;
    enum tbk_status status = tbk_sqlite_find_place(config, &repair.place, error);
    if (status == TBK_OK && stat(repair.place.path, &file) != 0) {
        status = tbk_error_set(error, TBK_NOT_FOUND, "There is no database '%s'.", repair.place.path);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_take(&repair.place, error);
    }
    if (status != TBK_OK) {
        return status;
    }
    status = open_both(&repair, error);
    if (status == TBK_OK) {
        status = run(config, &repair, observer, &report, error);
    }
    sqlite3_close(repair.model);
    sqlite3_close(repair.db);
    tbk_sqlite_forget_lock_file(&repair.place);
    tbk_sqlite_release(&repair.place);
    if (status == TBK_OK) {
        *ret_report = report;
    }
    return status;
}
