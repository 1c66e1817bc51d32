#include "services/status_details.h"

#include <string.h>

/* The message has the wire format of this standard type, see rpc.proto. */
static const char bad_request_type[] = "google.rpc.BadRequest";

enum { DETAILS_MAX = 2 };

static Tradebook__V1__FieldViolation *violation_message(const struct tbk_violation *violation,
                                                        struct tbk_arena *arena)
{
    Tradebook__V1__FieldViolation *message = tbk_arena_alloc(arena, sizeof *message);
    if (message != NULL) {
        tradebook__v1__field_violation__init(message);
        message->field = tbk_arena_strndup(arena, violation->field, strlen(violation->field));
        message->description = tbk_arena_strndup(arena, violation->description, strlen(violation->description));
    }
    return message;
}

static bool fill_bad_request(Tradebook__V1__BadRequest *request, const struct tbk_error *error,
                             struct tbk_arena *arena)
{
    const size_t count = tbk_error_violations_kept(error);
    tradebook__v1__bad_request__init(request);
    request->field_violations = tbk_arena_alloc(arena, count * sizeof(void *));
    if (request->field_violations == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        request->field_violations[i] = violation_message(&error->violations[i], arena);
        if (request->field_violations[i] == NULL) {
            return false;
        }
    }
    request->n_field_violations = count;
    return true;
}

/* message under a type's name; NULL when the arena is exhausted. */
static Google__Protobuf__Any *any_of(const ProtobufCMessage *message, const char *type, struct tbk_arena *arena)
{
    const size_t bytes = protobuf_c_message_get_packed_size(message);
    Google__Protobuf__Any *any = tbk_arena_alloc(arena, sizeof *any);
    uint8_t *packed = tbk_arena_alloc(arena, bytes);
    char *url = tbk_arena_printf(arena, "type.googleapis.com/%s", type);
    if (any == NULL || packed == NULL || url == NULL) {
        return NULL;
    }
    protobuf_c_message_pack(message, packed);
    google__protobuf__any__init(any);
    any->type_url = url;
    any->value.data = packed;
    any->value.len = bytes;
    return any;
}

Google__Protobuf__Any **tbk_status_details(const struct tbk_error *error, struct tbk_arena *arena,
                                           size_t *ret_count)
{
    *ret_count = 0;
    Google__Protobuf__Any **details = tbk_arena_alloc(arena, DETAILS_MAX * sizeof *details);
    if (details == NULL) {
        return NULL;
    }
    Tradebook__V1__BadRequest request;
    if (tbk_error_violations_kept(error) > 0 && fill_bad_request(&request, error, arena)) {
        details[*ret_count] = any_of(&request.base, bad_request_type, arena);
        *ret_count += details[*ret_count] != NULL;
    }
    if (error->detail != NULL) {
        details[*ret_count] = any_of(error->detail, error->detail->descriptor->name, arena);
        *ret_count += details[*ret_count] != NULL;
    }
    return details;
}

Tradebook__V1__Status *tbk_status_message(const struct tbk_error *error, struct tbk_arena *arena)
{
    Tradebook__V1__Status *status = tbk_arena_alloc(arena, sizeof *status);
    if (status == NULL) {
        return NULL;
    }
    tradebook__v1__status__init(status);
    status->has_code = 1;
    status->code = (Tradebook__V1__Code)error->status;
    status->message = tbk_arena_strndup(arena, error->message, strlen(error->message));
    status->details = tbk_status_details(error, arena, &status->n_details);
    return status->message != NULL ? status : NULL;
}
