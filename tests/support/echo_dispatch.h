/*
 * A dispatch without services, for tests of the transport. A request is plain
 * text and says how it is answered:
 *
 *   "later ..."    the same bytes, from another thread
 *   "big N"        N bytes
 *   "discard"      no answer, and the connection is closed
 *   anything else  the same bytes, before submit returns
 */
#ifndef TBK_TESTS_ECHO_DISPATCH_H
#define TBK_TESTS_ECHO_DISPATCH_H

#include "dispatch/dispatch.h"

struct tbk_dispatch *echo_dispatch_create(void);

#endif
