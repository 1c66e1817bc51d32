/*
 * What backup, restore, vacuum and check share: the options --db and --quiet, the
 * database behind them, progress and failure.
 */
#ifndef TBK_CLI_UPKEEP_H
#define TBK_CLI_UPKEEP_H

#include <argp.h>

#include "cli/progress.h"
#include "storage/storage.h"

struct tbk_upkeep {
    const char *db; /* --db; NULL: not given */
    bool quiet;
    /* Set by tbk_upkeep_begin. */
    const struct tbk_storage_ops *ops;
    struct tbk_storage_config config;
    struct tbk_schema *schema;
    struct tbk_progress progress;
    struct tbk_upkeep_observer observer;
};

/* The options, as a child parser; its input is a struct tbk_upkeep, zeroed. */
extern const struct argp tbk_upkeep_argp;

/* Finds the database: upkeep->db, else as serve finds it in the environment. */
enum tbk_status tbk_upkeep_begin(struct tbk_upkeep *upkeep, struct tbk_error *error) TBK_MUST_CHECK;
/* Prints why it failed, if it did, as the command's; returns the exit status. */
int tbk_upkeep_end(struct tbk_upkeep *upkeep, const char *command, enum tbk_status status,
                   const struct tbk_error *error);
/* Seconds since begin. */
double tbk_upkeep_seconds(const struct tbk_upkeep *upkeep);

#endif
