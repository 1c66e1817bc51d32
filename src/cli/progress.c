#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/timestamp.h"

enum { DRAW_INTERVAL_US = 100000, FORESIGHT_US = 500000 };

static volatile sig_atomic_t enough;

static void on_signal(int number)
{
    (void)number;
    enough = 1;
}

void tbk_progress_begin(struct tbk_progress *progress, bool quiet)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *progress = (struct tbk_progress){.shown = !quiet && isatty(STDERR_FILENO), .begun_us = tbk_monotonic_us()};
}

void tbk_progress_end(struct tbk_progress *progress)
{
    if (progress->shown && progress->drawn_us > 0)
        fputs("\r\x1b[K", stderr);
}

const char *tbk_bytes_format(int64_t bytes, char out[TBK_BYTES_CHARS_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, TBK_BYTES_CHARS_MAX, "%.*f %s", decimals, value, units[unit]);
    return out;
}

static void format_left(double seconds, char *out, size_t out_bytes)
{
    if (seconds < 60)
        snprintf(out, out_bytes, ", %.0f s left", ceil(seconds));
    else
        snprintf(out, out_bytes, ", %.0f min left", ceil(seconds / 60));
}

void tbk_progress_format(enum tbk_upkeep_phase phase, int64_t done_bytes, int64_t total_bytes, int64_t elapsed_us,
                         char out[TBK_PROGRESS_CHARS_MAX])
{
    char done[TBK_BYTES_CHARS_MAX];
    char total[TBK_BYTES_CHARS_MAX];
    char left[TBK_BYTES_CHARS_MAX] = "";
    if (phase == TBK_UPKEEP_AUDIT) {
        snprintf(out, TBK_PROGRESS_CHARS_MAX, "auditing, rule %lld of %lld, %lld s", (long long)done_bytes + 1,
                 (long long)total_bytes, (long long)(elapsed_us / 1000000));
        return;
    }
    if (phase == TBK_UPKEEP_VERIFY || total_bytes <= 0) {
        snprintf(out, TBK_PROGRESS_CHARS_MAX, "%s, %lld s", phase == TBK_UPKEEP_VERIFY ? "verifying" : "copying",
                 (long long)(elapsed_us / 1000000));
        return;
    }
    double share = (double)done_bytes / (double)total_bytes;
    if (share > 1)
        share = 1;
    if (share > 0 && elapsed_us >= FORESIGHT_US)
        format_left((double)elapsed_us / 1e6 * (1 - share) / share, left, sizeof left);
    snprintf(out, TBK_PROGRESS_CHARS_MAX, "copying %s of %s, %.0f %%%s", tbk_bytes_format(done_bytes, done),
             tbk_bytes_format(total_bytes, total), floor(share * 100), left);
}

bool tbk_progress_observe(void *argument, enum tbk_upkeep_phase phase, int64_t done_bytes, int64_t total_bytes)
{
    struct tbk_progress *progress = argument;
    int64_t now_us = tbk_monotonic_us();
    if (progress->shown && now_us - progress->drawn_us >= DRAW_INTERVAL_US) {
        char line[TBK_PROGRESS_CHARS_MAX];
        tbk_progress_format(phase, done_bytes, total_bytes, now_us - progress->begun_us, line);
        fprintf(stderr, "\r%s\x1b[K", line);
        fflush(stderr);
        progress->drawn_us = now_us;
    }
    return enough == 0;
}
