/*
 * The storage interface. A backend is a constant struct of functions; all of
 * them are required. Backends are peers: the contract suite in
 * tests/storage runs unchanged against each.
 *
 * Threads: a storage is shared; a session belongs to one thread at a time. One
 * write session exists at most. Messages and values are read during the call and
 * not kept; results are allocated in the given arena.
 *
 * Statuses that any function may return: UNAVAILABLE (locked by another program,
 * or an I/O error), RESOURCE_EXHAUSTED (disk full, memory, arena), DATA_LOSS
 * (the database is damaged).
 */
#ifndef TBK_STORAGE_STORAGE_H
#define TBK_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/dynbuf.h"
#include "base/error.h"
#include "metrics/distribution.h"
#include "query/query.h"
#include "schema/schema.h"
#include "storage/audit.h"
#include "storage/series.h"
#include "storage/upkeep.h"
#include "tradebook/v1/event.pb-c.h"

struct tbk_storage;
struct tbk_session;

struct tbk_storage_config {
    const char *location; /* path of the database */
    const struct tbk_schema *schema;
    int64_t busy_timeout_ms; /* how long to wait for another program's lock */
    int64_t log_bytes_max;   /* of the write-ahead log, see begin; 0: no limit */
};

struct tbk_storage_info {
    const char *backend;         /* "sqlite" */
    const char *library_version; /* "3.40.1" */
    const char *location;        /* absolute path */
    const char *changes;         /* what opening changed in the database, for people; "" for nothing */
    int32_t schema_version;
    int64_t database_bytes;
    int64_t wal_bytes;
    uint64_t secret; /* random, made when the database was created or adopted */
    /* How long the write session's syncs took, of the log and of the database; live,
     * as long as the storage is open. */
    const struct tbk_distribution *log_syncs;
    const struct tbk_distribution *database_syncs;
};

enum tbk_session_kind { TBK_SESSION_READ, TBK_SESSION_WRITE };

/* What is remembered of an executed request. */
struct tbk_request_record {
    const char *client; /* identity of the caller, "" when unknown */
    uint8_t id[16];
    uint64_t fingerprint; /* of method and payload */
    int64_t created_us;
    const uint8_t *response; /* serialised response message */
    size_t response_bytes;
};

/* What belongs to a trade but has no column in the six tables. */
struct tbk_terms {
    int64_t signal_id;
    double quantity;      /* units of the base currency */
    double open_fees_usd; /* of the opening */
    double fees_usd;      /* of the opening and, once closed, of the closing */
    int mode;             /* number of Mode; 0: not known, another program opened it */
    bool has_breakeven_band;
    double breakeven_band_percent; /* that decided the outcome; since it is closed */
    bool publish;                  /* whether its close makes an event */
};

/* Which events of the outbox there are. */
struct tbk_event_range {
    int64_t oldest; /* 0: none is kept */
    int64_t newest; /* 0: there was none yet */
};

/* Which events to read. */
struct tbk_event_query {
    int64_t after;      /* those with a larger sequence */
    const char *topic;  /* those whose topic begins so; NULL: all */
    const char *symbol; /* those of this symbol; NULL: all */
    uint32_t limit;     /* 1 or more */
    uint32_t scan_max;  /* looks at no more events than this, 1 or more */
    size_t bytes_max;   /* ends with the event that reaches this much memory */
};

/* Events, oldest first, and the range of all, from one snapshot. */
struct tbk_event_page {
    struct tbk_event_range range;
    Tradebook__V1__Event **events;
    size_t count;
    int64_t next_after; /* the last event looked at; after, if there was none */
};

/* Which spans of production are asked for. */
struct tbk_tenure_query {
    const char *model_type; /* only of this type; NULL: of all */
    bool has_at;
    int64_t at_us;     /* only those that cover this moment */
    int64_t before_id; /* only those with a smaller id */
    uint32_t limit;
};

/* A span of time in which a model was in production, that is promoted and active.
 * Ids grow in the order of promotion. The database's clock has milliseconds. */
struct tbk_model_tenure {
    int64_t id;
    const char *version;
    const char *model_type;
    struct tbk_value promoted_at;
    struct tbk_value demoted_at; /* NULL type: still in production */
    const char *rollback_reason; /* NULL: was not rolled back */
};

/* A trade that is open, with what its signal says. Of result there are id,
 * signal_id, entry_price and entry_timestamp; of signal symbol, direction,
 * tp_price, sl_price and strategy, none if the signal is gone. */
struct tbk_open_position {
    const ProtobufCMessage *result;
    const ProtobufCMessage *signal;
    double quantity; /* 1 when another program opened it */
};

/* Which open trades to list, newest first. */
struct tbk_open_positions_query {
    const char *symbol; /* NULL: all */
    bool continues;     /* after the trade below */
    int64_t after_entry_us;
    int64_t after_id;
    uint32_t limit;
};

/* What a pattern is ranked by. */
struct tbk_pattern_counts {
    int64_t id;
    int64_t wins;
    int64_t total;
};

struct tbk_storage_ops {
    const char *name;

    /* Creates, adopts or migrates the database and takes it for this process.
     * FAILED_PRECONDITION: not ours, newer, read-only, or served already. */
    enum tbk_status (*open)(const struct tbk_storage_config *config, struct tbk_storage **ret_storage,
                            struct tbk_error *error);
    /* After all sessions are closed. */
    void (*close)(struct tbk_storage *storage);
    /* Any thread. */
    void (*info)(struct tbk_storage *storage, struct tbk_storage_info *ret_info);

    enum tbk_status (*session_open)(struct tbk_storage *storage, enum tbk_session_kind kind,
                                    struct tbk_session **ret_session, struct tbk_error *error);
    void (*session_close)(struct tbk_session *session);

    /* A write session's transaction: begin, work, commit. Reads see one snapshot
     * from the first read after begin on, or each its own without a transaction.
     * RESOURCE_EXHAUSTED: the write-ahead log is at its limit. */
    enum tbk_status (*begin)(struct tbk_session *session, struct tbk_error *error);
    /* OK: everything since begin is on disk. UNKNOWN: undecided, the process must
     * end and recovery decides. Otherwise nothing of it is stored. */
    enum tbk_status (*commit)(struct tbk_session *session, struct tbk_error *error);
    void (*rollback)(struct tbk_session *session);
    /* Whether the transaction is still open; a backend may lose it, for instance
     * on a full disk, and nothing of it is then stored. */
    bool (*in_transaction)(const struct tbk_session *session);
    /* One nested unit inside the transaction, not deeper. Without a transaction
     * savepoint fails and opens none. */
    enum tbk_status (*savepoint)(struct tbk_session *session, struct tbk_error *error);
    enum tbk_status (*release)(struct tbk_session *session, struct tbk_error *error);
    void (*rollback_to)(struct tbk_session *session);

    /* Inserts message; absent fields become NULL, an absent integer key is
     * assigned. Sets *ret_id to the key of tables with an integer key. A failed
     * insert changes nothing. ALREADY_EXISTS: a unique value is taken, which the
     * sentence names. NOT_FOUND: it refers to a row that does not exist. */
    enum tbk_status (*insert)(struct tbk_session *session, const struct tbk_table *table,
                              const ProtobufCMessage *message, int64_t *ret_id, struct tbk_error *error);
    /* Reads the row whose unique column has this value. NOT_FOUND. */
    enum tbk_status (*get)(struct tbk_session *session, const struct tbk_table *table,
                           const struct tbk_column *column, struct tbk_value value, struct tbk_arena *arena,
                           ProtobufCMessage **ret_message, struct tbk_error *error);
    /* Writes the columns whose bits are set (bit = tbk_column.position) from
     * message into the row with message's key; absent fields become NULL.
     * NOT_FOUND. */
    enum tbk_status (*update)(struct tbk_session *session, const struct tbk_table *table, uint32_t columns,
                              const ProtobufCMessage *message, struct tbk_error *error);
    /* Whether a row with this integer key exists: *ret_exists. */
    enum tbk_status (*exists)(struct tbk_session *session, const struct tbk_table *table, int64_t key,
                              bool *ret_exists, struct tbk_error *error);
    /* Rows in the query's order, at most query->limit, fewer when the arena has
     * taken bytes_max; *ret_more tells whether rows remain. */
    enum tbk_status (*list)(struct tbk_session *session, const struct tbk_query *query, size_t bytes_max,
                            struct tbk_arena *arena, ProtobufCMessage ***ret_messages, size_t *ret_count,
                            bool *ret_more, struct tbk_error *error);
    enum tbk_status (*count)(struct tbk_session *session, const struct tbk_table *table, int64_t *ret_rows,
                             struct tbk_error *error);

    /* Terms of the trade of this signal. NOT_FOUND, without a sentence: another
     * program opened it. */
    enum tbk_status (*terms_get)(struct tbk_session *session, int64_t signal_id, struct tbk_terms *ret_terms,
                                 struct tbk_error *error);
    /* Writes them, over what is there. Deleting the trade deletes its terms. */
    enum tbk_status (*terms_put)(struct tbk_session *session, const struct tbk_terms *terms,
                                 struct tbk_error *error);
    /* Marks the signal's theory records that have no grade yet. */
    enum tbk_status (*theories_grade)(struct tbk_session *session, int64_t signal_id, bool was_correct,
                                      int64_t *ret_graded, struct tbk_error *error);

    /* Open trades by entry_timestamp, then id, both descending; *ret_more tells
     * whether some remain. */
    enum tbk_status (*open_positions)(struct tbk_session *session, const struct tbk_open_positions_query *query,
                                      struct tbk_arena *arena, struct tbk_open_position **ret_positions,
                                      size_t *ret_count, bool *ret_more, struct tbk_error *error);

    /* How many trades are open. */
    enum tbk_status (*open_count)(struct tbk_session *session, int64_t *ret_trades, struct tbk_error *error);

    /* Finds what was remembered under (client, id). NOT_FOUND, without a
     * sentence, is the usual answer. */
    enum tbk_status (*request_find)(struct tbk_session *session, const char *client, const uint8_t id[16],
                                    struct tbk_arena *arena, struct tbk_request_record *ret_record,
                                    struct tbk_error *error);
    enum tbk_status (*request_save)(struct tbk_session *session, const struct tbk_request_record *record,
                                    struct tbk_error *error);
    /* Forgets some of the requests made before before_us, the oldest rows_max at
     * most; *ret_rows is how many. Those made after now_us, by a clock that was
     * wrong, count as made now, or they would be in the way for as long as it was. */
    enum tbk_status (*request_prune)(struct tbk_session *session, int64_t before_us, int64_t now_us,
                                     unsigned rows_max, unsigned *ret_rows, struct tbk_error *error);

    /* The outbox. What the numbers mean is said in proto/tradebook/v1/event.proto;
     * the newest event is always kept. */
    enum tbk_status (*event_range)(struct tbk_session *session, struct tbk_event_range *ret_range,
                                   struct tbk_error *error);
    enum tbk_status (*event_list)(struct tbk_session *session, const struct tbk_event_query *query,
                                  struct tbk_arena *arena, struct tbk_event_page *ret_page,
                                  struct tbk_error *error);
    /* Forgets the oldest events that were recorded before before_us, at most
     * rows_max and never the newest one. */
    enum tbk_status (*event_prune)(struct tbk_session *session, int64_t before_us, unsigned rows_max,
                                   unsigned *ret_rows, struct tbk_error *error);

    /* Reads a cursor. NOT_FOUND. */
    enum tbk_status (*cursor_get)(struct tbk_session *session, const char *name, struct tbk_arena *arena,
                                  Tradebook__V1__Cursor **ret_cursor, struct tbk_error *error);
    /* The cursors whose names come after after ("": all), by the bytes of their
     * names, at most limit; *ret_more tells whether others remain. */
    enum tbk_status (*cursor_list)(struct tbk_session *session, const char *after, uint32_t limit,
                                   struct tbk_arena *arena, Tradebook__V1__Cursor ***ret_cursors,
                                   size_t *ret_count, bool *ret_more, struct tbk_error *error);
    /* Puts a cursor at sequence, or creates it there; not back unless may_go_back. */
    enum tbk_status (*cursor_move)(struct tbk_session *session, const char *name, int64_t sequence,
                                   bool may_go_back, int64_t now_us, struct tbk_error *error);
    /* NOT_FOUND. */
    enum tbk_status (*cursor_delete)(struct tbk_session *session, const char *name, struct tbk_error *error);

    /* Whether another session or another program has committed since this was last
     * asked of this read session; true the first time. Cheap. */
    enum tbk_status (*changed)(struct tbk_session *session, bool *ret_changed, struct tbk_error *error);

    /* Who is in production when is kept by the storage itself, whoever writes. */

    /* Promotes the deployment with this id and demotes all others of its type. A
     * failure changes nothing. NOT_FOUND. */
    enum tbk_status (*model_promote)(struct tbk_session *session, int64_t id, struct tbk_error *error);
    /* The deployment to go back to from this one, which was in production: another
     * of its type that still is, else the one that was before it, as long as it
     * exists and is active. *ret_id is 0 when there is none. */
    enum tbk_status (*model_predecessor)(struct tbk_session *session, int64_t id, int64_t *ret_id,
                                         struct tbk_error *error);
    /* Spans of production, newest first, at most query->limit, fewer when their
     * text has bytes_max; *ret_more tells whether spans remain. */
    enum tbk_status (*model_tenures)(struct tbk_session *session, const struct tbk_tenure_query *query,
                                     size_t bytes_max, struct tbk_arena *arena,
                                     struct tbk_model_tenure **ret_tenures, size_t *ret_count, bool *ret_more,
                                     struct tbk_error *error);

    /* Appends a struct tbk_pattern_counts for each pattern of min_total trades or
     * more, in no order. Patterns whose wins are not between 0 and total, as only
     * other programs write them, are left out. RESOURCE_EXHAUSTED: counts is full. */
    enum tbk_status (*pattern_counts)(struct tbk_session *session, int64_t min_total, struct tbk_dynbuf *counts,
                                      struct tbk_error *error);

    /* Where the reports of changes end: rows read in the same snapshot or later
     * need only what is reported after it. */
    enum tbk_status (*series_position)(struct tbk_session *session, struct tbk_series_position *ret_position,
                                       struct tbk_error *error);
    /* Reads what was reported after *position, at most changes_max, and moves
     * *position on; fewer than changes_max: that was all. A row may be reported
     * more than once, and although it has not changed. OUT_OF_RANGE: part of the
     * reports is gone, the series must be read anew. */
    enum tbk_status (*series_changes)(struct tbk_session *session, struct tbk_series_position *position,
                                      struct tbk_series_change *ret_changes, size_t changes_max, size_t *ret_count,
                                      struct tbk_error *error);
    /* Reads the next rows, at most rows_max and all when *ret_rows is less, of a
     * series in an order near that of time; first starts over. Rows that change
     * between two calls may come twice or be left out, and are reported. */
    enum tbk_status (*series_scan)(struct tbk_session *session, enum tbk_series_id series, bool first,
                                   size_t rows_max, tbk_series_sink *sink, void *argument, size_t *ret_rows,
                                   struct tbk_error *error);
    /* Gives the rows from first_id to last_id that belong to the series now to sink. */
    enum tbk_status (*series_get)(struct tbk_session *session, enum tbk_series_id series, int64_t first_id,
                                  int64_t last_id, tbk_series_sink *sink, void *argument, struct tbk_error *error);
    /* Gives the closed trades of the signals with these ids, which say what a trade is
     * told apart by. */
    enum tbk_status (*series_get_trades_of)(struct tbk_session *session, int64_t first_signal_id,
                                            int64_t last_signal_id, tbk_series_sink *sink, void *argument,
                                            struct tbk_error *error);
    /* Forgets the oldest reports of changes, at most rows_max; keeps the newest
     * rows_kept, at least 1. */
    enum tbk_status (*series_prune)(struct tbk_session *session, int64_t rows_kept, unsigned rows_max,
                                    struct tbk_error *error);

    /* Housekeeping between transactions of the write session, such as moving the
     * write-ahead log into the database. What it returns is no failure of a request:
     * other than OK it is something for the operator to know, said once in a while. */
    enum tbk_status (*maintain)(struct tbk_session *session, struct tbk_error *error);

    /* The following need no open storage; any thread. NOT_FOUND: there is no
     * database; FAILED_PRECONDITION: not ours or a bot's, or newer; CANCELLED: the
     * observer ended it. After a failure everything is as it was, and nothing is
     * left behind. */

    /* Writes a verified copy of what is committed when it begins to a new file, also
     * while the database is served. ALREADY_EXISTS: the file is there and replace
     * is false. DATA_LOSS: the copy has not passed the check. */
    enum tbk_status (*backup)(const struct tbk_storage_config *config, const char *destination, bool replace,
                              const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                              struct tbk_error *error);
    /* Puts a verified copy of a backup in the place of the database, which is kept
     * under another name. FAILED_PRECONDITION: it is served, or another process has
     * it open. */
    enum tbk_status (*restore)(const struct tbk_storage_config *config, const char *backup,
                               const struct tbk_upkeep_observer *observer, struct tbk_copy_report *ret_report,
                               struct tbk_error *error);
    /* Puts a verified copy without free space in the place of the database; refused
     * as restore is. */
    enum tbk_status (*vacuum)(const struct tbk_storage_config *config, const struct tbk_upkeep_observer *observer,
                              struct tbk_copy_report *ret_report, struct tbk_error *error);
    /* Reads all of the database, served or not, and says what is wrong with it and
     * what it lacks. What is found is no failure. The report is in the arena. */
    enum tbk_status (*check)(const struct tbk_storage_config *config, const struct tbk_upkeep_observer *observer,
                             struct tbk_arena *arena, struct tbk_check_report *ret_report,
                             struct tbk_error *error);

    /* Reads all of the database, served or not, and says what is wrong in it. What is
     * found is no failure. The report is in the arena. */
    enum tbk_status (*audit)(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                             const struct tbk_upkeep_observer *observer, struct tbk_arena *arena,
                             struct tbk_audit_report *ret_report, struct tbk_error *error);
    /* Makes a backup, then repairs in one transaction what the audit finds and what
     * has one right answer. FAILED_PRECONDITION: it is served, or something must be
     * repaired by hand first. */
    enum tbk_status (*repair)(const struct tbk_storage_config *config, const struct tbk_audit_options *options,
                              const struct tbk_upkeep_observer *observer, struct tbk_repair_report *ret_report,
                              struct tbk_error *error);
};

/* The backend for a location such as "tradebook.db", "sqlite:///tradebook.db";
 * *ret_location is the part it opens. NULL and INVALID_ARGUMENT when no backend
 * of this build serves it. */
const struct tbk_storage_ops *tbk_storage_backend(const char *url, const char **ret_location,
                                                  struct tbk_error *error);

/* Version of the SQLite library in use, "3.40.1". */
const char *tbk_storage_sqlite_version(void);

#endif
