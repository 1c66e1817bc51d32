#include "raw.h"

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

const char tbk_legacy_schema[] =
    "CREATE TABLE signals ("
    "id INTEGER NOT NULL, timestamp DATETIME NOT NULL, symbol VARCHAR(20) NOT NULL, direction VARCHAR(10) NOT "
    "NULL, "
    "confidence FLOAT NOT NULL, tier VARCHAR(10) NOT NULL, lstm_prediction FLOAT, transformer_prediction FLOAT, "
    "rl_prediction FLOAT, ensemble_prediction FLOAT NOT NULL, session VARCHAR(20), entry_price FLOAT, "
    "tp_price FLOAT, sl_price FLOAT, executed INTEGER, execution_time DATETIME, execution_price FLOAT, "
    "result VARCHAR(10), exit_time DATETIME, exit_price FLOAT, pnl FLOAT, latency_ms FLOAT, "
    "model_version VARCHAR(20), notes TEXT, strategy VARCHAR(50), PRIMARY KEY (id));"
    "CREATE TABLE signal_results ("
    "id INTEGER NOT NULL, signal_id INTEGER NOT NULL, entry_price FLOAT NOT NULL, entry_timestamp DATETIME NOT "
    "NULL, "
    "exit_price FLOAT, exit_timestamp DATETIME, exit_reason VARCHAR(50), pnl_percent FLOAT, pnl_usd FLOAT, "
    "outcome VARCHAR(20) NOT NULL, hold_duration_minutes INTEGER, created_at DATETIME NOT NULL, "
    "updated_at DATETIME NOT NULL, PRIMARY KEY (id));"
    "CREATE TABLE theory_performance ("
    "id INTEGER NOT NULL, signal_id INTEGER NOT NULL, theory_name VARCHAR(100) NOT NULL, "
    "contribution_score FLOAT NOT NULL, was_correct BOOLEAN, created_at DATETIME NOT NULL, PRIMARY KEY (id));"
    "CREATE TABLE patterns ("
    "id INTEGER NOT NULL, name VARCHAR(255) NOT NULL, pattern_hash VARCHAR(64) NOT NULL, wins INTEGER NOT NULL, "
    "total INTEGER NOT NULL, win_rate FLOAT NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, "
    "PRIMARY KEY (id));"
    "CREATE TABLE risk_book_snapshots ("
    "signal_id VARCHAR(64) NOT NULL, pair VARCHAR(20) NOT NULL, tier VARCHAR(10) NOT NULL, "
    "entry_time DATETIME NOT NULL, entry_price FLOAT NOT NULL, tp_price FLOAT, sl_price FLOAT, rr_expected FLOAT, "
    "result VARCHAR(10), exit_time DATETIME, exit_price FLOAT, r_realized FLOAT, time_to_tp_sl_seconds INTEGER, "
    "slippage_bps FLOAT, slippage_expected_bps FLOAT, spread_bps FLOAT, latency_ms FLOAT, "
    "mode VARCHAR(10) NOT NULL, created_at DATETIME NOT NULL, PRIMARY KEY (signal_id));"
    "CREATE TABLE model_deployments ("
    "id INTEGER NOT NULL, version VARCHAR(50) NOT NULL, model_path VARCHAR(500) NOT NULL, "
    "model_type VARCHAR(50) NOT NULL, deployed_at DATETIME NOT NULL, metrics_json JSON, rollback_reason TEXT, "
    "is_promoted BOOLEAN NOT NULL, is_active BOOLEAN NOT NULL, PRIMARY KEY (id));"
    "CREATE UNIQUE INDEX ix_signal_results_signal_id ON signal_results (signal_id);"
    "CREATE INDEX ix_signals_timestamp ON signals (timestamp);";

sqlite3 *tbk_raw_open(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

void tbk_raw_close(sqlite3 *db)
{
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void tbk_raw_exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    return statement;
}

int64_t tbk_raw_integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = prepare(db, sql);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

char *tbk_raw_text(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = prepare(db, sql);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    char *copy = strdup(text != NULL ? text : "NULL");
    assert_non_null(copy);
    sqlite3_finalize(statement);
    return copy;
}

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    const int type = sqlite3_column_type(a, column);
    if (type != sqlite3_column_type(b, column)) {
        return false;
    }
    if (type == SQLITE_INTEGER) {
        return sqlite3_column_int64(a, column) == sqlite3_column_int64(b, column);
    }
    if (type == SQLITE_FLOAT) {
        const double x = sqlite3_column_double(a, column);
        const double y = sqlite3_column_double(b, column);
        return memcmp(&x, &y, sizeof x) == 0;
    }
    const void *x = sqlite3_column_blob(a, column);
    const void *y = sqlite3_column_blob(b, column);
    const int bytes = sqlite3_column_bytes(a, column);
    return bytes == sqlite3_column_bytes(b, column) && (bytes == 0 || memcmp(x, y, (size_t)bytes) == 0);
}

int tbk_raw_assert_same(sqlite3 *a, const char *sql_a, sqlite3 *b, const char *sql_b)
{
    sqlite3_stmt *statement_a = prepare(a, sql_a);
    sqlite3_stmt *statement_b = prepare(b, sql_b);
    assert_int_equal(sqlite3_column_count(statement_a), sqlite3_column_count(statement_b));
    int rows = 0;
    for (;; rows++) {
        const int rc = sqlite3_step(statement_a);
        if (rc != sqlite3_step(statement_b)) {
            fail_msg("%s: the number of rows differs after %d", sql_a, rows);
        }
        if (rc != SQLITE_ROW) {
            assert_int_equal(rc, SQLITE_DONE);
            break;
        }
        for (int i = 0; i < sqlite3_column_count(statement_a); i++) {
            if (!same_value(statement_a, statement_b, i)) {
                fail_msg("%s: row %d, column %s differs: %s, %s", sql_a, rows, sqlite3_column_name(statement_a, i),
                         sqlite3_column_text(statement_a, i), sqlite3_column_text(statement_b, i));
            }
        }
    }
    sqlite3_finalize(statement_a);
    sqlite3_finalize(statement_b);
    return rows;
}

void tbk_raw_run(const char *path, const char *sql)
{
    sqlite3 *db = tbk_raw_open(path);
    tbk_raw_exec(db, sql);
    tbk_raw_close(db);
}

void tbk_raw_assert_sound(const char *path)
{
    sqlite3 *db = tbk_raw_open(path);
    char *verdict = tbk_raw_text(db, "PRAGMA integrity_check");
    assert_string_equal(verdict, "ok");
    free(verdict);
    tbk_raw_close(db);
}
