/* grpc.health.v1.Health */
#include "grpc/health/v1/health.pb-c.h"
#include "services/handlers.h"

enum tbk_status tbk_health_check(struct tbk_call *call, const struct tbk_method *method, ProtobufCMessage *request,
                                 ProtobufCMessage **ret_response)
{
    (void)method;
    const char *service = ((const Grpc__Health__V1__HealthCheckRequest *)request)->service;
    if (service != NULL && service[0] != '\0' && !tbk_service_known(service)) {
        return tbk_error_set(call->error, TBK_NOT_FOUND, "There is no service '%.100s' here.", service);
    }
    Grpc__Health__V1__HealthCheckResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while answering.");
    }
    grpc__health__v1__health_check_response__init(response);
    response->has_status = 1;
    response->status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    *ret_response = &response->base;
    return TBK_OK;
}
