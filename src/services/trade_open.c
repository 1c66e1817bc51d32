/* OpenTrade. */
#include <math.h>
#include <stdio.h>

#include "schema/timestamp_message.h"
#include "services/handlers.h"
#include "services/levels.h"
#include "services/rules.h"
#include "services/trade.h"

/* A trade that is about to be opened. */
struct opening {
    struct tbk_trade trade;
    struct tbk_terms terms;
    double entry_price;
    Google__Protobuf__Timestamp *entry_time;
};

static const struct tbk_table *table_of(const struct tbk_call *call, enum tbk_table_id id)
{
    return &call->context->schema->tables[id];
}

static enum tbk_status refuse_second(struct tbk_call *call, const struct tbk_trade *trade)
{
    const Tradebook__V1__SignalResult *result = trade->result;
    const struct tbk_column *column = tbk_table_column(table_of(call, TBK_SIGNAL_RESULTS), "outcome", 7);
    const char *outcome = tbk_column_enum_text(column, (int)result->outcome);
    if (result->outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN) {
        return tbk_error_set(call->error, TBK_ALREADY_EXISTS,
                             "Signal %lld has a trade already, which is open. A signal is traded once.",
                             (long long)trade->signal->id);
    }
    return tbk_error_set(call->error, TBK_ALREADY_EXISTS,
                         "Signal %lld has a trade already, which is closed (%s). A signal is traded once.",
                         (long long)trade->signal->id, outcome != NULL ? outcome : "unknown outcome");
}

/* The price from the request or the signal, and what follows from it. */
static enum tbk_status take_price(struct tbk_call *call, const Tradebook__V1__OpenTradeRequest *request,
                                  const char *prefix, struct opening *opening)
{
    const Tradebook__V1__Signal *signal = opening->trade.signal;
    opening->entry_price = request->has_entry_price ? request->entry_price : signal->entry_price;
    if (!request->has_entry_price &&
        !(signal->has_entry_price && signal->entry_price > 0 && isfinite(signal->entry_price))) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "Signal %lld has no entry price. Give entry_price.", (long long)signal->id);
    }
    const double value = opening->entry_price * opening->terms.quantity;
    if (!(isnormal(value) && value > 0)) {
        tbk_trade_violation(call->error, prefix, "quantity",
                            "times the entry price must be a number that can be "
                            "stored, is %g",
                            value);
    } else if (!isfinite(opening->terms.open_fees_usd / value * 100)) {
        tbk_trade_violation(call->error, prefix, "fees_usd",
                            "must be a number of percent of the entry price times the quantity, which is %g",
                            value);
    }
    return tbk_error_finish(call->error);
}

/* Completes the client's snapshot. */
static void take_levels(const Tradebook__V1__Signal *signal, Tradebook__V1__RiskSnapshot *snapshot)
{
    if (!snapshot->has_tp_price) {
        snapshot->has_tp_price = signal->has_tp_price;
        snapshot->tp_price = signal->tp_price;
    }
    if (!snapshot->has_sl_price) {
        snapshot->has_sl_price = signal->has_sl_price;
        snapshot->sl_price = signal->sl_price;
    }
}

/* Whether the levels of the client's snapshot fit the side, by themselves and together
 * with those of the signal. is_filled: the price is one that was paid, and may have
 * slipped past a level. */
static enum tbk_status check_levels(struct tbk_call *call, const struct opening *opening, bool is_filled)
{
    Tradebook__V1__RiskSnapshot *snapshot = opening->trade.snapshot;
    const struct tbk_levels own = TBK_LEVELS_OF(snapshot, opening->trade.side);
    const char *tp_fault = tbk_levels_tp_fault(&own);
    const char *sl_fault = tbk_levels_sl_fault(&own);
    take_levels(opening->trade.signal, snapshot);
    struct tbk_levels joined = TBK_LEVELS_OF(snapshot, opening->trade.side);
    joined.has_entry_price = !is_filled;
    joined.entry_price = opening->entry_price;
    if (tp_fault == NULL && sl_fault == NULL) {
        tp_fault = tbk_levels_tp_fault(&joined);
        sl_fault = tbk_levels_sl_fault(&joined);
    }
    if (tp_fault == NULL && sl_fault == NULL) {
        return TBK_OK;
    }
    return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                         "The levels of the risk snapshot '%s' do not go with signal %s: %s %s. Correct them with "
                         "UpdateRiskSnapshot.",
                         snapshot->signal_id, snapshot->signal_id, tp_fault != NULL ? "tp_price" : "sl_price",
                         tp_fault != NULL ? tp_fault : sl_fault);
}

/* Whether the trade has a risk snapshot, new or the client's. */
static bool has_snapshot(const struct tbk_trade *trade)
{
    return trade->snapshot != NULL || trade->signal->has_sl_price;
}

static enum tbk_status prepare(struct tbk_call *call, const Tradebook__V1__OpenTradeRequest *request,
                               const char *prefix, bool publish, struct opening *opening)
{
    enum tbk_status status = tbk_trade_load(call, request->signal_id, &opening->trade);
    if (status != TBK_OK) {
        return status;
    }
    if (opening->trade.result != NULL) {
        return refuse_second(call, &opening->trade);
    }
    if (has_snapshot(&opening->trade) && opening->trade.signal->tier == 0) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "In the database the tier of signal %lld is unknown, which its risk snapshot needs. "
                             "Correct it with UpdateSignal.",
                             (long long)request->signal_id);
    }
    opening->terms = (struct tbk_terms){
        .signal_id = request->signal_id,
        .quantity = request->has_quantity ? request->quantity : 1,
        .open_fees_usd = request->fees_usd,
        .fees_usd = request->fees_usd,
        .mode = request->has_mode ? (int)request->mode : TRADEBOOK__V1__MODE__MODE_DRYRUN,
        .publish = publish,
    };
    status = take_price(call, request, prefix, opening);
    if (status == TBK_OK && opening->trade.snapshot != NULL) {
        status = check_levels(call, opening, request->has_entry_price != 0);
    }
    if (status != TBK_OK) {
        return status;
    }
    opening->entry_time =
        request->entry_time != NULL ? request->entry_time : tbk_timestamp_create(call->now_us, call->arena);
    return opening->entry_time != NULL ? TBK_OK : tbk_trade_no_memory(call);
}

static enum tbk_status insert_result(struct tbk_call *call, struct opening *opening)
{
    const struct tbk_table *table = table_of(call, TBK_SIGNAL_RESULTS);
    Tradebook__V1__SignalResult *result = tbk_arena_alloc(call->arena, sizeof *result);
    if (result == NULL) {
        return tbk_trade_no_memory(call);
    }
    tradebook__v1__signal_result__init(result);
    result->has_signal_id = result->has_entry_price = result->has_outcome = 1;
    result->signal_id = opening->trade.signal->id;
    result->entry_price = opening->entry_price;
    result->entry_timestamp = opening->entry_time;
    result->outcome = TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN;
    if (!tbk_message_apply_defaults(table, &result->base, call->now_us, call->arena)) {
        return tbk_trade_no_memory(call);
    }
    const enum tbk_status status =
        call->context->ops->insert(call->session, table, &result->base, &result->id, call->error);
    result->has_id = 1;
    opening->trade.result = result;
    return status;
}

/* What the trade says of its snapshot; what only the client knows is kept. */
static void fill_snapshot(const struct opening *opening, Tradebook__V1__RiskSnapshot *snapshot)
{
    const Tradebook__V1__Signal *signal = opening->trade.signal;
    snapshot->has_tier = snapshot->has_entry_price = snapshot->has_mode = 1;
    snapshot->pair = signal->symbol;
    snapshot->tier = signal->tier;
    snapshot->entry_time = opening->entry_time;
    snapshot->entry_price = opening->entry_price;
    snapshot->mode = (Tradebook__V1__Mode)opening->terms.mode;
    take_levels(signal, snapshot);
    snapshot->has_result = snapshot->has_exit_price = snapshot->has_time_to_tp_sl_seconds = 0;
    snapshot->exit_time = NULL;
}

static enum tbk_status insert_snapshot(struct tbk_call *call, const struct opening *opening)
{
    const struct tbk_table *table = table_of(call, TBK_RISK_BOOK_SNAPSHOTS);
    Tradebook__V1__RiskSnapshot *snapshot = tbk_arena_alloc(call->arena, sizeof *snapshot);
    if (snapshot == NULL) {
        return tbk_trade_no_memory(call);
    }
    tradebook__v1__risk_snapshot__init(snapshot);
    snapshot->signal_id = tbk_arena_printf(call->arena, "%lld", (long long)opening->trade.signal->id);
    fill_snapshot(opening, snapshot);
    if (snapshot->signal_id == NULL ||
        !tbk_message_apply_defaults(table, &snapshot->base, call->now_us, call->arena)) {
        return tbk_trade_no_memory(call);
    }
    tbk_rules_derive(call->context->schema, table, &snapshot->base, TBK_RULES_ALL_COLUMNS, 0);
    int64_t rowid;
    return call->context->ops->insert(call->session, table, &snapshot->base, &rowid, call->error);
}

static enum tbk_status complete_snapshot(struct tbk_call *call, const struct opening *opening)
{
    static const char *const names[] = {"tier",       "entry_time",  "entry_price", "tp_price",
                                        "sl_price",   "rr_expected", "result",      "exit_time",
                                        "exit_price", "r_realized",  "mode",        "time_to_tp_sl_seconds",
                                        NULL};
    const struct tbk_table *table = table_of(call, TBK_RISK_BOOK_SNAPSHOTS);
    Tradebook__V1__RiskSnapshot *snapshot = opening->trade.snapshot;
    fill_snapshot(opening, snapshot);
    tbk_rules_derive(call->context->schema, table, &snapshot->base, TBK_RULES_ALL_COLUMNS, 0);
    return call->context->ops->update(call->session, table, tbk_table_column_bits(table, names), &snapshot->base,
                                      call->error);
}

static enum tbk_status update_signal(struct tbk_call *call, const struct opening *opening)
{
    static const char *const names[] = {"executed", "execution_time", "execution_price", "result", NULL};
    const struct tbk_table *table = table_of(call, TBK_SIGNALS);
    Tradebook__V1__Signal *signal = opening->trade.signal;
    signal->has_executed = signal->has_execution_price = signal->has_result = 1;
    signal->executed = 1;
    signal->execution_time = opening->entry_time;
    signal->execution_price = opening->entry_price;
    signal->result = TRADEBOOK__V1__RESULT__RESULT_PENDING;
    return call->context->ops->update(call->session, table, tbk_table_column_bits(table, names), &signal->base,
                                      call->error);
}

static enum tbk_status apply(struct tbk_call *call, struct opening *opening)
{
    enum tbk_status status = insert_result(call, opening);
    if (status == TBK_OK) {
        status = call->context->ops->terms_put(call->session, &opening->terms, call->error);
    }
    if (status == TBK_OK && has_snapshot(&opening->trade)) {
        status =
            opening->trade.snapshot == NULL ? insert_snapshot(call, opening) : complete_snapshot(call, opening);
    }
    return status == TBK_OK ? update_signal(call, opening) : status;
}

enum tbk_status tbk_trade_open(struct tbk_call *call, const Tradebook__V1__OpenTradeRequest *request,
                               const char *prefix, bool publish, Tradebook__V1__SignalResult **ret_result)
{
    struct opening opening;
    enum tbk_status status = prepare(call, request, prefix, publish, &opening);
    if (status == TBK_OK) {
        status = apply(call, &opening);
        *ret_result = opening.trade.result;
    }
    return status;
}

enum tbk_status tbk_trades_check_open(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request)
{
    (void)method;
    Tradebook__V1__OpenTradeRequest *open = (Tradebook__V1__OpenTradeRequest *)request;
    tbk_trade_check_id(open->has_signal_id, open->signal_id, "", call->error);
    tbk_trade_check_open(call->context->schema, open, "", call->error);
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_trades_run_open(struct tbk_call *call, const struct tbk_method *method,
                                    ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    Tradebook__V1__SignalResult *result = NULL;
    const enum tbk_status status =
        tbk_trade_open(call, (const Tradebook__V1__OpenTradeRequest *)request, "", true, &result);
    if (status == TBK_OK) {
        *ret_response = &result->base;
    }
    return status;
}
