/*
 * tradebook vacuum: gives the free space inside a database back.
 */
#include <argp.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/upkeep.h"

static const char doc[] = "Give the free space inside a database that nobody serves back to the disk."
                          "\v"
                          "The database is replaced by a compact copy, after that has been checked; meanwhile "
                          "there must be room for both.";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->input;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one argument too many.", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int tbk_cli_vacuum(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_upkeep_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {NULL, parse_option, NULL, doc, children, NULL, NULL};
    struct tbk_upkeep upkeep = {0};
    struct tbk_error error;
    struct tbk_copy_report report = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &upkeep) != 0)
        return TBK_EXIT_USAGE;
    tbk_error_init(&error);
    enum tbk_status status = tbk_upkeep_begin(&upkeep, &error);
    if (status == TBK_OK)
        status = upkeep.ops->vacuum(&upkeep.config, &upkeep.observer, &report, &error);
    int exit_status = tbk_upkeep_end(&upkeep, "vacuum", status, &error);
    if (exit_status == TBK_EXIT_OK)
        printf("%s: %lld bytes before, %lld after, %lld rows, verified, in %.1f s\n", report.database,
               (long long)report.database_bytes, (long long)report.copy_bytes, (long long)report.rows,
               tbk_upkeep_seconds(&upkeep));
    return exit_status;
}
