/*
 * Calls that wait for their answer.
 */
#include "internal.h"

struct blocked {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended;
    enum tradebook_code code;
    ProtobufCMessage *reply;
    struct tradebook_error *error;
};

static void unblock(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                    const struct tradebook_error *error)
{
    struct blocked *blocked = argument;
    pthread_mutex_lock(&blocked->mutex);
    blocked->code = code;
    blocked->reply = (ProtobufCMessage *)reply;
    if (error != NULL) {
        tbk_client_error_copy(blocked->error, error);
    }
    blocked->has_ended = true;
    pthread_cond_signal(&blocked->ended);
    pthread_mutex_unlock(&blocked->mutex);
}

enum tradebook_code tradebook_call(struct tradebook_client *client, const char *method,
                                   const ProtobufCMessage *request, const struct tradebook_call_options *options,
                                   ProtobufCMessage **ret_reply, struct tradebook_error *error)
{
    struct blocked blocked = {
        .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER, .error = error};
    enum tradebook_code code = tbk_client_call_start(client, method, request, options,
                                                     (struct tbk_client_listener){unblock, &blocked, true}, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    pthread_mutex_lock(&blocked.mutex);
    while (!blocked.has_ended) {
        pthread_cond_wait(&blocked.ended, &blocked.mutex);
    }
    pthread_mutex_unlock(&blocked.mutex);
    pthread_cond_destroy(&blocked.ended);
    pthread_mutex_destroy(&blocked.mutex);
    if (blocked.code == TRADEBOOK_OK) {
        *ret_reply = blocked.reply;
    }
    return blocked.code;
}

void tradebook_message_free(ProtobufCMessage *message)
{
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}
