/*
 * What the files of audit and repair share. Rules are of three kinds: about the
 * structure (doctor_structure.c), about single values (doctor_values.c), which
 * follow from the schema, and about rows against each other, which are SQL
 * (doctor_rules.c).
 */
#ifndef TBK_STORAGE_SQLITE_DOCTOR_H
#define TBK_STORAGE_SQLITE_DOCTOR_H

#include "storage/sqlite/upkeep.h"

/* A rule in SQL. */
struct tbk_doctor_rule {
    struct tbk_audit_rule rule;
    /* Selects table, key, detail (NULL: none) and whether it can be repaired. May use
     * :now and :stuck, microseconds. */
    const char *find;
    /* Repairs the rows whose keys are in the table doctor_keys (key); NULL: there
     * is more than one right answer. */
    const char *repair;
};

extern const struct tbk_doctor_rule tbk_doctor_rules[];
extern const size_t tbk_doctor_rule_count;

/* An audit under way. findings has a place for every rule. */
struct tbk_doctor {
    sqlite3 *db;
    sqlite3 *model; /* a new database, in memory */
    const struct tbk_schema *schema;
    const struct tbk_audit_options *options;
    const struct tbk_upkeep_observer *observer;
    struct tbk_arena *arena;
    int64_t version; /* of tradebook's schema in the file */
    struct tbk_audit_finding *findings;
    size_t rule_count;
    size_t rules_done;
};

/* Where something was found. */
struct tbk_doctor_place {
    const char *table;
    const char *key;
    bool key_is_integer;
};

/* doctor.c */

/* Counts one more row under rule, and keeps it as an example while there is room.
 * Text is copied. */
enum tbk_status tbk_doctor_found(struct tbk_doctor *doctor, const struct tbk_audit_rule *rule,
                                 const struct tbk_doctor_place *place, const char *detail, bool repairable,
                                 struct tbk_error *error);
/* A statement has ended with rc. That the database is damaged is a finding, not a
 * failure. */
enum tbk_status tbk_doctor_ended(struct tbk_doctor *doctor, int rc, struct tbk_error *error);
/* Binds :now and :stuck. */
void tbk_doctor_bind(sqlite3_stmt *statement, const struct tbk_audit_options *options);
/* Stands in, for this connection, for what the file lacks, so that every rule can
 * be applied: empty tables, columns of defaults. */
enum tbk_status tbk_doctor_stand_in(sqlite3 *db, sqlite3 *model, struct tbk_error *error);

/* doctor_functions.c: makes the SQL functions known that the rules use
 *
 *   tbk_agrees(value, right, scale)  whether value is right, but for the noise of
 *                                    computing with numbers as large as scale, or is
 *                                    right rounded to 2 to 8 decimals; NULL if one
 *                                    of them is no number
 *   tbk_microseconds(text)           the moment; NULL when text is no timestamp
 *   tbk_number(value)                for people; "NULL" for NULL
 *   tbk_numbers(name, a, b, scale)   "name is A and B, " when two numbers are there
 *                                    and neither agrees with the other; else ""
 *   tbk_times(name, a, b)            the same for timestamps */
enum tbk_status tbk_doctor_functions(sqlite3 *db, struct tbk_error *error);

/* doctor_structure.c: damage, and what is missing */

extern const struct tbk_audit_rule tbk_doctor_structure_rules[];
extern const size_t tbk_doctor_structure_rule_count;
/* The rule of a damaged database. */
extern const struct tbk_audit_rule *const tbk_doctor_damage;

enum tbk_status tbk_doctor_structure(struct tbk_doctor *doctor, const struct tbk_storage_config *config,
                                     struct tbk_error *error);
/* Makes what is missing and can be made. */
enum tbk_status tbk_doctor_repair_structure(const struct tbk_schema *schema, sqlite3 *db, sqlite3 *model,
                                            int64_t version, struct tbk_error *error);

/* doctor_values.c: each value of the six tables by itself */

extern const struct tbk_audit_rule tbk_doctor_value_rules[];
extern const size_t tbk_doctor_value_rule_count;

enum tbk_status tbk_doctor_values(struct tbk_doctor *doctor, struct tbk_error *error);
enum tbk_status tbk_doctor_repair_values(const struct tbk_schema *schema, sqlite3 *db, struct tbk_error *error);

#endif
