/*
 * What a program reaches that links SQLite itself: inserts rows into the signals
 * table of a tradebook database, a fixed number in each transaction, with the
 * server's durability (WAL, synchronous=FULL). The ceiling for
 * BatchCreateSignals.
 *
 *   sqlite_inprocess DB ROWS_PER_TRANSACTION SECONDS
 *
 * Prints one line: rows per second. No server may have the file open.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        fprintf(stderr, "sqlite_inprocess: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

/* The columns that `tradebook bench` fills. */
static void insert(sqlite3 *db, sqlite3_stmt *statement, long row)
{
    sqlite3_bind_text(statement, 1, "2026-01-02 03:04:05.123456", -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, row % 2 == 0 ? "BTC-USD" : "ETH-USD", -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, "long", -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, 4, 0.75);
    sqlite3_bind_text(statement, 5, "high", -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, 6, 0.7);
    sqlite3_bind_double(statement, 7, 50000.0 + (double)row);
    sqlite3_bind_double(statement, 8, 90000.0 + (double)row);
    sqlite3_bind_double(statement, 9, 40000.0);
    sqlite3_bind_text(statement, 10, "v7_full_math", -1, SQLITE_STATIC);
    check(db, sqlite3_step(statement));
    check(db, sqlite3_reset(statement));
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: sqlite_inprocess DB ROWS_PER_TRANSACTION SECONDS\n");
        return 2;
    }
    const long rows_per_transaction = strtol(argv[2], NULL, 10);
    const double seconds = strtod(argv[3], NULL);
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    check(db, sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    check(db, sqlite3_exec(db, "PRAGMA synchronous=FULL; PRAGMA cache_size=-8192", NULL, NULL, NULL));
    check(db,
          sqlite3_prepare_v2(db,
                             "INSERT INTO signals (timestamp,symbol,direction,confidence,tier,ensemble_prediction,"
                             "entry_price,tp_price,sl_price,strategy) VALUES (?,?,?,?,?,?,?,?,?,?)",
                             -1, &statement, NULL));
    long rows = 0;
    const double started = now();
    while (now() - started < seconds) {
        check(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (long i = 0; i < rows_per_transaction; i++) {
            insert(db, statement, rows++);
        }
        check(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    }
    printf("%.0f\n", (double)rows / (now() - started));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return 0;
}
