/* Findings about the file as such: those of the check of upkeep, by rule. */
#include <string.h>

#include "storage/sqlite/doctor.h"

enum structure_rule {
    RULE_DAMAGED,
    RULE_MISSING_TABLE,
    RULE_MISSING_COLUMN,
    RULE_MISSING_INDEX,
    RULE_MISSING_TRIGGER,
    RULE_OTHER_TRIGGER,
    RULE_COUNT,
};

const struct tbk_audit_rule tbk_doctor_structure_rules[] = {
    [RULE_DAMAGED] =
        {"damaged", TBK_SEVERITY_ERROR,
         "SQLite's own check finds the file damaged; what the other rules say of it may be incomplete.",
         "Nothing: keep a copy of the file, and restore the last backup."},
    [RULE_MISSING_TABLE] =
        {"missing-table", TBK_SEVERITY_ERROR, "A table is missing.",
         "Creates it, empty; a table of tradebook's own that was lost is not made again, because "
         "its content cannot be."},
    [RULE_MISSING_COLUMN] = {"missing-column", TBK_SEVERITY_ERROR, "A column is missing.",
                             "Adds it with its default; nothing where every row needs a value of its own."},
    [RULE_MISSING_INDEX] = {"missing-index", TBK_SEVERITY_WARNING,
                            "An index is missing: queries take longer, and a unique one no longer guards.",
                            "Creates it."},
    [RULE_MISSING_TRIGGER] = {"missing-trigger", TBK_SEVERITY_ERROR,
                              "A trigger is missing: trades that other programs close make no event, or figures "
                              "miss a change.",
                              "Creates it, and brings up to date what it would have written."},
    [RULE_OTHER_TRIGGER] = {"trigger-differs", TBK_SEVERITY_WARNING,
                            "A trigger is not the one that this tradebook makes.", "Replaces it."},
};

const size_t tbk_doctor_structure_rule_count = RULE_COUNT;
const struct tbk_audit_rule *const tbk_doctor_damage = &tbk_doctor_structure_rules[RULE_DAMAGED];

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "table", "column", "index" or "trigger". */
static enum structure_rule rule_of(const struct tbk_finding *finding, const char *type)
{
    if (finding->kind == TBK_FINDING_DAMAGE) {
        return RULE_DAMAGED;
    }
    if (finding->kind == TBK_FINDING_DIFFERS) {
        return RULE_OTHER_TRIGGER;
    }
    switch (type[0]) {
    case 't':
        return starts_with(type, "table") ? RULE_MISSING_TABLE : RULE_MISSING_TRIGGER;
    case 'c':
        return RULE_MISSING_COLUMN;
    default:
        return RULE_MISSING_INDEX;
    }
}

/* Whether a missing column, "signals.strategy", can be added. */
static bool can_add(const struct tbk_schema *schema, const char *name)
{
    const char *dot = strchr(name, '.');
    for (int i = 0; dot != NULL && i < TBK_TABLE_COUNT; i++) {
        const struct tbk_table *table = &schema->tables[i];
        if (strlen(table->name) == (size_t)(dot - name) && starts_with(name, table->name)) {
            const struct tbk_column *column = tbk_table_column(table, dot + 1, strlen(dot + 1));
            return column != NULL && column != table->key && (!column->not_null || column->sql_default != NULL);
        }
    }
    return false;
}

static bool can_make(const struct tbk_schema *schema, enum structure_rule rule, const char *name)
{
    switch (rule) {
    case RULE_DAMAGED:
        return false;
    case RULE_MISSING_TABLE:
        return !starts_with(name, "tb_");
    case RULE_MISSING_COLUMN:
        return can_add(schema, name);
    default:
        return true;
    }
}

static enum tbk_status take(struct tbk_doctor *doctor, const struct tbk_finding *finding, struct tbk_error *error)
{
    char type[16] = "";
    const char *space = strchr(finding->object, ' ');
    const char *name = space != NULL ? space + 1 : "";
    const size_t length = space != NULL ? (size_t)(space - finding->object) : strlen(finding->object);
    memcpy(type, finding->object, length < sizeof type ? length : sizeof type - 1);
    const enum structure_rule rule = rule_of(finding, type);
    const struct tbk_doctor_place place = {.table = type, .key = name};
    return tbk_doctor_found(doctor, &tbk_doctor_structure_rules[rule], &place,
                            rule == RULE_DAMAGED ? finding->text : "", can_make(doctor->schema, rule, name),
                            error);
}

/* References of rows to others are a matter of the rules about rows, which know
 * what they mean. */
enum tbk_status tbk_doctor_structure(struct tbk_doctor *doctor, const struct tbk_storage_config *config,
                                     struct tbk_error *error)
{
    struct tbk_check_report check;
    enum tbk_status status = tbk_sqlite_check(config, doctor->observer, doctor->arena, &check, error);
    if (status != TBK_OK) {
        return status;
    }
    doctor->version = check.schema_version;
    for (size_t i = 0; status == TBK_OK && i < check.finding_count; i++) {
        if (check.findings[i].kind != TBK_FINDING_ORPHAN) {
            status = take(doctor, &check.findings[i], error);
        }
    }
    return status;
}

/* The statements of tradebook's own indexes, if their tables are there. */
static enum tbk_status make_own_indexes(sqlite3 *db, sqlite3 *model, struct tbk_error *error)
{
    sqlite3_stmt *indexes = NULL;
    enum tbk_status status =
        tbk_sqlite_prepare(model,
                           "SELECT sql FROM sqlite_schema WHERE type='index' AND sql IS NOT NULL AND "
                           "tbl_name LIKE 'tb\\_%' ESCAPE '\\'",
                           &indexes, error);
    while (status == TBK_OK && sqlite3_step(indexes) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(indexes, 0);
        char *make = sqlite3_mprintf("CREATE%sINDEX IF NOT EXISTS%s",
                                     strstr(sql, "CREATE UNIQUE") == sql ? " UNIQUE " : " ",
                                     strstr(sql, "INDEX") + strlen("INDEX"));
        status = make == NULL
                     ? tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while creating an index.")
                     : tbk_sqlite_exec(db, make, "creating an index", error);
        sqlite3_free(make);
    }
    sqlite3_finalize(indexes);
    return status;
}

enum tbk_status tbk_doctor_repair_structure(const struct tbk_schema *schema, sqlite3 *db, sqlite3 *model,
                                            int64_t version, struct tbk_error *error)
{
    struct tbk_dynbuf changes;
    tbk_dynbuf_init(&changes, TBK_SQLITE_CHANGES_BYTES_MAX - 1);
    enum tbk_status status = tbk_sqlite_ensure_tables(schema, db, &changes, error);
    tbk_dynbuf_fini(&changes);
    /* What belongs to another version is made when that is brought up to date. */
    if (status == TBK_OK && version == TBK_SQLITE_SCHEMA_VERSION) {
        status = make_own_indexes(db, model, error);
        if (status == TBK_OK) {
            status = tbk_sqlite_ensure_triggers(db, error);
        }
    }
    return status;
}
