/*
 * SQLite spoken directly: what another program does with the same file, and what
 * is really in it. Failures end the present cmocka test.
 */
#ifndef TBK_TESTS_RAW_H
#define TBK_TESTS_RAW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* The six tables as the users' SQLAlchemy code creates them. */
extern const char tbk_legacy_schema[];

/* Opens or creates; another program with its 5 s default is not imitated: no
 * waiting for locks. */
sqlite3 *tbk_raw_open(const char *path);
void tbk_raw_close(sqlite3 *db);
void tbk_raw_exec(sqlite3 *db, const char *sql);
/* The first column of the first row, which must be there. */
int64_t tbk_raw_integer(sqlite3 *db, const char *sql);
/* The same as text, "NULL" for NULL; for free(). */
char *tbk_raw_text(sqlite3 *db, const char *sql);

/* Fails the test unless both queries, one on each database, answer the same rows
 * with the same values of the same types. Returns the number of rows. */
int tbk_raw_assert_same(sqlite3 *a, const char *sql_a, sqlite3 *b, const char *sql_b);

/* Opens the file, runs sql, closes. */
void tbk_raw_run(const char *path, const char *sql);
/* Fails the test unless SQLite finds the file sound. */
void tbk_raw_assert_sound(const char *path);

#endif
