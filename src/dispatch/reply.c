#include "dispatch/reply.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "dispatch/internal.h"
#include "services/status_details.h"
#include "tradebook/v1/rpc.pb-c.h"

/* Reply.payload is field 4, length-delimited. A Reply that is OK holds nothing
 * else, so it is this tag, the length, and the response. */
enum { PAYLOAD_TAG = 4 << 3 | 2, VARINT_BYTES_MAX = 10 };

static size_t varint_bytes(size_t value)
{
    size_t bytes = 1;
    while (value >= 0x80) {
        value >>= 7;
        bytes++;
    }
    return bytes;
}

static uint8_t *put_varint(uint8_t *out, size_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* Reserves a reply with room for a response of this many bytes; returns where it
 * goes. */
static uint8_t *reserve(struct tbk_job *job, size_t bytes)
{
    uint8_t *out = job->responder->reserve(job->responder, 1 + varint_bytes(bytes) + bytes);
    if (out == NULL) {
        tbk_error_set(&job->error, TBK_RESOURCE_EXHAUSTED, "Out of memory for an answer of %zu bytes.", bytes);
        return NULL;
    }
    *out++ = PAYLOAD_TAG;
    job->status = TBK_OK;
    return put_varint(out, bytes);
}

enum tbk_status tbk_reply_response(struct tbk_job *job, const ProtobufCMessage *response,
                                   const uint8_t **ret_payload, size_t *ret_bytes)
{
    const size_t bytes = protobuf_c_message_get_packed_size(response);
    /* A write has had its effect: its answer must go out. */
    if (job->method->kind != TBK_METHOD_WRITE && !tbk_budget_fits(job->memory, tbk_budget_counted(bytes))) {
        return tbk_error_set(
            &job->error, TBK_RESOURCE_EXHAUSTED,
            "There is no memory for an answer of %zu bytes just now (--memory). Try again after a "
            "pause, or ask for less at once.",
            bytes);
    }
    uint8_t *payload = reserve(job, bytes);
    if (payload == NULL) {
        return job->error.status;
    }
    protobuf_c_message_pack(response, payload);
    *ret_payload = payload;
    *ret_bytes = bytes;
    return TBK_OK;
}

enum tbk_status tbk_reply_payload(struct tbk_job *job, const uint8_t *payload, size_t bytes)
{
    uint8_t *out = reserve(job, bytes);
    if (out == NULL) {
        return job->error.status;
    }
    if (bytes > 0) {
        memcpy(out, payload, bytes);
    }
    return TBK_OK;
}

void tbk_reply_error(struct tbk_job *job)
{
    Tradebook__V1__Reply reply = TRADEBOOK__V1__REPLY__INIT;
    job->status = tbk_error_finish(&job->error);
    reply.has_code = 1;
    reply.code = (Tradebook__V1__Code)job->status;
    reply.message = job->error.message;
    reply.details = tbk_status_details(&job->error, job->arena, &reply.n_details);
    uint8_t *out = job->responder->reserve(job->responder, tradebook__v1__reply__get_packed_size(&reply));
    if (out == NULL) {
        job->status = TBK_UNKNOWN;
        return;
    }
    tradebook__v1__reply__pack(&reply, out);
}

static bool is_our_fault(enum tbk_status status)
{
    return status == TBK_UNKNOWN || status == TBK_INTERNAL || status == TBK_UNAVAILABLE || status == TBK_DATA_LOSS;
}

static void log_request(const struct tbk_job *job, int64_t took_us)
{
    const enum tbk_log_level level = is_our_fault(job->status) ? TBK_LOG_ERROR : TBK_LOG_DEBUG;
    if (!tbk_log_enabled(level)) {
        return;
    }
    char id[2 * TBK_REQUEST_ID_BYTES + 1] = "";
    if (job->envelope.has_request_id) {
        tbk_hex_encode(job->envelope.request_id, TBK_REQUEST_ID_BYTES, id);
    }
    tbk_log(level, "request", TBK_LOG_STR("method", job->envelope.method), TBK_LOG_STR("request_id", id),
            TBK_LOG_STR("status", tbk_status_name(job->status)), TBK_LOG_INT("us", took_us),
            TBK_LOG_STR("error", job->status == TBK_OK ? "" : job->error.message));
}

void tbk_reply_send(struct tbk_dispatch *dispatch, struct tbk_job *job, bool more)
{
    struct tbk_responder *responder = job->responder;
    const bool reserved = job->status != TBK_UNKNOWN;
    const int64_t took_us = tbk_monotonic_us() - job->received_us;
    tbk_counts_request(&dispatch->counts, job->method, job->status, took_us);
    log_request(job, took_us);
    tbk_job_give(&dispatch->pool, job);
    if (reserved) {
        responder->send(responder, more);
    } else {
        responder->discard(responder, more);
    }
}
