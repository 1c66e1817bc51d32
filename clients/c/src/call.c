/*
 * How a call enters the client, gets a lane or waits for one, and ends.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void one_less_pending(struct tradebook_client *client)
{
    client->pending--;
    if (client->pending == 0) {
        pthread_cond_broadcast(&client->idle);
    }
}

void tbk_client_tell(struct tradebook_client *client, struct tbk_client_listener listener,
                     enum tradebook_code code, ProtobufCMessage *reply, const struct tradebook_error *error)
{
    listener.callback(listener.argument, code, reply, code == TRADEBOOK_OK ? NULL : error);
    if (!listener.frees_reply) {
        tradebook_message_free(reply);
    }
    pthread_mutex_lock(&client->mutex);
    one_less_pending(client);
    pthread_mutex_unlock(&client->mutex);
}

void tbk_client_call_finish(struct tbk_client_lane *lane, enum tradebook_code code, ProtobufCMessage *reply,
                            const struct tradebook_error *error)
{
    struct tradebook_client *client = lane->client;
    struct tbk_client_listener listener = lane->call->listener;
    pthread_mutex_lock(&client->mutex);
    tbk_client_call_keep(client, lane->call);
    lane->cancellable = lane->call = tbk_client_dequeue(client);
    bool goes_on = lane->call != NULL;
    if (!goes_on) {
        tbk_client_lane_keep(client, lane);
    }
    pthread_mutex_unlock(&client->mutex);
    if (goes_on) {
        tbk_client_attempt_start(lane);
    }
    tbk_client_tell(client, listener, code, reply, error);
}

/* Counts the call as pending and takes for it what is free. */
static enum tradebook_code enter(struct tradebook_client *client, struct tbk_client_call **ret_call,
                                 struct tbk_client_lane **ret_lane)
{
    if (atomic_load(&client->closing)) {
        return TRADEBOOK_CANCELLED;
    }
    struct tbk_client_call *call = tbk_client_call_take(client);
    if (call == NULL) {
        return TRADEBOOK_RESOURCE_EXHAUSTED;
    }
    client->pending++;
    *ret_call = call;
    *ret_lane = tbk_client_lane_take(client);
    return TRADEBOOK_OK;
}

/* Gives back what enter took. */
static void leave(struct tradebook_client *client, struct tbk_client_call *call, struct tbk_client_lane *lane)
{
    pthread_mutex_lock(&client->mutex);
    tbk_client_call_keep(client, call);
    struct tbk_client_call *next = lane != NULL ? tbk_client_dequeue(client) : NULL;
    if (next != NULL) {
        lane->cancellable = lane->call = next;
    } else if (lane != NULL) {
        tbk_client_lane_keep(client, lane);
    }
    /* After this the client may be gone, so a lane that goes on must have been
     * counted before: its call is pending. */
    one_less_pending(client);
    pthread_mutex_unlock(&client->mutex);
    if (next != NULL) {
        tbk_client_attempt_start(lane);
    }
}

static enum tradebook_code check(const char *method_name, const struct tbk_client_method *method,
                                 const ProtobufCMessage *request, const struct tradebook_call_options *options,
                                 struct tradebook_error *error)
{
    if (method == NULL) {
        return tbk_client_error_set(error, TRADEBOOK_UNIMPLEMENTED,
                                    "%s: this library (version %s) knows no such method; write it as "
                                    "/tradebook.v1.SignalService/GetSignal",
                                    method_name, tradebook_version());
    }
    if (request->descriptor != method->descriptor->input) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT, "%s takes a %s, not a %s", method->name,
                                    method->descriptor->input->name, request->descriptor->name);
    }
    if (options != NULL && options->timeout_ms < 0) {
        return tbk_client_error_set(error, TRADEBOOK_INVALID_ARGUMENT,
                                    "%s: timeout_ms is %lld; it must not be negative", method->name,
                                    (long long)options->timeout_ms);
    }
    return TRADEBOOK_OK;
}

static Tradebook__V1__Request envelope_of_metadata(Tradebook__V1__Metadata **entries, size_t count)
{
    Tradebook__V1__Request envelope = TRADEBOOK__V1__REQUEST__INIT;
    envelope.metadata = entries;
    envelope.n_metadata = count;
    return envelope;
}

static bool serialise(struct tbk_client_call *call, const ProtobufCMessage *request,
                      const Tradebook__V1__Request *metadata, size_t metadata_count)
{
    size_t length = protobuf_c_message_get_packed_size(request);
    for (size_t i = 0; i < metadata_count; i++) {
        length += tradebook__v1__request__get_packed_size(&metadata[i]);
    }
    if (length > call->payload_bytes_allocated) {
        uint8_t *larger = realloc(call->payload, length);
        if (larger == NULL) {
            return false;
        }
        call->payload = larger;
        call->payload_bytes_allocated = length;
    }
    /* An empty message needs no buffer, but pack wants a pointer. */
    uint8_t nothing;
    call->payload_bytes = protobuf_c_message_pack(request, call->payload != NULL ? call->payload : &nothing);
    call->metadata_bytes = 0;
    for (size_t i = 0; i < metadata_count; i++) {
        call->metadata_bytes +=
            tradebook__v1__request__pack(&metadata[i], call->payload + call->payload_bytes + call->metadata_bytes);
    }
    return true;
}

static bool prepare(const struct tradebook_client *client, struct tbk_client_call *call,
                    const struct tbk_client_method *method, const ProtobufCMessage *request,
                    const struct tradebook_call_options *options)
{
    call->method = method;
    call->timeout_ms =
        options != NULL && options->timeout_ms > 0 ? options->timeout_ms : client->options.timeout_ms;
    if (call->timeout_ms > INT32_MAX) {
        call->timeout_ms = INT32_MAX;
    }
    call->deadline_ms = (int64_t)nng_clock() + call->timeout_ms;
    if (options != NULL && options->request_id != NULL) {
        memcpy(call->request_id, options->request_id, sizeof call->request_id);
    } else {
        tradebook_request_id(call->request_id);
    }
    call->is_cancelled = false;
    Tradebook__V1__Request metadata[2];
    size_t metadata_count = 0;
    Tradebook__V1__Metadata *client_id = (Tradebook__V1__Metadata *)&client->client_id;
    if (client_id->has_value) {
        metadata[metadata_count++] = envelope_of_metadata(&client_id, 1);
    }
    if (options != NULL && options->metadata_count > 0) {
        metadata[metadata_count++] = envelope_of_metadata(options->metadata, options->metadata_count);
    }
    return serialise(call, request, metadata, metadata_count);
}

/* Starts a prepared call, on the lane or, when there is none, when one is free. */
static enum tradebook_code launch(struct tradebook_client *client, struct tbk_client_call *call,
                                  struct tbk_client_lane *lane)
{
    if (lane == NULL) {
        enum tradebook_code code = TRADEBOOK_OK;
        pthread_mutex_lock(&client->mutex);
        lane = tbk_client_lane_take(client);
        if (lane == NULL && (client->lane_count == 0 || client->queue_length >= client->options.queue_max)) {
            code = TRADEBOOK_RESOURCE_EXHAUSTED;
        } else if (lane == NULL) {
            tbk_client_enqueue(client, call);
        }
        pthread_mutex_unlock(&client->mutex);
        if (lane == NULL) {
            return code;
        }
    }
    lane->call = call;
    tbk_client_attempt_start(lane);
    return TRADEBOOK_OK;
}

enum tradebook_code tbk_client_call_start(struct tradebook_client *client, const char *method_name,
                                          const ProtobufCMessage *request,
                                          const struct tradebook_call_options *options,
                                          struct tbk_client_listener listener, struct tradebook_error *error)
{
    const struct tbk_client_method *method = tbk_client_method_find(method_name);
    enum tradebook_code code = check(method_name, method, request, options, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    struct tbk_client_call *call = NULL;
    struct tbk_client_lane *lane = NULL;
    pthread_mutex_lock(&client->mutex);
    code = enter(client, &call, &lane);
    pthread_mutex_unlock(&client->mutex);
    if (code == TRADEBOOK_CANCELLED) {
        return tbk_client_error_set(error, code, "%s: the client is being closed", method->name);
    }
    if (code != TRADEBOOK_OK) {
        return tbk_client_error_set(error, code, "%s: out of memory", method->name);
    }
    call->listener = listener;
    if (!prepare(client, call, method, request, options)) {
        leave(client, call, lane);
        return tbk_client_error_set(error, TRADEBOOK_RESOURCE_EXHAUSTED, "%s: out of memory", method->name);
    }
    code = launch(client, call, lane);
    if (code != TRADEBOOK_OK) {
        tbk_client_error_set(error, code, "%s: %u calls wait already (queue_max); start fewer at a time",
                             method->name, client->options.queue_max);
        leave(client, call, NULL);
    }
    return code;
}

enum tradebook_code tradebook_call_async(struct tradebook_client *client, const char *method,
                                         const ProtobufCMessage *request,
                                         const struct tradebook_call_options *options,
                                         tradebook_callback *callback, void *argument,
                                         struct tradebook_error *error)
{
    return tbk_client_call_start(client, method, request, options,
                                 (struct tbk_client_listener){callback, argument, false}, error);
}
