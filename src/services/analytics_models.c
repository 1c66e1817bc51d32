/* AnalyticsService: the models in production. */
#include <string.h>

#include "base/dynbuf.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "tradebook/v1/analytics.pb-c.h"

enum { FILTER_BYTES_MAX = TBK_FILTER_BYTES_MAX };

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
}

/* The filter of batch.proto for these models; NULL when the arena is exhausted. */
static const char *filter_of(struct tbk_call *call, const char *model_type)
{
    static const char in_production[] = "is_promoted = true AND is_active = true";
    if (model_type == NULL) {
        return in_production;
    }
    struct tbk_dynbuf filter;
    tbk_dynbuf_init(&filter, FILTER_BYTES_MAX);
    tbk_dynbuf_printf(&filter, "%s AND model_type = '", in_production);
    for (const char *c = model_type; *c != '\0'; c++) {
        tbk_dynbuf_puts(&filter, *c == '\'' ? "'" : "");
        tbk_dynbuf_putc(&filter, *c);
    }
    tbk_dynbuf_putc(&filter, '\'');
    const char *text =
        tbk_dynbuf_failed(&filter) ? NULL : tbk_arena_strndup(call->arena, filter.data, filter.length);
    tbk_dynbuf_fini(&filter);
    return text;
}

/* Leaves the query of a list of deployments for tbk_resource_run_list. */
enum tbk_status tbk_analytics_check_production_models(struct tbk_call *call, const struct tbk_method *method,
                                                      ProtobufCMessage *message)
{
    const Tradebook__V1__ListProductionModelsRequest *request =
        (Tradebook__V1__ListProductionModelsRequest *)message;
    if (request->model_type != NULL) {
        tbk_validate_text(tbk_table_column(method->table, "model_type", strlen("model_type")), request->model_type,
                          "model_type", call->error);
    }
    /* A wrong type is not part of the query, so that only it is reported. */
    const struct tbk_list_request list = {
        .has_page_size = request->has_page_size,
        .page_size = request->page_size,
        .page_token = request->page_token,
        .filter = filter_of(call, call->error->violation_count == 0 ? request->model_type : NULL),
        .order_by = "deployed_at desc",
    };
    struct tbk_query *query = tbk_arena_zalloc(call->arena, sizeof *query);
    if (query == NULL || list.filter == NULL) {
        return out_of_memory(call);
    }
    call->prepared = query;
    if (tbk_query_build(method->table, &list, call->context->secret, call->arena, query, call->error) ==
        TBK_RESOURCE_EXHAUSTED) {
        return out_of_memory(call);
    }
    return tbk_error_finish(call->error);
}
