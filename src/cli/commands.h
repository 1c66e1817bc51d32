/*
 * The subcommands of tradebook. Each is called with its own name as argv[0]
 * ("tradebook list") and returns the exit status of the program. Options are
 * parsed with argp, which answers --help and ends with TBK_EXIT_USAGE on wrong
 * ones. Adding a command: declare it here, add its line to the table in main.c.
 */
#ifndef TBK_CLI_COMMANDS_H
#define TBK_CLI_COMMANDS_H

enum tbk_exit {
    TBK_EXIT_OK = 0,
    TBK_EXIT_FAILURE = 1,
    TBK_EXIT_USAGE = 2,    /* wrong options, arguments or configuration */
    TBK_EXIT_RESTART = 75, /* the server must be started again; supervisors do so */
};

int tbk_cli_serve(int argc, char **argv);
int tbk_cli_call(int argc, char **argv);
int tbk_cli_list(int argc, char **argv);
int tbk_cli_open(int argc, char **argv);
int tbk_cli_close(int argc, char **argv);
int tbk_cli_report(int argc, char **argv);
int tbk_cli_watch(int argc, char **argv);
int tbk_cli_backup(int argc, char **argv);
int tbk_cli_restore(int argc, char **argv);
int tbk_cli_vacuum(int argc, char **argv);
int tbk_cli_doctor(int argc, char **argv);
int tbk_cli_check(int argc, char **argv);
int tbk_cli_bench(int argc, char **argv);
int tbk_cli_version(int argc, char **argv);
int tbk_cli_completion(int argc, char **argv);

#endif
