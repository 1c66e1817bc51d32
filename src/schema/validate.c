#include "schema/validate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"

enum { FIELD_BYTES_MAX = TBK_VIOLATION_FIELD_BYTES_MAX, JSON_ERROR_BYTES_MAX = 100, SHA256_HEX_DIGITS = 64 };

/* The field under check; its path is only put together when it is wrong. */
struct place {
    const char *prefix;
    const char *name;
    char path[FIELD_BYTES_MAX];
};

static const char *where(struct place *place)
{
    snprintf(place->path, sizeof place->path, "%s%s", place->prefix, place->name);
    return place->path;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " ")] == '\0';
}

static void check_sha256(char *text, struct place *place, struct tbk_error *error)
{
    const size_t length = strlen(text);
    if (length != SHA256_HEX_DIGITS || strspn(text, "0123456789abcdefABCDEF") != length) {
        tbk_error_violation(error, where(place), "must be a SHA-256 in 64 hexadecimal digits");
        return;
    }
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)(text[i] | 0x20); /* digits have this bit already */
    }
}

/* Bare numbers and strings are refused: the column has numeric affinity, so
 * SQLite would rewrite 1.50 as 1.5. */
static void check_json(const char *text, struct place *place, struct tbk_error *error)
{
    json_error_t reason;
    json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, &reason);
    if (document == NULL) {
        tbk_error_violation(error, where(place), "is not a JSON object or array: line %d, column %d: %.*s",
                            reason.line, reason.column, JSON_ERROR_BYTES_MAX, reason.text);
    }
    json_decref(document);
}

static void check_text(const struct tbk_column *column, char *text, struct place *place, struct tbk_error *error)
{
    const size_t length = strlen(text);
    /* Characters are at most as many as bytes, so short text needs no counting. */
    if (column->chars_max != 0 && length > column->chars_max && tbk_utf8_count(text, length) > column->chars_max) {
        tbk_error_violation(error, where(place), "has %zu characters, at most %u are allowed",
                            tbk_utf8_count(text, length), column->chars_max);
        return;
    }
    switch (column->rule) {
    case TRADEBOOK__V1__RULE__RULE_FREE_TEXT:
        return;
    case TRADEBOOK__V1__RULE__RULE_SHA256_HEX:
        check_sha256(text, place, error);
        return;
    case TRADEBOOK__V1__RULE__RULE_JSON:
        check_json(text, place, error);
        return;
    default:
        break;
    }
    if (is_blank(text)) {
        tbk_error_violation(error, where(place), "must not be empty or blank");
    } else if (tbk_utf8_has_control(text, length)) {
        tbk_error_violation(error, where(place), "must not contain control characters");
    }
}

static void check_number(const struct tbk_column *column, double number, struct place *place,
                         struct tbk_error *error)
{
    if (!isfinite(number)) {
        tbk_error_violation(error, where(place), "must be a finite number");
        return;
    }
    switch (column->rule) {
    case TRADEBOOK__V1__RULE__RULE_POSITIVE:
        if (!(number > 0)) {
            tbk_error_violation(error, where(place), "must be greater than 0, is %g", number);
        }
        break;
    case TRADEBOOK__V1__RULE__RULE_NON_NEGATIVE:
        if (number < 0) {
            tbk_error_violation(error, where(place), "must not be negative, is %g", number);
        }
        break;
    case TRADEBOOK__V1__RULE__RULE_UNIT_INTERVAL:
        if (number < 0 || number > 1) {
            tbk_error_violation(error, where(place), "must be between 0.0 and 1.0, is %g", number);
        }
        break;
    default:
        break;
    }
}

static void check_enum(const struct tbk_column *column, int64_t number, struct place *place,
                       struct tbk_error *error)
{
    const char *text = tbk_column_enum_text(column, (int)number);
    if (number == 0) {
        tbk_error_violation(error, where(place), "must not be UNSPECIFIED");
    } else if (text == NULL) {
        tbk_error_violation(error, where(place), "%d is not a known value", (int)number);
    } else if (column->writable_values != 0 && (column->writable_values & 1U << number) == 0) {
        tbk_error_violation(error, where(place), "'%s' is set by the server only", text);
    }
}

bool tbk_validate_timestamp(const Google__Protobuf__Timestamp *timestamp, const char *field, int64_t *ret_us,
                            struct tbk_error *error)
{
    if (!tbk_timestamp_from_proto(timestamp->seconds, timestamp->nanos, ret_us)) {
        tbk_error_violation(error, field, "must be in the years 0001 to 9999 with nanos from 0 to 999999999");
        return false;
    }
    return true;
}

/* Digits beyond microseconds are not stored; cut off here, they are not in the
 * answer either. */
static void check_timestamp(const struct tbk_column *column, ProtobufCMessage *message, struct place *place,
                            struct tbk_error *error)
{
    Google__Protobuf__Timestamp *timestamp =
        *(Google__Protobuf__Timestamp **)(void *)((char *)message + column->field->offset);
    int64_t us;
    if (tbk_validate_timestamp(timestamp, where(place), &us, error)) {
        tbk_timestamp_to_proto(us, &timestamp->seconds, &timestamp->nanos);
    }
}

static void check_value(const struct tbk_column *column, ProtobufCMessage *message, struct place *place,
                        struct tbk_error *error)
{
    if (column->kind == TBK_COLUMN_TIMESTAMP) {
        check_timestamp(column, message, place, error);
        return;
    }
    const struct tbk_value value = tbk_column_get(column, message);
    switch (column->kind) {
    case TBK_COLUMN_TEXT:
        check_text(column, *(char **)(void *)((char *)message + column->field->offset), place, error);
        break;
    case TBK_COLUMN_REAL:
        check_number(column, value.real, place, error);
        break;
    case TBK_COLUMN_INTEGER:
        check_number(column, (double)value.integer, place, error);
        break;
    case TBK_COLUMN_ENUM:
        check_enum(column, value.integer, place, error);
        break;
    case TBK_COLUMN_BOOLEAN:
    case TBK_COLUMN_TIMESTAMP:
        break;
    }
}

void tbk_validate_text(const struct tbk_column *column, char *text, const char *field, struct tbk_error *error)
{
    struct place place = {.prefix = "", .name = field};
    check_text(column, text, &place, error);
}

static bool required(const struct tbk_column *column)
{
    return column->access == TRADEBOOK__V1__ACCESS__ACCESS_REQUIRED ||
           column->access == TRADEBOOK__V1__ACCESS__ACCESS_REQUIRED_IMMUTABLE;
}

void tbk_validate_create(const struct tbk_table *table, ProtobufCMessage *message, const char *prefix,
                         struct tbk_error *error)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        struct place place = {.prefix = prefix, .name = column->name};
        if (!tbk_column_present(column, message)) {
            if (required(column)) {
                tbk_error_violation(error, where(&place), "is required");
            }
            continue;
        }
        if (column->access == TRADEBOOK__V1__ACCESS__ACCESS_OUTPUT_ONLY) {
            tbk_error_violation(error, where(&place), "is set by the server; leave it out");
        } else if (column->access == TRADEBOOK__V1__ACCESS__ACCESS_UPDATE_ONLY) {
            tbk_error_violation(error, where(&place), "can only be set by an update; leave it out");
        } else {
            check_value(column, message, &place, error);
        }
    }
}

void tbk_validate_update(const struct tbk_table *table, uint32_t columns, ProtobufCMessage *message,
                         const char *prefix, struct tbk_error *error)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        struct place place = {.prefix = prefix, .name = column->name};
        if ((columns & 1U << i) == 0) {
            continue;
        }
        if (tbk_column_present(column, message)) {
            check_value(column, message, &place, error);
        } else if (column->not_null) {
            tbk_error_violation(error, where(&place), "is required and cannot be cleared");
        }
    }
}

bool tbk_column_updatable(const struct tbk_column *column)
{
    return column->access == TRADEBOOK__V1__ACCESS__ACCESS_UNSPECIFIED ||
           column->access == TRADEBOOK__V1__ACCESS__ACCESS_REQUIRED ||
           column->access == TRADEBOOK__V1__ACCESS__ACCESS_UPDATE_ONLY;
}
