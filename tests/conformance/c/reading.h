/*
 * A stream that is read in the background, without pause. The functions are of one
 * thread; the reading has another.
 */
#ifndef CONFORMANCE_READING_H
#define CONFORMANCE_READING_H

#include <jansson.h>
#include <stdbool.h>

#include "tradebook/client.h"

struct reading;

/* Starts to read. events_address may be NULL; timeout_ms 0: no deadline. */
struct reading *reading_start(const char *address, const char *events_address, const json_t *request,
                              int64_t timeout_ms);
/* Waits until so many events have come; false when the stream ended before that, or
 * none came for long. */
bool reading_await(struct reading *reading, size_t count);
/* Waits until the stream has ended by itself; false when that takes too long. */
bool reading_await_end(struct reading *reading);
/* Ends the stream, if it runs, and waits for that. */
void reading_stop(struct reading *reading);
/* Stops it and frees it. Accepts NULL. */
void reading_end(struct reading *reading);

/* When it has ended: why, and what came, as a list. */
const struct tradebook_error *reading_error(const struct reading *reading);
json_t *reading_events(const struct reading *reading);

#endif
