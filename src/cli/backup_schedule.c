#include "cli/backup_schedule.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timestamp.h"

enum {
    NICENESS = 10, /* of the thread: requests go first */
    STAMP_CHARS = sizeof "20260102T030405Z" - 1,
    US_PER_S = 1000000,
    RETRY_SHARE = 10, /* of the interval passes after a failure */
    RETRY_S_MAX = 600,
    NS_PER_US = 1000,
};

static const char stamp_format[] = "%Y%m%dT%H%M%SZ";
static const char file_suffix[] = ".db";
static const char partial_suffix[] = ".partial";

struct tbk_backup_schedule {
    struct tbk_backup_schedule_config config;
    char prefix[NAME_MAX + 1]; /* of the copies' names, with the dash before the time */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    struct tbk_backup_figures figures;
};

struct copy {
    char *name;
    time_t made;
    bool ahead; /* of the clock, which has been set back */
};

/* Copies in the folder, the oldest first. Those that are ahead come before all others:
 * nobody knows when they were made. */
struct copies {
    struct copy *items;
    size_t count;
};

/* --- names --- */

static void set_prefix(struct tbk_backup_schedule *schedule)
{
    const char *slash = strrchr(schedule->config.storage.location, '/');
    const char *name = slash != NULL ? slash + 1 : schedule->config.storage.location;
    size_t length = strlen(name);
    size_t suffix = sizeof file_suffix - 1;
    if (length > suffix && strcmp(name + length - suffix, file_suffix) == 0)
        length -= suffix;
    snprintf(schedule->prefix, sizeof schedule->prefix, "%.*s-", (int)length, name);
}

/* The time in the name of a copy and what follows it, or NULL if it is none. */
static const char *parse_name(const struct tbk_backup_schedule *schedule, const char *name, time_t *ret_time)
{
    struct tm utc = {0};
    size_t prefix = strlen(schedule->prefix);
    if (strncmp(name, schedule->prefix, prefix) != 0)
        return NULL;
    const char *end = strptime(name + prefix, stamp_format, &utc);
    if (end != name + prefix + STAMP_CHARS || strncmp(end, file_suffix, sizeof file_suffix - 1) != 0)
        return NULL;
    *ret_time = timegm(&utc);
    return end + sizeof file_suffix - 1;
}

static void remove_file(const struct tbk_backup_schedule *schedule, const char *name)
{
    char path[PATH_MAX + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", schedule->config.folder, name);
    if (unlink(path) != 0)
        tbk_log(TBK_LOG_WARNING, "an old backup cannot be removed", TBK_LOG_STR("file", path));
}

static int compare_age(const void *a, const void *b)
{
    const struct copy *first = a;
    const struct copy *second = b;
    if (first->ahead != second->ahead)
        return first->ahead ? -1 : 1;
    return first->made < second->made ? -1 : first->made > second->made;
}

static void free_copies(struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++)
        free(copies->items[i].name);
    free(copies->items);
}

/* What a killed server left unfinished is removed on the way: only the server of
 * this database makes such names, and this is it. */
static struct copies find_copies(const struct tbk_backup_schedule *schedule, time_t now)
{
    struct copies copies = {0};
    DIR *folder = opendir(schedule->config.folder);
    if (folder == NULL)
        return copies;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        time_t made;
        const char *rest = parse_name(schedule, entry->d_name, &made);
        if (rest == NULL)
            continue;
        if (strncmp(rest, partial_suffix, sizeof partial_suffix - 1) == 0)
            remove_file(schedule, entry->d_name);
        if (*rest != '\0')
            continue;
        struct copy *items = realloc(copies.items, (copies.count + 1) * sizeof items[0]);
        if (items == NULL)
            break;
        copies.items = items;
        items[copies.count] = (struct copy){strdup(entry->d_name), made, made > now};
        if (items[copies.count].name == NULL)
            break;
        copies.count++;
    }
    closedir(folder);
    if (copies.count > 0)
        qsort(copies.items, copies.count, sizeof copies.items[0], compare_age);
    return copies;
}

/* --- one backup --- */

static bool is_stopping(struct tbk_backup_schedule *schedule)
{
    pthread_mutex_lock(&schedule->mutex);
    bool stopping = schedule->stopping;
    pthread_mutex_unlock(&schedule->mutex);
    return stopping;
}

static bool go_on(void *argument, enum tbk_upkeep_phase phase, int64_t done_bytes, int64_t total_bytes)
{
    (void)phase;
    (void)done_bytes;
    (void)total_bytes;
    return !is_stopping(argument);
}

/* After the one of this time was made. Returns how many were removed. */
static int64_t remove_oldest(const struct tbk_backup_schedule *schedule, time_t made)
{
    struct copies copies = find_copies(schedule, made);
    size_t keep = (size_t)schedule->config.keep;
    size_t surplus = copies.count > keep ? copies.count - keep : 0;
    for (size_t i = 0; i < surplus; i++)
        remove_file(schedule, copies.items[i].name);
    free_copies(&copies);
    return (int64_t)surplus;
}

static void count(struct tbk_backup_schedule *schedule, const struct tbk_backup_figures *more)
{
    pthread_mutex_lock(&schedule->mutex);
    if (more->newest_us != 0)
        schedule->figures.newest_us = more->newest_us;
    schedule->figures.made += more->made;
    schedule->figures.failed += more->failed;
    pthread_mutex_unlock(&schedule->mutex);
}

/* False when it failed. */
static bool make_backup(struct tbk_backup_schedule *schedule)
{
    char path[PATH_MAX + NAME_MAX + 2];
    char stamp[STAMP_CHARS + 1];
    struct tm utc;
    struct tbk_copy_report report;
    struct tbk_error error;
    const struct tbk_upkeep_observer observer = {go_on, schedule};
    const time_t now = time(NULL);
    const int64_t begun_us = tbk_monotonic_us();
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, stamp_format, &utc);
    snprintf(path, sizeof path, "%s/%s%s%s", schedule->config.folder, schedule->prefix, stamp, file_suffix);
    tbk_error_init(&error);
    enum tbk_status status =
        schedule->config.ops->backup(&schedule->config.storage, path, false, &observer, &report, &error);
    int64_t ms = (tbk_monotonic_us() - begun_us) / 1000;
    if (status == TBK_OK) {
        int64_t removed = remove_oldest(schedule, now);
        count(schedule, &(struct tbk_backup_figures){.newest_us = now * (int64_t)US_PER_S, .made = 1});
        tbk_log(TBK_LOG_INFO, "backup made", TBK_LOG_STR("file", path), TBK_LOG_INT("bytes", report.copy_bytes),
                TBK_LOG_INT("rows", report.rows), TBK_LOG_INT("ms", ms), TBK_LOG_INT("removed", removed));
    } else if (status != TBK_CANCELLED) {
        count(schedule, &(struct tbk_backup_figures){.failed = 1});
        tbk_log(TBK_LOG_ERROR, "backup failed", TBK_LOG_STR("file", path), TBK_LOG_STR("reason", error.message),
                TBK_LOG_INT("ms", ms));
    }
    return status == TBK_OK;
}

/* --- the thread --- */

/* When the first one is due, on the monotonic clock. */
static int64_t first_due_us(struct tbk_backup_schedule *schedule)
{
    const time_t now = time(NULL);
    struct copies copies = find_copies(schedule, now);
    const struct copy *newest = copies.count > 0 ? &copies.items[copies.count - 1] : NULL;
    int64_t wait_s = 0;
    if (newest != NULL && !newest->ahead) {
        count(schedule, &(struct tbk_backup_figures){.newest_us = newest->made * (int64_t)US_PER_S});
        wait_s = (int64_t)newest->made + schedule->config.interval_s - (int64_t)now;
    }
    free_copies(&copies);
    return tbk_monotonic_us() + (wait_s > 0 ? wait_s * US_PER_S : 0);
}

/* False when the server stops. */
static bool wait_until(struct tbk_backup_schedule *schedule, int64_t due_us)
{
    struct timespec due = {.tv_sec = due_us / US_PER_S, .tv_nsec = due_us % US_PER_S * NS_PER_US};
    pthread_mutex_lock(&schedule->mutex);
    while (!schedule->stopping && tbk_monotonic_us() < due_us)
        pthread_cond_timedwait(&schedule->changed, &schedule->mutex, &due);
    bool stopping = schedule->stopping;
    pthread_mutex_unlock(&schedule->mutex);
    return !stopping;
}

static int64_t retry_us(const struct tbk_backup_schedule *schedule)
{
    const int64_t share_us = schedule->config.interval_s * US_PER_S / RETRY_SHARE;
    return share_us < RETRY_S_MAX * (int64_t)US_PER_S ? share_us : RETRY_S_MAX * (int64_t)US_PER_S;
}

static void *run(void *argument)
{
    struct tbk_backup_schedule *schedule = argument;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    int64_t due_us = first_due_us(schedule);
    while (wait_until(schedule, due_us)) {
        const int64_t begun_us = tbk_monotonic_us();
        due_us = make_backup(schedule) ? begun_us + schedule->config.interval_s * US_PER_S
                                       : tbk_monotonic_us() + retry_us(schedule);
    }
    return NULL;
}

enum tbk_status tbk_backup_schedule_create(const struct tbk_backup_schedule_config *config,
                                           struct tbk_backup_schedule **ret_schedule, struct tbk_error *error)
{
    struct tbk_backup_schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting the backups.");
    schedule->config = *config;
    set_prefix(schedule);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&schedule->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&schedule->mutex, NULL);
    int failure = pthread_create(&schedule->thread, NULL, run, schedule);
    if (failure != 0) {
        pthread_cond_destroy(&schedule->changed);
        pthread_mutex_destroy(&schedule->mutex);
        free(schedule);
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "No thread for the backups: %s.", strerror(failure));
    }
    *ret_schedule = schedule;
    return TBK_OK;
}

struct tbk_backup_figures tbk_backup_schedule_figures(void *argument)
{
    struct tbk_backup_schedule *schedule = argument;
    pthread_mutex_lock(&schedule->mutex);
    const struct tbk_backup_figures figures = schedule->figures;
    pthread_mutex_unlock(&schedule->mutex);
    return figures;
}

void tbk_backup_schedule_destroy(struct tbk_backup_schedule *schedule)
{
    if (schedule == NULL)
        return;
    pthread_mutex_lock(&schedule->mutex);
    schedule->stopping = true;
    pthread_cond_signal(&schedule->changed);
    pthread_mutex_unlock(&schedule->mutex);
    pthread_join(schedule->thread, NULL);
    pthread_cond_destroy(&schedule->changed);
    pthread_mutex_destroy(&schedule->mutex);
    free(schedule);
}
