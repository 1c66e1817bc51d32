/*
 * What the files of the analytics share.
 *
 * The gate: one at a time works on the series, a query or the thread that reads
 * the tables. Queries come first, but not twice in a row before that thread.
 */
#ifndef TBK_ANALYTICS_INTERNAL_H
#define TBK_ANALYTICS_INTERNAL_H

#include <pthread.h>

#include "analytics/analytics.h"
#include "analytics/tally.h"

struct tbk_analytics_options {
    struct tbk_series_limits limits;
    size_t chunk_rows;  /* that the first reading takes at a time */
    size_t changes_max; /* that are applied at a time */
    int64_t poll_us;    /* how often the thread looks for changes */
};

enum { TBK_SERIES_COUNT = TBK_SERIES_SIGNALS + 1 }; /* arrays by enum tbk_series_id */

struct tbk_analytics {
    const struct tbk_storage_ops *ops;
    struct tbk_storage *storage;
    struct tbk_analytics_options options;

    pthread_mutex_t mutex; /* of what follows, up to the gap */
    pthread_cond_t changed;
    bool is_busy;
    bool is_stopping;
    bool is_quiesced; /* no query waits for a reading */
    bool is_damaged;  /* everything must be read anew */
    bool is_ready[TBK_SERIES_COUNT];
    int64_t rows_read;        /* by the reading that goes on */
    unsigned waiting_queries; /* that could begin */
    uint64_t query_turns;
    struct tbk_error failure; /* why the reading cannot go on; status OK: it does */

    /* Used by whoever is through the gate. */
    struct tbk_series series[TBK_SERIES_COUNT];
    struct tbk_batch batches[TBK_SERIES_COUNT];
    struct tbk_series_position position;
    struct tbk_series_change *changes;

    pthread_t thread;
    bool has_thread;
    struct tbk_session *session; /* of the thread */
};

/* As tbk_analytics_create, with small blocks for tests. */
enum tbk_status tbk_analytics_create_with(const struct tbk_storage_ops *ops, struct tbk_storage *storage,
                                          const struct tbk_analytics_options *options,
                                          struct tbk_analytics **ret_analytics,
                                          struct tbk_error *error) TBK_MUST_CHECK;
extern const struct tbk_analytics_options tbk_analytics_default_options;
/* Bytes of memory that the series take; waits for the gate. */
size_t tbk_analytics_bytes(struct tbk_analytics *analytics);

/* gate.c */

/* For a query of this series: waits until it has been read. */
enum tbk_status tbk_gate_enter(struct tbk_analytics *analytics, enum tbk_series_id series, int64_t deadline_us,
                               struct tbk_error *error);
/* For the thread. False: it must stop. */
bool tbk_gate_enter_thread(struct tbk_analytics *analytics);
void tbk_gate_leave(struct tbk_analytics *analytics);
/* Everything must be read anew; failure, if any, is what queries answer until
 * then. */
void tbk_gate_damaged(struct tbk_analytics *analytics, const struct tbk_error *failure);

/* follow.c: the thread */

enum tbk_status tbk_follow_start(struct tbk_analytics *analytics, struct tbk_error *error);
void tbk_follow_stop(struct tbk_analytics *analytics);

/* refresh.c: from the tables into the series; through the gate, in a transaction */

/* Files a row that was read. */
struct tbk_filing {
    struct tbk_analytics *analytics;
    enum tbk_series_id series;
};
tbk_series_sink tbk_refresh_file;
/* Applies what was filed. On failure the series are damaged. */
enum tbk_status tbk_refresh_apply(struct tbk_analytics *analytics, struct tbk_error *error);
/* Reads one batch of changes. *ret_more: there may be others. OUT_OF_RANGE: they
 * are gone. */
enum tbk_status tbk_refresh_step(struct tbk_analytics *analytics, struct tbk_session *session, bool *ret_more,
                                 struct tbk_error *error);

/* query.c: what all queries do first and last */

/* Waits, opens a transaction, and brings the series up to date with it: this one
 * and those that are read before it (follow.c), signals being read last. */
enum tbk_status tbk_query_begin(struct tbk_analytics *analytics, struct tbk_session *session,
                                enum tbk_series_id series, const struct tbk_analytics_query *query,
                                struct tbk_error *error);
void tbk_query_end(struct tbk_analytics *analytics, struct tbk_session *session);
/* The rows of the query. False: there are none, nobody has this value. */
bool tbk_query_select(const struct tbk_series *series, const struct tbk_analytics_query *query,
                      struct tbk_selection *ret_selection);
/* Tallies the selection and fills the basis; *ret_days are those of the figures
 * per day, meaningless without a trade. */
enum tbk_status tbk_query_total(struct tbk_series *series, const struct tbk_analytics_query *query,
                                const struct tbk_selection *selection, struct tbk_tally *tally,
                                struct tbk_basis *ret_basis, struct tbk_days *ret_days, struct tbk_error *error);
enum tbk_status tbk_query_out_of_memory(struct tbk_error *error);

/* performance.c: what tbk_analytics_performance answers, in a query that has begun. */
enum tbk_status tbk_query_performance(struct tbk_series *series, const struct tbk_analytics_query *query,
                                      enum tbk_dimension breakdown, size_t groups_max, struct tbk_arena *arena,
                                      struct tbk_basis *ret_basis, struct tbk_performance *ret_total,
                                      struct tbk_performance_group **ret_groups, size_t *ret_group_count,
                                      size_t *ret_groups_left_out, struct tbk_error *error);

/* count.c: rows for each value of a dimension */

struct tbk_value_count {
    uint32_t code;
    int64_t n, wins;
    int64_t valued; /* rows that have a values[0] */
    double total;   /* of values[0] */
};
/* Values that occur in the window, in the order of their codes; *ret_counts is for
 * free(). */
enum tbk_status tbk_count_values(struct tbk_series *series, int64_t start_us, int64_t end_us, unsigned dimension,
                                 struct tbk_value_count **ret_counts, size_t *ret_count, struct tbk_error *error);
/* Sorts most rows first, ties by text, NULL last. */
void tbk_count_sort(struct tbk_value_count *counts, size_t count, const struct tbk_dictionary *dictionary);

#endif
