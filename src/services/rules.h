/*
 * What the fields of one record must satisfy together, and the fields that
 * follow from others. By table; most have none.
 */
#ifndef TBK_SERVICES_RULES_H
#define TBK_SERVICES_RULES_H

#include "services/service.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

#define TBK_RULES_ALL_COLUMNS UINT32_MAX

/* What a signal or a risk snapshot belongs to, as far as it is known. */
struct tbk_owner {
    const Tradebook__V1__Signal *signal;      /* itself, or whose id a snapshot's key is; NULL: none */
    const Tradebook__V1__SignalResult *trade; /* made on that signal; NULL: not traded */
    int side; /* of the signal, see tbk_trade_side; 0 for a snapshot of another pair */
};

/* rules.c: the record by itself. */

/* Reports every contradiction between fields of a record in which one of these
 * columns (a bit for each) takes part. */
void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, uint32_t columns, const struct tbk_owner *owner,
                     const char *prefix, struct tbk_error *error);

/* Computes the fields that follow from these columns; returns the bits of those it
 * wrote. side: of the trade that a risk snapshot is of, 1 for a long, -1 for a short, 0
 * if that is not known: then a stop below the entry is a long's. */
uint32_t tbk_rules_derive(const struct tbk_schema *schema, const struct tbk_table *table,
                          ProtobufCMessage *message, uint32_t columns, int side);

/* rules_trade.c: the record against the trade that it belongs to. */

/* What a stored record belongs to, as far as a change of these columns needs it. */
enum tbk_status tbk_rules_find_owner(struct tbk_call *call, const struct tbk_table *table,
                                     const ProtobufCMessage *stored, uint32_t columns,
                                     struct tbk_owner *ret_owner);

/* Whether a new risk snapshot fits the signal and the trade that it belongs to; takes
 * from the trade what that says of it, as if it had been there at its opening and
 * closing. *ret_side: see tbk_rules_derive. INVALID_ARGUMENT: levels of the other side.
 * FAILED_PRECONDITION: the trade is of another pair or entry price. */
enum tbk_status tbk_rules_fit_new(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *message,
                                  const char *prefix, int *ret_side);

/* Whether these columns may take the values that they have in changes and that
 * differ from the stored ones: a snapshot takes what its trade says and nothing else.
 * FAILED_PRECONDITION. */
enum tbk_status tbk_rules_check_change(struct tbk_call *call, const struct tbk_table *table,
                                       const ProtobufCMessage *changes, uint32_t changed,
                                       const struct tbk_owner *owner);

#endif
