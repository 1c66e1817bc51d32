/*
 * Writes Reply envelopes straight into the transport's buffer.
 */
#ifndef TBK_DISPATCH_REPLY_H
#define TBK_DISPATCH_REPLY_H

#include "dispatch/job.h"

/* Reserves and writes the reply of a successful job; *ret_payload and *ret_bytes
 * are the serialised response inside it, valid until the reply is sent. On
 * failure job->error says why. */
enum tbk_status tbk_reply_response(struct tbk_job *job, const ProtobufCMessage *response,
                                   const uint8_t **ret_payload, size_t *ret_bytes) TBK_MUST_CHECK;

/* The same with an already serialised response. */
enum tbk_status tbk_reply_payload(struct tbk_job *job, const uint8_t *payload, size_t bytes) TBK_MUST_CHECK;

/* Reserves and writes job->error as reply. When memory is exhausted nothing is
 * reserved and the job will be discarded. */
void tbk_reply_error(struct tbk_job *job);

/* Sends what is reserved, or discards; counts and logs the request. Exactly once a
 * job; the job goes back to the pool. more: see struct tbk_responder. */
void tbk_reply_send(struct tbk_dispatch *dispatch, struct tbk_job *job, bool more);

#endif
