/*
 * The audit of a database: what its rows say against each other, and what a
 * repair would do about it. Like the work of upkeep.h it names the database by
 * its location; the audit may run while the database is served.
 */
#ifndef TBK_STORAGE_AUDIT_H
#define TBK_STORAGE_AUDIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tbk_severity {
    TBK_SEVERITY_WARNING, /* odd, or misleading to some queries; may be meant */
    TBK_SEVERITY_ERROR,   /* something in the database is not true, or lost */
};

/* What is looked for. Constant. */
struct tbk_audit_rule {
    const char *name; /* "win-rate-wrong" */
    enum tbk_severity severity;
    const char *meaning; /* a sentence */
    const char *remedy;  /* a sentence: what a repair does, or why it does nothing */
};

/* One row that a rule has found. */
struct tbk_audit_example {
    const char *table; /* table or kind of object: "signals", "index" */
    const char *key;   /* of the row, as text; name of the object */
    bool key_is_integer;
    const char *detail; /* what is wrong there; "" when the rule says it all */
};

/* What one rule has found: count is above 0. */
struct tbk_audit_finding {
    const struct tbk_audit_rule *rule;
    int64_t count;
    int64_t repairable; /* of these */
    struct tbk_audit_example *examples;
    size_t example_count;
};

struct tbk_audit_options {
    int64_t now_us;
    int64_t stuck_us;      /* an open trade older than this is stuck */
    unsigned examples_max; /* of each rule, 1 or more */
};

struct tbk_audit_report {
    char database[PATH_MAX]; /* absolute path */
    int32_t schema_version;  /* 0: a bot's tables without those of tradebook */
    size_t rule_count;       /* that were applied */
    struct tbk_audit_finding *findings;
    size_t finding_count; /* one for each rule at most, in the order of the rules */
};

struct tbk_repair_report {
    char backup[PATH_MAX + 64]; /* the database as it was before */
};

#endif
