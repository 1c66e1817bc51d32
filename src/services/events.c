/* EventService: reading the events. */
#include <string.h>

#include "query/page.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "services/resource.h"
#include "storage/topic.h"
#include "tradebook/v1/event.pb-c.h"

enum {
    WAIT_MS_MAX = 60000,
    SCAN_MAX = 10000, /* events that one call looks at, with a topic or a symbol that few of them have */
};

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while listing events.");
}

static void check_filters(struct tbk_call *call, const Tradebook__V1__ListEventsRequest *request)
{
    if (request->topic != NULL &&
        (request->topic[0] == '\0' || request->topic[strlen(request->topic) - 1] != '/')) {
        tbk_error_violation(call->error, "topic", "must end with '/', as in \"trade.closed/BTC-USD/\"");
    }
    if (request->symbol != NULL) {
        const struct tbk_table *signals = &call->context->schema->tables[TBK_SIGNALS];
        tbk_validate_text(tbk_table_column(signals, "symbol", strlen("symbol")), request->symbol, "symbol",
                          call->error);
    }
}

enum tbk_status tbk_events_check_list(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *message)
{
    (void)method;
    const Tradebook__V1__ListEventsRequest *request = (const Tradebook__V1__ListEventsRequest *)message;
    struct tbk_event_query *query = tbk_arena_alloc(call->arena, sizeof *query);
    if (query == NULL) {
        return out_of_memory(call);
    }
    *query = (struct tbk_event_query){
        .after = request->has_after_sequence ? request->after_sequence : 0,
        .topic = request->topic,
        .symbol = request->symbol,
        .limit = tbk_page_limit(request->has_page_size, request->page_size, call->error),
        .scan_max = SCAN_MAX,
        .bytes_max = TBK_LIST_BYTES_MAX,
    };
    if (query->after < 0) {
        tbk_error_violation(call->error, "after_sequence", "must not be negative, is %lld",
                            (long long)query->after);
    }
    if (request->wait_ms < 0 || request->wait_ms > WAIT_MS_MAX) {
        tbk_error_violation(call->error, "wait_ms", "must be 0 to %d, is %lld", WAIT_MS_MAX,
                            (long long)request->wait_ms);
    }
    check_filters(call, request);
    call->prepared = query;
    return tbk_error_finish(call->error);
}

/* The next look goes on where this one ended. */
static enum tbk_status wait_for_next(struct tbk_call *call, const Tradebook__V1__ListEventsRequest *request,
                                     const struct tbk_event_page *page)
{
    struct tbk_event_query *query = call->prepared;
    const char *topic = request->topic != NULL ? request->topic : "";
    if (request->symbol != NULL) {
        topic = tbk_topic_of_trade(request->symbol, strlen(request->symbol), call->arena);
        if (topic == NULL) {
            return out_of_memory(call);
        }
    }
    query->after = page->next_after;
    call->wait = (struct tbk_wait){.ms = request->wait_ms, .seen = page->range.newest, .topic = topic};
    return TBK_OK;
}

enum tbk_status tbk_events_run_list(struct tbk_call *call, const struct tbk_method *method,
                                    ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__ListEventsRequest *request = (const Tradebook__V1__ListEventsRequest *)message;
    const struct tbk_event_query *query = call->prepared;
    struct tbk_event_page page;
    const enum tbk_status status =
        call->context->ops->event_list(call->session, query, call->arena, &page, call->error);
    if (status != TBK_OK) {
        return status;
    }
    if (request->has_after_sequence && query->after < page.range.oldest - 1) {
        return tbk_error_set(call->error, TBK_OUT_OF_RANGE,
                             "Events after %lld were deleted already; the oldest kept is %lld. Read on from there "
                             "(after_sequence %lld), or leave after_sequence out.",
                             (long long)query->after, (long long)page.range.oldest,
                             (long long)page.range.oldest - 1);
    }
    Tradebook__V1__ListEventsResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return out_of_memory(call);
    }
    tradebook__v1__list_events_response__init(response);
    response->n_events = page.count;
    response->events = page.events;
    response->has_next_after_sequence = 1;
    response->next_after_sequence = page.next_after;
    response->has_newest_sequence = 1;
    response->newest_sequence = page.range.newest;
    response->has_oldest_sequence = page.range.oldest > 0;
    response->oldest_sequence = page.range.oldest;
    *ret_response = &response->base;
    const bool is_at_the_end = page.count == 0 && page.next_after >= page.range.newest;
    return is_at_the_end && request->wait_ms > 0 ? wait_for_next(call, request, &page) : TBK_OK;
}

enum tbk_status tbk_events_subscribe(struct tbk_call *call, const struct tbk_method *method,
                                     ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    (void)ret_response;
    return tbk_error_set(call->error, TBK_UNIMPLEMENTED,
                         "%s is a stream, which the client libraries make from ListEvents and the published "
                         "events. Call ListEvents, with wait_ms to wait for the next event.",
                         method->name);
}
