/* BatchCloseTrades. */
#include "services/handlers.h"
#include "services/status_details.h"
#include "services/trade.h"

static bool refuse(struct tbk_call *call, Tradebook__V1__CloseTradeResult *result, const struct tbk_error *error)
{
    result->status = tbk_status_message(error, call->arena);
    return result->status != NULL;
}

/* Checks every request; those refused get their status now and are skipped when
 * the batch runs. */
enum tbk_status tbk_trades_check_batch_close(struct tbk_call *call, const struct tbk_method *method,
                                             ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__BatchCloseTradesRequest *batch = (const Tradebook__V1__BatchCloseTradesRequest *)request;
    if (batch->n_trades == 0 || batch->n_trades > TBK_BATCH_ITEMS_MAX) {
        tbk_error_violation(call->error, "trades", "must have 1 to %d items, has %zu", TBK_BATCH_ITEMS_MAX,
                            batch->n_trades);
        return tbk_error_finish(call->error);
    }
    Tradebook__V1__CloseTradeResult *results = tbk_arena_alloc(call->arena, batch->n_trades * sizeof *results);
    struct tbk_error *error = tbk_arena_alloc(call->arena, sizeof *error);
    if (results == NULL || error == NULL) {
        return tbk_trade_no_memory(call);
    }
    for (size_t i = 0; i < batch->n_trades; i++) {
        Tradebook__V1__CloseTradeRequest *trade = batch->trades[i];
        tradebook__v1__close_trade_result__init(&results[i]);
        tbk_error_init(error);
        tbk_trade_check_id(trade->has_signal_id, trade->signal_id, "", error);
        tbk_trade_check_close(call->context->schema, trade, "", error);
        if (tbk_error_finish(error) != TBK_OK && !refuse(call, &results[i], error)) {
            return tbk_trade_no_memory(call);
        }
    }
    call->prepared = results;
    return TBK_OK;
}

/* Whether a trade could not be prepared by its own fault; anything else ends the
 * whole batch. */
static bool is_item_fault(enum tbk_status status)
{
    return status == TBK_NOT_FOUND || status == TBK_FAILED_PRECONDITION || status == TBK_INVALID_ARGUMENT;
}

static enum tbk_status close_item(struct tbk_call *call, const Tradebook__V1__CloseTradeRequest *request,
                                  Tradebook__V1__CloseTradeResult *result)
{
    struct tbk_closing closing;
    const enum tbk_status status = tbk_trade_close_prepare(call, request, "", &closing);
    if (status == TBK_OK) {
        result->signal_result = closing.trade.result;
        return tbk_trade_close_apply(call, &closing);
    }
    if (!is_item_fault(status)) {
        return status;
    }
    const bool refused = refuse(call, result, call->error);
    tbk_error_init(call->error);
    return refused ? TBK_OK : tbk_trade_no_memory(call);
}

enum tbk_status tbk_trades_run_batch_close(struct tbk_call *call, const struct tbk_method *method,
                                           ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__BatchCloseTradesRequest *batch = (const Tradebook__V1__BatchCloseTradesRequest *)request;
    Tradebook__V1__CloseTradeResult *results = call->prepared;
    Tradebook__V1__BatchCloseTradesResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    Tradebook__V1__CloseTradeResult **list = tbk_arena_alloc(call->arena, batch->n_trades * sizeof *list);
    if (response == NULL || list == NULL) {
        return tbk_trade_no_memory(call);
    }
    tradebook__v1__batch_close_trades_response__init(response);
    for (size_t i = 0; i < batch->n_trades; i++) {
        list[i] = &results[i];
        if (results[i].status != NULL) {
            continue;
        }
        const enum tbk_status status = close_item(call, batch->trades[i], &results[i]);
        if (status != TBK_OK) {
            return status;
        }
    }
    response->n_results = batch->n_trades;
    response->results = list;
    *ret_response = &response->base;
    return TBK_OK;
}
