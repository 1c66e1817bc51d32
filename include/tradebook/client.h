/*
 * tradebook client: calls a tradebook server over nng.
 *
 *   struct tradebook_client *client = NULL;
 *   struct tradebook_error error;
 *   if (tradebook_client_open("tcp://127.0.0.1:7601", NULL, &client, &error) != TRADEBOOK_OK) ...
 *
 *   Tradebook__V1__GetSignalRequest request = TRADEBOOK__V1__GET_SIGNAL_REQUEST__INIT;
 *   request.has_id = 1, request.id = 17;
 *   ProtobufCMessage *reply = NULL;
 *   if (tradebook_call(client, "/tradebook.v1.SignalService/GetSignal", &request.base, NULL, &reply, &error) ...
 *   Tradebook__V1__Signal *signal = (Tradebook__V1__Signal *)reply;
 *   ...
 *   tradebook_message_free(reply);
 *   tradebook_client_close(client);
 *
 * Threads: a client may be used by any number of threads at once.
 *
 * Retries: every call carries a request id, the same for all its attempts, so
 * that a write happens once however often it is sent. A call is sent again
 * after a lost connection, after UNAVAILABLE, and when half of its timeout (but
 * at least a second) passed without an answer; if nothing else arrived on the
 * connection during a second either, over a new connection.
 * DEADLINE_EXCEEDED and UNAVAILABLE on a write leave open whether it happened;
 * calling again with the same request_id is safe and tells.
 */
#ifndef TRADEBOOK_CLIENT_H
#define TRADEBOOK_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "tradebook/v1/rpc.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Status codes, with the numbers and meanings of gRPC. */
enum tradebook_code {
    TRADEBOOK_OK = 0,
    TRADEBOOK_CANCELLED = 1,
    TRADEBOOK_UNKNOWN = 2,
    TRADEBOOK_INVALID_ARGUMENT = 3,
    TRADEBOOK_DEADLINE_EXCEEDED = 4,
    TRADEBOOK_NOT_FOUND = 5,
    TRADEBOOK_ALREADY_EXISTS = 6,
    TRADEBOOK_PERMISSION_DENIED = 7,
    TRADEBOOK_RESOURCE_EXHAUSTED = 8,
    TRADEBOOK_FAILED_PRECONDITION = 9,
    TRADEBOOK_ABORTED = 10,
    TRADEBOOK_OUT_OF_RANGE = 11,
    TRADEBOOK_UNIMPLEMENTED = 12,
    TRADEBOOK_INTERNAL = 13,
    TRADEBOOK_UNAVAILABLE = 14,
    TRADEBOOK_DATA_LOSS = 15,
    TRADEBOOK_UNAUTHENTICATED = 16
};

/* "INVALID_ARGUMENT" and so on. */
const char *tradebook_code_name(enum tradebook_code code);

enum {
    TRADEBOOK_REQUEST_ID_BYTES = 16,
    TRADEBOOK_ERROR_MESSAGE_BYTES_MAX = 512,
    TRADEBOOK_VIOLATIONS_MAX = 32,
    TRADEBOOK_VIOLATION_FIELD_BYTES_MAX = 96,
    TRADEBOOK_VIOLATION_TEXT_BYTES_MAX = 160,
    TRADEBOOK_DETAILS_BYTES_MAX = 4096,
    TRADEBOOK_TIMEOUT_MS_DEFAULT = 10000
};

/* One reason why a request was refused. */
struct tradebook_violation {
    char field[TRADEBOOK_VIOLATION_FIELD_BYTES_MAX];
    char description[TRADEBOOK_VIOLATION_TEXT_BYTES_MAX];
};

/* Why a call failed. Filled by the failing call, owned by the caller. */
struct tradebook_error {
    enum tradebook_code code;
    char message[TRADEBOOK_ERROR_MESSAGE_BYTES_MAX];
    size_t violation_count; /* entries of violations; the server may have found more */
    struct tradebook_violation violations[TRADEBOOK_VIOLATIONS_MAX];
    /* The other details, such as the stored result when a trade is closed already: a serialised
     * tradebook.v1.Status that has nothing else. One that does not fit is left out. */
    size_t details_bytes;
    uint8_t details[TRADEBOOK_DETAILS_BYTES_MAX];
};

/* Settings of a client; zero means the default. */
struct tradebook_client_options {
    int64_t timeout_ms;     /* of calls that give none; default 10,000 */
    int64_t retry_ms_min;   /* first pause before sending again; default 5, doubles each time */
    int64_t retry_ms_max;   /* longest pause; default 500 */
    size_t reply_bytes_max; /* a larger reply closes the connection; default 16 MiB */
    unsigned in_flight_max; /* calls of this client at the same time; further ones wait; default 1,024 */
    unsigned queue_max;     /* calls that wait; further ones are refused; default 65,536 */
    /* Who calls: request ids of different clients are independent. NULL: no name. */
    const char *client_id;
};

/* Settings of one call; zero means the client's. */
struct tradebook_call_options {
    int64_t timeout_ms;
    /* 16 bytes; NULL makes a new one (UUID version 7). Give the id of an earlier
     * call to ask again for its answer. */
    const uint8_t *request_id;
    /* Further data for the server, such as trace ids; see rpc.proto for what is allowed. */
    Tradebook__V1__Metadata **metadata;
    size_t metadata_count;
};

struct tradebook_client;

/* Prepares a client for the server at address: tcp://HOST:PORT, ipc:///PATH or
 * ws://HOST:PORT/PATH. Connects in the background; a server that is not there
 * yet is not an error here but makes calls wait for it, and fail with UNAVAILABLE
 * when their timeout ends. options may be NULL. INVALID_ARGUMENT: the address is
 * malformed or an option out of range. */
enum tradebook_code tradebook_client_open(const char *address, const struct tradebook_client_options *options,
                                          struct tradebook_client **ret_client, struct tradebook_error *error);

/* Ends calls that are still running with CANCELLED, those of other threads too,
 * waits for their callbacks, and frees the client. Not from a callback; no call
 * may be started once this was called, except from callbacks, where it fails
 * with CANCELLED. Accepts NULL. */
void tradebook_client_close(struct tradebook_client *client);

/* Calls a method, "/package.Service/Method", and waits for the answer. On OK
 * *ret_reply is the response, to be freed with tradebook_message_free; otherwise
 * it is untouched and error says why. options and error may be NULL. */
enum tradebook_code tradebook_call(struct tradebook_client *client, const char *method,
                                   const ProtobufCMessage *request, const struct tradebook_call_options *options,
                                   ProtobufCMessage **ret_reply, struct tradebook_error *error);

/* Receives the outcome of a call: reply is set when code is OK and is freed
 * after the callback returns; otherwise error is. Runs on a thread of the client,
 * or on the one that closes it, and must not block or close the client; it may
 * start further calls with tradebook_call_async. */
typedef void tradebook_callback(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                                const struct tradebook_error *error);

/* Starts a call and returns; callback is called exactly once if and only if OK is
 * returned, possibly before this returns. The request is serialised here and may
 * be freed afterwards. RESOURCE_EXHAUSTED: too many calls wait already. */
enum tradebook_code tradebook_call_async(struct tradebook_client *client, const char *method,
                                         const ProtobufCMessage *request,
                                         const struct tradebook_call_options *options,
                                         tradebook_callback *callback, void *argument,
                                         struct tradebook_error *error);

/* Gives up the calls of this client that carry the request id: they end with
 * CANCELLED, and tell so as ever, unless they have just ended otherwise. Whether a
 * write took effect is open. From any thread, callbacks included. */
void tradebook_cancel(struct tradebook_client *client, const uint8_t request_id[TRADEBOOK_REQUEST_ID_BYTES]);

/* Frees a response. Accepts NULL. */
void tradebook_message_free(ProtobufCMessage *message);

/* The message types of a method; NULL when it is unknown to this library. */
const ProtobufCMethodDescriptor *tradebook_method(const char *method);

/* A service object for the functions that protoc-gen-c generates, such as
 * tradebook__v1__signal_service__get_signal(service, &request, closure, data).
 * Calls block; the closure gets NULL when the call failed, and
 * tradebook_service_error tells why. Free with protobuf_c_service_destroy before
 * the client is closed. One thread at a time. NULL when memory is exhausted. */
ProtobufCService *tradebook_service(struct tradebook_client *client, const ProtobufCServiceDescriptor *descriptor);
const struct tradebook_error *tradebook_service_error(const ProtobufCService *service);

/* Makes a new request id: 48 bits of milliseconds, then random (UUID version 7,
 * RFC 9562), growing within this process. */
void tradebook_request_id(uint8_t out[TRADEBOOK_REQUEST_ID_BYTES]);

/* Version of the library, "0.1.0". */
const char *tradebook_version(void);

#ifdef __cplusplus
}
#endif

#endif
