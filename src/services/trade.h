/*
 * What opening, closing and recording a trade share. Inside src/services only.
 *
 * Opening and closing are two steps each: prepare reads, checks everything that
 * can be refused, and writes nothing; apply writes, and fails only when the
 * database does. Hence a batch refuses one item without having to undo it.
 */
#ifndef TBK_SERVICES_TRADE_H
#define TBK_SERVICES_TRADE_H

#include "services/service.h"
#include "services/trade_result.h"
#include "tradebook/v1/pattern.pb-c.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

/* Patterns that one trade may count in. */
enum { TBK_TRADE_PATTERNS_MAX = 64 };

/* A signal with what belongs to its trade. */
struct tbk_trade {
    Tradebook__V1__Signal *signal;
    Tradebook__V1__SignalResult *result;   /* NULL: not traded */
    Tradebook__V1__RiskSnapshot *snapshot; /* under the signal's id; NULL: none */
    int side;                              /* see tbk_trade_side */
};

/* trade_load.c */

/* NOT_FOUND: there is no such signal. FAILED_PRECONDITION: it is neither long nor
 * short, or the snapshot under its key is of another pair. */
enum tbk_status tbk_trade_load(struct tbk_call *call, int64_t signal_id, struct tbk_trade *ret_trade);
/* The call's status when its arena is exhausted. */
enum tbk_status tbk_trade_no_memory(struct tbk_call *call);

/* trade_check.c: the request alone. Every violation is reported under prefix +
 * field. Hashes are lowered and timestamps cut to microseconds in place. */

void tbk_trade_check_id(bool has_id, int64_t id, const char *prefix, struct tbk_error *error);
/* Without signal_id. */
void tbk_trade_check_open(const struct tbk_schema *schema, Tradebook__V1__OpenTradeRequest *request,
                          const char *prefix, struct tbk_error *error);
void tbk_trade_check_close(const struct tbk_schema *schema, Tradebook__V1__CloseTradeRequest *request,
                           const char *prefix, struct tbk_error *error);
/* A violation of prefix + field. */
void tbk_trade_violation(struct tbk_error *error, const char *prefix, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* trade_open.c */

/* Prepares and applies: opens the trade of a checked request. publish: whether its close makes an event. */
enum tbk_status tbk_trade_open(struct tbk_call *call, const Tradebook__V1__OpenTradeRequest *request,
                               const char *prefix, bool publish, Tradebook__V1__SignalResult **ret_result);

/* trade_close.c */

/* A trade that is about to be closed. */
struct tbk_closing {
    const Tradebook__V1__CloseTradeRequest *request;
    const char *prefix; /* of the request's fields in violations */
    struct tbk_trade trade;
    struct tbk_terms terms;
    Google__Protobuf__Timestamp *exit_time;
    Tradebook__V1__Pattern *patterns[TBK_TRADE_PATTERNS_MAX];
    struct tbk_trade_result computed;
};

enum tbk_status tbk_trade_close_prepare(struct tbk_call *call, const Tradebook__V1__CloseTradeRequest *request,
                                        const char *prefix, struct tbk_closing *closing);
/* closing->trade.result is then the result as stored. */
enum tbk_status tbk_trade_close_apply(struct tbk_call *call, const struct tbk_closing *closing);

#endif
