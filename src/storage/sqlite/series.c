/*
 * The rows that figures are made of: reading them all in small steps, reading
 * some, and reading which have changed (triggers.c).
 */
#include <math.h>
#include <string.h>

#include "storage/sqlite/sqlite.h"

#define TRADE_ROWS                                                                                                \
    "SELECT r.id, r.exit_timestamp, lower(r.outcome), r.pnl_percent, r.pnl_usd, k.r_realized, s.confidence, "     \
    "s.strategy, s.symbol, s.session, lower(s.tier), lower(s.direction), r.exit_reason, s.model_version "         \
    "FROM signal_results r LEFT JOIN signals s ON s.id=r.signal_id "                                              \
    "LEFT JOIN risk_book_snapshots k ON k.signal_id=CAST(r.signal_id AS TEXT) "                                   \
    "WHERE " TBK_SQLITE_CLOSED("+r") " AND "
#define THEORY_ROWS                                                                                               \
    "SELECT id, created_at, was_correct, contribution_score, theory_name FROM theory_performance "                \
    "WHERE +was_correct IN (0,1) AND "
#define SIGNAL_ROWS "SELECT id, timestamp, NULL, strategy FROM signals WHERE "

/* How the columns of a series' rows are laid out: key, time and kind, then values,
 * then dimensions. */
static const struct series {
    int values;
    int dimensions;
    const char *get;
    const char *scan; /* after ?1 (trades: after the time ?2 and ?1), ?3 rows */
} all_series[] = {
    [TBK_SERIES_TRADES] = {4, 7, TRADE_ROWS "r.id BETWEEN ?1 AND ?2",
                           TRADE_ROWS "(r.exit_timestamp,r.id)>(?2,?1) ORDER BY r.exit_timestamp,r.id LIMIT ?3"},
    [TBK_SERIES_THEORIES] = {1, 1, THEORY_ROWS "id BETWEEN ?1 AND ?2", THEORY_ROWS "id>?1 ORDER BY id LIMIT ?3"},
    [TBK_SERIES_SIGNALS] = {0, 1, SIGNAL_ROWS "id BETWEEN ?1 AND ?2", SIGNAL_ROWS "id>?1 ORDER BY id LIMIT ?3"},
};

static const char scan_undated[] = TRADE_ROWS "r.exit_timestamp IS NULL AND r.id>?1 ORDER BY r.id LIMIT ?3";

static const char get_trades_of[] = TRADE_ROWS "r.signal_id BETWEEN ?1 AND ?2";

static enum tbk_status failed(struct tbk_session *session, struct tbk_error *error)
{
    return tbk_sqlite_failed(session->db, sqlite3_extended_errcode(session->db), "reading for the figures", error);
}

static int64_t read_time(sqlite3_stmt *statement, int position)
{
    int64_t us = TBK_UNDATED;
    const char *text = (const char *)sqlite3_column_text(statement, position);
    if (text != NULL) {
        tbk_timestamp_parse(text, (size_t)sqlite3_column_bytes(statement, position), &us);
    }
    return us;
}

static double read_number(sqlite3_stmt *statement, int position)
{
    const int type = sqlite3_column_type(statement, position);
    const double value =
        type == SQLITE_FLOAT || type == SQLITE_INTEGER ? sqlite3_column_double(statement, position) : NAN;
    return isfinite(value) ? value : NAN;
}

static enum tbk_series_kind read_kind(sqlite3_stmt *statement, enum tbk_series_id series)
{
    if (series == TBK_SERIES_THEORIES) {
        return sqlite3_column_int64(statement, 2) != 0 ? TBK_KIND_WIN : TBK_KIND_LOSS;
    }
    const char *outcome = (const char *)sqlite3_column_text(statement, 2);
    switch (outcome != NULL ? outcome[0] : '\0') {
    case 'w':
        return TBK_KIND_WIN;
    case 'l':
        return TBK_KIND_LOSS;
    default:
        return TBK_KIND_OTHER;
    }
}

static void read_row(sqlite3_stmt *statement, enum tbk_series_id series, struct tbk_series_row *row)
{
    const struct series *shape = &all_series[series];
    int position = 3;
    row->id = sqlite3_column_int64(statement, 0);
    row->time_us = read_time(statement, 1);
    row->kind = read_kind(statement, series);
    for (int i = 0; i < TBK_SERIES_VALUES_MAX; i++) {
        row->values[i] = i < shape->values ? read_number(statement, position++) : NAN;
    }
    for (int i = 0; i < TBK_SERIES_DIMENSIONS_MAX; i++) {
        row->dimensions[i] =
            i < shape->dimensions ? (const char *)sqlite3_column_text(statement, position++) : NULL;
    }
}

static enum tbk_status get_range(struct tbk_session *session, enum tbk_series_id series, const char *sql,
                                 sqlite3_stmt **prepared, int64_t first_id, int64_t last_id, tbk_series_sink *sink,
                                 void *argument, struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(session->db, sql, prepared, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = *prepared;
    sqlite3_bind_int64(statement, 1, first_id);
    sqlite3_bind_int64(statement, 2, last_id);
    int rc = SQLITE_DONE;
    while (status == TBK_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct tbk_series_row row;
        read_row(statement, series, &row);
        status = sink(argument, &row, error);
    }
    if (status == TBK_OK && rc != SQLITE_DONE) {
        status = failed(session, error);
    }
    sqlite3_reset(statement);
    return status;
}

enum tbk_status tbk_sqlite_series_get(struct tbk_session *session, enum tbk_series_id series, int64_t first_id,
                                      int64_t last_id, tbk_series_sink *sink, void *argument,
                                      struct tbk_error *error)
{
    return get_range(session, series, all_series[series].get, &session->series.get[series], first_id, last_id,
                     sink, argument, error);
}

enum tbk_status tbk_sqlite_series_get_trades_of(struct tbk_session *session, int64_t first_signal_id,
                                                int64_t last_signal_id, tbk_series_sink *sink, void *argument,
                                                struct tbk_error *error)
{
    return get_range(session, TBK_SERIES_TRADES, get_trades_of, &session->series.get_trades_of, first_signal_id,
                     last_signal_id, sink, argument, error);
}

/* Remembers the row a scan stands on. */
static enum tbk_status remember(struct tbk_series_statements *scan, sqlite3_stmt *statement,
                                struct tbk_error *error)
{
    scan->scanned_id = sqlite3_column_int64(statement, 0);
    sqlite3_value_free(scan->scanned_key);
    scan->scanned_key = sqlite3_value_dup(sqlite3_column_value(statement, 1));
    return scan->scanned_key != NULL
               ? TBK_OK
               : tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading for the figures.");
}

/* Reads rows of one statement until there are rows_max in *rows. */
static enum tbk_status scan_statement(struct tbk_session *session, enum tbk_series_id series,
                                      sqlite3_stmt *statement, size_t rows_max, tbk_series_sink *sink,
                                      void *argument, size_t *rows, struct tbk_error *error)
{
    struct tbk_series_statements *scan = &session->series;
    sqlite3_bind_int64(statement, 1, scan->scanned_id);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)(rows_max - *rows));
    enum tbk_status status = TBK_OK;
    int rc = SQLITE_DONE;
    while (status == TBK_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct tbk_series_row row;
        read_row(statement, series, &row);
        status = sink(argument, &row, error);
        if (status == TBK_OK) {
            ++*rows;
            /* The next call goes on behind the last row. */
            status = *rows == rows_max ? remember(scan, statement, error) : TBK_OK;
        }
    }
    if (status == TBK_OK && rc != SQLITE_DONE) {
        status = failed(session, error);
    }
    sqlite3_reset(statement);
    return status;
}

static void start_scan(struct tbk_series_statements *scan, enum tbk_series_id series)
{
    scan->scanned_id = INT64_MIN;
    sqlite3_value_free(scan->scanned_key);
    scan->scanned_key = NULL;
    scan->scans_undated = series == TBK_SERIES_TRADES;
}

/* NULL sorts before everything and is greater than nothing, so that trades
 * without a time take a statement of their own. */
static enum tbk_status scan_trades_without_time(struct tbk_session *session, size_t rows_max,
                                                tbk_series_sink *sink, void *argument, size_t *rows,
                                                struct tbk_error *error)
{
    struct tbk_series_statements *scan = &session->series;
    enum tbk_status status = tbk_sqlite_prepare(session->db, scan_undated, &scan->scan_undated, error);
    if (status == TBK_OK) {
        status =
            scan_statement(session, TBK_SERIES_TRADES, scan->scan_undated, rows_max, sink, argument, rows, error);
    }
    if (status == TBK_OK && *rows < rows_max) {
        start_scan(scan, TBK_SERIES_TRADES);
        scan->scans_undated = false;
    }
    return status;
}

enum tbk_status tbk_sqlite_series_scan(struct tbk_session *session, enum tbk_series_id series, bool first,
                                       size_t rows_max, tbk_series_sink *sink, void *argument, size_t *ret_rows,
                                       struct tbk_error *error)
{
    struct tbk_series_statements *scan = &session->series;
    size_t rows = 0;
    if (first) {
        start_scan(scan, series);
    }
    enum tbk_status status = TBK_OK;
    if (scan->scans_undated) {
        status = scan_trades_without_time(session, rows_max, sink, argument, &rows, error);
    }
    if (status == TBK_OK && rows < rows_max) {
        status = tbk_sqlite_prepare(session->db, all_series[series].scan, &scan->scan[series], error);
        if (status == TBK_OK) {
            if (scan->scanned_key != NULL && series == TBK_SERIES_TRADES) {
                sqlite3_bind_value(scan->scan[series], 2, scan->scanned_key);
            } else if (series == TBK_SERIES_TRADES) {
                sqlite3_bind_double(scan->scan[series], 2, -INFINITY);
            }
            status = scan_statement(session, series, scan->scan[series], rows_max, sink, argument, &rows, error);
        }
    }
    if (status == TBK_OK) {
        *ret_rows = rows;
    }
    return status;
}

/* What is in the tables of reports. */
struct reports {
    int64_t first_event, last_event; /* 0: none */
    int64_t first_change, last_change;
    int64_t last_signal;
};

static enum tbk_status read_reports(struct tbk_session *session, struct reports *ret_reports,
                                    struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db,
                           "SELECT (SELECT min(sequence) FROM tb_events), (SELECT max(sequence) FROM tb_events), "
                           "(SELECT min(sequence) FROM tb_changes), (SELECT max(sequence) FROM tb_changes), "
                           "(SELECT max(id) FROM signals)",
                           &session->series.position, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->series.position;
    if (sqlite3_step(statement) != SQLITE_ROW) {
        const enum tbk_status failure = failed(session, error);
        sqlite3_reset(statement);
        return failure;
    }
    *ret_reports = (struct reports){
        .first_event = sqlite3_column_int64(statement, 0),
        .last_event = sqlite3_column_int64(statement, 1),
        .first_change = sqlite3_column_int64(statement, 2),
        .last_change = sqlite3_column_int64(statement, 3),
        .last_signal = sqlite3_column_int64(statement, 4),
    };
    sqlite3_reset(statement);
    return TBK_OK;
}

enum tbk_status tbk_sqlite_series_position(struct tbk_session *session, struct tbk_series_position *ret_position,
                                           struct tbk_error *error)
{
    struct reports reports = {0};
    const enum tbk_status status = read_reports(session, &reports, error);
    if (status == TBK_OK) {
        *ret_position = (struct tbk_series_position){
            .events = reports.last_event, .changes = reports.last_change, .signal_id = reports.last_signal};
    }
    return status;
}

/* Whether numbers after position are missing: forgotten, or all thrown away. */
static bool has_gap(int64_t position, int64_t first, int64_t last)
{
    return position > last || (last > position && first > position + 1);
}

/* One statement over all three sources, so that a call costs one step when there
 * is nothing new. Rows come by source and number. */
static const char changes_sql[] =
    "SELECT * FROM (SELECT 1, sequence, 1, result_id, NULL FROM tb_events WHERE sequence>?1 "
    "ORDER BY sequence LIMIT ?4) "
    "UNION ALL SELECT * FROM (SELECT 2, sequence, series, row, filed_at FROM tb_changes WHERE sequence>?2 "
    "ORDER BY sequence LIMIT ?4) "
    "UNION ALL SELECT * FROM (SELECT 3, id, 3, id, NULL FROM signals WHERE id>?3 ORDER BY id LIMIT ?4) "
    "LIMIT ?4";

static void advance(struct tbk_series_position *position, int source, int64_t number)
{
    int64_t *numbers[] = {&position->events, &position->changes, &position->signal_id};
    *numbers[source - 1] = number;
}

static enum tbk_status read_changes(struct tbk_session *session, struct tbk_series_position *position,
                                    struct tbk_series_change *changes, size_t changes_max, size_t *ret_count,
                                    struct tbk_error *error)
{
    enum tbk_status status = tbk_sqlite_prepare(session->db, changes_sql, &session->series.changes, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->series.changes;
    sqlite3_bind_int64(statement, 1, position->events);
    sqlite3_bind_int64(statement, 2, position->changes);
    sqlite3_bind_int64(statement, 3, position->signal_id);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)changes_max);
    struct tbk_series_position reached = *position;
    size_t count = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        advance(&reached, sqlite3_column_int(statement, 0), sqlite3_column_int64(statement, 1));
        changes[count++] = (struct tbk_series_change){
            .series = (enum tbk_series_id)sqlite3_column_int(statement, 2),
            .id = sqlite3_column_int64(statement, 3),
            .filed_us = read_time(statement, 4),
        };
    }
    if (rc != SQLITE_DONE) {
        status = failed(session, error);
    } else {
        *position = reached;
        *ret_count = count;
    }
    sqlite3_reset(statement);
    return status;
}

/* A report of a signal that was filed nowhere says that ids from this one on may
 * have been given again: signals are looked for from there. */
static enum tbk_status lower_signal_id(struct tbk_session *session, struct tbk_series_position *position,
                                       struct tbk_error *error)
{
    const enum tbk_status status = tbk_sqlite_prepare(
        session->db, "SELECT min(row) FROM tb_changes WHERE sequence>?1 AND series=3 AND filed_at IS NULL",
        &session->series.given_again, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_stmt *statement = session->series.given_again;
    sqlite3_bind_int64(statement, 1, position->changes);
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER &&
        position->signal_id >= sqlite3_column_int64(statement, 0)) {
        position->signal_id = sqlite3_column_int64(statement, 0) - 1;
    }
    return sqlite3_reset(statement) == SQLITE_OK ? TBK_OK : failed(session, error);
}

enum tbk_status tbk_sqlite_series_changes(struct tbk_session *session, struct tbk_series_position *position,
                                          struct tbk_series_change *ret_changes, size_t changes_max,
                                          size_t *ret_count, struct tbk_error *error)
{
    struct reports reports = {0};
    const enum tbk_status status = read_reports(session, &reports, error);
    if (status != TBK_OK) {
        return status;
    }
    if (has_gap(position->events, reports.first_event, reports.last_event) ||
        has_gap(position->changes, reports.first_change, reports.last_change)) {
        return tbk_error_set(error, TBK_OUT_OF_RANGE,
                             "Reports of changed rows are gone; the tables must be read anew.");
    }
    if (position->events == reports.last_event && position->changes == reports.last_change &&
        position->signal_id == reports.last_signal) {
        *ret_count = 0;
        return TBK_OK;
    }
    const enum tbk_status lowered = lower_signal_id(session, position, error);
    return lowered == TBK_OK ? read_changes(session, position, ret_changes, changes_max, ret_count, error)
                             : lowered;
}

enum tbk_status tbk_sqlite_series_prune(struct tbk_session *session, int64_t rows_kept, unsigned rows_max,
                                        struct tbk_error *error)
{
    const enum tbk_status status =
        tbk_sqlite_prepare(session->db,
                           "DELETE FROM tb_changes WHERE sequence<(SELECT min(sequence) FROM tb_changes)+?1 "
                           "AND sequence<=(SELECT max(sequence) FROM tb_changes)-?2",
                           &session->series.prune, error);
    if (status != TBK_OK) {
        return status;
    }
    sqlite3_bind_int64(session->series.prune, 1, rows_max);
    sqlite3_bind_int64(session->series.prune, 2, rows_kept);
    sqlite3_step(session->series.prune);
    const int rc = sqlite3_reset(session->series.prune);
    return rc == SQLITE_OK ? TBK_OK
                           : tbk_sqlite_failed(session->db, rc, "forgetting old reports of changes", error);
}

void tbk_sqlite_series_finalize(struct tbk_session *session)
{
    struct tbk_series_statements *series = &session->series;
    sqlite3_finalize(series->position);
    sqlite3_finalize(series->changes);
    sqlite3_finalize(series->given_again);
    sqlite3_finalize(series->get_trades_of);
    sqlite3_finalize(series->scan_undated);
    sqlite3_finalize(series->prune);
    for (int i = TBK_SERIES_TRADES; i <= TBK_SERIES_SIGNALS; i++) {
        sqlite3_finalize(series->get[i]);
        sqlite3_finalize(series->scan[i]);
    }
    sqlite3_value_free(series->scanned_key);
}
