/*
 * Messages from and to JSON. Any thread.
 */
#ifndef CONFORMANCE_MESSAGES_H
#define CONFORMANCE_MESSAGES_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/dynbuf.h"

/* The types that are found inside google.protobuf.Any; once before, once after all
 * else. */
void messages_open(void);
void messages_close(void);

/* What is not the JSON of such a message ends the program, as does what has no
 * JSON. */
ProtobufCMessage *message_of_json(const json_t *json, const ProtobufCMessageDescriptor *descriptor,
                                  struct tbk_arena *arena);
void append_json(const ProtobufCMessage *message, struct tbk_dynbuf *out);

/* NULL is an empty object. */
json_t *json_of_message(const ProtobufCMessage *message);

#endif
