/* RecordTrade: a trade that is over, by the rules of opening and closing. */
#include "base/timestamp.h"
#include "services/handlers.h"
#include "services/trade.h"

#define OPEN_PREFIX  "open."
#define CLOSE_PREFIX "close."

/* The signal is named in open; close may name the same one. */
static void check_signal_id(struct tbk_call *call, const Tradebook__V1__OpenTradeRequest *open,
                            Tradebook__V1__CloseTradeRequest *close)
{
    tbk_trade_check_id(open->has_signal_id, open->signal_id, OPEN_PREFIX, call->error);
    if (close->has_signal_id && open->has_signal_id && close->signal_id != open->signal_id) {
        tbk_trade_violation(call->error, CLOSE_PREFIX, "signal_id", "must be left out, or be that of open");
    }
    close->has_signal_id = 1;
    close->signal_id = open->signal_id;
}

static bool read_time(const Google__Protobuf__Timestamp *time, int64_t *ret_us)
{
    return time != NULL && tbk_timestamp_from_proto(time->seconds, time->nanos, ret_us);
}

static void check_times(struct tbk_call *call, Tradebook__V1__OpenTradeRequest *open,
                        Tradebook__V1__CloseTradeRequest *close)
{
    int64_t entry_us;
    int64_t exit_us;
    if (open->entry_time == NULL) {
        tbk_trade_violation(call->error, OPEN_PREFIX, "entry_time", "is required");
    }
    if (close->exit_time == NULL) {
        tbk_trade_violation(call->error, CLOSE_PREFIX, "exit_time", "is required");
    }
    if (read_time(open->entry_time, &entry_us) && read_time(close->exit_time, &exit_us) && exit_us < entry_us) {
        tbk_trade_violation(call->error, CLOSE_PREFIX, "exit_time", "must not be before open.entry_time");
    }
}

enum tbk_status tbk_trades_check_record(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__RecordTradeRequest *record = (const Tradebook__V1__RecordTradeRequest *)request;
    const struct tbk_schema *schema = call->context->schema;
    if (record->open == NULL) {
        tbk_error_violation(call->error, "open", "is required");
    } else {
        tbk_trade_check_open(schema, record->open, OPEN_PREFIX, call->error);
    }
    if (record->close == NULL) {
        tbk_error_violation(call->error, "close", "is required");
    } else {
        tbk_trade_check_close(schema, record->close, CLOSE_PREFIX, call->error);
    }
    if (record->open != NULL && record->close != NULL) {
        check_signal_id(call, record->open, record->close);
        check_times(call, record->open, record->close);
    }
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_trades_run_record(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__RecordTradeRequest *record = (const Tradebook__V1__RecordTradeRequest *)request;
    const bool publish = !record->has_publish || record->publish;
    Tradebook__V1__SignalResult *opened;
    struct tbk_closing closing;
    enum tbk_status status = tbk_trade_open(call, record->open, OPEN_PREFIX, publish, &opened);
    if (status == TBK_OK) {
        status = tbk_trade_close_prepare(call, record->close, CLOSE_PREFIX, &closing);
    }
    if (status == TBK_OK) {
        status = tbk_trade_close_apply(call, &closing);
    }
    if (status == TBK_OK) {
        *ret_response = &closing.trade.result->base;
    }
    return status;
}
