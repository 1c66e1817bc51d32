/*
 * What may be sent to the terminal, or to whatever else the output goes to.
 */
#ifndef TBK_CLI_TERMINAL_H
#define TBK_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum tbk_tone { TBK_TONE_NONE, TBK_TONE_BOLD, TBK_TONE_GAIN, TBK_TONE_LOSS, TBK_TONE_ALARM };

#define TBK_TONE_RESET "\033[0m"

/* The escape sequence that starts a tone; "" for none. */
const char *tbk_tone_start(enum tbk_tone tone);

/* Width of the terminal behind out; 0 when it is none. */
size_t tbk_terminal_width(FILE *out);
/* Whether out is a terminal that may be sent tones (NO_COLOR, TERM). */
bool tbk_terminal_styled(FILE *out);
/* Whether the environment's locale is UTF-8 (LC_ALL, LC_CTYPE, LANG). */
bool tbk_terminal_utf8(void);

#endif
