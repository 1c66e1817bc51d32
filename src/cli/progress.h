/*
 * The progress line of long work on a database, on a terminal.
 */
#ifndef TBK_CLI_PROGRESS_H
#define TBK_CLI_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/upkeep.h"

enum { TBK_PROGRESS_CHARS_MAX = 128, TBK_BYTES_CHARS_MAX = 32 };

struct tbk_progress {
    bool shown; /* a line is shown */
    int64_t begun_us;
    int64_t drawn_us;
};

/* A line is shown if stderr is a terminal and quiet is false. From now on SIGINT
 * and SIGTERM do not end the process but let the observer say that it is enough. */
void tbk_progress_begin(struct tbk_progress *progress, bool quiet);
/* Clears the line. */
void tbk_progress_end(struct tbk_progress *progress);
/* Its argument is a struct tbk_progress. */
tbk_upkeep_progress tbk_progress_observe;

/* "copying 512 MB of 1.02 GB, 50 %, 2 s left". */
void tbk_progress_format(enum tbk_upkeep_phase phase, int64_t done_bytes, int64_t total_bytes, int64_t elapsed_us,
                         char out[TBK_PROGRESS_CHARS_MAX]);
/* "512 B", "4.1 kB", "1.02 GB": three digits, decimal units. Returns out. */
const char *tbk_bytes_format(int64_t bytes, char out[TBK_BYTES_CHARS_MAX]);

#endif
