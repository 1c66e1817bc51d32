/* TheoryService: grading without a trade. */
#include <string.h>

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

/* NOT_FOUND without a signal, FAILED_PRECONDITION when it has a trade. */
static enum tbk_status check_signal(struct tbk_call *call, int64_t signal_id)
{
    const struct tbk_table *tables = call->context->schema->tables;
    const struct tbk_table *results = &tables[TBK_SIGNAL_RESULTS];
    bool exists = false;
    enum tbk_status status =
        call->context->ops->exists(call->session, &tables[TBK_SIGNALS], signal_id, &exists, call->error);
    if (status != TBK_OK) {
        return status;
    }
    if (!exists) {
        return tbk_error_set(call->error, TBK_NOT_FOUND, "There is no Signal with id %lld.", (long long)signal_id);
    }
    const struct tbk_value value = {.type = TBK_VALUE_INTEGER, .integer = signal_id};
    ProtobufCMessage *result = NULL;
    status = call->context->ops->get(call->session, results,
                                     tbk_table_column(results, "signal_id", strlen("signal_id")), value,
                                     call->arena, &result, call->error);
    if (status == TBK_OK) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The signal %lld has a trade; its theories are graded when that is closed.",
                             (long long)signal_id);
    }
    if (status == TBK_NOT_FOUND) {
        tbk_error_init(call->error);
        status = TBK_OK;
    }
    return status;
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
    const enum tbk_status status = check_signal(call, request->signal_id);
    if (status != TBK_OK) {
        return status;
    }
    response->has_graded = 1;
    *ret_response = &response->base;
    return call->context->ops->theories_grade(call->session, request->signal_id, request->was_correct != 0,
                                              &response->graded, call->error);
}
