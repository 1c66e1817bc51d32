/*
 * What a program reaches that links SQLite itself: inserts rows into the signals
 * table of a database, a fixed number in each transaction, with the
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

#include "peers/signal_row.h"

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

static void insert(sqlite3 *db, sqlite3_stmt *statement, long row)
{
    static const char *const texts[] = {[1] = "2026-01-02 03:04:05.123456",
                                        [3] = "long",
                                        [5] = "high",
                                        [10] = "london",
                                        [15] = "bench",
                                        [16] = "v7_full_math"};
    for (int column = 1; column <= 16; column++) {
        if (texts[column] != NULL) {
            sqlite3_bind_text(statement, column, texts[column], -1, SQLITE_STATIC);
        } else {
            sqlite3_bind_double(statement, column, 0.5 + (double)row);
        }
    }
    sqlite3_bind_text(statement, 2, row % 2 == 0 ? "BTC-USD" : "ETH-USD", -1, SQLITE_STATIC);
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
    /* The log stays and is written over by the next run, as in a program that runs for long:
     * syncing a file that grows costs a multiple. */
    int keep_log = 1;
    check(db, sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log));
    check(db, sqlite3_exec(db, SIGNAL_ROW_PRAGMAS, NULL, NULL, NULL));
    check(db, sqlite3_prepare_v2(db, SIGNAL_ROW_INSERT, -1, &statement, NULL));
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
