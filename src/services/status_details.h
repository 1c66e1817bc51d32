/*
 * A tbk_error as the messages of the protocol.
 */
#ifndef TBK_SERVICES_STATUS_DETAILS_H
#define TBK_SERVICES_STATUS_DETAILS_H

#include "base/arena.h"
#include "base/error.h"
#include "tradebook/v1/rpc.pb-c.h"

/* The violations as a google.rpc.BadRequest in an Any, and the error's detail in
 * another, in the arena; *ret_count is 0 to 2. Exhausted memory leaves details
 * out. */
Google__Protobuf__Any **tbk_status_details(const struct tbk_error *error, struct tbk_arena *arena,
                                           size_t *ret_count);

/* A Status for one item of a batch; NULL when the arena is exhausted. */
Tradebook__V1__Status *tbk_status_message(const struct tbk_error *error, struct tbk_arena *arena);

#endif
