/*
 * tradebook completion: the scripts of deploy/completion, so that a program that
 * was copied without them can still be completed.
 */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

/* TBK_COMPLETION_DIR is set by the build. */
#define EMBED(shell)                                                                                              \
    __asm__(".section .rodata\n"                                                                                  \
            "tbk_completion_" #shell "_begin:\n"                                                                  \
            ".incbin \"" TBK_COMPLETION_DIR "/tradebook." #shell "\"\n"                                           \
            ".byte 0\n"                                                                                           \
            ".previous\n");                                                                                       \
    extern const char tbk_completion_##shell##_begin[]

EMBED(bash);
EMBED(zsh);
EMBED(fish);

static const char doc[] = "Print the completion script of SHELL: bash, zsh or fish."
                          "\v"
                          "Examples:\n"
                          "  tradebook completion bash >~/.local/share/bash-completion/completions/tradebook\n"
                          "  tradebook completion zsh >\"${fpath[1]}/_tradebook\"\n"
                          "  tradebook completion fish >~/.config/fish/completions/tradebook.fish";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    const char **ret_script = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "\"%s\" is one argument too many.", argument);
        if (strcmp(argument, "bash") == 0)
            *ret_script = tbk_completion_bash_begin;
        else if (strcmp(argument, "zsh") == 0)
            *ret_script = tbk_completion_zsh_begin;
        else if (strcmp(argument, "fish") == 0)
            *ret_script = tbk_completion_fish_begin;
        else
            argp_error(state, "there is no script for \"%s\"; there are bash, zsh and fish.", argument);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "SHELL is missing: bash, zsh or fish.");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int tbk_cli_completion(int argc, char **argv)
{
    static const struct argp argp = {NULL, parse_option, "SHELL", doc, NULL, NULL, NULL};
    const char *script = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &script) != 0)
        return TBK_EXIT_USAGE;
    fputs(script, stdout);
    return TBK_EXIT_OK;
}
