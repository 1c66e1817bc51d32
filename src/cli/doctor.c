/*
 * tradebook doctor: what is wrong in a database, and what of it has one right
 * answer.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/timestamp.h"
#include "cli/commands.h"
#include "cli/doctor_print.h"
#include "cli/upkeep.h"

enum {
    ARENA_FIRST_BYTES = 1 << 16,
    ARENA_BYTES_MAX = 256 << 20,
    EXAMPLES_DEFAULT = 5,
    EXAMPLES_MAX = 1000,
    STUCK_DAYS_DEFAULT = 7,
    STUCK_DAYS_MAX = 1000000,
};

#define US_PER_DAY (INT64_C(86400) * 1000000)

enum { OPTION_FORMAT = 0x100, OPTION_FIX, OPTION_EXAMPLES, OPTION_STUCK_DAYS };

struct doctor_args {
    struct tbk_upkeep upkeep;
    tbk_doctor_printer *print;
    struct tbk_audit_options audit;
    bool fix;
};

static const struct argp_option options[] = {
    {"fix", OPTION_FIX, NULL, 0, "Repair what has exactly one right answer, after a backup beside the database",
     0},
    {"format", OPTION_FORMAT, "FORMAT", 0, "table (default), json or csv", 0},
    {"examples", OPTION_EXAMPLES, "N", 0, "Show up to N rows for each finding (default 5)", 0},
    {"stuck-days", OPTION_STUCK_DAYS, "N", 0, "A trade is stuck when open for more than N days (default 7)", 0},
    {0},
};

static const char doc[] =
    "Audit a database, tradebook's own or a bot's, served or not, without changing it: rows that contradict each "
    "other, orphans, wrong signs and rates, double promotion, odd timestamps, lost events, and what is missing. "
    "For "
    "each finding: how many, examples with ids, what it means, and what --fix would do. DB is a path or "
    "sqlite:///PATH, as with --db."
    "\v"
    "Numbers agree when they differ by no more than the noise of computing with them, or by rounding to 2 to 8 "
    "decimals. Of trades that another program opened, quantity and fees are not known; they are held to one unit "
    "without fees if half of them and more are so.\n\n"
    "--fix refuses a database that is served. It makes a backup named DB.before-fix-TIME, repairs in one "
    "transaction, and audits again.\n\n"
    "Exit status: 0 nothing found, 1 something found (with --fix: something is left) or the audit failed, 2 wrong "
    "options.";

static int64_t parse_number(const char *option, const char *text, int64_t min, int64_t max,
                            const struct argp_state *state)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < min || number > max)
        argp_error(state, "%s: \"%s\" is not a whole number from %lld to %lld.", option, text, (long long)min,
                   (long long)max);
    return number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct doctor_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->upkeep;
        return 0;
    case OPTION_FIX:
        args->fix = true;
        return 0;
    case OPTION_FORMAT:
        args->print = tbk_doctor_printer_find(argument);
        if (args->print == NULL)
            argp_error(state, "--format: \"%s\" is not table, json or csv.", argument);
        return 0;
    case OPTION_EXAMPLES:
        args->audit.examples_max = (unsigned)parse_number("--examples", argument, 1, EXAMPLES_MAX, state);
        return 0;
    case OPTION_STUCK_DAYS:
        args->audit.stuck_us = parse_number("--stuck-days", argument, 0, STUCK_DAYS_MAX, state) * US_PER_DAY;
        return 0;
    case ARGP_KEY_ARG:
        if (args->upkeep.db != NULL)
            argp_error(state, "\"%s\" is one database too many.", argument);
        args->upkeep.db = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_repairable(const struct tbk_audit_report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        if (report->findings[i].repairable > 0)
            return true;
    }
    return false;
}

/* Repairs what before tells of, and audits again: *ret_after. */
static enum tbk_status repair(struct doctor_args *args, struct tbk_arena *arena,
                              struct tbk_repair_report *ret_repair, struct tbk_audit_report *ret_after,
                              struct tbk_error *error)
{
    const struct tbk_upkeep *upkeep = &args->upkeep;
    enum tbk_status status =
        upkeep->ops->repair(&upkeep->config, &args->audit, &upkeep->observer, ret_repair, error);
    if (status == TBK_OK)
        status = upkeep->ops->audit(&upkeep->config, &args->audit, &upkeep->observer, arena, ret_after, error);
    return status;
}

static int doctor(struct doctor_args *args, struct tbk_arena *arena)
{
    static struct tbk_audit_report before; /* large: they hold paths */
    static struct tbk_audit_report after;
    static struct tbk_repair_report repaired;
    struct tbk_doctor_result result = {.report = &before};
    struct tbk_error error;
    tbk_error_init(&error);
    enum tbk_status status = tbk_upkeep_begin(&args->upkeep, &error);
    if (status == TBK_OK)
        status = args->upkeep.ops->audit(&args->upkeep.config, &args->audit, &args->upkeep.observer, arena,
                                         &before, &error);
    if (status == TBK_OK && args->fix && is_repairable(&before)) {
        status = repair(args, arena, &repaired, &after, &error);
        result = (struct tbk_doctor_result){.report = &after, .before = &before, .backup = repaired.backup};
    }
    result.seconds = tbk_upkeep_seconds(&args->upkeep);
    int exit_status = tbk_upkeep_end(&args->upkeep, "doctor", status, &error);
    if (exit_status != TBK_EXIT_OK)
        return exit_status;
    if (!args->print(&result)) {
        fputs("tradebook doctor: memory is exhausted.\n", stderr);
        return TBK_EXIT_FAILURE;
    }
    return result.report->finding_count == 0 ? TBK_EXIT_OK : TBK_EXIT_FAILURE;
}

int tbk_cli_doctor(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_upkeep_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, "[DB]", doc, children, NULL, NULL};
    struct doctor_args args = {
        .print = tbk_doctor_printer_find("table"),
        .audit = {.now_us = tbk_now_us(),
                  .stuck_us = STUCK_DAYS_DEFAULT * US_PER_DAY,
                  .examples_max = EXAMPLES_DEFAULT},
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    struct tbk_arena *arena = tbk_arena_create(ARENA_FIRST_BYTES, ARENA_BYTES_MAX);
    if (arena == NULL) {
        fputs("tradebook doctor: memory is exhausted.\n", stderr);
        return TBK_EXIT_FAILURE;
    }
    int exit_status = doctor(&args, arena);
    tbk_arena_destroy(arena);
    return exit_status;
}
