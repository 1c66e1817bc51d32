/* ModelService: what goes into production and what leaves it. Who was there when is
 * kept by the storage. */
#include <string.h>

#include "base/text.h"
#include "schema/validate.h"
#include "services/handlers.h"
#include "tradebook/v1/model.pb-c.h"

enum { REASON_CHARS_MAX = 1000 };

static const struct tbk_column *column_of(const struct tbk_method *method, const char *name)
{
    return tbk_table_column(method->table, name, strlen(name));
}

static void check_version(struct tbk_call *call, const struct tbk_method *method, char *version)
{
    if (version == NULL) {
        tbk_error_violation(call->error, "version", "is required");
    } else {
        tbk_validate_text(column_of(method, "version"), version, "version", call->error);
    }
}

static enum tbk_status find(struct tbk_call *call, const struct tbk_method *method, const char *version,
                            Tradebook__V1__ModelDeployment **ret_model)
{
    const struct tbk_value value = {.type = TBK_VALUE_TEXT, .text = {version, strlen(version)}};
    ProtobufCMessage *model = NULL;
    const enum tbk_status status = call->context->ops->get(
        call->session, method->table, column_of(method, "version"), value, call->arena, &model, call->error);
    if (status == TBK_OK) {
        *ret_model = (Tradebook__V1__ModelDeployment *)model;
    }
    return status;
}

static bool in_production(const Tradebook__V1__ModelDeployment *model)
{
    return model->is_promoted && model->is_active;
}

/* Stores that the model is neither promoted nor active. */
static enum tbk_status deactivate(struct tbk_call *call, const struct tbk_method *method,
                                  Tradebook__V1__ModelDeployment *model)
{
    model->has_is_promoted = 1;
    model->is_promoted = 0;
    model->has_is_active = 1;
    model->is_active = 0;
    const uint32_t columns = tbk_table_column_bits(
        method->table, (const char *[]){"is_promoted", "is_active", "rollback_reason", NULL});
    return call->context->ops->update(call->session, method->table, columns, &model->base, call->error);
}

enum tbk_status tbk_model_check_promote(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request)
{
    check_version(call, method, ((Tradebook__V1__PromoteModelRequest *)request)->version);
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_model_run_promote(struct tbk_call *call, const struct tbk_method *method,
                                      ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    Tradebook__V1__ModelDeployment *model = NULL;
    enum tbk_status status = find(call, method, ((Tradebook__V1__PromoteModelRequest *)request)->version, &model);
    if (status != TBK_OK) {
        return status;
    }
    if (!model->is_active) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The model '%s' was retired or rolled back and cannot be promoted. Register it under "
                             "a new version.",
                             model->version);
    }
    model->has_is_promoted = 1;
    model->is_promoted = 1;
    *ret_response = &model->base;
    return call->context->ops->model_promote(call->session, model->id, call->error);
}

static void check_reason(struct tbk_call *call, const char *reason)
{
    if (reason == NULL) {
        tbk_error_violation(call->error, "reason", "is required");
        return;
    }
    const size_t count = tbk_utf8_count(reason, strlen(reason));
    if (reason[strspn(reason, " \t\r\n")] == '\0') {
        tbk_error_violation(call->error, "reason", "must not be empty or blank");
    } else if (count > REASON_CHARS_MAX) {
        tbk_error_violation(call->error, "reason", "has %zu characters, at most %d are allowed", count,
                            REASON_CHARS_MAX);
    }
}

enum tbk_status tbk_model_check_roll_back(struct tbk_call *call, const struct tbk_method *method,
                                          ProtobufCMessage *request)
{
    const Tradebook__V1__RollbackModelRequest *rollback = (Tradebook__V1__RollbackModelRequest *)request;
    check_version(call, method, rollback->version);
    check_reason(call, rollback->reason);
    return tbk_error_finish(call->error);
}

/* Promotes what was in production before; an empty deployment when nothing was. */
static enum tbk_status promote_predecessor(struct tbk_call *call, const struct tbk_method *method,
                                           const Tradebook__V1__ModelDeployment *model,
                                           ProtobufCMessage **ret_response)
{
    const struct tbk_storage_ops *ops = call->context->ops;
    struct tbk_value id = {.type = TBK_VALUE_INTEGER};
    enum tbk_status status = ops->model_predecessor(call->session, model->id, &id.integer, call->error);
    if (status != TBK_OK) {
        return status;
    }
    if (id.integer == 0) {
        *ret_response = tbk_message_create(method->response, call->arena);
        return *ret_response != NULL
                   ? TBK_OK
                   : tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while answering.");
    }
    status = ops->model_promote(call->session, id.integer, call->error);
    return status == TBK_OK ? ops->get(call->session, method->table, method->table->key, id, call->arena,
                                       ret_response, call->error)
                            : status;
}

enum tbk_status tbk_model_run_roll_back(struct tbk_call *call, const struct tbk_method *method,
                                        ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const Tradebook__V1__RollbackModelRequest *rollback = (const Tradebook__V1__RollbackModelRequest *)request;
    Tradebook__V1__ModelDeployment *model = NULL;
    enum tbk_status status = find(call, method, rollback->version, &model);
    if (status != TBK_OK) {
        return status;
    }
    if (!in_production(model)) {
        return tbk_error_set(
            call->error, TBK_FAILED_PRECONDITION,
            "The model '%s' is not in production, so it cannot be rolled back. Retire it instead.",
            model->version);
    }
    model->rollback_reason = rollback->reason;
    status = deactivate(call, method, model);
    return status == TBK_OK ? promote_predecessor(call, method, model, ret_response) : status;
}

enum tbk_status tbk_model_check_retire(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *request)
{
    check_version(call, method, ((Tradebook__V1__RetireModelRequest *)request)->version);
    return tbk_error_finish(call->error);
}

enum tbk_status tbk_model_run_retire(struct tbk_call *call, const struct tbk_method *method,
                                     ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    Tradebook__V1__ModelDeployment *model = NULL;
    const enum tbk_status status =
        find(call, method, ((Tradebook__V1__RetireModelRequest *)request)->version, &model);
    if (status != TBK_OK) {
        return status;
    }
    if (in_production(model)) {
        return tbk_error_set(call->error, TBK_FAILED_PRECONDITION,
                             "The model '%s' is in production. Promote another one or roll it back first.",
                             model->version);
    }
    *ret_response = &model->base;
    return deactivate(call, method, model);
}
