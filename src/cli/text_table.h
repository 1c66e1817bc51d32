/*
 * Tables of text for people: columns aligned by the rows printed first, cut to
 * the width of a terminal. Rows are collected and printed by flush.
 */
#ifndef TBK_CLI_TEXT_TABLE_H
#define TBK_CLI_TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/terminal.h"

struct tbk_text_column {
    const char *title;
    bool right; /* align right: numbers, which are never cut by their column */
};

struct tbk_text_table;

/* columns is read until the table is destroyed. width_max is the width of a
 * terminal in characters, 0 to cut nothing; styled, whether the header is bold
 * and tones are shown. NULL when memory is exhausted. */
struct tbk_text_table *tbk_text_table_create(FILE *out, const struct tbk_text_column *columns, size_t column_count,
                                             size_t width_max, bool styled);
void tbk_text_table_destroy(struct tbk_text_table *table);

/* Adds the next cell of the current row, valid UTF-8 or not. Control characters
 * are shown as \n, \t or \x1B. */
void tbk_text_table_cell(struct tbk_text_table *table, const char *text, size_t length);
void tbk_text_table_toned_cell(struct tbk_text_table *table, enum tbk_tone tone, const char *text, size_t length);

/* Prints the collected rows, before them the header the first time. The number
 * of cells added is a multiple of the number of columns. False when memory was
 * exhausted; some rows are then missing. */
bool tbk_text_table_flush(struct tbk_text_table *table);

#endif
