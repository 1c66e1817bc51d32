/* ModelService: which model was in production when. */
#include <inttypes.h>
#include <string.h>

#include "query/page.h"
#include "schema/timestamp_message.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "services/resource.h"
#include "tradebook/v1/model.pb-c.h"

struct history {
    struct tbk_tenure_query query;
    struct tbk_page page;
};

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing.");
}

static enum tbk_status check_page(struct tbk_call *call, const Tradebook__V1__ListModelHistoryRequest *request,
                                  struct history *history)
{
    static const enum tbk_value_type types[] = {TBK_VALUE_INTEGER};
    const struct tbk_tenure_query *query = &history->query;
    const struct tbk_page_request page = {
        .has_page_size = request->has_page_size,
        .page_size = request->page_size,
        .page_token = request->page_token,
        .scope = tbk_arena_printf(call->arena, "ListModelHistory %d %s %d %" PRId64, query->model_type != NULL,
                                  query->model_type != NULL ? query->model_type : "", query->has_at, query->at_us),
    };
    if (page.scope == NULL) {
        return out_of_memory(call);
    }
    return tbk_page_build(&page, types, 1, call->context->secret, call->arena, &history->page, call->error);
}

enum tbk_status tbk_model_check_history(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *message)
{
    const Tradebook__V1__ListModelHistoryRequest *request = (Tradebook__V1__ListModelHistoryRequest *)message;
    struct history *history = tbk_arena_zalloc(call->arena, sizeof *history);
    if (history == NULL) {
        return out_of_memory(call);
    }
    struct tbk_tenure_query *query = &history->query;
    if (request->model_type != NULL) {
        tbk_validate_text(tbk_table_column(method->table, "model_type", strlen("model_type")), request->model_type,
                          "model_type", call->error);
        query->model_type = request->model_type;
    }
    query->has_at = request->at != NULL && tbk_validate_timestamp(request->at, "at", &query->at_us, call->error);
    if (check_page(call, request, history) == TBK_RESOURCE_EXHAUSTED) {
        return TBK_RESOURCE_EXHAUSTED;
    }
    query->limit = history->page.limit;
    query->before_id = history->page.continues ? history->page.after[0].integer : INT64_MAX;
    call->prepared = history;
    return tbk_error_finish(call->error);
}

/* NULL for NULL. False when the arena is exhausted. */
static bool put_time(struct tbk_call *call, struct tbk_value time, Google__Protobuf__Timestamp **ret_time)
{
    if (time.type == TBK_VALUE_NULL) {
        return true;
    }
    *ret_time = tbk_timestamp_create(time.timestamp_us, call->arena);
    return *ret_time != NULL;
}

static Tradebook__V1__ModelTenure *message_of(struct tbk_call *call, const struct tbk_model_tenure *tenure)
{
    Tradebook__V1__ModelTenure *message = tbk_arena_alloc(call->arena, sizeof *message);
    if (message == NULL) {
        return NULL;
    }
    tradebook__v1__model_tenure__init(message);
    message->version = (char *)(uintptr_t)tenure->version;
    message->model_type = (char *)(uintptr_t)tenure->model_type;
    message->rollback_reason = (char *)(uintptr_t)tenure->rollback_reason;
    const bool stored = put_time(call, tenure->promoted_at, &message->promoted_at) &&
                        put_time(call, tenure->demoted_at, &message->demoted_at);
    return stored ? message : NULL;
}

static bool fill(struct tbk_call *call, Tradebook__V1__ListModelHistoryResponse *response,
                 const struct tbk_model_tenure *tenures, size_t count)
{
    response->tenures = tbk_arena_alloc(call->arena, (count + 1) * sizeof(void *));
    if (response->tenures == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        response->tenures[i] = message_of(call, &tenures[i]);
        if (response->tenures[i] == NULL) {
            return false;
        }
    }
    response->n_tenures = count;
    return true;
}

enum tbk_status tbk_model_run_history(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)request;
    const struct history *history = call->prepared;
    struct tbk_model_tenure *tenures = NULL;
    size_t count = 0;
    bool more = false;
    const enum tbk_status status = call->context->ops->model_tenures(
        call->session, &history->query, TBK_LIST_BYTES_MAX, call->arena, &tenures, &count, &more, call->error);
    if (status != TBK_OK) {
        return status;
    }
    Tradebook__V1__ListModelHistoryResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return out_of_memory(call);
    }
    tradebook__v1__list_model_history_response__init(response);
    if (!fill(call, response, tenures, count)) {
        return out_of_memory(call);
    }
    if (more) {
        const struct tbk_value last = {.type = TBK_VALUE_INTEGER, .integer = tenures[count - 1].id};
        response->next_page_token = tbk_page_next(&history->page, &last, 1, call->context->secret, call->arena);
        if (response->next_page_token == NULL) {
            return out_of_memory(call);
        }
    }
    *ret_response = &response->base;
    return TBK_OK;
}
