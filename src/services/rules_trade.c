/* What signals and risk snapshots must satisfy together with the trade that they
 * belong to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/find.h"
#include "services/rules.h"
#include "services/trade_result.h"
#include "tradebook/v1/risk.pb-c.h"

enum { US_PER_SECOND = 1000000 };

/* What only the lifecycle of a trade writes. */
static const char *const of_trade[] = {"result", "exit_price", "exit_time", NULL};

/* The id that a key is; 0: it is none. */
static int64_t id_of(const char *key)
{
    char written[24];
    const long long id = strtoll(key, NULL, 10);
    snprintf(written, sizeof written, "%lld", id);
    return id > 0 && strcmp(written, key) == 0 ? id : 0;
}

static bool is_of_pair(const Tradebook__V1__RiskSnapshot *snapshot, const Tradebook__V1__Signal *signal)
{
    return signal->symbol != NULL && snapshot->pair != NULL && strcmp(signal->symbol, snapshot->pair) == 0;
}

static enum tbk_status find_signal(struct tbk_call *call, const Tradebook__V1__RiskSnapshot *snapshot,
                                   struct tbk_owner *owner)
{
    const struct tbk_value id = {.type = TBK_VALUE_INTEGER, .integer = id_of(snapshot->signal_id)};
    ProtobufCMessage *row = NULL;
    const enum tbk_status status = id.integer != 0 ? tbk_find(call, TBK_SIGNALS, "id", id, &row) : TBK_OK;
    const Tradebook__V1__Signal *signal = (const Tradebook__V1__Signal *)row;
    owner->signal = signal;
    owner->side = signal != NULL && is_of_pair(snapshot, signal) ? tbk_trade_side(signal->direction) : 0;
    return status;
}

static enum tbk_status find_trade(struct tbk_call *call, struct tbk_owner *owner)
{
    const struct tbk_value id = {.type = TBK_VALUE_INTEGER, .integer = owner->signal->id};
    ProtobufCMessage *row = NULL;
    const enum tbk_status status = tbk_find(call, TBK_SIGNAL_RESULTS, "signal_id", id, &row);
    owner->trade = (const Tradebook__V1__SignalResult *)row;
    return status;
}

static bool is_snapshot(const struct tbk_call *call, const struct tbk_table *table)
{
    return table == &call->context->schema->tables[TBK_RISK_BOOK_SNAPSHOTS];
}

enum tbk_status tbk_rules_find_owner(struct tbk_call *call, const struct tbk_table *table,
                                     const ProtobufCMessage *stored, uint32_t columns, struct tbk_owner *ret_owner)
{
    struct tbk_owner owner = {.signal = NULL};
    enum tbk_status status = TBK_OK;
    if (is_snapshot(call, table)) {
        const Tradebook__V1__RiskSnapshot *snapshot = (const Tradebook__V1__RiskSnapshot *)stored;
        status = find_signal(call, snapshot, &owner);
        if (owner.signal != NULL && !is_of_pair(snapshot, owner.signal)) {
            owner.signal = NULL;
        }
    } else if (table == &call->context->schema->tables[TBK_SIGNALS] &&
               (columns & tbk_table_column_bits(table, of_trade)) != 0) {
        owner.signal = (const Tradebook__V1__Signal *)stored;
    }
    if (status == TBK_OK && owner.signal != NULL) {
        status = find_trade(call, &owner);
    }
    *ret_owner = owner;
    return status;
}

/* What the trade says of its exit; nothing while it is open. */
static void take_exit(const Tradebook__V1__SignalResult *trade, Tradebook__V1__RiskSnapshot *snapshot)
{
    snapshot->result = tbk_trade_outcome_result(trade->outcome);
    snapshot->has_result = snapshot->result != 0;
    snapshot->exit_time = trade->exit_timestamp;
    snapshot->has_exit_price = trade->has_exit_price;
    snapshot->exit_price = trade->exit_price;
}

/* What the trade says of all that OpenTrade and CloseTrade would have written. */
static void take_trade(const struct tbk_table *table, const Tradebook__V1__SignalResult *trade,
                       Tradebook__V1__RiskSnapshot *snapshot)
{
    if (trade->entry_timestamp != NULL) {
        snapshot->entry_time = trade->entry_timestamp;
    }
    take_exit(trade, snapshot);
    const struct tbk_value entry = tbk_column_get(tbk_table_column(table, "entry_time", 10), &snapshot->base);
    const struct tbk_value exit = tbk_column_get(tbk_table_column(table, "exit_time", 9), &snapshot->base);
    if (trade->exit_reason != NULL && tbk_trade_reached_limit(trade->exit_reason) &&
        entry.type == TBK_VALUE_TIMESTAMP && exit.type == TBK_VALUE_TIMESTAMP &&
        exit.timestamp_us >= entry.timestamp_us) {
        snapshot->has_time_to_tp_sl_seconds = 1;
        snapshot->time_to_tp_sl_seconds = (exit.timestamp_us - entry.timestamp_us) / US_PER_SECOND;
    }
}

static enum tbk_status check_agreement(struct tbk_call *call, const Tradebook__V1__RiskSnapshot *snapshot,
                                       const struct tbk_owner *owner)
{
    if (!is_of_pair(snapshot, owner->signal)) {
        return tbk_error_set(
            call->error, TBK_FAILED_PRECONDITION,
            "Signal %s is traded and is of %.20s, not of %.20s. A snapshot that does not belong to its "
            "trade needs another key.",
            snapshot->signal_id, owner->signal->symbol != NULL ? owner->signal->symbol : "no pair",
            snapshot->pair);
    }
    if (snapshot->entry_price != owner->trade->entry_price) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The trade of signal %s was opened at %.17g, not at %.17g. Its snapshot needs that "
                             "entry_price.",
                             snapshot->signal_id, owner->trade->entry_price, snapshot->entry_price);
    }
    return TBK_OK;
}

enum tbk_status tbk_rules_fit_new(struct tbk_call *call, const struct tbk_table *table, ProtobufCMessage *message,
                                  const char *prefix, int *ret_side)
{
    Tradebook__V1__RiskSnapshot *snapshot = (Tradebook__V1__RiskSnapshot *)message;
    struct tbk_owner owner = {.signal = NULL};
    enum tbk_status status = is_snapshot(call, table) ? find_signal(call, snapshot, &owner) : TBK_OK;
    if (status == TBK_OK && owner.signal != NULL) {
        status = find_trade(call, &owner);
    }
    if (status == TBK_OK && owner.trade != NULL) {
        status = check_agreement(call, snapshot, &owner);
    }
    if (status == TBK_OK && owner.side != 0) {
        const struct tbk_owner as_opened = {.signal = owner.signal, .side = owner.side};
        tbk_rules_check(call->context->schema, table, message, TBK_RULES_ALL_COLUMNS, &as_opened, prefix,
                        call->error);
        status = tbk_error_finish(call->error);
    }
    if (status == TBK_OK && owner.trade != NULL) {
        take_trade(table, owner.trade, snapshot);
    }
    *ret_side = owner.side;
    return status;
}

/* Whether a snapshot of this trade would have this value. */
static bool is_said(const Tradebook__V1__SignalResult *trade, const struct tbk_column *column,
                    struct tbk_value value)
{
    Tradebook__V1__RiskSnapshot snapshot;
    tradebook__v1__risk_snapshot__init(&snapshot);
    take_exit(trade, &snapshot);
    return tbk_value_same(value, tbk_column_get(column, &snapshot.base));
}

enum tbk_status tbk_rules_check_change(struct tbk_call *call, const struct tbk_table *table,
                                       const ProtobufCMessage *changes, uint32_t changed,
                                       const struct tbk_owner *owner)
{
    const uint32_t guarded = owner->trade != NULL ? changed & tbk_table_column_bits(table, of_trade) : 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct tbk_column *column = &table->columns[i];
        if ((guarded & 1U << i) != 0 &&
            !(is_snapshot(call, table) && is_said(owner->trade, column, tbk_column_get(column, changes)))) {
            return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                                 "Signal %lld is traded: %s of its %s is what the trade says, which OpenTrade and "
                                 "CloseTrade write.",
                                 (long long)owner->signal->id, column->name, table->resource);
        }
    }
    return TBK_OK;
}
