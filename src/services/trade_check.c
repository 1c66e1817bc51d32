/* What the requests of the trade service must satisfy by themselves. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "services/trade.h"

enum limit { ANY, NOT_NEGATIVE, POSITIVE };

static const char *path_of(const char *prefix, const char *field, char out[TBK_VIOLATION_FIELD_BYTES_MAX])
{
    snprintf(out, TBK_VIOLATION_FIELD_BYTES_MAX, "%s%s", prefix, field);
    return out;
}

void tbk_trade_violation(struct tbk_error *error, const char *prefix, const char *field, const char *format, ...)
{
    char path[TBK_VIOLATION_FIELD_BYTES_MAX];
    char text[TBK_VIOLATION_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tbk_error_violation(error, path_of(prefix, field, path), "%s", text);
}

static void check_number(double number, enum limit limit, const char *prefix, const char *field,
                         struct tbk_error *error)
{
    if (!isfinite(number)) {
        tbk_trade_violation(error, prefix, field, "must be a finite number");
    } else if (limit == POSITIVE && !(number > 0)) {
        tbk_trade_violation(error, prefix, field, "must be greater than 0, is %g", number);
    } else if (limit == NOT_NEGATIVE && number < 0) {
        tbk_trade_violation(error, prefix, field, "must not be negative, is %g", number);
    }
}

#define CHECK_NUMBER(request, field, limit)                                                                       \
    do {                                                                                                          \
        if ((request)->has_##field) {                                                                             \
            check_number((request)->field, limit, prefix, #field, error);                                         \
        }                                                                                                         \
    } while (0)

/* Digits beyond microseconds are not stored; cut off here, they are not in the
 * answer either. */
static void check_time(Google__Protobuf__Timestamp *time, const char *prefix, const char *field,
                       struct tbk_error *error)
{
    char path[TBK_VIOLATION_FIELD_BYTES_MAX];
    int64_t us;
    if (time != NULL && tbk_validate_timestamp(time, path_of(prefix, field, path), &us, error)) {
        tbk_timestamp_to_proto(us, &time->seconds, &time->nanos);
    }
}

void tbk_trade_check_id(bool has_id, int64_t id, const char *prefix, struct tbk_error *error)
{
    if (!has_id) {
        tbk_trade_violation(error, prefix, "signal_id", "is required");
    } else if (id <= 0) {
        tbk_trade_violation(error, prefix, "signal_id", "must be greater than 0, is %lld", (long long)id);
    }
}

void tbk_trade_check_open(const struct tbk_schema *schema, Tradebook__V1__OpenTradeRequest *request,
                          const char *prefix, struct tbk_error *error)
{
    const struct tbk_column *mode = tbk_table_column(&schema->tables[TBK_RISK_BOOK_SNAPSHOTS], "mode", 4);
    CHECK_NUMBER(request, entry_price, POSITIVE);
    check_time(request->entry_time, prefix, "entry_time", error);
    CHECK_NUMBER(request, quantity, POSITIVE);
    CHECK_NUMBER(request, fees_usd, NOT_NEGATIVE);
    if (request->has_mode && tbk_column_enum_text(mode, (int)request->mode) == NULL) {
        tbk_trade_violation(error, prefix, "mode",
                            request->mode == 0 ? "must not be UNSPECIFIED" : "%d is not a known value",
                            (int)request->mode);
    }
}

static bool is_repeated(char *const *hashes, size_t position)
{
    for (size_t i = 0; i < position; i++) {
        if (strcmp(hashes[i], hashes[position]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_patterns(const struct tbk_schema *schema, Tradebook__V1__CloseTradeRequest *request,
                           const char *prefix, struct tbk_error *error)
{
    const struct tbk_column *hash = tbk_table_column(&schema->tables[TBK_PATTERNS], "pattern_hash", 12);
    if (request->n_pattern_hashes > TBK_TRADE_PATTERNS_MAX) {
        tbk_trade_violation(error, prefix, "pattern_hashes", "must have at most %d items, has %zu",
                            TBK_TRADE_PATTERNS_MAX, request->n_pattern_hashes);
        return;
    }
    for (size_t i = 0; i < request->n_pattern_hashes; i++) {
        char field[TBK_VIOLATION_FIELD_BYTES_MAX];
        snprintf(field, sizeof field, "%spattern_hashes[%zu]", prefix, i);
        const size_t found = error->violation_count;
        tbk_validate_text(hash, request->pattern_hashes[i], field, error);
        if (error->violation_count == found && is_repeated(request->pattern_hashes, i)) {
            tbk_error_violation(error, field, "is named twice");
        }
    }
}

void tbk_trade_check_close(const struct tbk_schema *schema, Tradebook__V1__CloseTradeRequest *request,
                           const char *prefix, struct tbk_error *error)
{
    const struct tbk_column *reason = tbk_table_column(&schema->tables[TBK_SIGNAL_RESULTS], "exit_reason", 11);
    char path[TBK_VIOLATION_FIELD_BYTES_MAX];
    if (!request->has_exit_price) {
        tbk_trade_violation(error, prefix, "exit_price", "is required");
    }
    CHECK_NUMBER(request, exit_price, POSITIVE);
    check_time(request->exit_time, prefix, "exit_time", error);
    if (request->exit_reason == NULL) {
        tbk_trade_violation(error, prefix, "exit_reason", "is required");
    } else {
        tbk_validate_text(reason, request->exit_reason, path_of(prefix, "exit_reason", path), error);
    }
    CHECK_NUMBER(request, fees_usd, NOT_NEGATIVE);
    CHECK_NUMBER(request, slippage_bps, ANY);
    CHECK_NUMBER(request, spread_bps, NOT_NEGATIVE);
    CHECK_NUMBER(request, latency_ms, NOT_NEGATIVE);
    check_patterns(schema, request, prefix, error);
}
