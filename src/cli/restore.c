/*
 * tradebook restore: puts a backup in the place of a database.
 */
#include <argp.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/upkeep.h"

struct restore_args {
    struct tbk_upkeep upkeep;
    const char *backup;
};

static const char doc[] =
    "Put the file BACKUP in the place of a database that nobody serves."
    "\v"
    "BACKUP is copied and the copy checked before anything changes. The former database is kept beside the new "
    "one, "
    "as PATH.before-restore-TIME; renaming it back undoes the restore.\n\n"
    "What was recorded since the backup is not in the new file. The sequences of events go back too: a subscriber "
    "whose cursor is ahead of the newest event has to be moved.";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct restore_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->upkeep;
        return 0;
    case ARGP_KEY_ARG:
        if (args->backup != NULL)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        args->backup = argument;
        return 0;
    case ARGP_KEY_END:
        if (args->backup == NULL)
            argp_error(state, "the backup is missing.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int tbk_cli_restore(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_upkeep_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {NULL, parse_option, "BACKUP", doc, children, NULL, NULL};
    struct restore_args args = {0};
    struct tbk_error error;
    struct tbk_copy_report report = {0};
    char bytes[TBK_BYTES_CHARS_MAX];
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    tbk_error_init(&error);
    enum tbk_status status = tbk_upkeep_begin(&args.upkeep, &error);
    if (status == TBK_OK)
        status =
            args.upkeep.ops->restore(&args.upkeep.config, args.backup, &args.upkeep.observer, &report, &error);
    int exit_status = tbk_upkeep_end(&args.upkeep, "restore", status, &error);
    if (exit_status == TBK_EXIT_OK) {
        printf("%s: %s, %lld rows of %s, verified, in %.1f s\n", report.database,
               tbk_bytes_format(report.copy_bytes, bytes), (long long)report.rows, args.backup,
               tbk_upkeep_seconds(&args.upkeep));
        if (report.kept[0] != '\0')
            printf("The former database is kept as %s\n", report.kept);
    }
    return exit_status;
}
