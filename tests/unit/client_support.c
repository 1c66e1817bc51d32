#include "client_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

void append_reply(nng_msg *to, Tradebook__V1__Code code, const char *message, const ProtobufCMessage *payload)
{
    uint8_t packed[4096];
    uint8_t bytes[8192];
    Tradebook__V1__Reply reply = TRADEBOOK__V1__REPLY__INIT;
    reply.has_code = code != TRADEBOOK__V1__CODE__CODE_OK;
    reply.code = code;
    reply.message = (char *)message;
    if (payload != NULL) {
        reply.has_payload = 1;
        reply.payload.data = packed;
        reply.payload.len = protobuf_c_message_pack(payload, packed);
    }
    nng_msg_append(to, bytes, tradebook__v1__reply__pack(&reply, bytes));
}

static void note_request(struct script *script, unsigned position, const Tradebook__V1__Request *request)
{
    if (position < SEEN_MAX) {
        memcpy(script->request_ids[position], request->request_id.data, TRADEBOOK_REQUEST_ID_BYTES);
        script->timeouts_ms[position] = request->timeout_ms;
    }
}

enum tbk_rep_action follow_script(void *argument, int connection, const uint8_t *bytes, size_t length,
                                  nng_msg *reply)
{
    struct script *script = argument;
    Tradebook__V1__Request *request = tradebook__v1__request__unpack(NULL, length, bytes);
    if (request == NULL || request->request_id.len != TRADEBOOK_REQUEST_ID_BYTES) {
        abort();
    }
    unsigned position = atomic_fetch_add(&script->arrived, 1);
    note_request(script, position, request);
    atomic_fetch_add(&script->seen, 1);
    enum tbk_rep_action action = TBK_REP_ANSWER;
    int none = 0;
    atomic_compare_exchange_strong(&script->first_connection, &none, connection);
    if (script->ignores_first_connection && connection == atomic_load(&script->first_connection)) {
        action = TBK_REP_IGNORE;
    } else if (position < script->first_count) {
        action = script->first_action;
        append_reply(reply, script->first_code, "as the script says", NULL);
    } else {
        Tradebook__V1__EchoResponse response = TRADEBOOK__V1__ECHO_RESPONSE__INIT;
        Tradebook__V1__EchoRequest *echoed =
            tradebook__v1__echo_request__unpack(NULL, request->payload.len, request->payload.data);
        response.has_payload = echoed->has_payload;
        response.payload = echoed->payload;
        append_reply(reply, TRADEBOOK__V1__CODE__CODE_OK, NULL, &response.base);
        tradebook__v1__echo_request__free_unpacked(echoed, NULL);
    }
    tradebook__v1__request__free_unpacked(request, NULL);
    return action;
}

void new_address(char out[64])
{
    char directory[] = "/tmp/tbk_client_XXXXXX";
    assert_non_null(mkdtemp(directory));
    snprintf(out, 64, "ipc://%s/s", directory);
}

void remove_address(const char *address)
{
    char path[64];
    snprintf(path, sizeof path, "%s", address + strlen("ipc://"));
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

struct tradebook_client *open_client(const char *address, const struct tradebook_client_options *options)
{
    struct tradebook_client *client = NULL;
    struct tradebook_error error;
    assert_int_equal(tradebook_client_open(address, options, &client, &error), TRADEBOOK_OK);
    return client;
}

enum tradebook_code echo(struct tradebook_client *client, const char *text, int64_t timeout_ms,
                         struct tradebook_error *error)
{
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    request.has_payload = 1;
    request.payload = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
    const struct tradebook_call_options options = {.timeout_ms = timeout_ms};
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code = tradebook_call(client, ECHO_METHOD, &request.base, &options, &reply, error);
    if (code == TRADEBOOK_OK) {
        const Tradebook__V1__EchoResponse *response = (const Tradebook__V1__EchoResponse *)reply;
        assert_int_equal(response->payload.len, strlen(text));
        assert_memory_equal(response->payload.data, text, response->payload.len);
        tradebook_message_free(reply);
    } else {
        assert_null(reply);
    }
    return code;
}

void count_in_tally(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                    const struct tradebook_error *error)
{
    struct tally *tally = argument;
    if ((code == TRADEBOOK_OK) != (reply != NULL) || (code == TRADEBOOK_OK) != (error == NULL)) {
        abort();
    }
    pthread_mutex_lock(&tally->mutex);
    tally->ended++;
    tally->codes[code]++;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->mutex);
}

void wait_for_tally(struct tally *tally, unsigned ended)
{
    pthread_mutex_lock(&tally->mutex);
    while (tally->ended < ended) {
        pthread_cond_wait(&tally->changed, &tally->mutex);
    }
    pthread_mutex_unlock(&tally->mutex);
}

enum tradebook_code echo_async(struct tradebook_client *client, int64_t timeout_ms, struct tally *tally)
{
    Tradebook__V1__EchoRequest request = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    const struct tradebook_call_options options = {.timeout_ms = timeout_ms};
    return tradebook_call_async(client, ECHO_METHOD, &request.base, &options, count_in_tally, tally, NULL);
}

void wait_until_seen(struct script *script, unsigned count)
{
    while (atomic_load(&script->seen) < count) {
        usleep(1000);
    }
}
