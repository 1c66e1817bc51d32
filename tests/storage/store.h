/*
 * A database under test with a write and a read session, and helpers to fill and
 * compare rows of any table. Independent of the backend. Failures end the
 * present cmocka test.
 */
#ifndef TBK_TESTS_STORE_H
#define TBK_TESTS_STORE_H

#include <limits.h>

#include "cmocka_all.h"
#include "storage/storage.h"

enum { TBK_STORE_BUSY_TIMEOUT_MS = 50 };

struct tbk_store {
    const struct tbk_storage_ops *ops;
    struct tbk_schema *schema;
    struct tbk_arena *arena; /* of everything the test reads */
    struct tbk_error error;
    char location[PATH_MAX];
    struct tbk_storage *storage; /* NULL while closed */
    struct tbk_session *writer;
    struct tbk_session *reader;
};

/* Prepares a store for this location; opens nothing. */
struct tbk_store *tbk_store_create(const struct tbk_storage_ops *ops, const char *location);
/* Closes and frees. */
void tbk_store_destroy(struct tbk_store *store);

/* Opens the database alone and answers what open did. */
enum tbk_status tbk_store_try_open(struct tbk_store *store);
/* Opens the database and both sessions, which must succeed. */
void tbk_store_open(struct tbk_store *store);
void tbk_store_close(struct tbk_store *store);

/* Fails the test with the error's sentence unless status is the expected one;
 * then makes the error empty. */
void tbk_store_expect(struct tbk_store *store, enum tbk_status status, enum tbk_status expected, const char *file,
                      int line);
#define expect_status(store, call, expected) tbk_store_expect(store, call, expected, __FILE__, __LINE__)
#define expect_ok(store, call)               tbk_store_expect(store, call, TBK_OK, __FILE__, __LINE__)

void tbk_store_begin(struct tbk_store *store);
void tbk_store_commit(struct tbk_store *store);

const struct tbk_table *tbk_store_table(const struct tbk_store *store, enum tbk_table_id id);
/* A column that must exist. */
const struct tbk_column *tbk_store_column(const struct tbk_table *table, const char *name);

/* Which fields of a made-up row are present. */
enum tbk_fill {
    TBK_FILL_ALL,       /* every field */
    TBK_FILL_MANDATORY, /* those that may not be NULL */
    TBK_FILL_ZERO,      /* every field, the others with 0, false or "" */
};

/* A row made up from number: rows of different numbers differ in every unique
 * column. The key is absent if the storage assigns it; references point to row
 * number + 1. */
ProtobufCMessage *tbk_store_message(struct tbk_store *store, enum tbk_table_id table, enum tbk_fill fill,
                                    int64_t number);
/* A made-up value of the column. */
struct tbk_value tbk_store_value(struct tbk_store *store, const struct tbk_column *column, int64_t number);
/* Sets a field of message. */
void tbk_store_set(struct tbk_store *store, ProtobufCMessage *message, const struct tbk_column *column,
                   struct tbk_value value);

/* Inserts within the open transaction. */
int64_t tbk_store_insert(struct tbk_store *store, enum tbk_table_id table, const ProtobufCMessage *message);
/* Inserts count signals, numbers 0 to count - 1, in a transaction of their own:
 * what other rows refer to. */
void tbk_store_insert_signals(struct tbk_store *store, int count);

/* The row that message's key names, read by session. */
ProtobufCMessage *tbk_store_get(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id table,
                                const ProtobufCMessage *message);
/* The row with this integer key. */
ProtobufCMessage *tbk_store_get_id(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id table,
                                   int64_t id);
int64_t tbk_store_count(struct tbk_store *store, struct tbk_session *session, enum tbk_table_id table);

/* The shortcuts for values. */
struct tbk_value tbk_value_null(void);
struct tbk_value tbk_value_integer(int64_t integer);
struct tbk_value tbk_value_real(double real);
struct tbk_value tbk_value_text(const char *text);
struct tbk_value tbk_value_timestamp(int64_t us);

/* Order of two values of a column as storage.h and query.h define it: NULL
 * first, enumerations by their text, text by its bytes. */
int tbk_store_compare(const struct tbk_column *column, struct tbk_value a, struct tbk_value b);
/* Fails the test unless both rows are equal; the key is left out. */
void tbk_store_assert_equal(const struct tbk_table *table, const ProtobufCMessage *actual,
                            const ProtobufCMessage *expected);

#endif
