/* The audit: applies the rules one by one. Each reads what is committed when it
 * begins; a snapshot over all of them would hold up whoever writes to a file that
 * has no write-ahead log. */
#include "storage/sqlite/doctor.h"

#include <string.h>

#include "base/text.h"

enum { OPS_PER_LOOK = 20000 };

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory during the audit.");
}

static struct tbk_audit_finding *finding_of(struct tbk_doctor *doctor, const struct tbk_audit_rule *rule)
{
    struct tbk_audit_finding *finding = doctor->findings;
    while (finding->rule != rule) {
        finding++;
    }
    return finding;
}

/* A copy in the arena in which what is not UTF-8 is a question mark. */
static const char *copy_text(struct tbk_doctor *doctor, const char *text)
{
    const size_t length = strlen(text);
    char *const copy = tbk_arena_strndup(doctor->arena, text, length);
    for (size_t i = 0; copy != NULL && i < length;) {
        uint32_t code_point;
        const size_t bytes = tbk_utf8_decode(copy + i, length - i, &code_point);
        if (bytes == 0) {
            copy[i] = '?';
        }
        i += bytes > 0 ? bytes : 1;
    }
    return copy;
}

enum tbk_status tbk_doctor_found(struct tbk_doctor *doctor, const struct tbk_audit_rule *rule,
                                 const struct tbk_doctor_place *place, const char *detail, bool repairable,
                                 struct tbk_error *error)
{
    struct tbk_audit_finding *finding = finding_of(doctor, rule);
    finding->count++;
    finding->repairable += repairable ? 1 : 0;
    if (finding->example_count == doctor->options->examples_max) {
        return TBK_OK;
    }
    if (finding->examples == NULL) {
        finding->examples =
            tbk_arena_alloc(doctor->arena, doctor->options->examples_max * sizeof finding->examples[0]);
    }
    const char *const key = copy_text(doctor, place->key);
    const char *const table = copy_text(doctor, place->table);
    const char *const text = copy_text(doctor, detail);
    if (finding->examples == NULL || key == NULL || table == NULL || text == NULL) {
        return out_of_memory(error);
    }
    finding->examples[finding->example_count++] = (struct tbk_audit_example){
        .table = table, .key = key, .key_is_integer = place->key_is_integer, .detail = text};
    return TBK_OK;
}

enum tbk_status tbk_doctor_ended(struct tbk_doctor *doctor, int rc, struct tbk_error *error)
{
    static const struct tbk_doctor_place place = {.table = "database", .key = ""};
    if (rc == SQLITE_OK) {
        return TBK_OK;
    }
    if ((rc & 0xff) != SQLITE_CORRUPT) {
        return tbk_sqlite_ended(doctor->db, rc, "auditing it", error);
    }
    /* What SQLite's own check has named already need not be named again. */
    return finding_of(doctor, tbk_doctor_damage)->count > 0
               ? TBK_OK
               : tbk_doctor_found(doctor, tbk_doctor_damage, &place, sqlite3_errmsg(doctor->db), false, error);
}

/* --- rules in SQL --- */

static void bind(sqlite3_stmt *statement, const char *name, int64_t value)
{
    const int position = sqlite3_bind_parameter_index(statement, name);
    if (position > 0) {
        sqlite3_bind_int64(statement, position, value);
    }
}

void tbk_doctor_bind(sqlite3_stmt *statement, const struct tbk_audit_options *options)
{
    bind(statement, ":now", options->now_us);
    bind(statement, ":stuck", options->stuck_us);
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

static enum tbk_status apply(struct tbk_doctor *doctor, const struct tbk_doctor_rule *rule,
                             struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    enum tbk_status status = TBK_OK;
    const int rc = sqlite3_prepare_v2(doctor->db, rule->find, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        tbk_doctor_bind(statement, doctor->options);
    }
    while (status == TBK_OK && rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const struct tbk_doctor_place place = {
            .table = text_of(statement, 0),
            .key_is_integer = sqlite3_column_type(statement, 1) == SQLITE_INTEGER,
            .key = text_of(statement, 1),
        };
        status = tbk_doctor_found(doctor, &rule->rule, &place, text_of(statement, 2),
                                  sqlite3_column_int(statement, 3) != 0, error);
    }
    const int finished = sqlite3_finalize(statement);
    return status == TBK_OK ? tbk_doctor_ended(doctor, rc != SQLITE_OK ? rc : finished, error) : status;
}

/* --- standing in --- */

/* The columns that a table of the model has and the file's has not. */
static const char missing_columns[] = "SELECT m.name, ifnull(m.dflt_value,'NULL') FROM pragma_table_info(?1) m";

static enum tbk_status has_object(sqlite3 *db, const char *sql, const char *table, const char *column,
                                  bool *ret_has, struct tbk_error *error)
{
    sqlite3_stmt *statement = NULL;
    const enum tbk_status status = tbk_sqlite_prepare(db, sql, &statement, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    if (column != NULL) {
        sqlite3_bind_text(statement, 2, column, -1, SQLITE_STATIC);
    }
    *ret_has = sqlite3_step(statement) == SQLITE_ROW;
    const int rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? TBK_OK : tbk_sqlite_failed(db, rc, "reading the schema", error);
}

/* A view that adds the missing columns to a table, if any are missing. */
static enum tbk_status stand_in_columns(sqlite3 *db, sqlite3 *model, const char *table, struct tbk_dynbuf *sql,
                                        struct tbk_error *error)
{
    sqlite3_stmt *columns = NULL;
    bool complete = true;
    enum tbk_status status = tbk_sqlite_prepare(model, missing_columns, &columns, error);
    sqlite3_bind_text(columns, 1, table, -1, SQLITE_STATIC);
    tbk_dynbuf_printf(sql, "CREATE TEMP VIEW %s AS SELECT *", table);
    while (status == TBK_OK && sqlite3_step(columns) == SQLITE_ROW) {
        const char *column = text_of(columns, 0);
        bool has;
        status = has_object(db, "SELECT 1 FROM pragma_table_info(?1) WHERE name=?2 COLLATE NOCASE", table, column,
                            &has, error);
        if (status == TBK_OK && !has) {
            complete = false;
            tbk_dynbuf_printf(sql, ", %s AS %s", text_of(columns, 1), column);
        }
    }
    sqlite3_finalize(columns);
    tbk_dynbuf_printf(sql, " FROM main.%s", table);
    if (status != TBK_OK || complete) {
        return status;
    }
    return tbk_dynbuf_failed(sql) ? out_of_memory(error)
                                  : tbk_sqlite_exec(db, tbk_dynbuf_text(sql), "preparing the audit", error);
}

static enum tbk_status stand_in_table(sqlite3 *db, sqlite3 *model, const char *table, const char *create,
                                      struct tbk_dynbuf *sql, struct tbk_error *error)
{
    bool has;
    const enum tbk_status status =
        has_object(db, "SELECT 1 FROM main.sqlite_schema WHERE type='table' AND name=? COLLATE NOCASE", table,
                   NULL, &has, error);
    if (status != TBK_OK) {
        return status;
    }
    tbk_dynbuf_clear(sql);
    if (has) {
        return stand_in_columns(db, model, table, sql, error);
    }
    tbk_dynbuf_printf(sql, "CREATE TEMP %s", create + strlen("CREATE "));
    return tbk_dynbuf_failed(sql) ? out_of_memory(error)
                                  : tbk_sqlite_exec(db, tbk_dynbuf_text(sql), "preparing the audit", error);
}

enum tbk_status tbk_doctor_stand_in(sqlite3 *db, sqlite3 *model, struct tbk_error *error)
{
    sqlite3_stmt *tables = NULL;
    struct tbk_dynbuf sql;
    tbk_dynbuf_init(&sql, TBK_SQLITE_SQL_BYTES_MAX);
    enum tbk_status status = tbk_sqlite_prepare(model,
                                                "SELECT name, sql FROM sqlite_schema WHERE type='table' AND name "
                                                "NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                                &tables, error);
    while (status == TBK_OK && sqlite3_step(tables) == SQLITE_ROW) {
        status = stand_in_table(db, model, text_of(tables, 0), text_of(tables, 1), &sql, error);
    }
    sqlite3_finalize(tables);
    tbk_dynbuf_fini(&sql);
    return status;
}

/* --- the whole --- */

static int look(void *argument)
{
    const struct tbk_doctor *doctor = argument;
    return tbk_sqlite_observed(doctor->observer, TBK_UPKEEP_AUDIT, (int64_t)doctor->rules_done,
                               (int64_t)doctor->rule_count)
               ? 0
               : 1;
}

static enum tbk_status list_rules(struct tbk_doctor *doctor, struct tbk_error *error)
{
    doctor->rule_count = tbk_doctor_structure_rule_count + tbk_doctor_value_rule_count + tbk_doctor_rule_count;
    doctor->findings = tbk_arena_alloc(doctor->arena, doctor->rule_count * sizeof doctor->findings[0]);
    if (doctor->findings == NULL) {
        return out_of_memory(error);
    }
    struct tbk_audit_finding *finding = doctor->findings;
    for (size_t i = 0; i < tbk_doctor_structure_rule_count; i++) {
        *finding++ = (struct tbk_audit_finding){.rule = &tbk_doctor_structure_rules[i]};
    }
    for (size_t i = 0; i < tbk_doctor_value_rule_count; i++) {
        *finding++ = (struct tbk_audit_finding){.rule = &tbk_doctor_value_rules[i]};
    }
    for (size_t i = 0; i < tbk_doctor_rule_count; i++) {
        *finding++ = (struct tbk_audit_finding){.rule = &tbk_doctor_rules[i].rule};
    }
    return TBK_OK;
}

/* The stand-ins are temporary, but query_only means those too. Rows are looked up
 * all over the file, hence the larger cache (in KiB when negative). */
static enum tbk_status prepare(struct tbk_doctor *doctor, struct tbk_error *error)
{
    enum tbk_status status = tbk_doctor_functions(doctor->db, error);
    if (status == TBK_OK) {
        status = tbk_sqlite_exec(doctor->db, "PRAGMA query_only=OFF", "preparing the audit", error);
    }
    if (status == TBK_OK) {
        status = tbk_doctor_stand_in(doctor->db, doctor->model, error);
    }
    if (status == TBK_OK) {
        status = tbk_sqlite_exec(doctor->db, "PRAGMA query_only=ON; PRAGMA cache_size=-65536",
                                 "preparing the audit", error);
    }
    return status;
}

static enum tbk_status audit(struct tbk_doctor *doctor, const struct tbk_storage_config *config,
                             struct tbk_error *error)
{
    enum tbk_status status = tbk_doctor_structure(doctor, config, error);
    if (status == TBK_OK) {
        status = prepare(doctor, error);
    }
    doctor->rules_done = tbk_doctor_structure_rule_count;
    sqlite3_progress_handler(doctor->db, OPS_PER_LOOK, look, doctor);
    if (status == TBK_OK) {
        status = tbk_doctor_values(doctor, error);
    }
    doctor->rules_done += tbk_doctor_value_rule_count;
    for (size_t i = 0; status == TBK_OK && i < tbk_doctor_rule_count; i++) {
        status = apply(doctor, &tbk_doctor_rules[i], error);
        doctor->rules_done++;
    }
    return status;
}

/* Damage that lets nothing else be read is a finding too. */
static enum tbk_status name_damage(struct tbk_doctor *doctor, struct tbk_error *error)
{
    static const struct tbk_doctor_place place = {.table = "database", .key = ""};
    const enum tbk_status status =
        tbk_doctor_found(doctor, tbk_doctor_damage, &place, error->message, false, error);
    if (status == TBK_OK) {
        tbk_error_init(error);
    }
    return status;
}

/* Leaves out the rules that have found nothing. */
static void report(const struct tbk_doctor *doctor, const struct tbk_storage *place,
                   struct tbk_audit_report *ret_report)
{
    size_t count = 0;
    for (size_t i = 0; i < doctor->rule_count; i++) {
        if (doctor->findings[i].count > 0) {
            doctor->findings[count++] = doctor->findings[i];
        }
    }
    *ret_report = (struct tbk_audit_report){.schema_version = (int32_t)doctor->version,
                                            .rule_count = doctor->rule_count,
                                            .findings = doctor->findings,
                                            .finding_count = count};
    memcpy(ret_report->database, place->path, sizeof place->path);
}

enum tbk_status tbk_sqlite_audit(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                                 const struct tbk_upkeep_observer *observer, struct tbk_arena *arena,
                                 struct tbk_audit_report *ret_report, struct tbk_error *error)
{
    struct tbk_doctor doctor = {
        .schema = config->schema, .options = options, .observer = observer, .arena = arena};
    struct tbk_storage place;
    struct stat file;
    enum tbk_status status = list_rules(&doctor, error);
    if (status != TBK_OK) {
        return status;
    }
    status = tbk_sqlite_open_existing(config, &place, &file, &doctor.db, error);
    if (status == TBK_OK) {
        status = tbk_sqlite_open_model(config->schema, &doctor.model, error);
    }
    if (status == TBK_OK) {
        status = audit(&doctor, config, error);
    }
    if (status == TBK_DATA_LOSS) {
        status = name_damage(&doctor, error);
    }
    sqlite3_close(doctor.model);
    tbk_sqlite_close_existing(&place, doctor.db);
    if (status == TBK_OK) {
        report(&doctor, &place, ret_report);
    }
    return status;
}
