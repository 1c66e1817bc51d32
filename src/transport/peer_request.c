#include <stdlib.h>
#include <string.h>

#include "transport/frame.h"
#include "transport/peer_internal.h"

static uint8_t *responder_reserve(struct tbk_responder *responder, size_t length)
{
    struct tbk_peer_request *request = (struct tbk_peer_request *)responder;
    const struct tbk_peer *peer = request->peer;
    size_t head_bytes = tbk_frame_head_bytes(peer->ipc);
    tbk_peer_frame_free(peer, request->reply);
    request->reply = tbk_peer_frame_create(head_bytes + request->backtrace_bytes + length);
    if (request->reply == NULL)
        return NULL;
    request->reply->counted = tbk_budget_counted(length);
    tbk_budget_owe(tbk_peer_memory(peer), request->reply->counted);
    uint8_t *out = request->reply->own;
    tbk_frame_head_write(peer->ipc, request->backtrace_bytes + length, out);
    memcpy(out + head_bytes, request->payload, request->backtrace_bytes);
    return out + head_bytes + request->backtrace_bytes;
}

/* The end of a request that dispatch had. */
static void finish(struct tbk_peer_request *request, bool more)
{
    struct tbk_peer *peer = request->peer;
    struct tbk_streams *streams = peer->streams;
    tbk_peer_request_free(request);
    tbk_streams_give_slot(streams);
    tbk_streams_paid(streams);
    tbk_peer_release(peer);
    if (!more)
        tbk_peers_write();
}

static void responder_send(struct tbk_responder *responder, bool more)
{
    struct tbk_peer_request *request = (struct tbk_peer_request *)responder;
    struct tbk_peer_frame *reply = request->reply;
    request->reply = NULL;
    tbk_peer_write(request->peer, reply, more);
    finish(request, more);
}

static void responder_discard(struct tbk_responder *responder, bool more)
{
    struct tbk_peer_request *request = (struct tbk_peer_request *)responder;
    tbk_peer_close(request->peer); /* else the client would wait for nothing */
    finish(request, more);
}

/* A large request that finds no memory keeps its backtrace alone, to be refused when
 * it is there. */
struct tbk_peer_request *tbk_peer_request_create(struct tbk_peer *peer, size_t length)
{
    size_t counted = tbk_budget_counted(length);
    bool refused = !tbk_budget_take(tbk_peer_memory(peer), counted);
    size_t kept = refused ? TBK_BACKTRACE_BYTES_MAX : length;
    struct tbk_peer_request *request = malloc(sizeof *request + kept);
    if (request == NULL && !refused)
        tbk_budget_give(tbk_peer_memory(peer), counted);
    if (request != NULL)
        *request = (struct tbk_peer_request){
            .responder = {.reserve = responder_reserve,
                          .send = responder_send,
                          .discard = responder_discard,
                          .share = &peer->share},
            .peer = peer,
            .length = length,
            .kept = kept,
            .counted = refused ? 0 : counted,
        };
    return request;
}

void tbk_peer_request_free(struct tbk_peer_request *request)
{
    if (request == NULL)
        return;
    tbk_budget_give(tbk_peer_memory(request->peer), request->counted);
    tbk_peer_frame_free(request->peer, request->reply);
    free(request);
}

void tbk_peer_request_submit(struct tbk_peer_request *request)
{
    struct tbk_streams *streams = request->peer->streams;
    struct tbk_dispatch *dispatch = tbk_streams_settings(streams)->dispatch;
    tbk_peer_hold(request->peer);
    tbk_streams_owe(streams);
    if (request->kept < request->length)
        tbk_dispatch_refuse(dispatch, &request->responder);
    else
        tbk_dispatch_submit(dispatch, &request->responder, request->payload + request->backtrace_bytes,
                            request->length - request->backtrace_bytes);
}
