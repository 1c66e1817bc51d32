/*
 * What the fields of one record must satisfy together, and the fields that
 * follow from others. By table; most have none.
 */
#ifndef TBK_SERVICES_RULES_H
#define TBK_SERVICES_RULES_H

#include "schema/schema.h"

/* Reports every contradiction between fields of a record. */
void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, const char *prefix, struct tbk_error *error);

/* Computes the fields that follow from others; returns the bits of the columns
 * it wrote. */
uint32_t tbk_rules_derive(const struct tbk_schema *schema, const struct tbk_table *table,
                          ProtobufCMessage *message);

#endif
