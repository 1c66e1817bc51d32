/*
 * One call of ListEvents at a time, whose end the subscriber takes when it comes.
 */
#include "subscriber_internal.h"

/* Fits into memory and a reply, and is read in a few milliseconds. */
enum { PAGE_EVENTS = 500 };

#define LIST_EVENTS "/tradebook.v1.EventService/ListEvents"

static void end(struct tbk_page_call *call, enum tradebook_code code, const ProtobufCMessage *reply,
                const struct tradebook_error *error)
{
    pthread_mutex_lock(&call->waker->mutex);
    call->has_ended = true;
    call->code = code;
    call->page = (Tradebook__V1__ListEventsResponse *)reply;
    if (error != NULL) {
        tbk_client_error_copy(&call->error, error);
    }
    tbk_waker_ring(call->waker);
    pthread_mutex_unlock(&call->waker->mutex);
}

static void answered(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                     const struct tradebook_error *error)
{
    end(argument, code, reply, error);
}

void tbk_page_call_start(struct tbk_page_call *call, struct tradebook_client *client, int64_t after_sequence,
                         const char *symbol, int64_t wait_ms)
{
    Tradebook__V1__ListEventsRequest request = TRADEBOOK__V1__LIST_EVENTS_REQUEST__INIT;
    request.has_after_sequence = request.has_page_size = request.has_wait_ms = 1;
    request.after_sequence = after_sequence;
    request.page_size = PAGE_EVENTS;
    request.wait_ms = (int32_t)wait_ms;
    request.symbol = (char *)symbol;
    call->after_sequence = after_sequence;
    call->started_ms = tbk_subscriber_now_ms();
    call->wait_ms = wait_ms;
    call->runs = true;
    struct tradebook_error error;
    enum tradebook_code code = tbk_client_call_start(client, LIST_EVENTS, &request.base, NULL,
                                                     (struct tbk_client_listener){answered, call, true}, &error);
    if (code != TRADEBOOK_OK) {
        end(call, code, NULL, &error);
    }
}

bool tbk_page_call_take(struct tbk_page_call *call, Tradebook__V1__ListEventsResponse **ret_page)
{
    pthread_mutex_lock(&call->waker->mutex);
    bool has_ended = call->has_ended;
    if (has_ended) {
        *ret_page = call->page;
        call->page = NULL;
        call->has_ended = false;
        call->runs = false;
    }
    pthread_mutex_unlock(&call->waker->mutex);
    return has_ended;
}
