#include "transport/broadcast.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <stdlib.h>
#include <string.h>

#include "transport/endpoints.h"
#include "transport/peer.h"

/* What a subscriber may send: nothing; nng wants a number above 0. */
enum { INPUT_BYTES_MAX = 64 };

struct tbk_broadcast {
    struct tbk_publisher publisher; /* first: a publisher is its broadcast */
    struct tbk_endpoints endpoints;
};

static void publish_on_socket(struct tbk_endpoints *endpoints, const uint8_t *message, size_t length)
{
    nng_msg *copy = NULL;
    if (nng_msg_alloc(&copy, length) != 0)
        return;
    memcpy(nng_msg_body(copy), message, length);
    if (nng_sendmsg(endpoints->socket, copy, NNG_FLAG_NONBLOCK) != 0)
        nng_msg_free(copy);
}

static void publish(struct tbk_publisher *publisher, const uint8_t *message, size_t length, bool more)
{
    struct tbk_endpoints *endpoints = &((struct tbk_broadcast *)publisher)->endpoints;
    if (endpoints->socket_listens)
        publish_on_socket(endpoints, message, length);
    tbk_streams_publish(endpoints->streams, message, length, more);
}

static enum tbk_status open_streams(struct tbk_endpoints *endpoints, struct tbk_error *error)
{
    const struct tbk_streams_config streams = {.connections = &endpoints->connections,
                                               .connections_max = endpoints->connections_max};
    return tbk_streams_create(&streams, &endpoints->streams, error);
}

static enum tbk_status start(struct tbk_endpoints *endpoints, const struct tbk_broadcast_config *config,
                             struct tbk_error *error)
{
    enum tbk_status status = tbk_endpoints_open_socket(endpoints, nng_pub0_open, error);
    if (status == TBK_OK && nng_socket_set_int(endpoints->socket, NNG_OPT_SENDBUF, TBK_SUBSCRIBER_FRAMES_MAX) != 0)
        return tbk_error_set(error, TBK_INTERNAL, "cannot set the length of a subscriber's queue");
    if (status == TBK_OK)
        status = open_streams(endpoints, error);
    return status == TBK_OK ? tbk_endpoints_listen(endpoints, config->urls, config->url_count, error) : status;
}

enum tbk_status tbk_broadcast_create(const struct tbk_broadcast_config *config,
                                     struct tbk_broadcast **ret_broadcast, struct tbk_error *error)
{
    struct tbk_broadcast *broadcast = calloc(1, sizeof *broadcast);
    if (broadcast == NULL)
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "out of memory for publishing");
    const struct tbk_listener_limits limits = {.message_bytes_max = INPUT_BYTES_MAX,
                                               .ipc_permissions = config->ipc_permissions};
    broadcast->publisher.publish = publish;
    tbk_endpoints_init(&broadcast->endpoints, &limits, config->connections_max);
    enum tbk_status status = start(&broadcast->endpoints, config, error);
    if (status != TBK_OK) {
        tbk_broadcast_destroy(broadcast);
        return status;
    }
    *ret_broadcast = broadcast;
    return TBK_OK;
}

struct tbk_publisher *tbk_broadcast_publisher(struct tbk_broadcast *broadcast)
{
    return &broadcast->publisher;
}

const char *tbk_broadcast_address(const struct tbk_broadcast *broadcast, size_t position)
{
    return broadcast->endpoints.addresses[position];
}

unsigned tbk_broadcast_connections(const struct tbk_broadcast *broadcast)
{
    return atomic_load(&broadcast->endpoints.connections);
}

void tbk_broadcast_destroy(struct tbk_broadcast *broadcast)
{
    if (broadcast == NULL)
        return;
    tbk_streams_destroy(broadcast->endpoints.streams);
    tbk_endpoints_fini(&broadcast->endpoints);
    free(broadcast);
}
