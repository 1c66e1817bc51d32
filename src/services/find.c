#include "services/find.h"

#include <string.h>

enum tbk_status tbk_find(struct tbk_call *call, enum tbk_table_id id, const char *column, struct tbk_value value,
                         ProtobufCMessage **ret_row)
{
    const struct tbk_table *table = &call->context->schema->tables[id];
    const enum tbk_status status =
        call->context->ops->get(call->session, table, tbk_table_column(table, column, strlen(column)), value,
                                call->arena, ret_row, call->error);
    if (status != TBK_NOT_FOUND) {
        return status;
    }
    *ret_row = NULL;
    tbk_error_init(call->error);
    return TBK_OK;
}
