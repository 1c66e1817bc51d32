#include "in_process.h"

#include "base/timestamp.h"

enum { BUSY_TIMEOUT_MS = 1000 };

enum tbk_status in_process_start(struct in_process *server, const struct tbk_schema *schema, const char *path,
                                 struct tbk_dispatch_config settings, struct tbk_error *error)
{
    const char *location = NULL;
    struct tbk_service_context *context = &server->context;
    *context = (struct tbk_service_context){
        .schema = schema,
        .ops = tbk_storage_backend(path, &location, error),
        .transport_version = "none",
        .breakeven_band_percent = 0.5,
        .started_at_us = tbk_now_us(),
        .started_at_monotonic_us = tbk_monotonic_us(),
    };
    if (context->ops == NULL)
        return error->status;
    const struct tbk_storage_config config = {
        .location = location, .schema = schema, .busy_timeout_ms = BUSY_TIMEOUT_MS};
    enum tbk_status status = context->ops->open(&config, &server->storage, error);
    if (status != TBK_OK)
        return status;
    struct tbk_storage_info info;
    context->ops->info(server->storage, &info);
    context->storage = server->storage;
    context->secret = info.secret;
    status = tbk_analytics_create(context->ops, server->storage, &context->analytics, error);
    settings.context = context;
    return status == TBK_OK ? tbk_dispatch_create(&settings, &server->dispatch, error) : status;
}

void in_process_stop(struct in_process *server)
{
    tbk_dispatch_drain(server->dispatch);
    tbk_dispatch_destroy(server->dispatch);
    server->dispatch = NULL;
    tbk_analytics_destroy(server->context.analytics);
    server->context.ops->close(server->storage);
}
