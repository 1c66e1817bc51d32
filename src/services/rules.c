#include "services/rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"

static void violation(struct tbk_error *error, const char *prefix, const char *name, const char *text)
{
    char path[TBK_VIOLATION_FIELD_BYTES_MAX];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    tbk_error_violation(error, path, "%s", text);
}

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
                           const char *prefix, struct tbk_error *error)
{
    if (snapshot->has_sl_price && snapshot->sl_price == snapshot->entry_price) {
        violation(error, prefix, "sl_price", "must differ from entry_price");
    } else if (snapshot->has_tp_price && snapshot->has_sl_price &&
               (snapshot->tp_price - snapshot->entry_price) * (snapshot->entry_price - snapshot->sl_price) <= 0) {
        violation(error, prefix, "tp_price", "must be on the other side of entry_price than sl_price");
    }
    const struct tbk_value entry = tbk_column_get(tbk_table_column(table, "entry_time", 10), &snapshot->base);
    const struct tbk_value exit = tbk_column_get(tbk_table_column(table, "exit_time", 9), &snapshot->base);
    if (exit.type == TBK_VALUE_TIMESTAMP && entry.type == TBK_VALUE_TIMESTAMP &&
        exit.timestamp_us < entry.timestamp_us) {
        violation(error, prefix, "exit_time", "must not be before entry_time");
    }
}

void tbk_rules_check(const struct tbk_schema *schema, const struct tbk_table *table,
                     const ProtobufCMessage *message, const char *prefix, struct tbk_error *error)
{
    if (table == &schema->tables[TBK_SIGNALS]) {
        check_signal((const Tradebook__V1__Signal *)message, prefix, error);
    } else if (table == &schema->tables[TBK_RISK_BOOK_SNAPSHOTS]) {
        check_snapshot(table, (const Tradebook__V1__RiskSnapshot *)message, prefix, error);
    }
}

/* rr_expected = |tp - entry| / |entry - sl|
 * r_realized  = side * (exit - entry) / |entry - sl|; a stop below the entry is a
 * long's, so side / |entry - sl| = 1 / (entry - sl). */
static void derive_snapshot(Tradebook__V1__RiskSnapshot *snapshot)
{
    const double risk = snapshot->entry_price - snapshot->sl_price;
    const bool has_risk = snapshot->has_sl_price && risk != 0;
    snapshot->has_rr_expected = has_risk && snapshot->has_tp_price;
    snapshot->rr_expected =
        snapshot->has_rr_expected ? fabs(snapshot->tp_price - snapshot->entry_price) / fabs(risk) : 0;
    snapshot->has_r_realized = has_risk && snapshot->has_exit_price;
    snapshot->r_realized = snapshot->has_r_realized ? (snapshot->exit_price - snapshot->entry_price) / risk : 0;
}

uint32_t tbk_rules_derive(const struct tbk_schema *schema, const struct tbk_table *table,
                          ProtobufCMessage *message)
{
    if (table != &schema->tables[TBK_RISK_BOOK_SNAPSHOTS]) {
        return 0;
    }
    derive_snapshot((Tradebook__V1__RiskSnapshot *)message);
    return 1U << tbk_table_column(table, "rr_expected", 11)->position |
           1U << tbk_table_column(table, "r_realized", 10)->position;
}
