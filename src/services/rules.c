#include "services/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/trade_result.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"

static void violation(struct tbk_error *error, const char *prefix, const char *name, const char *text)
{
    char path[TBK_VIOLATION_FIELD_BYTES_MAX];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    tbk_error_violation(error, path, "%s", text);
}

static bool has_any(const struct tbk_table *table, uint32_t columns, const char *const *names)
{
    return (columns & tbk_table_column_bits(table, names)) != 0;
}

static const char *const levels[] = {"direction", "entry_price", "tp_price", "sl_price", NULL};
static const char *const risk[] = {"entry_price", "sl_price", NULL};
static const char *const risk_and_target[] = {"entry_price", "sl_price", "tp_price", NULL};
static const char *const risk_and_exit[] = {"entry_price", "sl_price", "exit_price", NULL};
static const char *const times[] = {"entry_time", "exit_time", NULL};

static void check_signal(const Tradebook__V1__Signal *signal, const char *prefix, struct tbk_error *error)
{
    double side;
    if (signal->direction == TRADEBOOK__V1__DIRECTION__DIRECTION_LONG) {
        side = 1;
    } else if (signal->direction == TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT) {
        side = -1;
    } else {
        return;
    }
    const bool is_long = side > 0;
    if (signal->has_entry_price && signal->has_tp_price && side * (signal->tp_price - signal->entry_price) <= 0) {
        violation(error, prefix, "tp_price",
                  is_long ? "must be above entry_price for a long" : "must be below entry_price for a short");
    }
    if (signal->has_entry_price && signal->has_sl_price && side * (signal->entry_price - signal->sl_price) <= 0) {
        violation(error, prefix, "sl_price",
                  is_long ? "must be below entry_price for a long" : "must be above entry_price for a short");
    }
    if (!signal->has_entry_price && signal->has_tp_price && signal->has_sl_price &&
        side * (signal->tp_price - signal->sl_price) <= 0) {
        violation(error, prefix, "tp_price",
                  is_long ? "must be above sl_price for a long" : "must be below sl_price for a short");
    }
}

static void check_snapshot(const struct tbk_table *table, const Tradebook__V1__RiskSnapshot *snapshot,
                           uint32_t columns, const char *prefix, struct tbk_error *error)
{
    if (has_any(table, columns, risk) && snapshot->has_sl_price && snapshot->sl_price == snapshot->entry_price) {
        violation(error, prefix, "sl_price", "must differ from entry_price");
    } else if (has_any(table, columns, risk_and_target) && snapshot->has_tp_price && snapshot->has_sl_price &&
               (snapshot->tp_price - snapshot->entry_price) * (snapshot->entry_price - snapshot->sl_price) <= 0) {
        violation(error, prefix, "tp_price", "must be on the other side of entry_price than sl_price");
    }
    if (!has_any(table, columns, times)) {
        return;
    }
    const struct tbk_value entry = tbk_column_get(tbk_table_column(table, "entry_time", 10), &snapshot->base);
    const struct tbk_value exit = tbk_column_get(tbk_table_column(table, "exit_time", 9), &snapshot->base);
    if (exit.type == TBK_VALUE_TIMESTAMP && entry.type == TBK_VALUE_TIMESTAMP &&
        exit.timestamp_us < entry.timestamp_us) {
        violation(error, prefix, "exit_time", "must not be before entry_time");
    }
}

void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, uint32_t columns, const char *prefix,
                     struct tbk_error *error)
{
    if (table == &schema->tables[TBK_SIGNALS] && has_any(table, columns, levels)) {
        check_signal((const Tradebook__V1__Signal *)message, prefix, error);
    } else if (table == &schema->tables[TBK_RISK_BOOK_SNAPSHOTS]) {
        check_snapshot(table, (const Tradebook__V1__RiskSnapshot *)message, columns, prefix, error);
    }
}

/* |tp - entry| / |entry - sl| */
static void derive_expected(Tradebook__V1__RiskSnapshot *snapshot)
{
    const double distance = fabs(snapshot->entry_price - snapshot->sl_price);
    snapshot->has_rr_expected = snapshot->has_sl_price && distance != 0 && snapshot->has_tp_price;
    snapshot->rr_expected =
        snapshot->has_rr_expected ? fabs(snapshot->tp_price - snapshot->entry_price) / distance : 0;
}

/* side * (exit - entry) / |entry - sl| */
static void derive_realized(Tradebook__V1__RiskSnapshot *snapshot, int side)
{
    const double distance = snapshot->entry_price - snapshot->sl_price;
    const double sign = side != 0 ? side : copysign(1, distance);
    snapshot->has_r_realized = snapshot->has_sl_price && distance != 0 && snapshot->has_exit_price;
    snapshot->r_realized =
        snapshot->has_r_realized ? sign * (snapshot->exit_price - snapshot->entry_price) / fabs(distance) : 0;
}

uint32_t tbk_rules_derive(const struct tbk_schema *schema, const struct tbk_table *table,
                          ProtobufCMessage *message, uint32_t columns, int side)
{
    static const char *const expected[] = {"rr_expected", NULL};
    static const char *const realized[] = {"r_realized", NULL};
    uint32_t written = 0;
    if (table != &schema->tables[TBK_RISK_BOOK_SNAPSHOTS]) {
        return written;
    }
    if (has_any(table, columns, risk_and_target)) {
        derive_expected((Tradebook__V1__RiskSnapshot *)message);
        written |= tbk_table_column_bits(table, expected);
    }
    if (has_any(table, columns, risk_and_exit)) {
        derive_realized((Tradebook__V1__RiskSnapshot *)message, side);
        written |= tbk_table_column_bits(table, realized);
    }
    return written;
}

/* The id that a key is; 0: it is none. */
static int64_t id_of(const char *key)
{
    char written[24];
    const long long id = strtoll(key, NULL, 10);
    snprintf(written, sizeof written, "%lld", id);
    return id > 0 && strcmp(written, key) == 0 ? id : 0;
}

enum tbk_status tbk_rules_find_side(struct tbk_call *call, const struct tbk_table *table,
                                    const ProtobufCMessage *message, int *ret_side)
{
    const struct tbk_schema *schema = call->context->schema;
    const struct tbk_table *signals = &schema->tables[TBK_SIGNALS];
    const Tradebook__V1__RiskSnapshot *snapshot = (const Tradebook__V1__RiskSnapshot *)message;
    const bool is_snapshot = table == &schema->tables[TBK_RISK_BOOK_SNAPSHOTS];
    const struct tbk_value id = {.type = TBK_VALUE_INTEGER,
                                 .integer = is_snapshot ? id_of(snapshot->signal_id) : 0};
    *ret_side = 0;
    if (id.integer == 0) {
        return TBK_OK;
    }
    ProtobufCMessage *row = NULL;
    const enum tbk_status status =
        call->context->ops->get(call->session, signals, signals->key, id, call->arena, &row, call->error);
    if (status == TBK_NOT_FOUND) {
        tbk_error_init(call->error);
        return TBK_OK;
    }
    const Tradebook__V1__Signal *signal = (const Tradebook__V1__Signal *)row;
    if (status == TBK_OK && signal->symbol != NULL && snapshot->pair != NULL &&
        strcmp(signal->symbol, snapshot->pair) == 0) {
        *ret_side = tbk_trade_side(signal->direction);
    }
    return status;
}
