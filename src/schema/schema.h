/*
 * The tables, columns and methods of the service, read once at start from the
 * compiled protocol files (see proto/tradebook/v1/annotations.proto). Immutable
 * after tbk_schema_create, hence shared by all threads.
 */
#ifndef TBK_SCHEMA_SCHEMA_H
#define TBK_SCHEMA_SCHEMA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "schema/value.h"
#include "tradebook/v1/annotations.pb-c.h"

enum {
    TBK_TABLE_COLUMNS_MAX = 32,
    TBK_TABLE_INDEXES_MAX = 8,
    TBK_INDEX_COLUMNS_MAX = 4,
    TBK_ENUM_VALUES_MAX = 8,
    TBK_ENUM_TEXT_BYTES_MAX = 16,
};

enum tbk_column_kind {
    TBK_COLUMN_INTEGER,
    TBK_COLUMN_REAL,
    TBK_COLUMN_BOOLEAN,
    TBK_COLUMN_TEXT,
    TBK_COLUMN_TIMESTAMP,
    TBK_COLUMN_ENUM,
};

struct tbk_table;

/* One column and the message field it stores. Names are the same. */
struct tbk_column {
    const char *name;
    size_t name_length;
    const ProtobufCFieldDescriptor *field;
    enum tbk_column_kind kind;
    unsigned position; /* index in tbk_table.columns */
    const char *sql_type;
    const char *sql_default; /* NULL: none */
    bool not_null;
    Tradebook__V1__ColumnIndex index;
    Tradebook__V1__Access access;
    Tradebook__V1__Rule rule;
    uint32_t chars_max;                 /* 0: no limit of its own */
    uint32_t writable_values;           /* bit n: enum number n may be written by a client */
    const struct tbk_table *references; /* the table whose id this is, or NULL */
    bool default_is_now;                /* the time of the write */
    struct tbk_value default_value;     /* NULL type: no default of this kind */
    char enum_texts[TBK_ENUM_VALUES_MAX][TBK_ENUM_TEXT_BYTES_MAX]; /* on-disk text by number */
};

/* An index over several columns, or with a name of its own. */
struct tbk_index {
    const char *name;
    const struct tbk_column *columns[TBK_INDEX_COLUMNS_MAX];
    unsigned column_count;
};

/* One table and the message type of its rows. */
struct tbk_table {
    const char *name;     /* "signals" */
    const char *resource; /* "Signal" */
    const ProtobufCMessageDescriptor *message;
    struct tbk_column columns[TBK_TABLE_COLUMNS_MAX];
    unsigned column_count;
    const struct tbk_column *key;
    const struct tbk_column *updated_at; /* NULL: the table has none */
    struct tbk_index indexes[TBK_TABLE_INDEXES_MAX];
    unsigned index_count;
};

enum tbk_table_id {
    TBK_SIGNALS,
    TBK_SIGNAL_RESULTS,
    TBK_THEORY_PERFORMANCE,
    TBK_PATTERNS,
    TBK_RISK_BOOK_SNAPSHOTS,
    TBK_MODEL_DEPLOYMENTS,
    TBK_TABLE_COUNT,
};

struct tbk_schema {
    struct tbk_table tables[TBK_TABLE_COUNT];
    const uint8_t *descriptor_set; /* serialised FileDescriptorSet */
    size_t descriptor_set_bytes;
    void *descriptors; /* decoded, owns the strings above */
};

/* Reads the embedded descriptors. Fails (INTERNAL) only when the build is
 * broken, and then says which message or field is wrong. */
enum tbk_status tbk_schema_create(struct tbk_schema **ret_schema, struct tbk_error *error) TBK_MUST_CHECK;
void tbk_schema_destroy(struct tbk_schema *schema);

/* NULL when there is none of that name. */
const struct tbk_column *tbk_table_column(const struct tbk_table *table, const char *name, size_t name_length);

/* The bits (1 << position) of columns that exist, by their names; the list ends
 * with NULL. */
uint32_t tbk_table_column_bits(const struct tbk_table *table, const char *const *names);

/* Whether the service declares that this method has no side effects
 * (idempotency_level = NO_SIDE_EFFECTS). */
bool tbk_schema_method_is_read(const struct tbk_schema *schema, const ProtobufCServiceDescriptor *service,
                               const char *method);

/* The value of a field of one of the stored kinds; NULL type when absent. Text
 * points into message; an invalid timestamp reads as absent. */
struct tbk_value tbk_field_get(const ProtobufCFieldDescriptor *field, enum tbk_column_kind kind,
                               const ProtobufCMessage *message);
/* The stored kind of a field's type; false when it has none. */
bool tbk_field_kind(const ProtobufCFieldDescriptor *field, enum tbk_column_kind *ret_kind);

/* Whether the field of this column is present in message. */
bool tbk_column_present(const struct tbk_column *column, const ProtobufCMessage *message);
/* tbk_field_get of the column's field. */
struct tbk_value tbk_column_get(const struct tbk_column *column, const ProtobufCMessage *message);
/* Sets the field; NULL type clears it. Text is copied into the arena. False
 * when the arena is exhausted. */
bool tbk_column_set(const struct tbk_column *column, ProtobufCMessage *message, struct tbk_value value,
                    struct tbk_arena *arena) TBK_MUST_CHECK;
/* Copies a field from one message to another of the same type; what it points
 * to is shared. */
void tbk_column_share(const struct tbk_column *column, ProtobufCMessage *to, const ProtobufCMessage *from);

/* Fills column->enum_texts from the field's type; part of tbk_schema_create. */
void tbk_column_read_enum_texts(struct tbk_column *column);
/* Gives every absent field that has a default that default; now_us is the time of
 * the write. False when the arena is exhausted. */
bool tbk_message_apply_defaults(const struct tbk_table *table, ProtobufCMessage *message, int64_t now_us,
                                struct tbk_arena *arena) TBK_MUST_CHECK;

/* On-disk text of an enumeration value: "long" for DIRECTION_LONG; NULL for 0 and
 * unknown numbers. */
const char *tbk_column_enum_text(const struct tbk_column *column, int number);
/* The number of a value by its on-disk text in any case, or by its full name
 * ("DIRECTION_LONG"); 0 when unknown. */
int tbk_column_enum_number(const struct tbk_column *column, const char *text, size_t length);

/* A new empty message of the table's type. NULL when the arena is exhausted. */
ProtobufCMessage *tbk_message_create(const ProtobufCMessageDescriptor *descriptor, struct tbk_arena *arena);

#endif
