#include "services/rules.h"

#include <math.h>
#include <stdio.h>

#include "services/levels.h"
#include "services/trade_result.h"
#include "tradebook/v1/risk.pb-c.h"

static bool has_any(const struct tbk_table *table, uint32_t columns, const char *const *names)
{
    return (columns & tbk_table_column_bits(table, names)) != 0;
}

static const char *const levels[] = {"direction", "entry_price", "tp_price", "sl_price", NULL};
static const char *const target[] = {"entry_price", "tp_price", NULL};
static const char *const risk[] = {"entry_price", "sl_price", NULL};
static const char *const risk_and_target[] = {"entry_price", "sl_price", "tp_price", NULL};
static const char *const risk_and_exit[] = {"entry_price", "sl_price", "exit_price", NULL};
static const char *const times[] = {"entry_time", "exit_time", NULL};

static void report(const char *prefix, const char *name, const char *fault, struct tbk_error *error)
{
    if (fault != NULL) {
        char path[TBK_VIOLATION_FIELD_BYTES_MAX];
        snprintf(path, sizeof path, "%s%s", prefix, name);
        tbk_error_violation(error, path, "%s", fault);
    }
}

static void check_levels(const struct tbk_levels *all, const char *prefix, struct tbk_error *error)
{
    report(prefix, "tp_price", tbk_levels_tp_fault(all), error);
    report(prefix, "sl_price", tbk_levels_sl_fault(all), error);
}

static void check_signal(const Tradebook__V1__Signal *signal, const char *prefix, struct tbk_error *error)
{
    const struct tbk_levels all = TBK_LEVELS_OF(signal, tbk_trade_side(signal->direction));
    if (all.side != 0) {
        check_levels(&all, prefix, error);
    }
}

/* The side is not known: the levels must fit either. */
static void check_sideless(const struct tbk_table *table, const Tradebook__V1__RiskSnapshot *snapshot,
                           uint32_t columns, const char *prefix, struct tbk_error *error)
{
    if (has_any(table, columns, risk) && snapshot->has_sl_price && snapshot->sl_price == snapshot->entry_price) {
        report(prefix, "sl_price", "must differ from entry_price", error);
    } else if (has_any(table, columns, risk_and_target) && snapshot->has_tp_price && snapshot->has_sl_price &&
               (snapshot->tp_price - snapshot->entry_price) * (snapshot->entry_price - snapshot->sl_price) <= 0) {
        report(prefix, "tp_price", "must be on the other side of entry_price than sl_price", error);
    }
}

/* Once there is a trade its stop may follow the price beyond the entry. */
static void check_trailing(const struct tbk_table *table, const Tradebook__V1__RiskSnapshot *snapshot,
                           uint32_t columns, int side, const char *prefix, struct tbk_error *error)
{
    struct tbk_levels all = TBK_LEVELS_OF(snapshot, side);
    const char *fault = has_any(table, columns, target) ? tbk_levels_tp_fault(&all) : NULL;
    all.has_entry_price = false;
    if (fault == NULL && has_any(table, columns, risk_and_target)) {
        fault = tbk_levels_tp_fault(&all);
    }
    report(prefix, "tp_price", fault, error);
    if (has_any(table, columns, risk) && snapshot->has_sl_price && snapshot->sl_price == snapshot->entry_price) {
        report(prefix, "sl_price", "must differ from entry_price", error);
    }
}

static void check_times(const struct tbk_table *table, const Tradebook__V1__RiskSnapshot *snapshot,
                        const char *prefix, struct tbk_error *error)
{
    const struct tbk_value entry = tbk_column_get(tbk_table_column(table, "entry_time", 10), &snapshot->base);
    const struct tbk_value exit = tbk_column_get(tbk_table_column(table, "exit_time", 9), &snapshot->base);
    if (exit.type == TBK_VALUE_TIMESTAMP && entry.type == TBK_VALUE_TIMESTAMP &&
        exit.timestamp_us < entry.timestamp_us) {
        report(prefix, "exit_time", "must not be before entry_time", error);
    }
}

static void check_snapshot(const struct tbk_table *table, const Tradebook__V1__RiskSnapshot *snapshot,
                           uint32_t columns, const struct tbk_owner *owner, const char *prefix,
                           struct tbk_error *error)
{
    if (owner->side == 0) {
        check_sideless(table, snapshot, columns, prefix, error);
    } else if (owner->trade != NULL) {
        check_trailing(table, snapshot, columns, owner->side, prefix, error);
    } else if (has_any(table, columns, risk_and_target)) {
        const struct tbk_levels all = TBK_LEVELS_OF(snapshot, owner->side);
        check_levels(&all, prefix, error);
    }
    if (has_any(table, columns, times)) {
        check_times(table, snapshot, prefix, error);
    }
}

void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, uint32_t columns, const struct tbk_owner *owner,
                     const char *prefix, struct tbk_error *error)
{
    if (table == &schema->tables[TBK_SIGNALS] && has_any(table, columns, levels)) {
        check_signal((const Tradebook__V1__Signal *)message, prefix, error);
    } else if (table == &schema->tables[TBK_RISK_BOOK_SNAPSHOTS]) {
        check_snapshot(table, (const Tradebook__V1__RiskSnapshot *)message, columns, owner, prefix, error);
    }
}

/* Absent unless it is a finite number. The sum turns -0.0 into the 0.0 that is stored. */
static void set_ratio(double ratio, protobuf_c_boolean *ret_has, double *ret_ratio)
{
    *ret_has = isfinite(ratio);
    *ret_ratio = *ret_has ? ratio + 0.0 : 0;
}

/* |tp - entry| / |entry - sl| */
static void derive_expected(Tradebook__V1__RiskSnapshot *snapshot)
{
    const bool known = snapshot->has_sl_price && snapshot->has_tp_price;
    const double reward = fabs(snapshot->tp_price - snapshot->entry_price);
    const double distance = fabs(snapshot->entry_price - snapshot->sl_price);
    set_ratio(known ? reward / distance : NAN, &snapshot->has_rr_expected, &snapshot->rr_expected);
}

/* side * (exit - entry) / |entry - sl| */
static void derive_realized(Tradebook__V1__RiskSnapshot *snapshot, int side)
{
    const bool known = snapshot->has_sl_price && snapshot->has_exit_price;
    const double distance = snapshot->entry_price - snapshot->sl_price;
    const double sign = side != 0 ? side : copysign(1, distance);
    const double move = sign * (snapshot->exit_price - snapshot->entry_price);
    set_ratio(known ? move / fabs(distance) : NAN, &snapshot->has_r_realized, &snapshot->r_realized);
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
