/*
 * The backups that a server makes by itself: a thread that copies the database to
 * FOLDER/NAME-YYYYMMDDTHHMMSSZ.db from time to time and removes the oldest copies.
 * NAME is that of the database without ".db". The first is due one interval after
 * the newest copy in the folder, at once if there is none, so that restarts
 * neither skip backups nor add some. What fails is logged and tried again an
 * interval later.
 */
#ifndef TBK_CLI_BACKUP_SCHEDULE_H
#define TBK_CLI_BACKUP_SCHEDULE_H

#include "http/monitor.h"
#include "storage/storage.h"

struct tbk_backup_schedule;

struct tbk_backup_schedule_config {
    const struct tbk_storage_ops *ops;
    struct tbk_storage_config storage; /* location: absolute path */
    const char *folder;
    int64_t interval_s; /* 1 or more */
    int64_t keep;       /* copies, 1 or more */
};

/* Starts the thread. What config points to is read until destroy. */
enum tbk_status tbk_backup_schedule_create(const struct tbk_backup_schedule_config *config,
                                           struct tbk_backup_schedule **ret_schedule,
                                           struct tbk_error *error) TBK_MUST_CHECK;
/* A struct tbk_backup_schedule as struct tbk_monitor_config wants it. */
struct tbk_backup_figures tbk_backup_schedule_figures(void *schedule);
/* Gives up the backup that is being made, which then leaves nothing. NULL is
 * allowed. */
void tbk_backup_schedule_destroy(struct tbk_backup_schedule *schedule);

#endif
