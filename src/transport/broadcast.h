/*
 * The addresses at which events are published: PUB on any number of them. Nothing
 * blocks; a subscriber that is slow loses its oldest messages and nobody else's,
 * one that says anything is disconnected.
 */
#ifndef TBK_TRANSPORT_BROADCAST_H
#define TBK_TRANSPORT_BROADCAST_H

#include <stddef.h>

#include "base/error.h"
#include "dispatch/dispatch.h"

struct tbk_broadcast;

struct tbk_broadcast_config {
    const char *const *urls; /* as of struct tbk_server_config */
    size_t url_count;
    unsigned connections_max; /* further ones are closed at once */
    unsigned ipc_permissions;
};

/* Opens the addresses. Fails with the address and the reason. */
enum tbk_status tbk_broadcast_create(const struct tbk_broadcast_config *config,
                                     struct tbk_broadcast **ret_broadcast, struct tbk_error *error) TBK_MUST_CHECK;

/* For dispatch; lives as long as the broadcast. */
struct tbk_publisher *tbk_broadcast_publisher(struct tbk_broadcast *broadcast);

/* The address actually bound (port 0 replaced), by position in urls. */
const char *tbk_broadcast_address(const struct tbk_broadcast *broadcast, size_t position);

/* Connections open now. */
unsigned tbk_broadcast_connections(const struct tbk_broadcast *broadcast);

/* When nobody publishes any more. Accepts NULL. */
void tbk_broadcast_destroy(struct tbk_broadcast *broadcast);

#endif
