/*
 * Looking up a row that need not be there, within a call's transaction.
 */
#ifndef TBK_SERVICES_FIND_H
#define TBK_SERVICES_FIND_H

#include "services/service.h"

/* The row whose unique column has this value, in the call's arena; NULL: there is none. */
enum tbk_status tbk_find(struct tbk_call *call, enum tbk_table_id table, const char *column,
                         struct tbk_value value, ProtobufCMessage **ret_row);

#endif
