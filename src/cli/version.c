/*
 * tradebook version: what this program is made of, for bug reports.
 */
#include <argp.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "cli/commands.h"
#include "storage/storage.h"
#include "tradebook/client.h"
#include "transport/server.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char doc[] = "Print the versions of tradebook, of the libraries it runs with and of its compiler.";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    argp_error(state, "\"%s\" is one argument too many.", argument);
    return 0;
}

int tbk_cli_version(int argc, char **argv)
{
    static const struct argp argp = {NULL, parse_option, NULL, doc, NULL, NULL, NULL};
    if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
        return TBK_EXIT_USAGE;
    printf("tradebook   %s\n", tradebook_version());
    printf("nng         %s\n", tbk_server_library_version());
    printf("protobuf-c  %s\n", protobuf_c_version());
    printf("SQLite      %s\n", tbk_storage_sqlite_version());
    printf("compiler    %s\n", COMPILER);
    return TBK_EXIT_OK;
}
