/* List: records page by page. */
#include "services/resource.h"

/* All List requests have these fields, all List responses these two. */
enum { PAGE_SIZE = 1, PAGE_TOKEN = 2, FILTER = 3, ORDER_BY = 4, RECORDS = 1, NEXT_PAGE_TOKEN = 2 };

static const void *field_of(const ProtobufCMessage *message, unsigned number)
{
    return (const char *)message + protobuf_c_message_descriptor_get_field(message->descriptor, number)->offset;
}

static const char *text_of(const ProtobufCMessage *message, unsigned number)
{
    return *(char *const *)field_of(message, number);
}

enum tbk_status tbk_resource_check_list(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *page_size =
        protobuf_c_message_descriptor_get_field(request->descriptor, PAGE_SIZE);
    const struct tbk_list_request list = {
        .has_page_size = *(const protobuf_c_boolean *)((const char *)request + page_size->quantifier_offset) != 0,
        .page_size = *(const int32_t *)field_of(request, PAGE_SIZE),
        .page_token = text_of(request, PAGE_TOKEN),
        .filter = text_of(request, FILTER),
        .order_by = text_of(request, ORDER_BY),
    };
    struct tbk_query *query = tbk_arena_zalloc(call->arena, sizeof *query);
    if (query == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    call->prepared = query;
    const enum tbk_status status =
        tbk_query_build(method->table, &list, call->context->secret, call->arena, query, call->error);
    return status == TBK_OK ? TBK_OK : tbk_error_finish(call->error);
}

/* A page cannot continue after a record whose ordering column holds text that
 * names no known value: its place in the order is not known. */
static enum tbk_status check_continuation(const struct tbk_query *query, const ProtobufCMessage *last,
                                          struct tbk_error *error)
{
    for (unsigned i = 0; i < query->order_count; i++) {
        const struct tbk_column *column = query->order[i].column;
        const struct tbk_value value = tbk_column_get(column, last);
        if (column->kind == TBK_COLUMN_ENUM && value.type == TBK_VALUE_INTEGER && value.integer == 0) {
            return tbk_error_set(
                error, TBK_FAILED_PRECONDITION,
                "The database holds an unknown %s, so pages cannot be ordered by it. Leave it out of "
                "order_by, or correct the record.",
                column->name);
        }
    }
    return TBK_OK;
}

enum tbk_status tbk_resource_run_list(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    const struct tbk_query *query = call->prepared;
    ProtobufCMessage **records = NULL;
    size_t count = 0;
    bool more = false;
    enum tbk_status status = call->context->ops->list(call->session, query, TBK_LIST_BYTES_MAX, call->arena,
                                                      &records, &count, &more, call->error);
    if (status != TBK_OK) {
        return status;
    }
    char *token = NULL;
    if (more) {
        status = check_continuation(query, records[count - 1], call->error);
        if (status != TBK_OK) {
            return status;
        }
        token = tbk_page_token_create(query, records[count - 1], call->context->secret, call->arena);
    }
    ProtobufCMessage *response = tbk_message_create(method->response, call->arena);
    if (response == NULL || (more && token == NULL)) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
    }
    const ProtobufCFieldDescriptor *repeated = protobuf_c_message_descriptor_get_field(method->response, RECORDS);
    *(size_t *)(void *)((char *)response + repeated->quantifier_offset) = count;
    *(ProtobufCMessage ***)(void *)((char *)response + repeated->offset) = records;
    *(char **)(uintptr_t)field_of(response, NEXT_PAGE_TOKEN) = token;
    *ret_response = response;
    return TBK_OK;
}
