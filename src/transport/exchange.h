/*
 * The REP contexts of the server. Each one is a loop without a thread:
 *
 *   receive -> tbk_dispatch_submit -> (reserve, send | discard) -> receive ...
 *
 * The receive callback runs on a thread of nng, submits and returns. The reply
 * may come during submit or later from any thread; a context receives again
 * only after its reply has left or was dropped, so at most `count` requests are
 * in flight and nng never sees a receive and a send on one context together.
 */
#ifndef TBK_TRANSPORT_EXCHANGE_H
#define TBK_TRANSPORT_EXCHANGE_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "dispatch/dispatch.h"

struct tbk_exchanges;

/* Opens count contexts on socket; none receives yet. memory: see struct
 * tbk_server_config. */
enum tbk_status tbk_exchanges_create(nng_socket socket, struct tbk_dispatch *dispatch, unsigned count,
                                     int64_t send_timeout_ms, struct tbk_budget *memory,
                                     struct tbk_exchanges **ret_exchanges, struct tbk_error *error) TBK_MUST_CHECK;

/* Starts receiving. */
void tbk_exchanges_start(struct tbk_exchanges *exchanges);

/* Receives nothing more; what was received is still answered. Not from a
 * callback of nng. */
void tbk_exchanges_stop(struct tbk_exchanges *exchanges);

/* After stop: waits until every reply has left, at most timeout_ms. */
void tbk_exchanges_wait(struct tbk_exchanges *exchanges, int64_t timeout_ms);

/* After stop, when dispatch holds no request any more. Accepts NULL. */
void tbk_exchanges_destroy(struct tbk_exchanges *exchanges);

#endif
