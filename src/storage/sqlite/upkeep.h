/*
 * What backup, restore, vacuum and check share: the file under construction, and
 * how it is filled and verified.
 */
#ifndef TBK_STORAGE_SQLITE_UPKEEP_H
#define TBK_STORAGE_SQLITE_UPKEEP_H

#include <sys/stat.h>

#include "storage/sqlite/sqlite.h"

/* leftover.c: what lies where a new file is to be made */

/* Refuses what is not a killed process's own: the database source that is to be
 * copied, a file that is in use, has a second name or holds something else.
 * FAILED_PRECONDITION, INVALID_ARGUMENT (the source), UNAVAILABLE (in use). */
enum tbk_status tbk_sqlite_check_leftover(const char *path, const struct stat *source, struct tbk_error *error);

/* stage.c: a new file is made as TARGET.partial, and only a whole one becomes
 * TARGET. What a killed process left there is overwritten by the next. */

struct tbk_stage {
    char target[PATH_MAX];
    char path[PATH_MAX + 16];
    int fd;        /* holds a lock on the file; -1: none */
    int folder_fd; /* -1: none */
};

/* For a copy of the database source. On failure nothing is to be abandoned. The
 * codes of tbk_sqlite_check_leftover; UNAVAILABLE also: another process is making
 * the same. */
enum tbk_status tbk_stage_begin(const char *target, const struct stat *source, struct tbk_stage *stage,
                                struct tbk_error *error);
/* Gives the file the permissions of another and, where allowed, its owner, who may
 * write it. */
void tbk_stage_take_after(const struct tbk_stage *stage, const struct stat *model);
/* Puts the file on disk under its name. Without replace ALREADY_EXISTS if there is
 * one of that name. On failure the stage is still to be abandoned. */
enum tbk_status tbk_stage_publish(struct tbk_stage *stage, bool replace, struct tbk_error *error);
/* Publishes the file and gives the former one the name kept, which is free. */
enum tbk_status tbk_stage_exchange(struct tbk_stage *stage, const char *kept, struct tbk_error *error);
/* Removes the file, unless it is published. */
void tbk_stage_abandon(struct tbk_stage *stage);
/* Puts the names in the folder on disk. */
enum tbk_status tbk_stage_sync_folder(const struct tbk_stage *stage, struct tbk_error *error);

/* copy.c: the stage's content */

enum tbk_copy_method {
    TBK_COPY_PAGES,   /* page by page */
    TBK_COPY_COMPACT, /* without the free space */
};

/* Copies what db sees to the stage as a single file and verifies it: SQLite's own
 * check finds nothing, and each table has as many rows. db is in no transaction. */
enum tbk_status tbk_sqlite_copy(sqlite3 *db, enum tbk_copy_method method, const struct tbk_stage *stage,
                                const struct tbk_upkeep_observer *observer, struct tbk_copy_report *report,
                                struct tbk_error *error);
/* Whether the observer wants the work to go on. */
bool tbk_sqlite_observed(const struct tbk_upkeep_observer *observer, enum tbk_upkeep_phase phase,
                         int64_t done_bytes, int64_t total_bytes);
/* Asks the observer, as long as db runs statements, whether to go on. */
void tbk_sqlite_observe(sqlite3 *db, const struct tbk_upkeep_observer *observer);
/* tbk_sqlite_failed, or CANCELLED when the observer ended it. */
enum tbk_status tbk_sqlite_ended(sqlite3 *db, int rc, const char *doing, struct tbk_error *error);

/* upkeep.c */

/* The place of a database that is not opened as a storage. */
enum tbk_status tbk_sqlite_find_place(const struct tbk_storage_config *config, struct tbk_storage *place,
                                      struct tbk_error *error);
/* Opens a database that exists for reading; fills place. NOT_FOUND. */
enum tbk_status tbk_sqlite_open_existing(const struct tbk_storage_config *config, struct tbk_storage *place,
                                         struct stat *ret_file, sqlite3 **ret_db, struct tbk_error *error);
/* Closes it. If nobody else has it open, no empty log stays behind. */
void tbk_sqlite_close_existing(const struct tbk_storage *place, sqlite3 *db);

/* check.c */

/* A new database in memory, for sqlite3_close. */
enum tbk_status tbk_sqlite_open_model(const struct tbk_schema *schema, sqlite3 **ret_model,
                                      struct tbk_error *error);

/* holders.c: other programs */

/* The number and name of another process that has the file open, as far
 * as this user may see. */
bool tbk_sqlite_find_holder(const char *path, char *out, size_t out_bytes);

#endif
