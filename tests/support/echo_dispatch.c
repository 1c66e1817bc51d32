#include "echo_dispatch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A request that is answered by the thread. */
struct waiting {
    struct waiting *next;
    struct tbk_responder *responder;
    const uint8_t *data;
    size_t length;
};

struct tbk_dispatch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct waiting *first;
    struct waiting **last;
    size_t unanswered;
    bool stopping;
};

static void answer(struct tbk_responder *responder, const uint8_t *data, size_t length)
{
    uint8_t *out = responder->reserve(responder, length);
    if (out == NULL) {
        responder->discard(responder, false);
        return;
    }
    memcpy(out, data, length);
    responder->send(responder, false);
}

static void answer_big(struct tbk_responder *responder, size_t length)
{
    uint8_t *out = responder->reserve(responder, length);
    memset(out, 'x', length);
    responder->send(responder, false);
}

static void *answer_waiting(void *argument)
{
    struct tbk_dispatch *dispatch = argument;
    pthread_mutex_lock(&dispatch->lock);
    for (;;) {
        while (dispatch->first == NULL && !dispatch->stopping)
            pthread_cond_wait(&dispatch->changed, &dispatch->lock);
        struct waiting *item = dispatch->first;
        if (item == NULL)
            break;
        dispatch->first = item->next;
        if (dispatch->first == NULL)
            dispatch->last = &dispatch->first;
        pthread_mutex_unlock(&dispatch->lock);
        answer(item->responder, item->data, item->length);
        free(item);
        pthread_mutex_lock(&dispatch->lock);
        dispatch->unanswered--;
        pthread_cond_broadcast(&dispatch->changed);
    }
    pthread_mutex_unlock(&dispatch->lock);
    return NULL;
}

struct tbk_dispatch *echo_dispatch_create(void)
{
    struct tbk_dispatch *dispatch = calloc(1, sizeof *dispatch);
    dispatch->last = &dispatch->first;
    pthread_mutex_init(&dispatch->lock, NULL);
    pthread_cond_init(&dispatch->changed, NULL);
    pthread_create(&dispatch->thread, NULL, answer_waiting, dispatch);
    return dispatch;
}

static void answer_later(struct tbk_dispatch *dispatch, struct tbk_responder *responder, const uint8_t *data,
                         size_t length)
{
    struct waiting *item = malloc(sizeof *item);
    *item = (struct waiting){.responder = responder, .data = data, .length = length};
    pthread_mutex_lock(&dispatch->lock);
    *dispatch->last = item;
    dispatch->last = &item->next;
    dispatch->unanswered++;
    pthread_cond_broadcast(&dispatch->changed);
    pthread_mutex_unlock(&dispatch->lock);
}

static bool starts_with(const uint8_t *data, size_t length, const char *prefix)
{
    return length >= strlen(prefix) && memcmp(data, prefix, strlen(prefix)) == 0;
}

void tbk_dispatch_submit(struct tbk_dispatch *dispatch, struct tbk_responder *responder, const uint8_t *data,
                         size_t length)
{
    char text[32] = "";
    memcpy(text, data, length < sizeof text - 1 ? length : sizeof text - 1);
    if (starts_with(data, length, "later "))
        answer_later(dispatch, responder, data, length);
    else if (starts_with(data, length, "big "))
        answer_big(responder, strtoul(text + 4, NULL, 10));
    else if (starts_with(data, length, "discard"))
        responder->discard(responder, false);
    else
        answer(responder, data, length);
}

void tbk_dispatch_refuse(struct tbk_dispatch *dispatch, struct tbk_responder *responder)
{
    (void)dispatch;
    answer(responder, (const uint8_t *)"refused", 7);
}

void tbk_dispatch_drain(struct tbk_dispatch *dispatch)
{
    pthread_mutex_lock(&dispatch->lock);
    while (dispatch->unanswered > 0)
        pthread_cond_wait(&dispatch->changed, &dispatch->lock);
    pthread_mutex_unlock(&dispatch->lock);
}

void tbk_dispatch_destroy(struct tbk_dispatch *dispatch)
{
    if (dispatch == NULL)
        return;
    pthread_mutex_lock(&dispatch->lock);
    dispatch->stopping = true;
    pthread_cond_broadcast(&dispatch->changed);
    pthread_mutex_unlock(&dispatch->lock);
    pthread_join(dispatch->thread, NULL);
    pthread_cond_destroy(&dispatch->changed);
    pthread_mutex_destroy(&dispatch->lock);
    free(dispatch);
}
