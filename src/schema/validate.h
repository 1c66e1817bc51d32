/*
 * Checks of a row message that a client sends: the access and the rule of each
 * column. Every violation is reported, under prefix + column name.
 */
#ifndef TBK_SCHEMA_VALIDATE_H
#define TBK_SCHEMA_VALIDATE_H

#include "base/error.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "schema/schema.h"

/* Before an insert: required fields are present, fields of the server are not,
 * values follow their rules. Hashes are lowered and timestamps cut to
 * microseconds in place. */
void tbk_validate_create(const struct tbk_table *table, ProtobufCMessage *message, const char *prefix,
                         struct tbk_error *error);

/* Before an update of the columns whose bits are set: their values follow their
 * rules, mandatory ones are present. */
void tbk_validate_update(const struct tbk_table *table, uint32_t columns, ProtobufCMessage *message,
                         const char *prefix, struct tbk_error *error);

/* Checks one text as a column would: length, control characters, rule. For
 * request fields that are compared with a column. */
void tbk_validate_text(const struct tbk_column *column, char *text, const char *field, struct tbk_error *error);

/* Checks a moment that is asked about. False, with a violation, when it is none
 * that can be stored; *ret_us is then untouched. */
bool tbk_validate_timestamp(const Google__Protobuf__Timestamp *timestamp, const char *field, int64_t *ret_us,
                            struct tbk_error *error);

/* Whether a client may change the column after creation. */
bool tbk_column_updatable(const struct tbk_column *column);

#endif
