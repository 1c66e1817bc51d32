/*
 * Values as text, for tables, CSV and messages.
 */
#ifndef TBK_CLI_CELL_H
#define TBK_CLI_CELL_H

#include <stddef.h>
#include <stdint.h>

#include "base/dynbuf.h"

enum { TBK_CELL_DATE_CHARS = 10, TBK_CELL_SECONDS_CHARS = 19 };

/* The shortest text that reads back as the same number. */
void tbk_cell_double(double value, struct tbk_dynbuf *out);
/* Eight digits, which are plenty for reading; exact numbers are for programs. */
void tbk_cell_short_double(double value, struct tbk_dynbuf *out);
/* The first chars of the on-disk form: TBK_CELL_DATE_CHARS, TBK_CELL_SECONDS_CHARS
 * or TBK_TIMESTAMP_CHARS. us is in range. */
void tbk_cell_timestamp(int64_t us, size_t chars, struct tbk_dynbuf *out);
/* A text as RFC 4180 wants it. An empty one is quoted, so that it differs from
 * NULL. */
void tbk_cell_csv_text(const char *text, size_t length, struct tbk_dynbuf *out);
/* For a terminal: control characters, and what is not UTF-8, as \n, \t or \x1B. */
void tbk_cell_escaped_text(const char *text, size_t length, struct tbk_dynbuf *out);
/* The same of one text alone, in out. */
const char *tbk_cell_escape(const char *text, struct tbk_dynbuf *out);

#endif
