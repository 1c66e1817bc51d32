/*
 * tradebook: one program for the server and the command line. This file knows
 * only which subcommands there are.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/suggest.h"
#include "tradebook/client.h"

struct command {
    const char *name;
    const char *full_name; /* as it appears in messages and help */
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "tradebook serve", "Run the server", tbk_cli_serve},
    {"call", "tradebook call", "Call one method of a server, JSON in and JSON out", tbk_cli_call},
    {"list", "tradebook list", "List records as a table, JSON or CSV", tbk_cli_list},
    {"open", "tradebook open", "Open the trade of a signal", tbk_cli_open},
    {"close", "tradebook close", "Close a trade and print its result", tbk_cli_close},
    {"report", "tradebook report", "Print figures, rankings, a comparison, positions", tbk_cli_report},
    {"watch", "tradebook watch", "Print closed trades as they happen, one JSON line each", tbk_cli_watch},
    {"backup", "tradebook backup", "Copy a database, also while it is served", tbk_cli_backup},
    {"restore", "tradebook restore", "Put a backup in the place of a database", tbk_cli_restore},
    {"vacuum", "tradebook vacuum", "Give free space of a database back", tbk_cli_vacuum},
    {"check", "tradebook check", "Check that a database is sound and complete", tbk_cli_check},
    {"doctor", "tradebook doctor", "Find what is wrong in a database, and repair it", tbk_cli_doctor},
    {"bench", "tradebook bench", "Measure throughput and latency of a server", tbk_cli_bench},
    {"version", "tradebook version", "Print the versions of tradebook and its libraries", tbk_cli_version},
    {"completion", "tradebook completion", "Print the completion script of a shell", tbk_cli_completion},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("Usage: tradebook COMMAND [OPTION...] [ARGUMENT...]\n"
          "The system of record for trading bots: signals, trades, theories, patterns, risk\n"
          "and models in one database, served to every process that needs them.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("  help         Explain a command, as COMMAND --help does\n\n"
          "  --help       Print this text\n"
          "  --version    Print the version\n\n"
          "\"tradebook help COMMAND\" explains its options, \"man tradebook\" all of them.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *nearest = tbk_name_nearest(name, names, COMMAND_COUNT);
    fprintf(stderr, "tradebook: there is no command \"%s\".", name);
    if (nearest != NULL)
        fprintf(stderr, " Did you mean \"%s\"?", nearest);
    fputs(" \"tradebook --help\" lists the commands.\n", stderr);
    return TBK_EXIT_USAGE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    argp_err_exit_status = TBK_EXIT_USAGE;
    argv[0] = (char *)command->full_name;
    return command->run(argc, argv);
}

/* "help" alone, or "help COMMAND", which is "COMMAND --help". */
static int run_help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return TBK_EXIT_OK;
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1]);
    char *help_argv[] = {argv[1], (char *)"--help", NULL};
    return run_command(command, 2, help_argv);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TBK_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0)
        return run_help(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "-?") == 0) {
        print_help(stdout);
        return TBK_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("tradebook %s\n", tradebook_version());
        return TBK_EXIT_OK;
    }
    const struct command *command = find_command(name);
    return command != NULL ? run_command(command, argc - 1, argv + 1) : unknown_command(name);
}

/* Output that did not reach the disk or the pipe is a failure too. At the exit,
 * because argp ends the process by itself after --help. */
static void check_output(int status, void *argument)
{
    (void)argument;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tradebook: cannot write the output: %s.\n", strerror(errno));
        _exit(status == TBK_EXIT_OK ? TBK_EXIT_FAILURE : status);
    }
}

int main(int argc, char **argv)
{
    if (on_exit(check_output, NULL) != 0) {
        fputs("tradebook: memory is exhausted.\n", stderr);
        return TBK_EXIT_FAILURE;
    }
    return run(argc, argv);
}
