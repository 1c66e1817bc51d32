/* PatternService: outcomes that do not come from closing a trade. */
#include <string.h>

#include "schema/validate.h"
#include "services/handlers.h"
#include "services/pattern_outcome.h"

enum tbk_status tbk_pattern_check_outcome(struct tbk_call *call, const struct tbk_method *method,
                                          ProtobufCMessage *message)
{
    const Tradebook__V1__RecordPatternOutcomeRequest *request =
        (Tradebook__V1__RecordPatternOutcomeRequest *)message;
    if (request->pattern_hash == NULL) {
        tbk_error_violation(call->error, "pattern_hash", "is required");
    } else {
        tbk_validate_text(tbk_table_column(method->table, "pattern_hash", strlen("pattern_hash")),
                          request->pattern_hash, "pattern_hash", call->error);
    }
    if (!request->has_won) {
        tbk_error_violation(call->error, "won", "is required");
    }
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_pattern_run_outcome(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    const Tradebook__V1__RecordPatternOutcomeRequest *request =
        (Tradebook__V1__RecordPatternOutcomeRequest *)message;
    Tradebook__V1__Pattern *pattern = NULL;
    const enum tbk_status status = tbk_pattern_find(call, request->pattern_hash, &pattern);
    if (status != TBK_OK) {
        return status;
    }
    *ret_response = &pattern->base;
    return tbk_pattern_count_outcome(call, pattern, request->won != 0);
}
