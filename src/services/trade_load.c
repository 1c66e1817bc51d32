/* Reads a signal and what belongs to its trade. */
#include <stdio.h>
#include <string.h>

#include "services/find.h"
#include "services/trade.h"

enum tbk_status tbk_trade_no_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED,
                         "The request needs more memory than one request may have.");
}

static enum tbk_status check_signal(struct tbk_call *call, const struct tbk_trade *trade)
{
    const Tradebook__V1__Signal *signal = trade->signal;
    if (signal->direction == TRADEBOOK__V1__DIRECTION__DIRECTION_HOLD) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "Signal %lld advises to hold; no trade is opened or closed on it.",
                             (long long)signal->id);
    }
    if (trade->side == 0 || signal->symbol == NULL) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "In the database the %s of signal %lld is missing or unknown. Correct it there.",
                             trade->side == 0 ? "direction" : "symbol", (long long)signal->id);
    }
    return TBK_OK;
}

/* A client may have written a snapshot under the signal's id before: it is
 * completed. One of another pair is a mistake that only people can clear up. */
static enum tbk_status check_snapshot(struct tbk_call *call, const struct tbk_trade *trade)
{
    const Tradebook__V1__RiskSnapshot *snapshot = trade->snapshot;
    if (snapshot == NULL || (snapshot->pair != NULL && strcmp(snapshot->pair, trade->signal->symbol) == 0)) {
        return TBK_OK;
    }
    return tbk_error_set(
        call->error, TBK_FAILED_PRECONDITION,
        "The risk snapshot '%s' is of %.20s, but signal %s is of %.20s. A snapshot that belongs to "
        "no signal needs another key; change or delete it in the database.",
        snapshot->signal_id, snapshot->pair != NULL ? snapshot->pair : "no pair", snapshot->signal_id,
        trade->signal->symbol);
}

enum tbk_status tbk_trade_load(struct tbk_call *call, int64_t signal_id, struct tbk_trade *ret_trade)
{
    const struct tbk_table *signals = &call->context->schema->tables[TBK_SIGNALS];
    const struct tbk_value id = {.type = TBK_VALUE_INTEGER, .integer = signal_id};
    char key[24];
    const int length = snprintf(key, sizeof key, "%lld", (long long)signal_id);
    const struct tbk_value text = {.type = TBK_VALUE_TEXT, .text = {key, (size_t)length}};
    ProtobufCMessage *signal = NULL;
    ProtobufCMessage *result = NULL;
    ProtobufCMessage *snapshot = NULL;
    enum tbk_status status =
        call->context->ops->get(call->session, signals, signals->key, id, call->arena, &signal, call->error);
    if (status == TBK_OK) {
        status = tbk_find(call, TBK_SIGNAL_RESULTS, "signal_id", id, &result);
    }
    if (status == TBK_OK) {
        status = tbk_find(call, TBK_RISK_BOOK_SNAPSHOTS, "signal_id", text, &snapshot);
    }
    if (status != TBK_OK) {
        return status;
    }
    ret_trade->signal = (Tradebook__V1__Signal *)signal;
    ret_trade->result = (Tradebook__V1__SignalResult *)result;
    ret_trade->snapshot = (Tradebook__V1__RiskSnapshot *)snapshot;
    ret_trade->side = tbk_trade_side(ret_trade->signal->direction);
    status = check_signal(call, ret_trade);
    return status == TBK_OK ? check_snapshot(call, ret_trade) : status;
}
