/*
 * Work on a database as a whole: backup, restore, vacuum, check. It names the
 * database by its location and needs no open storage; backup and check may run
 * while a server, also of this process, serves it. Each call may take minutes and
 * reports how far it is.
 */
#ifndef TBK_STORAGE_UPKEEP_H
#define TBK_STORAGE_UPKEEP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum tbk_upkeep_phase {
    TBK_UPKEEP_COPY,   /* bytes of the new file */
    TBK_UPKEEP_VERIFY, /* its end cannot be foretold */
    TBK_UPKEEP_AUDIT,  /* rules, in place of bytes */
};

/* Told many times a second. total_bytes is 0 when it is not known. False ends the
 * work with CANCELLED. */
typedef bool tbk_upkeep_progress(void *argument, enum tbk_upkeep_phase phase, int64_t done_bytes,
                                 int64_t total_bytes);

struct tbk_upkeep_observer {
    tbk_upkeep_progress *progress; /* NULL: nobody looks */
    void *argument;
};

/* What backup, restore and vacuum did. */
struct tbk_copy_report {
    char database[PATH_MAX];  /* absolute path */
    char kept[PATH_MAX + 64]; /* restore: where the former database is; "" if there was none */
    int32_t schema_version;   /* 0: a bot's tables without those of tradebook */
    int64_t rows;             /* of all tables */
    int64_t database_bytes;   /* before, without its log */
    int64_t copy_bytes;       /* of the new file */
    int64_t log_bytes;        /* of the log after the copy; what was written meanwhile makes it grow */
};

enum tbk_finding_kind {
    TBK_FINDING_DAMAGE,  /* the database's own check found something */
    TBK_FINDING_MISSING, /* a table, column, index or trigger */
    TBK_FINDING_DIFFERS, /* a trigger is not what this version makes */
    TBK_FINDING_ORPHAN,  /* a row refers to another that does not exist */
};

struct tbk_finding {
    enum tbk_finding_kind kind;
    const char *object; /* "index ix_signals_symbol"; "database" */
    const char *text;   /* a sentence */
};

struct tbk_check_table {
    const char *name;
    int64_t rows; /* -1: missing, or not readable */
};

struct tbk_check_report {
    const char *database; /* absolute path */
    int64_t database_bytes;
    int64_t log_bytes;
    int64_t free_bytes; /* inside the database, which vacuum would give back */
    int32_t schema_version;
    int32_t schema_version_known; /* the version that this program makes */
    struct tbk_check_table *tables;
    size_t table_count;
    struct tbk_finding *findings;
    size_t finding_count; /* at most TBK_FINDINGS_MAX */
};

enum { TBK_FINDINGS_MAX = 256 };

#endif
