/* AdminService: the server itself. */
#include "base/timestamp.h"
#include "schema/timestamp_message.h"
#include "services/handlers.h"
#include "tradebook/v1/admin.pb-c.h"

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while answering.");
}

enum tbk_status tbk_admin_echo(struct tbk_call *call, const struct tbk_method *method, ProtobufCMessage *request,
                               ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__EchoRequest *echo = (const Tradebook__V1__EchoRequest *)request;
    Tradebook__V1__EchoResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return out_of_memory(call);
    }
    tradebook__v1__echo_response__init(response);
    response->has_payload = echo->has_payload;
    response->payload = echo->payload;
    *ret_response = &response->base;
    return TBK_OK;
}

enum tbk_status tbk_admin_descriptor_set(struct tbk_call *call, const struct tbk_method *method,
                                         ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)request;
    Tradebook__V1__GetDescriptorSetResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return out_of_memory(call);
    }
    tradebook__v1__get_descriptor_set_response__init(response);
    response->has_file_descriptor_set = 1;
    response->file_descriptor_set.data = (uint8_t *)(uintptr_t)call->context->schema->descriptor_set;
    response->file_descriptor_set.len = call->context->schema->descriptor_set_bytes;
    *ret_response = &response->base;
    return TBK_OK;
}

static enum tbk_status count_tables(struct tbk_call *call, Tradebook__V1__ServerInfo *info)
{
    info->tables = tbk_arena_alloc(call->arena, TBK_TABLE_COUNT * sizeof(void *));
    if (info->tables == NULL) {
        return out_of_memory(call);
    }
    for (int i = 0; i < TBK_TABLE_COUNT; i++) {
        const struct tbk_table *table = &call->context->schema->tables[i];
        Tradebook__V1__TableInfo *entry = tbk_arena_alloc(call->arena, sizeof *entry);
        if (entry == NULL) {
            return out_of_memory(call);
        }
        tradebook__v1__table_info__init(entry);
        entry->name = (char *)(uintptr_t)table->name;
        entry->has_rows = 1;
        const enum tbk_status status = call->context->ops->count(call->session, table, &entry->rows, call->error);
        if (status != TBK_OK) {
            return status;
        }
        info->tables[info->n_tables++] = entry;
    }
    return TBK_OK;
}

enum tbk_status tbk_admin_server_info(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)request;
    const struct tbk_service_context *context = call->context;
    Tradebook__V1__ServerInfo *info = tbk_arena_alloc(call->arena, sizeof *info);
    Google__Protobuf__Timestamp *started = tbk_timestamp_create(context->started_at_us, call->arena);
    if (info == NULL || started == NULL) {
        return out_of_memory(call);
    }
    struct tbk_storage_info storage;
    context->ops->info(context->storage, &storage);
    tradebook__v1__server_info__init(info);
    info->version = TRADEBOOK_VERSION;
    info->nng_version = (char *)(uintptr_t)context->transport_version;
    info->storage = (char *)(uintptr_t)storage.backend;
    info->storage_version = (char *)(uintptr_t)storage.library_version;
    info->has_schema_version = 1;
    info->schema_version = storage.schema_version;
    info->database = (char *)(uintptr_t)storage.location;
    info->has_file_bytes = 1;
    info->file_bytes = storage.database_bytes;
    info->has_wal_bytes = 1;
    info->wal_bytes = storage.wal_bytes;
    info->started_at = started;
    info->has_uptime_ms = 1;
    info->uptime_ms = (tbk_monotonic_us() - context->started_at_monotonic_us) / 1000;
    info->has_breakeven_band_percent = 1;
    info->breakeven_band_percent = context->breakeven_band_percent;
    *ret_response = &info->base;
    return count_tables(call, info);
}
