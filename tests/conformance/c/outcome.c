#include "outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "messages.h"
#include "tradebook/v1/admin.pb-c.h"

enum { ARENA_BYTES = 4096, ARENA_BYTES_MAX = 16 * 1024 * 1024 };

static void read_request_id(const char *text, uint8_t out[TRADEBOOK_REQUEST_ID_BYTES])
{
    for (size_t i = 0; i < TRADEBOOK_REQUEST_ID_BYTES; i++) {
        assert_int_equal(sscanf(text + 2 * i, "%2hhx", &out[i]), 1);
    }
}

static Tradebook__V1__Metadata **metadata_of_json(const json_t *json, struct tbk_arena *arena)
{
    size_t count = json_object_size(json);
    Tradebook__V1__Metadata **entries = tbk_arena_alloc(arena, count * sizeof(Tradebook__V1__Metadata *));
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)json, key, value)
    {
        Tradebook__V1__Metadata *entry = tbk_arena_alloc(arena, sizeof *entry);
        *entry = (Tradebook__V1__Metadata)TRADEBOOK__V1__METADATA__INIT;
        entry->key = (char *)key;
        entry->has_value = 1;
        entry->value.data = (uint8_t *)json_string_value(value);
        entry->value.len = json_string_length(value);
        entries[--count] = entry;
    }
    return entries;
}

/* The request of a step. The library itself refuses a method that it does not know,
 * whatever the request. */
static const ProtobufCMessage *request_of_step(const json_t *step, struct tbk_arena *arena)
{
    static const Tradebook__V1__EchoRequest any = TRADEBOOK__V1__ECHO_REQUEST__INIT;
    const ProtobufCMethodDescriptor *method = tradebook_method(json_string_value(json_object_get(step, "call")));
    if (method == NULL) {
        return &any.base;
    }
    json_auto_t *empty = json_object();
    const json_t *request = json_object_get(step, "request");
    return message_of_json(request != NULL ? request : empty, method->input, arena);
}

/* The request id is made here if the call can be cancelled by it. */
static struct tradebook_call_options options_of_step(const json_t *step, struct tbk_arena *arena,
                                                     struct outcome *outcome)
{
    const json_t *metadata = json_object_get(step, "metadata");
    const char *request_id = json_string_value(json_object_get(step, "request_id"));
    bool is_cancelled = json_is_true(json_object_get(step, "cancel"));
    if (request_id != NULL) {
        read_request_id(request_id, outcome->request_id);
    } else if (is_cancelled) {
        tradebook_request_id(outcome->request_id);
    }
    return (struct tradebook_call_options){
        .timeout_ms = json_integer_value(json_object_get(step, "timeout_ms")),
        .request_id = request_id != NULL || is_cancelled ? outcome->request_id : NULL,
        .metadata = metadata_of_json(metadata, arena),
        .metadata_count = json_object_size(metadata),
    };
}

static void end(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                const struct tradebook_error *error)
{
    struct outcome *outcome = argument;
    json_t *response = json_of_message(reply);
    pthread_mutex_lock(&outcome->mutex);
    outcome->code = code;
    outcome->response = response;
    if (error != NULL) {
        outcome->error = *error;
    }
    outcome->has_ended = true;
    pthread_cond_signal(&outcome->changed);
    pthread_mutex_unlock(&outcome->mutex);
}

static struct outcome *outcome_create(struct tradebook_client *client)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    assert_non_null(outcome);
    outcome->client = client;
    pthread_mutex_init(&outcome->mutex, NULL);
    pthread_cond_init(&outcome->changed, NULL);
    return outcome;
}

struct outcome *outcome_of_call(struct tradebook_client *client, const json_t *step)
{
    struct outcome *outcome = outcome_create(client);
    struct tbk_arena *arena = tbk_arena_create(ARENA_BYTES, ARENA_BYTES_MAX);
    const struct tradebook_call_options options = options_of_step(step, arena, outcome);
    ProtobufCMessage *reply = NULL;
    struct tradebook_error error;
    enum tradebook_code code = tradebook_call(client, json_string_value(json_object_get(step, "call")),
                                              request_of_step(step, arena), &options, &reply, &error);
    end(outcome, code, reply, code != TRADEBOOK_OK ? &error : NULL);
    tradebook_message_free(reply);
    tbk_arena_destroy(arena);
    return outcome;
}

struct outcome *outcome_of_start(struct tradebook_client *client, const json_t *step)
{
    struct outcome *outcome = outcome_create(client);
    struct tbk_arena *arena = tbk_arena_create(ARENA_BYTES, ARENA_BYTES_MAX);
    const struct tradebook_call_options options = options_of_step(step, arena, outcome);
    struct tradebook_error error;
    enum tradebook_code code = tradebook_call_async(client, json_string_value(json_object_get(step, "call")),
                                                    request_of_step(step, arena), &options, end, outcome, &error);
    if (code != TRADEBOOK_OK) {
        end(outcome, code, NULL, &error);
    }
    tbk_arena_destroy(arena);
    return outcome;
}

void outcome_wait(struct outcome *outcome)
{
    pthread_mutex_lock(&outcome->mutex);
    while (!outcome->has_ended) {
        pthread_cond_wait(&outcome->changed, &outcome->mutex);
    }
    pthread_mutex_unlock(&outcome->mutex);
}

void outcome_free(struct outcome *outcome)
{
    json_decref(outcome->response);
    pthread_cond_destroy(&outcome->changed);
    pthread_mutex_destroy(&outcome->mutex);
    free(outcome);
}
