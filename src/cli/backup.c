/*
 * tradebook backup: a verified copy of a database, served or not.
 */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/upkeep.h"
#include "tradebook/v1/admin.pb-c.h"

struct backup_args {
    struct tbk_upkeep upkeep;
    struct tbk_connection connection;
    const char *destination;
    bool force;
};

enum { OPTION_FORCE = 0x100 };

static const struct argp_option options[] = {
    {"address", 'a', "URL", 0, "Copy the database of this server, which runs on this machine", 0},
    {"force", OPTION_FORCE, NULL, 0, "Replace DEST if it exists", 0},
    {0},
};

static const char doc[] =
    "Copy a database to the new file DEST, also while it is served and written to."
    "\v"
    "The copy is what was committed when the command began. It is checked (SQLite's integrity check, the rows of "
    "every table), put on disk, and only then gets its name; whatever fails before leaves no file. While the copy "
    "is made, the write-ahead log of the database grows by what is written to it.\n\n"
    "\"tradebook serve --backup-dir\" makes backups by itself, \"tradebook restore\" puts one back.";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct backup_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->upkeep;
        return 0;
    case 'a':
        args->connection.given_address = argument;
        return 0;
    case OPTION_FORCE:
        args->force = true;
        return 0;
    case ARGP_KEY_ARG:
        if (args->destination != NULL)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        args->destination = argument;
        return 0;
    case ARGP_KEY_END:
        if (args->destination == NULL)
            argp_error(state, "the file to make is missing.");
        if (args->connection.given_address != NULL && args->upkeep.db != NULL)
            argp_error(state, "--db and --address exclude each other.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Asks the server for the path of its database: *ret_info, for
 * tradebook_message_free. Returns an exit status. */
static int ask_server(struct backup_args *args, ProtobufCMessage **ret_info)
{
    Tradebook__V1__GetServerInfoRequest request = TRADEBOOK__V1__GET_SERVER_INFO_REQUEST__INIT;
    struct tradebook_error error;
    int exit_status = tbk_connection_open(&args->connection);
    if (exit_status != TBK_EXIT_OK)
        return exit_status;
    if (tradebook_call(args->connection.client, "/tradebook.v1.AdminService/GetServerInfo", &request.base, NULL,
                       ret_info, &error) != TRADEBOOK_OK) {
        tbk_connection_print_error(&args->connection, &error);
        exit_status = TBK_EXIT_FAILURE;
    } else {
        args->upkeep.db = ((const Tradebook__V1__ServerInfo *)*ret_info)->database;
    }
    tbk_connection_close(&args->connection);
    return exit_status;
}

static int backup(struct backup_args *args)
{
    struct tbk_error error;
    struct tbk_copy_report report = {0};
    char bytes[TBK_BYTES_CHARS_MAX];
    tbk_error_init(&error);
    enum tbk_status status = tbk_upkeep_begin(&args->upkeep, &error);
    if (status == TBK_OK)
        status = args->upkeep.ops->backup(&args->upkeep.config, args->destination, args->force,
                                          &args->upkeep.observer, &report, &error);
    int exit_status = tbk_upkeep_end(&args->upkeep, "backup", status, &error);
    if (exit_status == TBK_EXIT_OK)
        printf("%s: %s, %lld rows of %s, verified, in %.1f s\n", args->destination,
               tbk_bytes_format(report.copy_bytes, bytes), (long long)report.rows, report.database,
               tbk_upkeep_seconds(&args->upkeep));
    return exit_status;
}

int tbk_cli_backup(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_upkeep_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, "DEST", doc, children, NULL, NULL};
    struct backup_args args = {0};
    ProtobufCMessage *info = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
        return TBK_EXIT_USAGE;
    int exit_status = args.connection.given_address != NULL ? ask_server(&args, &info) : TBK_EXIT_OK;
    if (exit_status == TBK_EXIT_OK)
        exit_status = backup(&args);
    tradebook_message_free(info);
    return exit_status;
}
