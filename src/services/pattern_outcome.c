#include "services/pattern_outcome.h"

#include <string.h>

static const struct tbk_table *patterns_of(const struct tbk_call *call)
{
    return &call->context->schema->tables[TBK_PATTERNS];
}

enum tbk_status tbk_pattern_find(struct tbk_call *call, const char *hash, Tradebook__V1__Pattern **ret_pattern)
{
    const struct tbk_table *table = patterns_of(call);
    const struct tbk_value value = {.type = TBK_VALUE_TEXT, .text = {hash, strlen(hash)}};
    ProtobufCMessage *pattern = NULL;
    const enum tbk_status status =
        call->context->ops->get(call->session, table, tbk_table_column(table, "pattern_hash", 12), value,
                                call->arena, &pattern, call->error);
    if (status != TBK_OK) {
        return status;
    }
    const Tradebook__V1__Pattern *found = (const Tradebook__V1__Pattern *)pattern;
    if (found->wins < 0 || found->wins > found->total || found->total == INT64_MAX) {
        return tbk_error_set(
            call->error, TBK_FAILED_PRECONDITION,
            "In the database pattern %s has %lld wins of %lld trades, which cannot be. Correct it "
            "there.",
            hash, (long long)found->wins, (long long)found->total);
    }
    *ret_pattern = (Tradebook__V1__Pattern *)pattern;
    return TBK_OK;
}

enum tbk_status tbk_pattern_count_outcome(struct tbk_call *call, Tradebook__V1__Pattern *pattern, bool won)
{
    const struct tbk_table *table = patterns_of(call);
    const struct tbk_value now = {.type = TBK_VALUE_TIMESTAMP, .timestamp_us = call->now_us};
    pattern->has_wins = pattern->has_total = pattern->has_win_rate = 1;
    pattern->wins += won;
    pattern->total++;
    pattern->win_rate = (double)pattern->wins / (double)pattern->total;
    if (!tbk_column_set(table->updated_at, &pattern->base, now, call->arena)) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED,
                             "The request needs more memory than one request may have.");
    }
    const uint32_t columns =
        tbk_table_column_bits(table, (const char *[]){"wins", "total", "win_rate", "updated_at", NULL});
    return call->context->ops->update(call->session, table, columns, &pattern->base, call->error);
}
