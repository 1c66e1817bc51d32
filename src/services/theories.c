/* TheoryService: grading without a trade. */
#include "services/find.h"
#include "services/handlers.h"
#include "services/trade.h"
#include "tradebook/v1/theory.pb-c.h"

enum tbk_status tbk_theories_check_grade(struct tbk_call *call, const struct tbk_method *method,
                                         ProtobufCMessage *message)
{
    (void)method;
    const Tradebook__V1__GradeTheoriesRequest *request = (Tradebook__V1__GradeTheoriesRequest *)message;
    tbk_trade_check_id(request->has_signal_id, request->signal_id, "", call->error);
    if (!request->has_was_correct) {
        tbk_error_violation(call->error, "was_correct", "is required");
    }
    return tbk_error_finish(call->error);
}

/* Whether this is what a trade of the signal came to, if there is one. */
static enum tbk_status check_trade(struct tbk_call *call, const Tradebook__V1__SignalResult *trade,
                                   bool was_correct)
{
    if (trade == NULL) {
        return TBK_OK;
    }
    const long long signal_id = (long long)trade->signal_id;
    switch (trade->outcome) {
    case TRADEBOOK__V1__OUTCOME__OUTCOME_WIN:
    case TRADEBOOK__V1__OUTCOME__OUTCOME_LOSS: {
        const bool won = trade->outcome == TRADEBOOK__V1__OUTCOME__OUTCOME_WIN;
        if (was_correct == won) {
            return TBK_OK;
        }
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The trade of signal %lld was a %s: its theories were %s.", signal_id,
                             won ? "win" : "loss", won ? "right" : "wrong");
    }
    case TRADEBOOK__V1__OUTCOME__OUTCOME_BREAKEVEN:
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The trade of signal %lld broke even, which grades no theory.", signal_id);
    default:
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The trade of signal %lld is not closed; its theories are graded when it is.",
                             signal_id);
    }
}

/* NOT_FOUND without a signal, FAILED_PRECONDITION when its trade says otherwise. */
static enum tbk_status check_signal(struct tbk_call *call, int64_t signal_id, bool was_correct)
{
    const struct tbk_table *signals = &call->context->schema->tables[TBK_SIGNALS];
    const struct tbk_value value = {.type = TBK_VALUE_INTEGER, .integer = signal_id};
    bool exists = false;
    ProtobufCMessage *trade = NULL;
    enum tbk_status status = call->context->ops->exists(call->session, signals, signal_id, &exists, call->error);
    if (status == TBK_OK && !exists) {
        return tbk_error_set(call->error, TBK_NOT_FOUND, "There is no Signal with id %lld.", (long long)signal_id);
    }
    if (status == TBK_OK) {
        status = tbk_find(call, TBK_SIGNAL_RESULTS, "signal_id", value, &trade);
    }
    return status == TBK_OK ? check_trade(call, (const Tradebook__V1__SignalResult *)trade, was_correct) : status;
}

enum tbk_status tbk_theories_run_grade(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__GradeTheoriesRequest *request = (Tradebook__V1__GradeTheoriesRequest *)message;
    Tradebook__V1__GradeTheoriesResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while answering.");
    }
    tradebook__v1__grade_theories_response__init(response);
    const enum tbk_status status = check_signal(call, request->signal_id, request->was_correct != 0);
    if (status != TBK_OK) {
        return status;
    }
    response->has_graded = 1;
    *ret_response = &response->base;
    return call->context->ops->theories_grade(call->session, request->signal_id, request->was_correct != 0,
                                              &response->graded, call->error);
}
