/*
 * The envelopes of rpc.proto: a call becomes a frame, a frame becomes
 * a response or an error.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "tradebook/v1/rpc.pb-c.h"

struct tbk_link_frame *tbk_client_envelope_pack(const struct tbk_client_call *call, int64_t timeout_ms)
{
    Tradebook__V1__Request envelope = TRADEBOOK__V1__REQUEST__INIT;
    envelope.method = (char *)call->method->name;
    envelope.has_payload = 1;
    envelope.payload = (ProtobufCBinaryData){.len = call->payload_bytes, .data = call->payload};
    envelope.has_timeout_ms = 1;
    envelope.timeout_ms = timeout_ms;
    envelope.has_request_id = 1;
    envelope.request_id =
        (ProtobufCBinaryData){.len = sizeof call->request_id, .data = (uint8_t *)call->request_id};

    size_t length = TBK_LINK_ID_BYTES + tradebook__v1__request__get_packed_size(&envelope);
    struct tbk_link_frame *frame = tbk_link_frame_create(length + call->metadata_bytes);
    if (frame != NULL) {
        tradebook__v1__request__pack(&envelope, frame->payload + TBK_LINK_ID_BYTES);
        if (call->metadata_bytes > 0) {
            memcpy(frame->payload + length, call->payload + call->payload_bytes, call->metadata_bytes);
        }
    }
    return frame;
}

static bool is_bad_request(const char *type_url)
{
    const char *slash = type_url != NULL ? strrchr(type_url, '/') : NULL;
    return slash != NULL && strcmp(slash, "/google.rpc.BadRequest") == 0;
}

static void read_violations(const Google__Protobuf__Any *detail, struct tradebook_error *error)
{
    Tradebook__V1__BadRequest *bad_request =
        tradebook__v1__bad_request__unpack(NULL, detail->value.len, detail->value.data);
    if (bad_request == NULL) {
        return;
    }
    for (size_t i = 0; i < bad_request->n_field_violations && error->violation_count < TRADEBOOK_VIOLATIONS_MAX;
         i++) {
        const Tradebook__V1__FieldViolation *from = bad_request->field_violations[i];
        struct tradebook_violation *to = &error->violations[error->violation_count++];
        snprintf(to->field, sizeof to->field, "%s", from->field != NULL ? from->field : "");
        snprintf(to->description, sizeof to->description, "%s",
                 from->description != NULL ? from->description : "");
    }
    tradebook__v1__bad_request__free_unpacked(bad_request, NULL);
}

static void keep_detail(Google__Protobuf__Any *detail, struct tradebook_error *error)
{
    Tradebook__V1__Status status = TRADEBOOK__V1__STATUS__INIT;
    status.n_details = 1;
    status.details = &detail;
    /* Messages one behind the other are one message. */
    if (tradebook__v1__status__get_packed_size(&status) <= sizeof error->details - error->details_bytes) {
        error->details_bytes += tradebook__v1__status__pack(&status, error->details + error->details_bytes);
    }
}

static enum tradebook_code read_error(const Tradebook__V1__Reply *envelope, struct tradebook_error *error)
{
    bool known = envelope->code > TRADEBOOK__V1__CODE__CODE_OK &&
                 envelope->code <= TRADEBOOK__V1__CODE__CODE_UNAUTHENTICATED;
    enum tradebook_code code = known ? (enum tradebook_code)envelope->code : TRADEBOOK_UNKNOWN;
    tbk_client_error_set(error, code, "%s",
                         envelope->message != NULL ? envelope->message : "the server gave no reason");
    for (size_t i = 0; i < envelope->n_details; i++) {
        if (is_bad_request(envelope->details[i]->type_url)) {
            read_violations(envelope->details[i], error);
        } else {
            keep_detail(envelope->details[i], error);
        }
    }
    return code;
}

enum tradebook_code tbk_client_envelope_unpack(const struct tbk_client_call *call, const uint8_t *data,
                                               size_t length, ProtobufCMessage **ret_reply,
                                               struct tradebook_error *error)
{
    Tradebook__V1__Reply *envelope = tradebook__v1__reply__unpack(NULL, length, data);
    if (envelope == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_INTERNAL,
                                    "%s: the answer cannot be read; is the server a tradebook server?",
                                    call->method->name);
    }
    enum tradebook_code code = TRADEBOOK_OK;
    if (envelope->code != TRADEBOOK__V1__CODE__CODE_OK) {
        code = read_error(envelope, error);
    } else {
        ProtobufCMessage *reply = protobuf_c_message_unpack(call->method->descriptor->output, NULL,
                                                            envelope->payload.len, envelope->payload.data);
        if (reply == NULL) {
            code = tbk_client_error_set(error, TRADEBOOK_INTERNAL,
                                        "%s: the response cannot be read as %s; client and server differ",
                                        call->method->name, call->method->descriptor->output->name);
        } else {
            *ret_reply = reply;
        }
    }
    tradebook__v1__reply__free_unpacked(envelope, NULL);
    return code;
}
