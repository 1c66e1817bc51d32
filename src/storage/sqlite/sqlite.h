/*
 * What the files of the SQLite backend share. A session is one connection with
 * its prepared statements.
 */
#ifndef TBK_STORAGE_SQLITE_SQLITE_H
#define TBK_STORAGE_SQLITE_SQLITE_H

#include <limits.h>
#include <sqlite3.h>

#include "base/dynbuf.h"
#include "base/timestamp.h"
#include "storage/storage.h"

enum {
    TBK_SQLITE_SCHEMA_VERSION = 3,
    TBK_SQLITE_LISTS_CACHED = 16,     /* prepared list statements a session keeps */
    TBK_SQLITE_UPDATES_CACHED = 16,   /* prepared updates */
    TBK_SQLITE_SQL_BYTES_MAX = 65536, /* of one list statement */
    TBK_SQLITE_CHANGES_BYTES_MAX = 4096,
};

struct tbk_storage {
    const struct tbk_schema *schema;
    char path[PATH_MAX];
    int lock_fd;
    int64_t busy_timeout_ms;
    int64_t log_bytes_max; /* 0: no limit */
    uint64_t secret;
    char changes[TBK_SQLITE_CHANGES_BYTES_MAX]; /* what opening changed, for people */
    struct tbk_distribution log_syncs;          /* of the write session */
    struct tbk_distribution database_syncs;
};

/* Statements about one table, prepared when first needed. */
struct tbk_table_statements {
    sqlite3_stmt *insert;
    sqlite3_stmt *exists;
    sqlite3_stmt *count;
    sqlite3_stmt *get[TBK_TABLE_COLUMNS_MAX];
};

struct tbk_list_statement {
    char *sql;
    sqlite3_stmt *statement;
    uint64_t used; /* session's clock when last used */
};

struct tbk_update_statement {
    const struct tbk_table *table; /* NULL: not used yet */
    uint32_t columns;
    sqlite3_stmt *statement;
    uint64_t used; /* session's clock when last used */
};

/* Statements of events.c and cursors.c. */
enum tbk_event_statement {
    TBK_EVENT_RANGE,
    TBK_EVENT_LIST,
    TBK_CURSOR_GET,
    TBK_CURSOR_LIST,
    TBK_CURSOR_MOVE,
    TBK_CURSOR_DELETE,
    TBK_EVENT_STATEMENT_COUNT,
};

/* Whether the trade of a row ("r", "NEW") is closed: its outcome is one of these words,
 * in any case. What is stored as BLOB is no word, as in the users' own SQL. A plus
 * before the row of a table, "+r", keeps SQLite 3.40 from looking the outcomes up in an
 * index, of signal_id and outcome for instance: it would do so with their case. */
#define TBK_SQLITE_CLOSED(row)                                                                                    \
    "(" row ".outcome='win' COLLATE NOCASE OR " row ".outcome='loss' COLLATE NOCASE OR " row                      \
    ".outcome='breakeven' COLLATE NOCASE)"

/* Statements about series, and how far their scans are. */
struct tbk_series_statements {
    sqlite3_stmt *position;
    sqlite3_stmt *changes;
    sqlite3_stmt *given_again;
    sqlite3_stmt *get[TBK_SERIES_SIGNALS + 1];
    sqlite3_stmt *get_trades_of;
    sqlite3_stmt *scan[TBK_SERIES_SIGNALS + 1];
    sqlite3_stmt *scan_undated;
    sqlite3_stmt *prune;
    bool scans_undated;         /* trades without a time come first */
    int64_t scanned_id;         /* of the last row */
    sqlite3_value *scanned_key; /* its time as it is stored; NULL: none yet */
};

/* The write-ahead log, as the write session knows it. Numbers of pages. */
struct tbk_log_state {
    int page_bytes;
    int pages; /* after the last commit */
    int pages_checkpointed;
    int pages_max;          /* further commits are refused */
    int pages_restart;      /* from this length on the writer waits for readers */
    int pages_restart_next; /* the same, after waits in vain */
};

struct tbk_session {
    struct tbk_storage *storage;
    enum tbk_session_kind kind;
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *savepoint;
    sqlite3_stmt *release;
    sqlite3_stmt *rollback_to;
    sqlite3_stmt *cover; /* of the writer only */
    sqlite3_stmt *request_find;
    sqlite3_stmt *request_save;
    sqlite3_stmt *data_version;
    sqlite3_stmt *events[TBK_EVENT_STATEMENT_COUNT];
    sqlite3_stmt *terms_get;
    sqlite3_stmt *terms_put;
    sqlite3_stmt *theories_ungraded;
    sqlite3_stmt *theories_grade;
    sqlite3_stmt *model_promote;
    sqlite3_stmt *model_predecessor;
    sqlite3_stmt *model_tenures;
    sqlite3_stmt *pattern_counts;
    sqlite3_stmt *open_positions;
    sqlite3_stmt *open_count;
    struct tbk_table_statements tables[TBK_TABLE_COUNT];
    struct tbk_series_statements series;
    struct tbk_list_statement lists[TBK_SQLITE_LISTS_CACHED];
    struct tbk_update_statement updates[TBK_SQLITE_UPDATES_CACHED];
    uint64_t clock;
    struct tbk_dynbuf sql; /* scratch */
    struct tbk_log_state log;
    int seen_version;  /* PRAGMA data_version when last looked at; 0: never */
    int64_t others_us; /* monotonic, when another program's commit was last seen; 0: never */
};

/* database.c: connections and errors */

/* Opens a connection with the settings of kind. */
enum tbk_status tbk_sqlite_connect(const struct tbk_storage *storage, enum tbk_session_kind kind, sqlite3 **ret_db,
                                   struct tbk_error *error);
/* Maps a failed call to a status and a sentence; doing completes "while ...". */
enum tbk_status tbk_sqlite_failed(sqlite3 *db, int rc, const char *doing, struct tbk_error *error);
/* Runs statements without results. */
enum tbk_status tbk_sqlite_exec(sqlite3 *db, const char *sql, const char *doing, struct tbk_error *error);
/* Prepares *statement from sql if it is still NULL. */
enum tbk_status tbk_sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement,
                                   struct tbk_error *error);

/* neighbours.c: other programs that write to the file */

/* Waits up to this long for a lock from now on. */
void tbk_sqlite_wait_for_lock(sqlite3 *db, int64_t timeout_ms);
/* Inside a transaction: notes whether others have committed since the last. */
void tbk_sqlite_look_for_others(struct tbk_session *session);
/* Between transactions: leaves the lock free for a moment if others write. */
void tbk_sqlite_let_others_in(const struct tbk_session *session);
enum tbk_status tbk_sqlite_changed(struct tbk_session *session, bool *ret_changed, struct tbk_error *error);

/* checkpoint.c: the length of the write-ahead log */

/* For a write session, once. */
enum tbk_status tbk_sqlite_watch_log(struct tbk_session *session, struct tbk_error *error);
/* Before a transaction: RESOURCE_EXHAUSTED when the log is at its limit and cannot
 * start over. */
enum tbk_status tbk_sqlite_limit_log(struct tbk_session *session, struct tbk_error *error);
/* See struct tbk_storage_ops. */
enum tbk_status tbk_sqlite_maintain(struct tbk_session *session, struct tbk_error *error);

/* holders.c: other programs */

enum { TBK_PROCESS_NAME_BYTES = 96 };

/* Writes "17 (python3)" for the process with the number pid. */
void tbk_sqlite_describe_process(const char *pid, char *out, size_t out_bytes);

/* files.c: the database as a file */

/* Absolute path without symbolic links; the file itself need not exist. */
enum tbk_status tbk_sqlite_resolve_path(const char *location, char out[PATH_MAX], struct tbk_error *error);
/* Takes the database at storage->path for this process, as its server. */
enum tbk_status tbk_sqlite_take(struct tbk_storage *storage, struct tbk_error *error);
void tbk_sqlite_release(struct tbk_storage *storage);
/* Before release: leaves no lock file behind. */
void tbk_sqlite_forget_lock_file(const struct tbk_storage *storage);
/* Whether path still names the open file: another process may have removed it. */
bool tbk_sqlite_is_named(int fd, const char *path);
/* 0 when there is none. */
int64_t tbk_sqlite_file_bytes(const char *path);
/* Of the log that belongs to the database at path. */
int64_t tbk_sqlite_log_bytes(const char *path);

/* Of the file through which programs share the log; 0 when there is none. */
int64_t tbk_sqlite_shared_memory_inode(const char *path);

/* migrate.c */

/* The version of tradebook's schema in the file, 0 when it has none.
 * FAILED_PRECONDITION: of a newer tradebook, of another program, or empty. */
enum tbk_status tbk_sqlite_identify(const struct tbk_storage *storage, sqlite3 *db, bool may_be_empty,
                                    int64_t *ret_version, struct tbk_error *error);

/* Creates, adopts or migrates the database in one transaction; reads the secret
 * and fills storage->changes. */
enum tbk_status tbk_sqlite_migrate(struct tbk_storage *storage, sqlite3 *db, struct tbk_error *error);

/* tables.c: the users' six tables */

/* Creates or completes the tables and indexes; notes what it did in changes. */
enum tbk_status tbk_sqlite_ensure_tables(const struct tbk_schema *schema, sqlite3 *db, struct tbk_dynbuf *changes,
                                         struct tbk_error *error);
/* Rewrites readable timestamps that are not in the on-disk form. */
enum tbk_status tbk_sqlite_normalise_timestamps(const struct tbk_schema *schema, sqlite3 *db,
                                                struct tbk_dynbuf *changes, struct tbk_error *error);

/* triggers.c */

/* Creates the triggers that are missing or differ, such as after a program has
 * made its tables anew, and then catches up with what they would have written. */
enum tbk_status tbk_sqlite_ensure_triggers(sqlite3 *db, struct tbk_error *error);

/* rows.c: one row */

enum tbk_status tbk_sqlite_insert(struct tbk_session *session, const struct tbk_table *table,
                                  const ProtobufCMessage *message, int64_t *ret_id, struct tbk_error *error);
enum tbk_status tbk_sqlite_get(struct tbk_session *session, const struct tbk_table *table,
                               const struct tbk_column *column, struct tbk_value value, struct tbk_arena *arena,
                               ProtobufCMessage **ret_message, struct tbk_error *error);
enum tbk_status tbk_sqlite_update(struct tbk_session *session, const struct tbk_table *table, uint32_t columns,
                                  const ProtobufCMessage *message, struct tbk_error *error);
enum tbk_status tbk_sqlite_exists(struct tbk_session *session, const struct tbk_table *table, int64_t key,
                                  bool *ret_exists, struct tbk_error *error);
enum tbk_status tbk_sqlite_count(struct tbk_session *session, const struct tbk_table *table, int64_t *ret_rows,
                                 struct tbk_error *error);

/* On-disk form of bound timestamps; must live until the step. Room for every
 * comparison of a filter and every value of a page token. */
enum { TBK_BOUND_TIMESTAMPS_MAX = 128 };
struct tbk_bound_text {
    char timestamps[TBK_BOUND_TIMESTAMPS_MAX][TBK_TIMESTAMP_CHARS + 1];
    unsigned count;
};
/* Binds a value of a column as it is stored. */
void tbk_sqlite_bind(sqlite3_stmt *statement, int position, const struct tbk_column *column,
                     struct tbk_value value, struct tbk_bound_text *bound);
/* Appends the table's column names, separated by commas. */
void tbk_sqlite_put_columns(struct tbk_dynbuf *sql, const struct tbk_table *table);
/* Finds the row whose unique column has this value: *ret_statement stands on it,
 * with all columns, until it is reset. NOT_FOUND, without a sentence. */
enum tbk_status tbk_sqlite_find_row(struct tbk_session *session, const struct tbk_table *table,
                                    const struct tbk_column *column, struct tbk_value value,
                                    sqlite3_stmt **ret_statement, struct tbk_error *error);
/* What a column of the present row holds. */
struct tbk_value tbk_sqlite_read_value(sqlite3_stmt *statement, int position, const struct tbk_column *column);
/* Reads the present row of a statement that selects all columns. */
enum tbk_status tbk_sqlite_read_row(sqlite3_stmt *statement, const struct tbk_table *table,
                                    struct tbk_arena *arena, ProtobufCMessage **ret_message, size_t *ret_bytes,
                                    struct tbk_error *error);

/* list.c */

enum tbk_status tbk_sqlite_list(struct tbk_session *session, const struct tbk_query *query, size_t bytes_max,
                                struct tbk_arena *arena, ProtobufCMessage ***ret_messages, size_t *ret_count,
                                bool *ret_more, struct tbk_error *error);

/* trades.c */

enum tbk_status tbk_sqlite_terms_get(struct tbk_session *session, int64_t signal_id, struct tbk_terms *ret_terms,
                                     struct tbk_error *error);
enum tbk_status tbk_sqlite_terms_put(struct tbk_session *session, const struct tbk_terms *terms,
                                     struct tbk_error *error);
enum tbk_status tbk_sqlite_theories_grade(struct tbk_session *session, int64_t signal_id, bool was_correct,
                                          int64_t *ret_graded, struct tbk_error *error);

/* positions.c */

enum tbk_status tbk_sqlite_open_positions(struct tbk_session *session,
                                          const struct tbk_open_positions_query *query, struct tbk_arena *arena,
                                          struct tbk_open_position **ret_positions, size_t *ret_count,
                                          bool *ret_more, struct tbk_error *error);
enum tbk_status tbk_sqlite_open_count(struct tbk_session *session, int64_t *ret_trades, struct tbk_error *error);

/* requests.c */

enum tbk_status tbk_sqlite_request_find(struct tbk_session *session, const char *client, const uint8_t id[16],
                                        struct tbk_arena *arena, struct tbk_request_record *ret_record,
                                        struct tbk_error *error);
enum tbk_status tbk_sqlite_request_save(struct tbk_session *session, const struct tbk_request_record *record,
                                        struct tbk_error *error);
enum tbk_status tbk_sqlite_request_prune(struct tbk_session *session, int64_t before_us, int64_t now_us,
                                         unsigned rows_max, unsigned *ret_rows, struct tbk_error *error);

/* events.c: the outbox */

enum tbk_status tbk_sqlite_event_range(struct tbk_session *session, struct tbk_event_range *ret_range,
                                       struct tbk_error *error);
enum tbk_status tbk_sqlite_event_list(struct tbk_session *session, const struct tbk_event_query *query,
                                      struct tbk_arena *arena, struct tbk_event_page *ret_page,
                                      struct tbk_error *error);
enum tbk_status tbk_sqlite_event_prune(struct tbk_session *session, int64_t before_us, unsigned rows_max,
                                       unsigned *ret_rows, struct tbk_error *error);

/* cursors.c */

enum tbk_status tbk_sqlite_cursor_get(struct tbk_session *session, const char *name, struct tbk_arena *arena,
                                      Tradebook__V1__Cursor **ret_cursor, struct tbk_error *error);
enum tbk_status tbk_sqlite_cursor_list(struct tbk_session *session, const char *after, uint32_t limit,
                                       struct tbk_arena *arena, Tradebook__V1__Cursor ***ret_cursors,
                                       size_t *ret_count, bool *ret_more, struct tbk_error *error);
enum tbk_status tbk_sqlite_cursor_move(struct tbk_session *session, const char *name, int64_t sequence,
                                       bool may_go_back, int64_t now_us, struct tbk_error *error);
enum tbk_status tbk_sqlite_cursor_delete(struct tbk_session *session, const char *name, struct tbk_error *error);

/* models.c */

enum tbk_status tbk_sqlite_model_promote(struct tbk_session *session, int64_t id, struct tbk_error *error);
enum tbk_status tbk_sqlite_model_predecessor(struct tbk_session *session, int64_t id, int64_t *ret_id,
                                             struct tbk_error *error);
enum tbk_status tbk_sqlite_model_tenures(struct tbk_session *session, const struct tbk_tenure_query *query,
                                         size_t bytes_max, struct tbk_arena *arena,
                                         struct tbk_model_tenure **ret_tenures, size_t *ret_count, bool *ret_more,
                                         struct tbk_error *error);

/* patterns.c */

enum tbk_status tbk_sqlite_pattern_counts(struct tbk_session *session, int64_t min_total,
                                          struct tbk_dynbuf *counts, struct tbk_error *error);

/* series.c */

enum tbk_status tbk_sqlite_series_position(struct tbk_session *session, struct tbk_series_position *ret_position,
                                           struct tbk_error *error);
enum tbk_status tbk_sqlite_series_changes(struct tbk_session *session, struct tbk_series_position *position,
                                          struct tbk_series_change *ret_changes, size_t changes_max,
                                          size_t *ret_count, struct tbk_error *error);
enum tbk_status tbk_sqlite_series_scan(struct tbk_session *session, enum tbk_series_id series, bool first,
                                       size_t rows_max, tbk_series_sink *sink, void *argument, size_t *ret_rows,
                                       struct tbk_error *error);
enum tbk_status tbk_sqlite_series_get(struct tbk_session *session, enum tbk_series_id series, int64_t first_id,
                                      int64_t last_id, tbk_series_sink *sink, void *argument,
                                      struct tbk_error *error);
enum tbk_status tbk_sqlite_series_get_trades_of(struct tbk_session *session, int64_t first_signal_id,
                                                int64_t last_signal_id, tbk_series_sink *sink, void *argument,
                                                struct tbk_error *error);
enum tbk_status tbk_sqlite_series_prune(struct tbk_session *session, int64_t rows_kept, unsigned rows_max,
                                        struct tbk_error *error);
void tbk_sqlite_series_finalize(struct tbk_session *session);

/* upkeep.c, check.c: see storage/upkeep.h */

enum tbk_status tbk_sqlite_backup(const struct tbk_storage_config *config, const char *destination, bool replace,
                                  const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                  struct tbk_error *error);
enum tbk_status tbk_sqlite_restore(const struct tbk_storage_config *config, const char *backup,
                                   const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                   struct tbk_error *error);
enum tbk_status tbk_sqlite_vacuum(const struct tbk_storage_config *config,
                                  const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                                  struct tbk_error *error);
enum tbk_status tbk_sqlite_check(const struct tbk_storage_config *config,
                                 const struct tbk_upkeep_observer *observer, struct tbk_arena *arena,
                                 struct tbk_check_report *ret_report, struct tbk_error *error);

/* doctor.c, doctor_repair.c: see storage/audit.h */

enum tbk_status tbk_sqlite_audit(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                                 const struct tbk_upkeep_observer *observer, struct tbk_arena *arena,
                                 struct tbk_audit_report *ret_report, struct tbk_error *error);
enum tbk_status tbk_sqlite_repair(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                                  const struct tbk_upkeep_observer *observer, struct tbk_repair_report *ret_report,
                                  struct tbk_error *error);

#endif
