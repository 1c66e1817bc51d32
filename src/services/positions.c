/* ListOpenPositions. */
#include "base/timestamp.h"
#include "query/page.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "services/trade.h"

/* A page continues after the entry time and the id of its last trade. */
enum { ENTRY_TIME, ID, PLACE_VALUES };

static const enum tbk_value_type place_types[PLACE_VALUES] = {TBK_VALUE_TIMESTAMP, TBK_VALUE_INTEGER};

enum tbk_status tbk_positions_check_list(struct tbk_call *call, const struct tbk_method *method,
                                         ProtobufCMessage *request)
{
    const Tradebook__V1__ListOpenPositionsRequest *list = (const Tradebook__V1__ListOpenPositionsRequest *)request;
    const struct tbk_table *signals = &call->context->schema->tables[TBK_SIGNALS];
    if (list->symbol != NULL) {
        tbk_validate_text(tbk_table_column(signals, "symbol", 6), list->symbol, "symbol", call->error);
    }
    struct tbk_page *page = tbk_arena_alloc(call->arena, sizeof *page);
    const struct tbk_page_request fields = {
        .has_page_size = list->has_page_size != 0,
        .page_size = list->page_size,
        .page_token = list->page_token,
        .scope = list->symbol == NULL ? method->name
                                      : tbk_arena_printf(call->arena, "%s %s", method->name, list->symbol),
    };
    if (page == NULL || fields.scope == NULL) {
        return tbk_trade_no_memory(call);
    }
    call->prepared = page;
    const enum tbk_status status =
        tbk_page_build(&fields, place_types, PLACE_VALUES, call->context->secret, call->arena, page, call->error);
    return status == TBK_OK ? tbk_error_finish(call->error) : status;
}

static Tradebook__V1__OpenPosition *message_of(const struct tbk_open_position *position, struct tbk_arena *arena)
{
    const Tradebook__V1__SignalResult *result = (const Tradebook__V1__SignalResult *)position->result;
    const Tradebook__V1__Signal *signal = (const Tradebook__V1__Signal *)position->signal;
    Tradebook__V1__OpenPosition *message = tbk_arena_alloc(arena, sizeof *message);
    if (message == NULL) {
        return NULL;
    }
    tradebook__v1__open_position__init(message);
    message->has_signal_id = message->has_quantity = 1;
    message->signal_id = result->signal_id;
    message->symbol = signal->symbol;
    message->has_direction = signal->has_direction;
    message->direction = signal->direction;
    message->has_entry_price = result->has_entry_price;
    message->entry_price = result->entry_price;
    message->entry_timestamp = result->entry_timestamp;
    message->has_tp_price = signal->has_tp_price;
    message->tp_price = signal->tp_price;
    message->has_sl_price = signal->has_sl_price;
    message->sl_price = signal->sl_price;
    message->quantity = position->quantity;
    message->strategy = signal->strategy;
    return message;
}

/* The token that continues after this position. An entry time that cannot be read
 * stands as 0: the id finds what is stored. */
static char *next_token(struct tbk_call *call, const struct tbk_page *page,
                        const struct tbk_open_position *position)
{
    const Tradebook__V1__SignalResult *result = (const Tradebook__V1__SignalResult *)position->result;
    struct tbk_value place[PLACE_VALUES] = {
        [ENTRY_TIME] = {.type = TBK_VALUE_TIMESTAMP, .timestamp_us = 0},
        [ID] = {.type = TBK_VALUE_INTEGER, .integer = result->id},
    };
    const Google__Protobuf__Timestamp *entry_time = result->entry_timestamp;
    if (entry_time != NULL) {
        tbk_timestamp_from_proto(entry_time->seconds, entry_time->nanos, &place[ENTRY_TIME].timestamp_us);
    }
    return tbk_page_next(page, place, PLACE_VALUES, call->context->secret, call->arena);
}

enum tbk_status tbk_positions_run_list(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    const struct tbk_page *page = call->prepared;
    const struct tbk_open_positions_query query = {
        .symbol = ((const Tradebook__V1__ListOpenPositionsRequest *)request)->symbol,
        .continues = page->continues,
        .after_entry_us = page->continues ? page->after[ENTRY_TIME].timestamp_us : 0,
        .after_id = page->continues ? page->after[ID].integer : 0,
        .limit = page->limit,
    };
    struct tbk_open_position *positions = NULL;
    size_t count = 0;
    bool more = false;
    const enum tbk_status status = call->context->ops->open_positions(call->session, &query, call->arena,
                                                                      &positions, &count, &more, call->error);
    if (status != TBK_OK) {
        return status;
    }
    Tradebook__V1__ListOpenPositionsResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    Tradebook__V1__OpenPosition **list = tbk_arena_alloc(call->arena, (count + 1) * sizeof *list);
    if (response == NULL || list == NULL) {
        return tbk_trade_no_memory(call);
    }
    tradebook__v1__list_open_positions_response__init(response);
    for (size_t i = 0; i < count; i++) {
        list[i] = message_of(&positions[i], call->arena);
        if (list[i] == NULL) {
            return tbk_trade_no_memory(call);
        }
    }
    if (more) {
        response->next_page_token = next_token(call, page, &positions[count - 1]);
        if (response->next_page_token == NULL) {
            return tbk_trade_no_memory(call);
        }
    }
    response->n_open_positions = count;
    response->open_positions = list;
    *ret_response = &response->base;
    return TBK_OK;
}
