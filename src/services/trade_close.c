/* CloseTrade. */
#include <math.h>

#include "base/timestamp.h"
#include "schema/timestamp_message.h"
#include "services/handlers.h"
#include "services/pattern_outcome.h"
#include "services/rules.h"
#include "services/trade.h"

static const struct tbk_table *table_of(const struct tbk_call *call, enum tbk_table_id id)
{
    return &call->context->schema->tables[id];
}

static enum tbk_status check_open(struct tbk_call *call, const struct tbk_trade *trade)
{
    const Tradebook__V1__SignalResult *result = trade->result;
    const long long signal_id = (long long)trade->signal->id;
    if (result == NULL) {
        return tbk_error_set(
            call->error, TBK_FAILED_PRECONDITION,
            "Signal %lld was not opened. Call OpenTrade first, or RecordTrade for a trade that is "
            "over.",
            signal_id);
    }
    if (result->outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_OPEN) {
        return TBK_OK;
    }
    call->error->detail = &result->base;
    const struct tbk_column *column = tbk_table_column(table_of(call, TBK_SIGNAL_RESULTS), "outcome", 7);
    const char *outcome = tbk_column_enum_text(column, (int)result->outcome);
    if (outcome == NULL) {
        return tbk_error_set(
            call->error, TBK_FAILED_PRECONDITION,
            "In the database the outcome of the trade of signal %lld is unknown. Correct it there.", signal_id);
    }
    return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                         "The trade of signal %lld is closed already (%s). Its result is in the details.",
                         signal_id, outcome);
}

/* Trades that another program opened have no terms: one unit, no fees. */
static enum tbk_status read_terms(struct tbk_call *call, struct tbk_closing *closing)
{
    const struct tbk_trade *trade = &closing->trade;
    enum tbk_status status =
        call->context->ops->terms_get(call->session, trade->signal->id, &closing->terms, call->error);
    if (status == TBK_NOT_FOUND) {
        closing->terms = (struct tbk_terms){
            .signal_id = trade->signal->id,
            .quantity = 1,
            .mode = trade->snapshot != NULL ? (int)trade->snapshot->mode : 0,
            .publish = true,
        };
        status = TBK_OK;
    }
    closing->terms.fees_usd = closing->terms.open_fees_usd + closing->request->fees_usd;
    closing->terms.has_breakeven_band = true;
    closing->terms.breakeven_band_percent = call->context->breakeven_band_percent;
    return status;
}

static enum tbk_status compute(struct tbk_call *call, struct tbk_closing *closing)
{
    const struct tbk_trade *trade = &closing->trade;
    const Tradebook__V1__SignalResult *result = trade->result;
    const Google__Protobuf__Timestamp *entry_time = result->entry_timestamp;
    struct tbk_closed_trade closed = {
        .side = trade->side,
        .entry_price = result->entry_price,
        .exit_price = closing->request->exit_price,
        .quantity = closing->terms.quantity,
        .fees_usd = closing->terms.fees_usd,
        .band_percent = closing->terms.breakeven_band_percent,
        .has_sl_price = trade->snapshot != NULL && trade->snapshot->has_sl_price,
        .sl_price = trade->snapshot != NULL ? trade->snapshot->sl_price : 0,
    };
    if (!(closed.entry_price > 0 && isfinite(closed.entry_price)) || entry_time == NULL ||
        !tbk_timestamp_from_proto(entry_time->seconds, entry_time->nanos, &closed.entry_us)) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "In the database the entry price or time of the trade of signal %lld is missing or "
                             "wrong. Correct it there.",
                             (long long)trade->signal->id);
    }
    tbk_timestamp_from_proto(closing->exit_time->seconds, closing->exit_time->nanos, &closed.exit_us);
    if (closed.exit_us < closed.entry_us) {
        char entry[TBK_TIMESTAMP_CHARS + 1];
        tbk_timestamp_format(closed.entry_us, entry);
        tbk_trade_violation(call->error, closing->prefix, "exit_time",
                            "must not be before the entry, which was at %s", entry);
    } else if (!tbk_trade_result_compute(&closed, &closing->computed)) {
        tbk_trade_violation(call->error, closing->prefix, "exit_price",
                            "gives no finite profit with an entry of %g and a quantity of %g", closed.entry_price,
                            closed.quantity);
    }
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_trade_close_prepare(struct tbk_call *call, const Tradebook__V1__CloseTradeRequest *request,
                                        const char *prefix, struct tbk_closing *closing)
{
    closing->request = request;
    closing->prefix = prefix;
    closing->exit_time =
        request->exit_time != NULL ? request->exit_time : tbk_timestamp_create(call->now_us, call->arena);
    if (closing->exit_time == NULL) {
        return tbk_trade_no_memory(call);
    }
    enum tbk_status status = tbk_trade_load(call, request->signal_id, &closing->trade);
    if (status == TBK_OK) {
        status = check_open(call, &closing->trade);
    }
    if (status == TBK_OK) {
        status = read_terms(call, closing);
    }
    if (status == TBK_OK) {
        status = compute(call, closing);
    }
    for (size_t i = 0; status == TBK_OK && i < request->n_pattern_hashes; i++) {
        status = tbk_pattern_find(call, request->pattern_hashes[i], &closing->patterns[i]);
    }
    return status;
}

static bool is_win(const struct tbk_closing *closing)
{
    return closing->computed.outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_WIN;
}

#define TAKE_IF_GIVEN(to, from, field)                                                                            \
    do {                                                                                                          \
        if ((from)->has_##field) {                                                                                \
            (to)->has_##field = 1;                                                                                \
            (to)->field = (from)->field;                                                                          \
        }                                                                                                         \
    } while (0)

/* The entry of a snapshot that was written after the opening, or changed by another
 * program, is that of the trade; returns the columns that this changes. The exit is
 * there already. */
static uint32_t correct_entry(struct tbk_call *call, const struct tbk_closing *closing)
{
    static const char *const names[] = {"entry_time", "entry_price", NULL};
    const struct tbk_table *table = table_of(call, TBK_RISK_BOOK_SNAPSHOTS);
    const Tradebook__V1__SignalResult *result = closing->trade.result;
    Tradebook__V1__RiskSnapshot *snapshot = closing->trade.snapshot;
    const Google__Protobuf__Timestamp *entry_time = snapshot->entry_time;
    if (entry_time != NULL && entry_time->seconds == result->entry_timestamp->seconds &&
        entry_time->nanos == result->entry_timestamp->nanos && snapshot->entry_price == result->entry_price) {
        return 0;
    }
    const uint32_t columns = tbk_table_column_bits(table, names);
    snapshot->entry_time = result->entry_timestamp;
    snapshot->has_entry_price = 1;
    snapshot->entry_price = result->entry_price;
    return columns | tbk_rules_derive(call->context->schema, table, &snapshot->base, columns, closing->trade.side);
}

static enum tbk_status update_snapshot(struct tbk_call *call, const struct tbk_closing *closing)
{
    static const char *const names[] = {
        "result",       "exit_time",  "exit_price", "r_realized", "time_to_tp_sl_seconds",
        "slippage_bps", "spread_bps", "latency_ms", NULL};
    const struct tbk_table *table = table_of(call, TBK_RISK_BOOK_SNAPSHOTS);
    const Tradebook__V1__CloseTradeRequest *request = closing->request;
    Tradebook__V1__RiskSnapshot *snapshot = closing->trade.snapshot;
    snapshot->result = tbk_trade_outcome_result(closing->computed.outcome);
    snapshot->has_result = snapshot->result != 0;
    snapshot->exit_time = closing->exit_time;
    snapshot->has_exit_price = 1;
    snapshot->exit_price = request->exit_price;
    snapshot->has_r_realized = closing->computed.has_r_realized;
    snapshot->r_realized = closing->computed.r_realized;
    snapshot->has_time_to_tp_sl_seconds = tbk_trade_reached_limit(request->exit_reason);
    snapshot->time_to_tp_sl_seconds = closing->computed.hold_duration_seconds;
    TAKE_IF_GIVEN(snapshot, request, slippage_bps);
    TAKE_IF_GIVEN(snapshot, request, spread_bps);
    TAKE_IF_GIVEN(snapshot, request, latency_ms);
    const uint32_t columns = tbk_table_column_bits(table, names) | correct_entry(call, closing);
    return call->context->ops->update(call->session, table, columns, &snapshot->base, call->error);
}

static enum tbk_status update_result(struct tbk_call *call, const struct tbk_closing *closing)
{
    static const char *const names[] = {"exit_price", "exit_timestamp", "exit_reason",           "pnl_percent",
                                        "pnl_usd",    "outcome",        "hold_duration_minutes", "updated_at",
                                        NULL};
    const struct tbk_table *table = table_of(call, TBK_SIGNAL_RESULTS);
    Tradebook__V1__SignalResult *result = closing->trade.result;
    result->has_exit_price = result->has_pnl_percent = result->has_pnl_usd = 1;
    result->has_outcome = result->has_hold_duration_minutes = 1;
    result->exit_price = closing->request->exit_price;
    result->exit_timestamp = closing->exit_time;
    result->exit_reason = closing->request->exit_reason;
    result->pnl_percent = closing->computed.pnl_percent;
    result->pnl_usd = closing->computed.pnl_usd;
    result->outcome = closing->computed.outcome;
    result->hold_duration_minutes = closing->computed.hold_duration_minutes;
    result->updated_at = tbk_timestamp_create(call->now_us, call->arena);
    if (result->updated_at == NULL) {
        return tbk_trade_no_memory(call);
    }
    return call->context->ops->update(call->session, table, tbk_table_column_bits(table, names), &result->base,
                                      call->error);
}

static enum tbk_status update_signal(struct tbk_call *call, const struct tbk_closing *closing)
{
    static const char *const names[] = {"result", "exit_time", "exit_price", "pnl", NULL};
    const struct tbk_table *table = table_of(call, TBK_SIGNALS);
    Tradebook__V1__Signal *signal = closing->trade.signal;
    signal->result = tbk_trade_outcome_result(closing->computed.outcome);
    signal->has_result = signal->result != 0;
    signal->exit_time = closing->exit_time;
    signal->has_exit_price = signal->has_pnl = 1;
    signal->exit_price = closing->request->exit_price;
    signal->pnl = closing->computed.pnl_usd;
    return call->context->ops->update(call->session, table, tbk_table_column_bits(table, names), &signal->base,
                                      call->error);
}

static enum tbk_status judge(struct tbk_call *call, const struct tbk_closing *closing)
{
    const Tradebook__V1__CloseTradeRequest *request = closing->request;
    enum tbk_status status = TBK_OK;
    if (tbk_trade_outcome_result(closing->computed.outcome) != 0 &&
        (!request->has_grade_theories || request->grade_theories)) {
        int64_t graded;
        status = call->context->ops->theories_grade(call->session, closing->trade.signal->id, is_win(closing),
                                                    &graded, call->error);
    }
    for (size_t i = 0; status == TBK_OK && i < request->n_pattern_hashes; i++) {
        status = tbk_pattern_count_outcome(call, closing->patterns[i], is_win(closing));
    }
    return status;
}

/* The result comes after what its event copies: the terms and the snapshot. */
enum tbk_status tbk_trade_close_apply(struct tbk_call *call, const struct tbk_closing *closing)
{
    enum tbk_status status = call->context->ops->terms_put(call->session, &closing->terms, call->error);
    if (status == TBK_OK && closing->trade.snapshot != NULL) {
        status = update_snapshot(call, closing);
    }
    if (status == TBK_OK) {
        status = update_result(call, closing);
    }
    if (status == TBK_OK) {
        status = update_signal(call, closing);
    }
    return status == TBK_OK ? judge(call, closing) : status;
}

enum tbk_status tbk_trades_check_close(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *request)
{
    (void)method;
    Tradebook__V1__CloseTradeRequest *close = (Tradebook__V1__CloseTradeRequest *)request;
    tbk_trade_check_id(close->has_signal_id, close->signal_id, "", call->error);
    tbk_trade_check_close(call->context->schema, close, "", call->error);
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_trades_run_close(struct tbk_call *call, const struct tbk_method *method,
                                     ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    struct tbk_closing closing;
    enum tbk_status status =
        tbk_trade_close_prepare(call, (const Tradebook__V1__CloseTradeRequest *)request, "", &closing);
    if (status == TBK_OK) {
        status = tbk_trade_close_apply(call, &closing);
    }
    if (status == TBK_OK) {
        *ret_response = &closing.trade.result->base;
    }
    return status;
}
