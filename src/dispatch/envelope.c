#include "dispatch/envelope.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "dispatch/wire.h"
#include "tradebook/v1/rpc.pb-c.h"

static const char key_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

static void check_metadata(const Tradebook__V1__Request *request, struct tbk_error *error)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->n_metadata; i++) {
        const char *key = request->metadata[i]->key != NULL ? request->metadata[i]->key : "";
        const size_t length = strlen(key);
        bytes += length + request->metadata[i]->value.len;
        if (length == 0 || length > TBK_METADATA_KEY_CHARS_MAX || strspn(key, key_characters) != length) {
            char path[TBK_VIOLATION_FIELD_BYTES_MAX];
            snprintf(path, sizeof path, "metadata[%zu].key", i);
            tbk_error_violation(error, path, "must have 1 to %d characters of a-z 0-9 - _ .",
                                TBK_METADATA_KEY_CHARS_MAX);
        }
    }
    if (request->n_metadata > TBK_METADATA_ENTRIES_MAX) {
        tbk_error_violation(error, "metadata", "has %zu entries, at most %d are allowed", request->n_metadata,
                            TBK_METADATA_ENTRIES_MAX);
    }
    if (bytes > TBK_METADATA_BYTES_MAX) {
        tbk_error_violation(error, "metadata", "has %zu bytes, at most %d are allowed", bytes,
                            TBK_METADATA_BYTES_MAX);
    }
}

static enum tbk_status out_of_memory(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
}

/* The last client-id wins, as with repeated scalar fields. */
static void read_client(const Tradebook__V1__Request *request, struct tbk_arena *arena,
                        struct tbk_envelope *envelope, struct tbk_error *error)
{
    for (size_t i = 0; i < request->n_metadata; i++) {
        const Tradebook__V1__Metadata *entry = request->metadata[i];
        if (entry->key == NULL || strcmp(entry->key, "client-id") != 0) {
            continue;
        }
        const char *text = (const char *)entry->value.data;
        const size_t length = entry->value.len;
        if (length == 0 || length > TBK_CLIENT_ID_CHARS_MAX || !tbk_utf8_valid(text, length) ||
            memchr(text, '\0', length) != NULL || tbk_utf8_has_control(text, length)) {
            tbk_error_violation(error, "metadata[client-id]",
                                "must be 1 to %d bytes of text without control characters",
                                TBK_CLIENT_ID_CHARS_MAX);
            return;
        }
        envelope->client = tbk_arena_strndup(arena, text, length);
        if (envelope->client == NULL) { /* without its client the request id would be another's */
            envelope->client = "";
            out_of_memory(error);
            return;
        }
    }
}

static void check_fields(const Tradebook__V1__Request *request, struct tbk_envelope *envelope,
                         struct tbk_error *error)
{
    if (request->method == NULL || request->method[0] == '\0') {
        tbk_error_violation(error, "method", "is required, such as \"/tradebook.v1.SignalService/GetSignal\"");
    }
    if (request->has_timeout_ms && request->timeout_ms <= 0) {
        tbk_error_violation(error, "timeout_ms", "must be greater than 0, is %lld",
                            (long long)request->timeout_ms);
    }
    if (request->has_request_id && request->request_id.len != TBK_REQUEST_ID_BYTES) {
        tbk_error_violation(error, "request_id", "must have 16 bytes, has %zu", request->request_id.len);
    } else if (request->has_request_id) {
        envelope->has_request_id = true;
        memcpy(envelope->request_id, request->request_id.data, TBK_REQUEST_ID_BYTES);
    }
}

enum tbk_status tbk_envelope_decode(const uint8_t *data, size_t length, struct tbk_arena *arena,
                                    struct tbk_envelope *ret_envelope, struct tbk_error *error)
{
    *ret_envelope = (struct tbk_envelope){.method = "", .client = ""};
    const enum tbk_status status = tbk_wire_check(&tradebook__v1__request__descriptor, data, length, error);
    if (status != TBK_OK) {
        return status;
    }
    Tradebook__V1__Request *request = tradebook__v1__request__unpack(tbk_arena_allocator(arena), length, data);
    if (request == NULL) {
        if (tbk_arena_starved(arena)) {
            return out_of_memory(error);
        }
        if (tbk_arena_overflowed(arena)) {
            return tbk_error_set(
                error, TBK_INVALID_ARGUMENT,
                "The request unpacks to more memory than one request may have. Send less at once.");
        }
        return tbk_error_set(error, TBK_INVALID_ARGUMENT, "The request is not a tradebook.v1.Request.");
    }
    ret_envelope->method = request->method != NULL ? request->method : "";
    ret_envelope->payload = request->payload.data;
    ret_envelope->payload_bytes = request->payload.len;
    ret_envelope->timeout_ms = request->has_timeout_ms ? request->timeout_ms : 0;
    check_fields(request, ret_envelope, error);
    check_metadata(request, error);
    read_client(request, arena, ret_envelope, error);
    return tbk_error_finish(error);
}
