/*
 * What the fields of one record must satisfy together, and the fields that
 * follow from others. By table; most have none.
 */
#ifndef TBK_SERVICES_RULES_H
#define TBK_SERVICES_RULES_H

#include "services/service.h"

#define TBK_RULES_ALL_COLUMNS UINT32_MAX

/* Reports every contradiction between fields of a record in which one of these
 * columns (a bit for each) takes part. */
void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, uint32_t columns, const char *prefix,
                     struct tbk_error *error);

/* Computes the fields that follow from these columns; returns the bits of those it
 * wrote. side: of the trade that a risk snapshot is of, 1 for a long, -1 for a short, 0
 * if that is not known: then a stop below the entry is a long's. */
uint32_t tbk_rules_derive(const struct tbk_schema *schema, const struct tbk_table *table,
                          ProtobufCMessage *message, uint32_t columns, int side);

/* The side of the signal whose id a risk snapshot's key is, if they are of the same
 * pair; 0 for others. */
enum tbk_status tbk_rules_find_side(struct tbk_call *call, const struct tbk_table *table,
                                    const ProtobufCMessage *message, int *ret_side);

#endif
