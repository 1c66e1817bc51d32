/*
 * A bot that writes to the file by itself: random signals, trades, theories and
 * snapshots, and everything that SQL can do to them later.
 */
#ifndef TBK_TESTS_RANDOM_BOOK_H
#define TBK_TESTS_RANDOM_BOOK_H

#include "raw.h"

enum random_times {
    RANDOM_TIMES_SPARSE,  /* over three years */
    RANDOM_TIMES_DENSE,   /* over five days */
    RANDOM_TIMES_ONE_DAY, /* within one */
    RANDOM_TIMES_EQUAL,   /* few different ones */
    RANDOM_TIMES_GROWING, /* as trades come in reality, nearly sorted */
    RANDOM_TIMES_COUNT,
};

struct random_book {
    sqlite3 *db;
    unsigned seed;
    enum random_times times;
    int64_t clock_us; /* of growing times */
};

/* From 0 to below limit. */
int random_below(struct random_book *book, int limit);
/* A moment of this kind. */
int64_t random_time(struct random_book *book);
/* Some texts of a dimension, NULL among them. */
const char *random_text(struct random_book *book, int dimension);

/* Makes some trades, closed in the order of their times. */
void random_book_fill(struct random_book *book, int trades);
/* Does one thing. */
void random_book_change(struct random_book *book);

#endif
