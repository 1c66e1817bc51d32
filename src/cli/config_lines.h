/*
 * The lines of the config file, as libinih is given them. It would take an indented
 * line for more of the one before, and cut a long one in two.
 */
#ifndef TBK_CLI_CONFIG_LINES_H
#define TBK_CLI_CONFIG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct tbk_config_lines {
    FILE *stream;
    int number;    /* of the line read last, from 1 */
    bool too_long; /* that one is, and ends the reading */
    char *text;    /* room for a line, to be freed */
    size_t text_bytes;
};

/* An ini_reader: writes the next line, without its comment and what it is indented
 * by, to out. NULL at the end. */
char *tbk_config_lines_read(char *out, int out_bytes, void *lines);

#endif
