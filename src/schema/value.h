/*
 * A scalar value of a column, as filters, keys and page tokens carry it.
 */
#ifndef TBK_SCHEMA_VALUE_H
#define TBK_SCHEMA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tbk_value_type {
    TBK_VALUE_NULL,
    TBK_VALUE_INTEGER, /* also booleans (0, 1) and enumeration numbers */
    TBK_VALUE_REAL,
    TBK_VALUE_TEXT,
    TBK_VALUE_TIMESTAMP, /* microseconds, see base/timestamp.h */
};

/* Text is not owned, is valid UTF-8 without NUL, and has a NUL behind it. */
struct tbk_value {
    enum tbk_value_type type;
    union {
        int64_t integer;
        double real;
        int64_t timestamp_us;
        struct {
            const char *data;
            size_t length;
        } text;
    };
};

/* Whether both are of one type and equal; NULL is the same as NULL. */
bool tbk_value_same(struct tbk_value one, struct tbk_value other);

#endif
